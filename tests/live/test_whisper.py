"""Transcription by `transformers serve`: a real server that reads the form and hears the sound.

Its Whisper is random and greedy: what it writes means nothing, but the same sound is the same text,
and another sound another text, so that a text tells which samples have arrived.
"""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import Peer

from faces import Face
from trunkline import (
    APIError,
    BadRequestError,
    Client,
    InternalServerError,
    InvalidInputError,
    Transcription,
    UnsupportedParamsError,
    atranscription,
    default_async_client,
    transcription,
)

pytestmark = pytest.mark.live

RATE = 16000


def tone(pitch: float, *, rate: int = RATE, seconds: float = 1.0) -> Any:
    """Return a sound of one pitch, as floats."""
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


def wav(samples: Any, *, rate: int = RATE, channels: int = 1) -> bytes:
    """Return a WAV file with 16 bits a sample, written by Python's own module."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.rint(np.repeat(samples, channels) * 32767).astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture
def hear(face: Face, whisper: Peer) -> Any:
    """Transcribe with either client."""
    client = face.client(whisper.base_url)

    def transcribe(file: Any, model: str = whisper.model, **more: Any) -> Transcription:
        found: Transcription = face.run(client.transcription(model, file, **more))
        return found

    return transcribe


def test_a_recording_comes_back_as_text_with_a_receipt(hear: Any) -> None:
    found = hear(wav(tone(440)))
    assert isinstance(found, Transcription)
    assert len(found.text) == 16
    assert found.text.isascii()
    assert str(found) == found.text
    assert (found.chunks, found.language, found.duration, found.extra) == (None, None, None, {})
    assert found.receipt is not None
    assert [attempt.status for attempt in found.receipt.attempts] == [200]
    assert hear(wav(tone(440))).text == found.text
    assert hear(wav(tone(3000))).text != found.text


def test_bytes_a_path_a_file_and_samples_are_the_same_recording(hear: Any, tmp_path: Path) -> None:
    samples = tone(440)
    content = wav(samples)
    path = tmp_path / "mañana – 日本.wav"
    path.write_bytes(content)
    with path.open("rb") as file:
        forms = [content, path, str(path), file, np.rint(samples * 32767).astype(np.int16)]
        texts = [hear(form).text for form in forms]
    assert len(set(texts)) == 1
    assert texts[0] != hear(tone(880)).text


def test_samples_are_heard_at_the_rate_they_are_said_to_have(hear: Any) -> None:
    low = hear(tone(440)).text
    assert hear(tone(440).astype(np.float32)).text == low
    assert hear(np.stack([tone(440), tone(440)])).text == hear(wav(tone(440), channels=2)).text
    # the same numbers, played twice as fast, are an octave higher and half as long
    fast = hear(tone(440), sampling_rate=2 * RATE).text
    assert fast == hear(wav(tone(440), rate=2 * RATE)).text
    assert fast != low


def test_a_recording_of_another_form_is_heard_too(hear: Any) -> None:
    # 44.1 kHz in stereo and longer than the model listens
    assert len(hear(wav(tone(440, rate=44100, seconds=9), rate=44100, channels=2)).text) == 16


def test_the_options_of_openais_form_are_accepted(hear: Any) -> None:
    plain = hear(wav(tone(440))).text
    given = {"language": "en", "prompt": "tones", "temperature": 0.0}
    assert hear(wav(tone(440)), **given).text == plain
    # asked for times it tells none, and none are made up
    assert hear(wav(tone(440)), return_timestamps=True).chunks is None


def test_the_form_of_the_answer_can_be_named(hear: Any) -> None:
    assert len(hear(wav(tone(440)), response_format="json").text) == 16


def test_a_field_that_it_does_not_know_is_named_in_the_error(hear: Any) -> None:
    with pytest.raises(UnsupportedParamsError, match=r"Unexpected fields.*unknown_field") as caught:
        hear(wav(tone(440)), extra_body={"unknown_field": 1})
    assert caught.value.status == 422
    # OpenAI's clients write this name with brackets, and so do we
    with pytest.raises(UnsupportedParamsError, match=r"timestamp_granularities\[\]"):
        hear(wav(tone(440)), timestamp_granularities=["word"])


def test_a_model_that_it_cannot_load_is_the_servers_error(hear: Any) -> None:
    with pytest.raises(InternalServerError, match="Internal Server Error") as caught:
        hear(wav(tone(440)), model="no/such")
    assert caught.value.status == 500
    assert caught.value.model == "no/such"
    assert len(caught.value.attempts) == 1
    assert hear(wav(tone(440))).text


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"Dear Sir or Madam, this is a letter.\n", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "PNG"),
        (b"", "empty"),
        ("/no/such/file.wav", "no such file"),
        (np.zeros((0,)), "shape"),
    ],
    ids=["text", "picture", "nothing", "no file", "no samples"],
)
def test_what_is_no_recording_is_refused_before_it_is_sent(hear: Any, file: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said) as caught:
        hear(file)
    assert caught.value.attempts == ()
    assert caught.value.status is None


@pytest.mark.parametrize(
    "content",
    [
        wav(tone(440))[:30],
        b"RIFF\x24\x00\x00\x00WAVEjunk" + bytes(40),
        wav(tone(440)).replace(b"\x01\x00\x01\x00", b"\xfa\xfa\x01\x00", 1),
    ],
    ids=["cut in its head", "no format", "a coding that there is not"],
)
def test_a_broken_recording_is_an_error_that_says_so(hear: Any, content: bytes) -> None:
    with pytest.raises((BadRequestError, InternalServerError)) as caught:
        hear(content)
    assert isinstance(caught.value, APIError)
    assert len(caught.value.attempts) <= 1
    assert hear(wav(tone(440))).text  # and the server is still there


def test_the_one_line_faces_reach_it_eight_at_once(
    fresh_defaults: None, bare_environment: None, whisper: Peer
) -> None:
    sounds = [wav(tone(200 + 150 * step)) for step in range(8)]
    given: dict[str, Any] = {"api_base": whisper.base_url}

    async def together() -> list[Transcription]:
        try:
            calls = (atranscription(whisper.model, sound, **given) for sound in sounds)
            return await asyncio.gather(*calls)
        finally:
            await default_async_client().close()

    texts = [found.text for found in asyncio.run(together())]
    assert texts == [transcription(whisper.model, sound, **given).text for sound in sounds]
    assert len(set(texts)) > 4


def test_a_form_that_is_told_to_be_elsewhere_is_found_by_its_route(
    client: Client, whisper: Peer
) -> None:
    route = f"{whisper.base_url}/audio/transcriptions"
    assert client.transcription(whisper.model, wav(tone(440)), api_base=route).text

"""Speech and transcription: sound comes raw and goes in as a form."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from trunkline.dialects.multipart import Part, read_form
from trunkline.dialects.openai_audio import (
    SPEECH,
    SPEECH_TOGETHER,
    TRANSCRIPTION,
    TRANSCRIPTION_TOGETHER,
)
from trunkline.dialects.shape import Reading, Shape, Wish
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.media import Blob, Media
from trunkline.types.results import Transcription

WAV = b"RIFF\x04\x00\x00\x00WAVE"
MP3 = b"\xff\xfb\x90\x00" + b"\x00" * 8
SOUND = Blob(WAV, "audio/wav")


def say(
    shape: Shape = SPEECH, model: str = "m", extra: dict[str, Any] | None = None, **asked: Any
) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(
        shape.write(Wish("text-to-speech", model, "hello", asked, extra or {})).data
    )
    return body


def hear(body: bytes, kind: str, **asked: Any) -> Media:
    result = SPEECH.read(Reading(body, kind), Wish("text-to-speech", "m", "hello", asked))
    assert isinstance(result, Media)
    return result


def form(shape: Shape, wish: Wish) -> list[Part]:
    body = shape.write(wish)
    return read_form(body.data, body.content_type or "")


def listen(body: Any, kind: str = "application/json", **asked: Any) -> Transcription:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    wish = Wish("automatic-speech-recognition", "m", SOUND, asked)
    result = TRANSCRIPTION.read(Reading(data, kind), wish)
    assert isinstance(result, Transcription)
    return result


def test_speech_is_asked_for_with_the_model_first() -> None:
    body = say(voice="alloy", speed=1.5, extra={"x": 1})
    assert body == {"model": "m", "input": "hello", "voice": "alloy", "speed": 1.5, "x": 1}
    assert next(iter(body)) == "model"


def test_speech_does_not_ask_for_json() -> None:
    assert SPEECH.write(Wish("text-to-speech", "m", "hello")).accept == "*/*"


def test_together_has_a_voice_for_kokoro_only() -> None:
    assert say(SPEECH_TOGETHER, "hexgrad/Kokoro-82M")["voice"] == "af_alloy"
    assert say(SPEECH_TOGETHER, "hexgrad/Kokoro-82M", voice="af_bella")["voice"] == "af_bella"
    assert say(SPEECH_TOGETHER, "canopylabs/orpheus", voice="tara")["voice"] == "tara"
    assert say(SPEECH_TOGETHER, "canopylabs/orpheus", {"voice": "leo"})["voice"] == "leo"
    with pytest.raises(InvalidInputError, match="canopylabs/orpheus only in a voice") as caught:
        say(SPEECH_TOGETHER, "canopylabs/orpheus")
    assert "voice=" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "declared", "kind"),
    [
        (WAV, "audio/mpeg", "audio/wav"),
        (WAV, "application/octet-stream", "audio/wav"),
        (WAV, "", "audio/wav"),
        (MP3, "audio/mpeg", "audio/mpeg"),
        (b"fLaC....", "binary/octet-stream", "audio/flac"),
        (b"\x00\x01\x02\x03", "audio/pcm", "audio/pcm"),
        (MP3, "audio/pcm", "audio/pcm"),
        (b"\x00\x01\x02\x03", "application/octet-stream", None),
        (b"\x00\x00\x00\x20ftypisom", "audio/mp4", "audio/mp4"),
    ],
)
def test_a_sound_is_what_its_bytes_say_and_else_what_is_declared(
    body: bytes, declared: str, kind: str | None
) -> None:
    media = hear(body, declared)
    assert (media.content, media.media_type) == (body, kind)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"voice":"no such voice"}', "application/json"),
        (b'{"voice":"no such voice"}', "audio/mpeg"),
        (b"no such voice", "text/plain"),
        (b"<html>no such voice</html>", "text/html"),
        (b'data: {"error":"no such voice"}\n\n', "text/event-stream"),
    ],
)
def test_text_instead_of_a_sound_is_an_error_that_shows_it(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        hear(body, kind)
    assert "no such voice" in caught.value.body


def test_a_sound_is_one_whatever_it_is_called() -> None:
    told = json.dumps({"audio": base64.b64encode(WAV).decode()}).encode()
    assert hear(told, "application/json").content == WAV
    assert hear(WAV, "text/plain; charset=utf-8").media_type == "audio/wav"


def test_silence_is_no_sound() -> None:
    with pytest.raises(InvalidResponseError, match="empty"):
        hear(b"", "audio/mpeg")


def test_a_recording_goes_into_a_form_behind_its_fields() -> None:
    asked = {"language": "de", "temperature": 0.5, "diarize": True, "context": {"a": ["ü"]}}
    parts = form(TRANSCRIPTION, Wish("asr", "prov/m", SOUND, asked, {"prompt": "p"}))
    assert parts == [
        Part("model", b"prov/m"),
        Part("language", b"de"),
        Part("temperature", b"0.5"),
        Part("diarize", b"true"),
        Part("context", '{"a":["ü"]}'.encode()),
        Part("prompt", b"p"),
        Part("file", WAV, "audio.wav", "audio/wav"),
    ]


@pytest.mark.parametrize(
    ("blob", "name"),
    [
        (Blob(WAV, "audio/wav"), "audio.wav"),
        (Blob(WAV, "audio/mpeg"), "audio.mp3"),
        (Blob(WAV), "application.wav"),
        (Blob(WAV, "audio/x-unheard-of"), "audio.wav"),
        (Blob(WAV, "audio/wav", name="talk.wav"), "talk.wav"),
        (Blob(WAV, "audio/wav", name="talk"), "talk.wav"),
        (Blob(WAV, "audio/wav", name="../../etc/talk.flac"), "talk.flac"),
        (Blob(WAV, "audio/wav", name="C:\\talks\\talk.ogg"), "talk.ogg"),
        (Blob(WAV, "audio/wav", name="talk."), "talk.wav"),
    ],
)
def test_the_file_has_a_name_with_an_ending_and_no_path(blob: Blob, name: str) -> None:
    assert form(TRANSCRIPTION, Wish("asr", "m", blob))[-1].filename == name


def test_only_together_is_given_a_url() -> None:
    lying = Blob(url="https://example.com/a.wav")
    assert not TRANSCRIPTION.takes_urls
    assert TRANSCRIPTION_TOGETHER.takes_urls
    parts = form(TRANSCRIPTION_TOGETHER, Wish("asr", "m", lying))
    assert parts == [Part("model", b"m"), Part("file", b"https://example.com/a.wav")]
    fetched = Blob(WAV, "audio/wav", "https://example.com/a.wav")
    assert form(TRANSCRIPTION_TOGETHER, Wish("asr", "m", fetched))[-1].content == WAV


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"return_timestamps": True}, [("response_format", "verbose_json")]),
        (
            {"return_timestamps": "word"},
            [
                ("response_format", "verbose_json"),
                ("timestamp_granularities[]", "word"),
                ("timestamp_granularities[]", "segment"),
            ],
        ),
        ({"return_timestamps": True, "response_format": "srt"}, [("response_format", "srt")]),
        ({"return_timestamps": False}, []),
    ],
)
def test_times_are_asked_for_in_openais_words(
    asked: dict[str, Any], fields: list[tuple[str, str]]
) -> None:
    parts = form(TRANSCRIPTION, Wish("asr", "m", SOUND, asked))
    assert [(part.name, part.text) for part in parts[1:-1]] == fields


def test_a_transcription_needs_a_recording() -> None:
    with pytest.raises(InvalidInputError, match="no recording"):
        TRANSCRIPTION.write(Wish("asr", "m", "hello"))


def test_a_transcription_is_read_whole() -> None:
    read = listen(
        {
            "task": "transcribe",
            "text": "Hi there.",
            "language": "english",
            "duration": 1.5,
            "segments": [
                {"id": 0, "start": 0, "end": 0.5, "text": "Hi"},
                {"start": 0.5, "end": None, "text": " there."},
            ],
            "words": [{"word": "Hi", "start": 0.0, "end": 0.4}],
        }
    )
    assert (str(read), read.language, read.duration) == ("Hi there.", "english", 1.5)
    assert read.chunks is not None
    assert [(c.text, c.timestamp) for c in read.chunks] == [
        ("Hi", (0, 0.5)),
        (" there.", (0.5, None)),
    ]
    assert read.chunks[0].extra == {"id": 0}
    assert read.extra == {
        "task": "transcribe",
        "words": [{"word": "Hi", "start": 0.0, "end": 0.4}],
    }


def test_what_a_server_does_not_tell_stays_unknown() -> None:
    read = listen({"text": ""})
    assert (read.text, read.chunks, read.language, read.duration) == ("", None, None, None)


@pytest.mark.parametrize("segments", [{}, ["y"], [{"start": 0}], "none"])
def test_segments_that_cannot_be_read_are_kept_beside_the_text(segments: Any) -> None:
    read = listen({"text": "x", "segments": segments})
    assert (read.text, read.chunks, read.extra) == ("x", None, {"segments": segments})


def test_a_duration_that_is_no_number_is_kept_aside() -> None:
    read = listen({"text": "x", "duration": "1.5", "language": None, "segments": None})
    assert (read.duration, read.extra) == (None, {"duration": "1.5"})


@pytest.mark.parametrize(
    ("asked", "body", "text"),
    [
        ("text", b"Hi there.\n", "Hi there."),
        (
            "srt",
            b"1\n00:00:00,000 --> 00:00:01,000\nHi\n\n",
            "1\n00:00:00,000 --> 00:00:01,000\nHi\n\n",
        ),
        ("vtt", "WEBVTT\n\nü".encode(), "WEBVTT\n\nü"),
    ],
)
def test_text_that_was_asked_for_is_the_answer_itself(asked: str, body: bytes, text: str) -> None:
    assert listen(body, "text/plain", response_format=asked).text == text


def test_json_is_read_even_where_text_was_asked_for() -> None:
    assert listen({"text": "Hi"}, response_format="text").text == "Hi"
    assert listen(b'"Hi"', response_format="text").text == "Hi"


@pytest.mark.parametrize(
    ("body", "kind", "asked"),
    [
        (b"", "application/json", {}),
        (b"Hi there.", "text/plain", {}),
        (b"[]", "application/json", {}),
        (b"{}", "application/json", {}),
        (b'{"text":null}', "application/json", {}),
        (b'{"text":["x"]}', "application/json", {}),
        (b"\xff", "text/plain", {"response_format": "text"}),
        (b"<html>", "text/html", {"response_format": "text"}),
    ],
)
def test_an_answer_without_a_transcription_is_refused(
    body: bytes, kind: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read"):
        listen(body, kind, **asked)

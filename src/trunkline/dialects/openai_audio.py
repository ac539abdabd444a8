"""Speech and transcription as OpenAI shaped them: a sound comes raw, and goes in as a form."""

from __future__ import annotations

from functools import partial
from typing import Any

from trunkline.dialects.answer_parts import reads
from trunkline.dialects.bodies import given, merged
from trunkline.dialects.form_fields import form_body
from trunkline.dialects.multipart import Part
from trunkline.dialects.pipeline_media import read_sound
from trunkline.dialects.shape import Body, Fetch, Reading, Shape, Wish, json_body, unreadable
from trunkline.dialects.transcripts import parse_transcription
from trunkline.errors import InvalidInputError
from trunkline.media import result_media
from trunkline.types.media import Blob, Media
from trunkline.types.results import Transcription


def write_speech(wish: Wish, voice: str | None = None) -> Body:
    """Write `{"model", "input", ...}`, with `voice` where the call names none."""
    body = {"model": wish.model, "input": wish.inputs}
    default = {} if voice is None else {"voice": voice}
    asked = {**body, **default, **given(wish.parameters)}
    return json_body(merged(asked, wish.extra_body), accept="*/*")


def write_together_speech(wish: Wish) -> Body:
    """Write with a voice, which Together demands and each model names in its own way.

    Raises InvalidInputError without one, but for Kokoro's models, where @huggingface/inference
    knows one that they all have.
    """
    told = merged(wish.parameters, wish.extra_body).get("voice")
    kokoro = "kokoro" in wish.model.lower()
    if told is None and not kokoro:
        raise InvalidInputError(
            f"Together speaks with {wish.model} only in a voice that is named.",
            hint="Pass voice=; the model's page at Together lists what it has.",
        )
    return write_speech(wish, "af_alloy" if kokoro else None)


_TEXTUAL = ("text/", "application/json", "application/problem+json", "application/xml")


def read_speech(reading: Reading, wish: Wish) -> Media | Fetch:
    """Take the body as the sound, unless it is called text or JSON: then it has to show one."""
    if reading.content_type.startswith(_TEXTUAL):
        return read_sound(reading, wish)
    return result_media(reading.body, reading.content_type, None)


SPEECH = Shape(write_speech, read_speech)
"""text-to-speech at `POST audio/speech`."""
SPEECH_TOGETHER = Shape(write_together_speech, read_speech)


def write_transcription(wish: Wish, *, takes_urls: bool = False) -> Body:
    """Write a form with the recording, or with its URL; raises InvalidInputError without one."""
    sound = wish.inputs
    if not isinstance(sound, Blob):
        raise InvalidInputError("There is no recording to transcribe.", hint="Give a file.")
    fields = {"model": wish.model, **_timed(given(wish.parameters)), **wish.extra_body}
    if takes_urls and sound.url is not None and not sound.content:
        return form_body({**fields, "file": sound.url}, [])
    return form_body(fields, [Part("file", sound.content, _named(sound), sound.media_type)])


def _named(sound: Blob) -> str:
    """Return a file name with an ending, by which servers tell the format."""
    name = sound.file_name.replace("\\", "/").rpartition("/")[2]
    stem, _, suffix = name.rpartition(".")
    return name if stem and suffix not in ("", "bin") else f"{stem or suffix or 'audio'}.wav"


def _timed(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with Hugging Face's wish for times in OpenAI's words."""
    times = asked.pop("return_timestamps", None)
    if times:
        asked.setdefault("response_format", "verbose_json")
    if times == "word":
        asked.setdefault("timestamp_granularities", ["word", "segment"])
    return asked


_PLAIN = frozenset({"srt", "text", "vtt"})


def read_transcription(reading: Reading, wish: Wish) -> Transcription:
    """Read `text` with its segments as chunks; words are kept in `extra`.

    With `response_format` text, srt or vtt the body itself is the text.
    """
    form = merged(wish.parameters, wish.extra_body).get("response_format")
    if form in _PLAIN and "json" not in reading.content_type:
        return Transcription(_plain(reading, form))
    transcription: Transcription = _read_spoken(reading, wish)
    return transcription


def _plain(reading: Reading, form: str) -> str:
    if reading.content_type == "text/html":
        raise unreadable(reading, "it is a web page")
    try:
        plain = reading.body.decode()
    except UnicodeDecodeError as error:
        raise unreadable(reading, "it is not UTF-8") from error
    return plain.strip() if form == "text" else plain


_read_spoken = reads(parse_transcription)

TRANSCRIPTION = Shape(write_transcription, read_transcription)
"""automatic-speech-recognition at `POST audio/transcriptions`, a form. `inputs` is a Blob."""
TRANSCRIPTION_TOGETHER = Shape(
    partial(write_transcription, takes_urls=True), read_transcription, takes_urls=True
)
"""The same, where the field `file` may also be a URL (@huggingface/inference)."""

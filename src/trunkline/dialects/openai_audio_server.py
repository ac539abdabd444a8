"""OpenAI's sounds as the one who answers: texts to say, recordings to write down; subtitles too.

It opens nothing and knows no provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from trunkline.dialects.asked_fields import (
    FLAG,
    OBJECT_OR_TEXT,
    TEXT,
    TEXTS,
    Field,
    decimal,
    known_fields,
    take_files,
    take_text,
)
from trunkline.dialects.openai_rules import RequestError, of, take_model
from trunkline.errors import InvalidResponseError
from trunkline.types.media import Blob
from trunkline.types.results import TranscriptChunk, Transcription
from trunkline.wire import strict_json

JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"
_TIMED = frozenset({"srt", "verbose_json", "vtt"})
"""Forms that have times in them."""
_WRITTEN = _TIMED | {"json", "text"}
"""Forms that are written here, whatever the provider's answer looks like."""

SPEECH_FIELDS: dict[str, Field] = {
    "instructions": TEXT,
    "response_format": TEXT,
    "speed": decimal(0.25, 4),
    "stream_format": TEXT,
    "voice": Field(
        of(str, "the name of a voice: those that are known by an id are at OpenAI alone")
    ),
}
HEARING_FIELDS: dict[str, Field] = {
    "chunking_strategy": OBJECT_OR_TEXT,
    "include": TEXTS,
    "language": TEXT,
    "prompt": TEXT,
    "response_format": TEXT,
    "stream": FLAG,
    "temperature": decimal(0, 1),
    "timestamp_granularities": TEXTS,
}


class SpeechRequest(msgspec.Struct, frozen=True):
    """A request to say a text aloud; its model is named as the client named it."""

    model: str
    text: str
    parameters: dict[str, Any] = {}
    extra: dict[str, Any] = {}


class HearingRequest(msgspec.Struct, frozen=True):
    """A request to write down a recording, or to translate it into English."""

    model: str
    sound: Blob
    form: str = "json"
    """How the text shall come: `json`, `text`, `srt`, `vtt`, `verbose_json`, or the provider's own."""
    translate: bool = False
    parameters: dict[str, Any] = {}
    extra: dict[str, Any] = {}

    @property
    def timed(self) -> bool:
        """Whether the provider has to tell times."""
        return self.form in _TIMED


def read_speech(fields: Mapping[str, Any], *, form: bool = False) -> SpeechRequest:
    """Read a request for speech; raises RequestError, naming the parameter."""
    body = dict(fields)
    model, text = take_model(body), take_text(body, "input")
    known, extra = known_fields(body, SPEECH_FIELDS, form=form)
    if known.pop("stream_format", "audio") != "audio" or extra.pop("stream", False):
        raise RequestError(
            "Speech comes as one sound here: leave out 'stream_format' and 'stream'.",
            param="stream_format",
        )
    if known.get("speed") == 1:
        del known["speed"]  # as it is without a word
    return SpeechRequest(model, text, known, extra)


def read_hearing(
    fields: Mapping[str, Any], *, translate: bool, form: bool = False, most: int
) -> HearingRequest:
    """Read a request for a transcription of at most `most` bytes; raises RequestError."""
    body = dict(fields)
    model = take_model(body)
    sounds = take_files(body, "file", "audio", most)
    if len(sounds) != 1:
        raise RequestError("'file' must be one recording.", param="file")
    known, extra = known_fields(body, HEARING_FIELDS, form=form)
    if known.pop("stream", False):
        raise RequestError("Transcriptions come whole here: leave out 'stream'.", param="stream")
    wanted: str = known.pop("response_format", "json")
    asked = HearingRequest(model, sounds[0], wanted, translate)
    times = known.get("timestamp_granularities")
    if times is not None and wanted != "verbose_json":
        raise RequestError(
            "'timestamp_granularities' needs 'response_format' to be 'verbose_json'.",
            param="timestamp_granularities",
        )
    if times == ["segment"]:
        del known["timestamp_granularities"]  # what verbose_json means without it
    if asked.timed:
        known["return_timestamps"] = True
    elif wanted not in _WRITTEN:
        known["response_format"] = wanted
    return msgspec.structs.replace(asked, parameters=known, extra=extra)


def hearing_body(result: Transcription, form: str) -> tuple[bytes, str]:
    """Write a transcription in the form that was asked for; returns it and its media type.

    Raises InvalidResponseError for subtitles where the provider told no times.
    """
    if form == "text":
        return f"{result.text}\n".encode(), _PLAIN
    if form == "srt":
        return "".join(_srt(result)).encode(), _PLAIN
    if form == "vtt":
        return "".join(_vtt(result)).encode(), _PLAIN
    told: dict[str, Any] = {"text": result.text}
    if form != "json":
        told |= _known(language=result.language, duration=result.duration)
        chunks = result.chunks
        if chunks is not None:
            told["segments"] = [_segment(place, chunk) for place, chunk in enumerate(chunks)]
        return strict_json.encode({**told, **result.extra}), JSON
    more = {name: result.extra.get(name) for name in ("logprobs", "usage")}
    return strict_json.encode({**told, **_known(**more)}), JSON


def _segment(place: int, chunk: TranscriptChunk) -> dict[str, Any]:
    told = _known(start=chunk.start, end=chunk.end)
    return {"id": place, **told, "text": chunk.text, **chunk.extra}


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _srt(result: Transcription) -> Iterator[str]:
    for place, (start, end, text) in enumerate(_spans(result), 1):
        yield f"{place}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"


def _vtt(result: Transcription) -> Iterator[str]:
    yield "WEBVTT\n\n"
    for start, end, text in _spans(result):
        yield f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n"


def _spans(result: Transcription) -> Iterator[tuple[float, float, str]]:
    """Yield beginning, end and text of each stretch; one without an end lasts to the next one's."""
    chunks = result.chunks or []
    starts = [chunk.start for chunk in chunks]
    if not chunks or None in starts:
        raise InvalidResponseError(
            "The provider told no times, which subtitles need. Ask for 'json' or 'text'."
        )
    for place, chunk in enumerate(chunks):
        start = chunk.start or 0.0
        following = starts[place + 1] if place + 1 < len(chunks) else result.duration
        end = chunk.end if chunk.end is not None else following
        if end is None:
            raise InvalidResponseError("The provider did not tell when the last words end.")
        yield start, max(end, start), " ".join(chunk.text.split())


def _clock(seconds: float, point: str) -> str:
    whole, millis = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{millis:03}"

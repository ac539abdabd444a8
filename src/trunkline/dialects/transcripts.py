"""Transcriptions: a text, alone or with its stretches and their times, in every form that servers have."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.answer_parts import alone, an_object, misfit, text
from trunkline.dialects.fields import is_number, take_number, take_text
from trunkline.dialects.shape import Wish
from trunkline.types.results import TranscriptChunk, Transcription

_PLACES = ("chunks", "segments")
_EXPECTED = "a transcription (an object with text)"


def parse_transcription(answer: Any, _wish: Wish) -> Transcription:
    """Read a bare text, or `{"text", "chunks" or "segments", "language", "duration"}`."""
    if isinstance(answer, str):
        return Transcription(answer)
    row = an_object(alone(answer), _EXPECTED)
    if "text" not in row:
        raise misfit(answer, _EXPECTED)
    return Transcription(
        text=text(row, "text"),
        chunks=take_chunks(row),
        language=take_text(row, "language"),
        duration=take_number(row, "duration"),
        extra=row,
    )


def take_chunks(row: dict[str, Any]) -> list[TranscriptChunk] | None:
    """Take the stretches of text out of `row`; None where it has none, and what is none stays there.

    `{"text", "timestamp": [start, end]}` and `{"text", "start", "end"}` are read; a time that is
    not told stays unknown.
    """
    for place in _PLACES:
        rows = row.get(place)
        if isinstance(rows, list) and all(map(_is_chunk, rows)):
            return [_chunk(chunk) for chunk in row.pop(place)]
        if rows is None:
            row.pop(place, None)
    return None


def _is_chunk(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("text"), str)


def _chunk(chunk: dict[str, Any]) -> TranscriptChunk:
    row = dict(chunk)
    said, times = row.pop("text"), row.get("timestamp")
    if isinstance(times, list) and len(times) == 2 and all(map(_is_time, times)):
        start, end = row.pop("timestamp")
    else:
        start, end = take_number(row, "start"), take_number(row, "end")
    return TranscriptChunk(said, start, end, row)


def _is_time(value: Any) -> bool:
    return value is None or is_number(value)

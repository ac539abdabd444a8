"""Stretches of a transcription with their times, in the forms that servers have for them."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.files import rest
from trunkline.types.results import TranscriptChunk

_PLACES = ("chunks", "segments")


def read_chunks(answer: dict[str, Any]) -> tuple[str, list[TranscriptChunk] | None]:
    """Return the field that holds stretches of text, and the stretches; `""` and None without any.

    `{"text", "timestamp": [start, end]}` and `{"text", "start", "end"}` are read; a time that is
    not told stays unknown.
    """
    for place in _PLACES:
        rows = answer.get(place)
        if isinstance(rows, list) and all(_is_chunk(row) for row in rows):
            return place, [_chunk(row) for row in rows]
    return "", None


def _is_chunk(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("text"), str)


def _chunk(row: dict[str, Any]) -> TranscriptChunk:
    times = row.get("timestamp")
    paired = isinstance(times, list) and len(times) == 2
    pair: Any = times if paired else (row.get("start"), row.get("end"))
    names = ("timestamp",) if paired else ("start", "end")
    start, end = (time if isinstance(time, (int, float)) else None for time in pair)
    return TranscriptChunk(row["text"], start, end, extra=rest(row, "text", *names))

"""An event stream as a list of its events, without secrets: those that are spread over several too.

A model that repeats a token does so in pieces, each of which says nothing.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from trunkline.testing.exact_json import NOT_JSON, read_exact
from trunkline.testing.scrub import HIDDEN, Scrubber, Span

Path = tuple[str | int, ...]

_EVENT = re.compile(rb".+?(?>\r\n|\n|\r){2}|.+\Z", re.DOTALL)
_DATA = re.compile(r"^(data:[ ]?)(.+)$", re.MULTILINE)
_KINDS = ("type", "index", "object")
"""Fields of an event that tell apart what a text under the same path belongs to."""


def split_events(body: bytes) -> list[bytes]:
    """Return a body's events, each with the empty line behind it; the last one may have none."""
    return _EVENT.findall(body)


def clean_events(events: list[bytes], scrub: Scrubber) -> list[str | bytes]:
    """Return events without secrets: as text, or as bytes where they are none."""
    kept = [_Event(event) for event in events]
    _clean_texts([event for event in kept if event.value is not NOT_JSON], scrub)
    return [event.written(scrub) for event in kept]


class _Event:
    """One event, and the JSON in it where there is some."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.text: str | None = None
        self.value: Any = NOT_JSON
        self.edits: dict[Path, str] = {}
        try:
            self.text = raw.decode()
        except UnicodeDecodeError:
            return
        lines = _DATA.findall(self.text)
        if len(lines) == 1:
            self.value = read_exact(lines[0][1].rstrip("\r"))

    def written(self, scrub: Scrubber) -> str | bytes:
        if self.text is None:
            return scrub.binary(self.raw)
        if self.value is not NOT_JSON:
            for path, text in self.edits.items():
                _put(self.value, path, text)
            clean = scrub.value(self.value)
            if self.edits or clean != self.value:
                written = json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
                self.text = _DATA.sub(lambda line: line[1] + written, self.text)
        return scrub.text(self.text)

    def kind(self) -> tuple[str, ...]:
        value = self.value
        return tuple(str(value.get(k)) for k in _KINDS) if isinstance(value, dict) else ()


def _clean_texts(events: list[_Event], scrub: Scrubber) -> None:
    """Note what has to be changed in texts that go on from one event to another."""
    texts: defaultdict[tuple[Any, ...], list[tuple[_Event, Path, str]]] = defaultdict(list)
    for event in events:
        for path, text in _texts(event.value):
            texts[event.kind(), path].append((event, path, text))
    for pieces in texts.values():
        spans = scrub.spans("".join(text for _, _, text in pieces)) if len(pieces) > 1 else []
        at = 0
        for event, path, text in pieces:
            changed = _without(text, at, spans)
            if changed != text:
                event.edits[path] = changed
            at += len(text)


def _without(text: str, at: int, spans: list[Span]) -> str:
    """Return a piece of a longer text, at `at` in it, without its part of `spans`."""
    end = at + len(text)
    for start, stop in reversed(spans):
        if start < end and stop > at:
            mark = HIDDEN if start >= at else ""
            text = text[: max(start - at, 0)] + mark + text[max(stop - at, 0) :]
    return text


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, (*path, place))


def _put(value: Any, path: Path, text: str) -> None:
    if path:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = text

"""Marks on places that answer otherwise than their peers on the same weights: who, why, until when. Pure.

A place that is marked is routed around until it agrees with its peers again, or the mark is lifted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from trunkline.errors import InvalidResponseError

Place = tuple[str, str]
"""A provider, and the model as the Hub calls it, in small letters."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_VERSION = 1
_SHOWN = 400
"""Characters that are kept of a prompt or an answer."""
_DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError)
"""What bytes that nobody here wrote can make of text, nesting and dates."""


class Evidence(msgspec.Struct, frozen=True):
    """One prompt, and how the answers to it differ."""

    prompt: str
    """What was asked, shortened."""
    said: str
    """What the marked place answered, shortened."""
    peers: dict[str, str] = {}
    """What each of the others answered, shortened."""
    finding: str = ""
    """What is wrong with the answer, in a few words."""


class Mark(msgspec.Struct, frozen=True):
    """A place to be routed around, and why."""

    provider: str
    model: str
    reason: str
    evidence: tuple[Evidence, ...] = ()
    since: Moment | None = None
    until: Moment | None = None
    """When it ends by itself; None is when it is lifted."""
    origin: Literal["bench", "user"] = "bench"
    """Who set it: what a watch set, it lifts again."""

    @property
    def place(self) -> Place:
        """Under what it is looked up."""
        return self.provider.lower(), self.model.lower()

    def stands(self, now: float) -> bool:
        """Tell whether it still holds, `now` being in seconds since the epoch."""
        return self.until is None or now < self.until.timestamp()


class _Kept(msgspec.Struct, frozen=True):
    version: int
    marks: tuple[Mark, ...] = ()


def standing(marks: Iterable[Mark], now: float) -> dict[Place, str]:
    """Return the places that are marked now, each with its reason, as a ranking takes them."""
    return {
        mark.place: f"marked since {mark.since:%Y-%m-%d %H:%M} UTC: {mark.reason}"
        if mark.since
        else f"marked: {mark.reason}"
        for mark in marks
        if mark.stands(now)
    }


def merged(marks: Iterable[Mark], more: Iterable[Mark]) -> tuple[Mark, ...]:
    """Return all marks, one a place: the later replaces the earlier, but keeps since when it is."""
    found = {mark.place: mark for mark in marks}
    for mark in more:
        before = found.get(mark.place)
        since = before.since if before is not None and before.since is not None else mark.since
        found[mark.place] = msgspec.structs.replace(mark, since=since)
    return tuple(found.values())


def lifted(
    marks: Iterable[Mark], model: str | None = None, providers: Iterable[str] | None = None
) -> tuple[Mark, ...]:
    """Return the marks that are left once those of a model, or of some of its places, are gone."""
    names = None if providers is None else {name.lower() for name in providers}

    def goes(mark: Mark) -> bool:
        provider, name = mark.place
        return (model is None or name == model.lower()) and (names is None or provider in names)

    return tuple(mark for mark in marks if not goes(mark))


def current(marks: Iterable[Mark], now: float) -> tuple[Mark, ...]:
    """Return the marks that have not ended."""
    return tuple(mark for mark in marks if mark.stands(now))


def shortened(text: str) -> str:
    """Return a prompt or an answer as evidence keeps it: its beginning and its end."""
    if len(text) <= _SHOWN:
        return text
    end = _SHOWN // 4
    return f"{text[: _SHOWN - end - 3]}...{text[-end:]}"


def write_marks(marks: Iterable[Mark]) -> bytes:
    """Write marks as JSON."""
    return msgspec.json.format(msgspec.json.encode(_Kept(_VERSION, tuple(marks))), indent=2)


def read_marks(data: bytes) -> tuple[Mark, ...]:
    """Read what `write_marks` wrote; raises InvalidResponseError for what is none of it."""
    try:
        kept = msgspec.json.decode(data, type=_Kept)
    except _DAMAGED as error:
        raise InvalidResponseError(f"These are no marks of providers: {error}") from error
    if kept.version != _VERSION:
        raise InvalidResponseError(
            f"Marks of version {kept.version} cannot be read; this Trunkline knows {_VERSION}."
        )
    return kept.marks

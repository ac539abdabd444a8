"""Calls of a log, as far as what becomes of them elsewhere depends on it. Pure.

From the log of this machine, or from a gateway's ledger, which has all attempts of calls with a route
and the last one of others.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from trunkline import errors, model_id
from trunkline.errors import APIError, InvalidInputError
from trunkline.hindsight.legs import Happening
from trunkline.routing.moving import outcome_of
from trunkline.store.logged import Logged, LoggedAttempt, LoggedCall
from trunkline.store.records import Entry
from trunkline.store.tries import Try, read_tries
from trunkline.types.money import dollars

Unfit = Literal["of no model of the Hub's", "left by their callers", "their callers' own errors",
                "without a known place", "still under way"]  # fmt: skip
"""Why a call is not carried anew."""
_LEFT = frozenset({"left", "cancelled"})
_TASKS = frozenset({"chat", "responses", "messages", "text-completion", "text_completion",
                    "completions"})  # fmt: skip
_BAD_GATEWAY = 502


class Tried(msgspec.Struct, frozen=True):
    """One attempt of a call: where, and what came of it."""

    provider: str
    happening: Happening


class Past(msgspec.Struct, frozen=True):
    """One call of a log."""

    id: str
    at: float
    """When it began, in seconds since the epoch."""
    model: str
    """As the Hub calls it."""
    provider: str
    """Who served it, or was asked last."""
    ok: bool
    stream: bool
    seconds: float
    first_token: float | None
    input: int | None
    output: int | None
    cost: Decimal | None
    attempts: int
    tried: tuple[Tried, ...]
    """Its attempts, as far as the log has them."""


def from_log(found: Logged) -> Past | Unfit:
    """Return a call of the log of this machine, or why it cannot be carried anew."""
    call = found.call
    model = _hub_name(call.model)
    if model is None or call.task not in _TASKS:
        return "of no model of the Hub's"
    if call.outcome in _LEFT:
        return "left by their callers"
    if _own(call.error, call.outcome):
        return "their callers' own errors"
    tried = tuple(_tried(call, found.attempts))
    provider = call.provider or (tried[-1].provider if tried else None)
    if provider is None:
        return "without a known place"
    return Past(
        id=call.id,
        at=datetime.fromisoformat(call.started).timestamp(),
        model=model,
        provider=provider.lower(),
        ok=call.outcome == "ok",
        stream=call.stream,
        seconds=call.seconds,
        first_token=call.first_token,
        input=call.input_tokens,
        output=call.output_tokens,
        cost=None if call.cost is None else Decimal(call.cost),
        attempts=call.attempts,
        tried=tried,
    )


def from_ledger(entry: Entry) -> Past | Unfit:
    """Return a call of a gateway's ledger, or why it cannot be carried anew."""
    asked = (entry.model, entry.target_model)  # a route's name, then what an upstream calls it
    model = next((name for one in asked if "/" in one and (name := _hub_name(one))), None)
    if entry.ended is None:
        return "still under way"
    if model is None or entry.endpoint not in _TASKS:
        return "of no model of the Hub's"
    if entry.outcome == "cancelled":
        return "left by their callers"
    if entry.outcome == "refused" and (entry.status or _BAD_GATEWAY) not in (408, 429):
        return "their callers' own errors"
    provider = entry.provider or entry.upstream
    if not provider:
        return "without a known place"
    ok, seconds = entry.outcome == "ok", entry.ended - entry.started
    status = 200 if ok or entry.outcome == "truncated" else entry.status or _BAD_GATEWAY
    happening = _happening(seconds, status, entry.first_byte if entry.stream else None)
    if entry.outcome == "truncated":
        happening = msgspec.structs.replace(happening, cut=happening.rest)
    happening = msgspec.structs.replace(happening, output=entry.output_tokens)
    tried = tuple(_of_try(one) for one in read_tries(entry) if one.error != "cancelled")
    return Past(
        id=entry.id,
        at=entry.started,
        model=model,
        provider=provider.lower(),
        ok=ok,
        stream=entry.stream,
        seconds=seconds,
        first_token=entry.first_byte if entry.stream else None,
        input=entry.input_tokens,
        output=entry.output_tokens,
        cost=None if entry.cost is None else dollars(entry.cost),
        attempts=entry.attempts,
        tried=tried or (Tried(provider.lower(), happening),),
    )


def _of_try(one: Try) -> Tried:
    """Return one try of a gateway's call with a route."""
    attempt = LoggedAttempt(
        call="", number=1, provider=None, model=one.model, url="", status=one.status,
        error=one.error, request_id=None, started=one.started, seconds=one.seconds,
        output_tokens=one.output_tokens,
    )  # fmt: skip
    provider = one.provider or one.upstream or one.target
    return Tried(provider.lower(), _of_attempt(attempt, one.first_token, None))


def _hub_name(model: str) -> str | None:
    """Return `org/name`; None for what is on no provider of the Hub."""
    try:
        parsed = model_id.parse(model)
    except InvalidInputError:
        return None
    return parsed.name if parsed.scheme == "huggingface" else None


def _own(name: str | None, outcome: str) -> bool:
    """Tell whether an error is one that a call gets wherever it goes."""
    if outcome == "ok" or name is None:
        return False
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, APIError)):
        return True
    return kind is not errors.RouteExhaustedError and outcome_of(kind("")) == "good"


def _tried(call: LoggedCall, attempts: Iterable[LoggedAttempt]) -> Iterable[Tried]:
    attempts = list(attempts)
    for at, one in enumerate(attempts):
        provider = one.provider or (call.provider if at == len(attempts) - 1 else None)
        if provider is None or one.error == "cancelled":
            continue
        last = one is attempts[-1]
        first = call.first_token if last else None
        first = None if first is None else max(0.0, first - one.started)
        yield Tried(provider.lower(), _of_attempt(one, first, call.output_tokens if last else None))


def _of_attempt(one: LoggedAttempt, first: float | None, output: int | None) -> Happening:
    """Return what came of an attempt; `first` are the seconds to its first token, where there was one."""
    if one.status is None:
        silent = one.error in ("Timeout", "DeadlineExceeded")
        return Happening(one.seconds, None, silent=silent)
    good = one.status < 400
    if good and one.error is not None and first is None:
        return Happening(one.seconds, None)  # the answer was none, or broke before it began
    found = _happening(one.seconds, one.status, first if good else None)
    if good and one.error is not None:
        found = msgspec.structs.replace(found, cut=found.rest)
    tokens = one.output_tokens if one.output_tokens is not None else output
    return msgspec.structs.replace(found, output=tokens if good else None)


def _happening(seconds: float, status: int, first: float | None) -> Happening:
    if first is None:
        good = status < 400
        return (
            Happening(0.0, status, rest=seconds, unseen=True)
            if good
            else Happening(seconds, status)
        )
    return Happening(min(first, seconds), status, rest=max(0.0, seconds - first))

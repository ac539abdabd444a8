"""Asking once what many calls need to know: who serves a model, which engine has an address.

Of calls at the same time one asks, and the others wait for its answer. Generators: no socket, no
clock. What the answers mean is for `providers` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar
from urllib.parse import urljoin

import msgspec

from trunkline.errors import Timeout
from trunkline.providers.engines import Engine, Engines, read_engine
from trunkline.providers.mapping import ModelMap, ModelMaps, read_map
from trunkline.providers.memory import Claim, Key, Memory
from trunkline.providers.spec import Target
from trunkline.routing.needs import Later, Need, Reply, Send, Wait
from trunkline.types import Secret, Timeouts
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest, Url, parse_url

MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 307, 308})
_FIRST_WAIT, _GROWTH, _LONGEST_WAIT = 0.005, 1.5, 0.05
_SLACK = 1.0
"""Seconds that a flight may take longer than its limit before another one takes over."""

T = TypeVar("T")
Asking = Generator[Need, Any, T]


class _Told(msgspec.Struct, Generic[T], frozen=True):
    """What came of asking."""

    value: T | None
    now: float
    lasting: bool = True
    late: bool = False
    """Whether time ran out, which with little time says nothing of the server."""


class _Question(msgspec.Struct, Generic[T], frozen=True):
    """What to ask, and where the answer is remembered."""

    memory: Memory[T]
    key: Key
    ask: Callable[[float], Asking[_Told[T]]]
    """Ask until a moment."""
    limit: float
    """Seconds for the answer."""


def find_map(
    maps: ModelMaps,
    model: str,
    secret: Secret | None,
    *,
    timeouts: Timeouts,
    now: float,
    end: float,
) -> Asking[tuple[ModelMap | None, float]]:
    """Return what the Hub tells of `model`, and the time; None where it told nothing of use.

    What is remembered is returned at once; what is stale too, and then asked for in the
    background. A failure is remembered for a minute: `maps.forget` has the next call ask.
    """

    def ask(until: float) -> Asking[_Told[ModelMap]]:
        request = maps.request(model, secret)
        reply = yield from _follow(request, Target(request.url, model, "direct"), timeouts, until)
        told = None
        if reply.error is None and reply.head is not None:
            told = read_map(model, reply.head, reply.body)
        if told is not None and told.problem == "unreadable":
            told = None
        lasting = told is not None and bool(told.servings)
        return _Told(told, reply.ended, lasting, isinstance(reply.error, Timeout))

    question = _Question(maps, maps.key(model, secret), ask, timeouts.connect * 2)
    return (yield from _find(question, now, end))


def find_engine(
    engines: Engines,
    api_base: str,
    target: Target,
    *,
    timeouts: Timeouts,
    now: float,
    end: float,
) -> Asking[tuple[Engine, float]]:
    """Return the engine at `api_base`, and the time; one that cannot be asked is guessed.

    The address is asked whatever route it names: see `named_engine` for what that tells.
    """

    def ask(until: float) -> Asking[_Told[Engine]]:
        request = engines.request(api_base, target)
        reply: Reply = yield Send(target, request, timeouts, until)
        late = isinstance(reply.error, Timeout)
        status = reply.head.status if reply.head is not None and reply.error is None else 0
        if status not in (200, 404, 405):
            return _Told(None, reply.ended, late=late)
        return _Told(read_engine(status, _decoded(reply.body)), reply.ended)

    question = _Question(engines, engines.key(api_base, target), ask, timeouts.connect * 2)
    found, now = yield from _find(question, now, end)
    return found or Engine(guessed=True), now


def _decoded(body: bytes) -> Any:
    try:
        return strict_json.decode(body)
    except strict_json.JsonError:
        return None


# one flight


def _find(question: _Question[T], now: float, end: float) -> Asking[tuple[T | None, float]]:
    memory, key = question.memory, question.key
    found = memory.look(key, now)
    if found is None:
        return (yield from _wait_or_ask(question, now, end))
    if found.stale:
        until = now + question.limit
        claim = memory.claim(key, now, until + _SLACK)
        if claim is not None:
            yield Later(_flight(question, claim, until))
    return found.value, now


def _wait_or_ask(question: _Question[T], now: float, end: float) -> Asking[tuple[T | None, float]]:
    """Wait for who is asking already; ask where nobody is, or nobody is any more."""
    memory, key = question.memory, question.key
    pause = _FIRST_WAIT
    while True:
        until = min(now + question.limit, end)
        claim = memory.claim(key, now, until + _SLACK)
        found = memory.look(key, now)  # after the claim: an answer may have come before it
        if found is not None:
            if claim is not None:
                memory.release(key, claim)
            return found.value, now
        if claim is not None:
            return (yield from _flight(question, claim, until, short=until == end))
        if now >= end:
            return None, now
        now = yield Wait(min(pause, end - now))
        pause = min(pause * _GROWTH, _LONGEST_WAIT)


def _flight(
    question: _Question[T], claim: Claim, until: float, *, short: bool = False
) -> Asking[tuple[T | None, float]]:
    """Ask and remember; with a `short` time, that it ran out is this call's affair alone."""
    memory, key = question.memory, question.key
    try:
        told = yield from question.ask(until)
        if told.value is not None:
            memory.keep(key, told.value, told.now, lasting=told.lasting)
        elif not (short and told.late):
            memory.miss(key, told.now)
        return told.value, told.now
    finally:
        memory.release(key, claim)


# redirects


def _follow(
    request: HttpRequest, target: Target, timeouts: Timeouts, until: float
) -> Asking[Reply]:
    """Send, and follow where a renamed repository has gone; only ever on the same server.

    So the token stays where it was going. A redirect elsewhere is returned as the answer.
    """
    reply: Reply = yield Send(target, request, timeouts, until)
    for _ in range(MAX_REDIRECTS):
        there = _redirect(reply, request.url)
        if there is None:
            break
        request = msgspec.structs.replace(request, url=there)
        target = msgspec.structs.replace(target, url=there)
        reply = yield Send(target, request, timeouts, until)
    return reply


def _redirect(reply: Reply, url: Url) -> Url | None:
    head = reply.head
    if reply.error is not None or head is None or head.status not in _REDIRECTS:
        return None
    try:
        there = parse_url(urljoin(str(url), head.headers.get("location", "")))
    except ValueError:
        return None
    here = (url.scheme, url.host, url.port)
    return there if there != url and here == (there.scheme, there.host, there.port) else None

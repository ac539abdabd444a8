"""The Hub, asked with the gateway's own token, and what it has told: models, and who calls them what.

Of requests at the same time that want to know the same, one asks. Answers are kept as the SDK keeps them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from trunkline._version import __version__
from trunkline.errors import APIConnectionError, APIError, ServiceUnavailableError
from trunkline.gateway.hf_head import own_place
from trunkline.providers.mapping import read_servings
from trunkline.providers.memory import Memory, key_for
from trunkline.settings import Settings
from trunkline.transport.seam import AsyncTransport
from trunkline.types import Secret, Timeouts
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest, parse_url

_TIMES = Timeouts(connect=5.0, total=10.0)
_MOST = 16 * 1024 * 1024
"""Bytes that an answer may have; the longest are lists of all models of one provider."""
_KEPT = 32 * 1024
"""Bytes of an answer that is kept."""
_LEARNT = 10_000
"""Names that are kept from answers about single models."""
_TOLD = ("content-type", "x-error-code", "x-error-message")
Names = dict[str, tuple[str, ...]]
"""A provider's own name of a model, and the Hub's; several models may share one."""
T = TypeVar("T")


class HubAnswer(msgspec.Struct, frozen=True):
    """What the Hub answered, as far as a client needs it."""

    status: int
    headers: dict[str, str]
    """Where it redirects to is a place of this gateway; empty for anywhere else."""
    body: bytes


class Hub:
    """Asks, and remembers."""

    def __init__(
        self,
        settings: Settings,
        transport: AsyncTransport,
        secret: Callable[[], Secret | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nobody yet; `secret` is the token of the router's upstream."""
        self._clock = clock
        self._base = settings.hub_url.rstrip("/")
        self._transport = transport
        self._secret = secret
        self._answers: Memory[HubAnswer] = Memory()
        self._lists: Memory[Names] = Memory()
        self._learnt: dict[tuple[str, str], tuple[str, ...]] = {}
        self._flights: dict[str, asyncio.Task[Any]] = {}

    # what is served to clients

    def remembered(self, target: str) -> HubAnswer | None:
        """Return an answer that is at hand."""
        found = self._answers.look(key_for(target, self._token()), self._clock())
        return None if found is None or found.stale else found.value

    async def look(self, target: str, model: str | None) -> HubAnswer:
        """Ask for a path and its query; raises APIConnectionError. `model` is whom it is about."""
        return await self._once(target, lambda: self._look(target, model))

    async def _look(self, target: str, model: str | None) -> HubAnswer:
        key = key_for(target, self._token())
        found = self._answers.look(key, self._clock())
        stale = None if found is None else found.value
        try:
            answer = await self._get(target)
        except APIConnectionError:
            if stale is None:
                raise
            return stale
        if answer.status >= 500 or answer.status == 429:
            return stale or answer
        if len(answer.body) <= _KEPT:
            self._answers.keep(key, answer, self._clock(), lasting=answer.status == 200)
        if model is not None and answer.status == 200:
            self._learn(model, answer.body)
        return answer

    def _learn(self, model: str, body: bytes) -> None:
        """Take note of what providers call a model."""
        try:
            servings = read_servings(strict_json.decode(body)) or ()
        except strict_json.JsonError:
            return
        if len(self._learnt) > _LEARNT:
            self._learnt.clear()
        for row in servings:
            if row.adapter is None:  # else the name is that of many models, put on another one
                for name in _spellings(row.provider, row.name):
                    known = self._learnt.get((row.provider, name), ())
                    self._learnt[row.provider, name] = tuple(dict.fromkeys((*known, model)))

    # what providers call models

    def known(self, provider: str, name: str) -> tuple[str, ...] | None:
        """Return the Hub's names for a provider's; None where it has to be asked first."""
        learnt = self._learnt.get((provider, name))
        if learnt is not None:
            return learnt
        found = self._lists.look(key_for(provider, None), self._clock())
        if found is None:
            return None
        if found.stale:
            self._flight(provider, lambda: self._list(provider))  # for those who ask later
        return (found.value or {}).get(name, ())

    async def find(self, provider: str, name: str) -> tuple[str, ...]:
        """Return the Hub's names for a provider's own, if it is there to ask; never raises APIError."""
        names = await self._once(provider, lambda: self._list(provider))
        return self._learnt.get((provider, name)) or names.get(name, ())

    async def _list(self, provider: str) -> Names:
        key = key_for(provider, None)
        try:
            answer = await self._get(f"/api/partners/{provider}/models?status=live")
            names = read_partner_models(provider, answer.body) if answer.status == 200 else None
        except APIError:
            names = None
        if names is not None:
            self._lists.keep(key, names, self._clock())
            return names
        self._lists.miss(key, self._clock())
        found = self._lists.look(key, self._clock())
        return (found and found.value) or {}

    # asking

    async def _once(self, what: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await asyncio.shield(self._flight(what, ask))

    def _flight(self, what: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return who is asking, or ask."""
        flight: asyncio.Task[T] | None = self._flights.get(what)
        if flight is None:
            flight = self._flights[what] = asyncio.get_running_loop().create_task(ask())
            flight.add_done_callback(lambda _: self._flights.pop(what, None))
        return flight

    async def _get(self, target: str) -> HubAnswer:
        secret = self._token()
        headers = [
            ("user-agent", f"trunkline/{__version__}"),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
        ]
        if secret is not None:
            headers.append(("authorization", f"Bearer {secret.value}"))
        url = parse_url(f"{self._base}{target}")
        until = time.monotonic() + _TIMES.total
        request = HttpRequest("GET", url, tuple(headers), limit=_MOST)
        exchange = await self._transport.open(request, _TIMES, until)
        try:
            body = bytearray()
            while data := await exchange.read(until):
                body += data
                if len(body) > _MOST:
                    raise ServiceUnavailableError("The Hub's answer is too large.", status=502)
        finally:
            exchange.close()
        told = exchange.head.headers
        kept = {name: told[name] for name in _TOLD if name in told}
        if "location" in told:
            kept["location"] = own_place(told["location"], parse_url(self._base)) or ""
        return HubAnswer(exchange.head.status, kept, bytes(body))

    def _token(self) -> Secret | None:
        secret = self._secret()
        return secret if secret is not None and secret.is_hugging_face else None


def read_partner_models(provider: str, data: bytes) -> Names | None:
    """Read a provider's list of models, by task and the Hub's name; None for what is no list."""
    try:
        body = strict_json.decode(data)
    except strict_json.JsonError:
        return None
    if not isinstance(body, dict):
        return None
    names: dict[str, tuple[str, ...]] = {}
    for rows in body.values():
        for model, row in rows.items() if isinstance(rows, dict) else ():
            own = row.get("providerId") if isinstance(row, dict) else None
            if not isinstance(own, str) or "=" in model or row.get("adapterType"):
                continue  # a rule for many models, or one that is put on another
            for name in _spellings(provider, own):
                names[name] = tuple(dict.fromkeys((*names.get(name, ()), model)))
    return names


def _spellings(provider: str, name: str) -> Iterable[str]:
    """Return what a request may call a model by; Replicate's also by the version alone."""
    version = name.partition(":")[2] if provider == "replicate" else ""
    return (name, version) if version else (name,)

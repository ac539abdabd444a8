"""The pages that call nobody: models, health, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from trunkline.gateway.access import Caller
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.plans import Plans
from trunkline.gateway.refusals import JSON, Fault, tell
from trunkline.wire import strict_json

_BELOW = b"/v1/models/"


class Readiness(msgspec.Struct, frozen=True):
    """Whether calls can be served, and what stands in the way."""

    ready: bool
    troubles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What is not as it should be, and does not stand in the way."""


class Siblings(Protocol):
    """All workers of a gateway, where it has several."""

    slot: int

    async def readiness(self) -> Readiness:
        """Tell whether all can serve."""
        ...

    async def exposition(self) -> tuple[str, bytes]:
        """Return the metrics of all."""
        ...


class Listing:
    """Answers from what is known here."""

    def __init__(
        self,
        plans: Callable[[], Plans],
        ready: Callable[[], Readiness],
        exposition: Callable[[], tuple[str, bytes]],
        siblings: Siblings | None = None,
    ) -> None:
        """Ask `plans` for the models, `ready` for the state, `exposition` for the metrics.

        Where there are `siblings`, state and metrics are those of all.
        """
        self._plans = plans
        self._ready = ready
        self._exposition = exposition
        self._siblings = siblings
        self._asking: set[asyncio.Task[None]] = set()

    def models(self, exchange: Exchange) -> None:
        """List the models that the caller may use, as OpenAI and Anthropic both do: one page."""
        rows = [_row(*told) for told in self._plans().names() if _may(exchange.caller, told[0])]
        ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {}
        body = strict_json.encode({"object": "list", "data": rows, "has_more": False, **ends})
        exchange.answer_bytes(200, JSON, body)

    def model(self, exchange: Exchange) -> None:
        """Tell of one model; a name may have slashes."""
        raw = exchange.head.path.partition(_BELOW)[2]
        name = unquote_to_bytes(raw).decode("utf-8", "replace")
        for told in self._plans().names():
            if told[0] == name and _may(exchange.caller, name):
                exchange.answer_bytes(200, JSON, strict_json.encode(_row(*told)))
                return
        message = f"The model {name[:200]!r} is not among those that this key can use."
        tell(exchange, Fault(404, "model_not_found", message, "model"))

    def live(self, exchange: Exchange) -> None:
        """Answer: the process lives; of several workers, which one."""
        told: dict[str, object] = {"status": "live"}
        if self._siblings is not None:
            told["worker"] = self._siblings.slot
        exchange.answer_bytes(200, JSON, strict_json.encode(told))

    def ready(self, exchange: Exchange) -> None:
        """Tell whether calls can be served now."""
        if self._siblings is not None:
            self._later(self._ready_all(exchange, self._siblings))
        else:
            _tell_ready(exchange, self._ready())

    def metrics(self, exchange: Exchange) -> None:
        """Tell what happened in numbers, for Prometheus."""
        if self._siblings is not None:
            self._later(self._metrics_of_all(exchange, self._siblings))
        else:
            _tell_metrics(exchange, *self._exposition())

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ready_all(self, exchange: Exchange, siblings: Siblings) -> None:
        state = await siblings.readiness()
        if not exchange.gone:
            _tell_ready(exchange, state)

    async def _metrics_of_all(self, exchange: Exchange, siblings: Siblings) -> None:
        told = await siblings.exposition()
        if not exchange.gone:
            _tell_metrics(exchange, *told)


def _tell_ready(exchange: Exchange, state: Readiness) -> None:
    body = {"status": "ready" if state.ready else "not ready"}
    if state.troubles:
        body["troubles"] = "; ".join(state.troubles)
    if state.notes:
        body["notes"] = "; ".join(state.notes)
    exchange.answer_bytes(200 if state.ready else 503, JSON, strict_json.encode(body))


def _tell_metrics(exchange: Exchange, kind: str, text: bytes) -> None:
    exchange.answer(200, (("content-type", kind),), text)


def _may(caller: Caller | None, name: str) -> bool:
    return caller is not None and caller.may_use(name)


def _row(name: str, owner: str, created: int) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": owner,
        # the same in Anthropic's words, whose time of an unknown release is 1970, too
        "type": "model",
        "display_name": name,
        "created_at": f"{datetime.fromtimestamp(created, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }

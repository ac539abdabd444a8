"""What all calls with routes of one process know together, and how one of them is given its order of targets."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.gateway.admin.parts import PlaceView
from trunkline.gateway.course import Course
from trunkline.gateway.hearsay import ROUND_SECONDS, Hearsay
from trunkline.gateway.refusals import Fault
from trunkline.gateway.ways import Way, no_target
from trunkline.routing.measures import place_of
from trunkline.routing.ranking import Wanted
from trunkline.routing.traffic import Marks, Traffic
from trunkline.store.seam import SharedStore, StoreError

if TYPE_CHECKING:
    from trunkline.gateway.asked import Asked
    from trunkline.gateway.exchange import Exchange
    from trunkline.gateway.plans import Plan
    from trunkline.gateway.telemetry import Telemetry
    from trunkline.routing.policy import Need, Policy

__all__ = ["ROUND_SECONDS", "Roads"]

SESSION_HEADER = b"x-trunkline-session"
_LONGEST_SESSION = 512
_BYTES_PER_TOKEN = 4
_PARTS: Mapping[str, Need] = {
    "image_url": "vision",
    "image": "vision",
    "input_image": "vision",
    "input_audio": "audio",
}
"""What parts of messages need, by their type."""


_log = logging.getLogger(__name__)


def _nobody(action: str, reason: str) -> None:
    """Count nothing."""


def _no_marks(_: float) -> Marks:
    return {}


class Roads:
    """How targets do, how fast they are, and what may still be spent on retries."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        moved: Callable[[str, str], None] = _nobody,
        marks: Callable[[float], Marks] = _no_marks,
    ) -> None:
        """`moved` is told when a call goes on after a target failed, and after what.

        `marks` gives the places to be routed around at a time.
        """
        self.traffic = Traffic(chance, marks=marks)
        self._clock = clock
        self._moved = moved
        self._hearsay: Hearsay | None = None
        self._deaf = False
        """Whether the store did not do it, and that was told."""

    def join(self, store: SharedStore, boot: str, telemetry: Telemetry) -> None:
        """Share what is known with all who serve from a store, and with those to come."""
        self._hearsay = Hearsay(self.traffic, store, boot)
        telemetry.gauges["targets_shut"] = self.shut

    async def round(self) -> None:
        """Tell the others what is new, and take over what they know."""
        if self._hearsay is None:
            return
        try:
            await self._hearsay.round()
        except StoreError as error:
            if not self._deaf:
                said = "other replicas are not told how the targets of routes do"
                _log.warning(said, extra={"reason": str(error)})
            self._deaf = True
        else:
            self._deaf = False

    def close(self) -> None:
        """Leave what was measured to those to come. Blocking; what goes wrong is told."""
        try:
            if self._hearsay is not None:
                self._hearsay.close()
        except StoreError as error:
            _log.warning("what was measured of routes is lost", extra={"reason": str(error)})

    def places(self) -> list[PlaceView]:
        """Return how every target stands that was asked lately, or of which others told."""
        now, traffic = self._clock(), self.traffic
        wall = time.time()
        found: list[PlaceView] = []
        for place, standing in traffic.health.standings(now):
            seen = traffic.measures.seen(place_of(place.provider, place.model), wall)
            found.append(
                PlaceView(
                    upstream=place.account,
                    provider=place.provider,
                    model=place.model,
                    state=standing.state,
                    why=standing.why,
                    seconds=round(standing.seconds, 3),
                    error_rate=seen.error_rate,
                    first_token=seen.first_token,
                    slow_first_token=seen.slow_first_token,
                    throughput=seen.throughput,
                )
            )
        return found

    def shut(self) -> int:
        """Return how many targets are given up just now."""
        found = self.traffic.health.standings(self._clock())
        return sum(standing.state != "closed" for _, standing in found)

    def ordered(self, plan: Plan, policy: Policy, asked: Asked, exchange: Exchange) -> Plan | Fault:
        """Return a call's plan with its targets in their order; or why none of them may be asked."""
        targets = {
            target.option.name: target for target in plan.targets if target.option is not None
        }
        options = tuple([t.option for t in targets.values() if t.option is not None])
        now, traffic = self._clock(), self.traffic
        wall = exchange.connection.edge.wall - now
        traffic.called(now)
        wanted = _wanted(asked, exchange)
        ranking = traffic.rank(options, policy, wanted, now, wall)
        way = Way(traffic, policy, options, ranking.report, self._clock, wall, self._moved)
        if not ranking.order:
            return no_target(way, ranking.report, ())
        order = plan.only([targets[option.name] for option in ranking.order])
        return msgspec.structs.replace(order, course=Course(way))


def _wanted(asked: Asked, exchange: Exchange) -> Wanted:
    size = 0 if asked.more_than_text else exchange.size // _BYTES_PER_TOKEN
    return Wanted(size, asked.most_output, _uses(asked.body), _session(asked.body, exchange))


def _uses(body: Mapping[str, Any]) -> frozenset[Need]:
    """Return what a request uses, in whichever of the APIs it came."""
    found: set[Need] = set()
    if body.get("tools"):
        found.add("tools")
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        found.add("json_schema")
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            need = _PARTS.get(str(part.get("type"))) if isinstance(part, dict) else None
            if need is not None:
                found.add(need)
    return frozenset(found)


def _session(body: Mapping[str, Any], exchange: Exchange) -> str:
    """Return what stays together: as the client says, or else its key's calls."""
    told = exchange.head.headers.get(SESSION_HEADER)
    if told:
        return told[:_LONGEST_SESSION].decode("latin-1")
    for name in ("prompt_cache_key", "user"):
        value = body.get(name)
        if isinstance(value, str) and value:
            return value[:_LONGEST_SESSION]
    return exchange.caller.key.id if exchange.caller is not None else ""

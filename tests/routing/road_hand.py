"""Chats on routes driven by hand: places by name, answers from a script, no network and no clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from hand import START, Hand, Outcome, answers, journey, target

from trunkline.providers.prices import Pricing
from trunkline.routing.chat_route import Streams, leg_of, routed
from trunkline.routing.flow import Opened
from trunkline.routing.holding import Hold
from trunkline.routing.needs import Need, Race, Raced, Send
from trunkline.routing.policy import Policy, read_policy
from trunkline.routing.ranking import Option, Wanted
from trunkline.routing.retry import Retry
from trunkline.routing.traffic import Traffic
from trunkline.routing.travel import Trip
from trunkline.types import Timeouts

MODEL = "org/m"


def text(content: str, **more: Any) -> dict[str, Any]:
    """Return one event of a streamed answer."""
    return {
        "id": "c1",
        "model": "served",
        "choices": [{"index": 0, "delta": {"content": content}, **more}],
    }


FAILS = answers(503, {"error": "down"})
LOADS = answers(503, {"error": "Model org/m is currently loading", "estimated_time": 20.0})


def place(name: str, model: str = MODEL, **told: Any) -> Option:
    return Option(name, name, model, Pricing(Decimal(1), Decimal(2)), **told)


class RoadHand(Hand):
    """Runs flows of chats on routes; a race is answered by `race`."""

    def __init__(
        self, *outcomes: Outcome, race: Callable[[Race, Hand], Raced] | None = None
    ) -> None:
        super().__init__(*outcomes)
        self.race = race

    @property
    def asked(self) -> list[str | None]:
        """Whom requests went to."""
        return [send.target.provider for send in self.sends]

    def _answer(self, need: Need) -> Any:
        if not isinstance(need, Race):
            return super()._answer(need)
        if self.race is not None:
            raced = self.race(need, self)
            self.now = max(self.now, raced.reply.ended)
            return raced
        self.needs.append(need.first)
        return Raced(0, super()._answer(need.first))

    def done(self, send: Send) -> Any:
        """Have a request of a race answered by the next outcome."""
        self.needs.append(send)
        return super()._answer(send)


def trip(
    *places: Option,
    policy: Policy | dict[str, Any] | None = None,
    traffic: Traffic | None = None,
    hold: Hold | None = None,
    deadline: float | None = None,
    seconds: float = 60.0,
    barred: Callable[[Option], None] = lambda _: None,
    **more: Any,
) -> Trip[Opened]:
    """Return a trip over places; `barred` may raise what is wrong with the call at one."""
    rules = read_policy(policy) if policy else Policy()

    def make(option: Option) -> Any:
        barred(option)
        one = journey(stream=True, deadline=deadline, timeouts=Timeouts(total=seconds))
        one = msgspec.structs.replace(one, retry=Retry(0, lambda: 0.5))
        if option.provider is None:
            return one, target(option.model, api_base="http://127.0.0.1:1/v1")
        return one, target(f"{option.provider}/{option.model}")

    return Trip(
        policy=rules,
        options=places,
        wanted=Wanted(input_tokens=10),
        traffic=traffic or Traffic(lambda: 0.5),
        leg=leg_of(make, hold),
        result=Streams(),
        began=START,
        starts=START,
        end=math.inf if deadline is None else START + deadline,
        wall=1e9,
        patience=START + seconds,
        **more,
    )


def go(hand: RoadHand, *places: Option, **made: Any) -> Any:
    """Open a stream on a route by hand."""
    return hand.run(routed(trip(*places, **made)))

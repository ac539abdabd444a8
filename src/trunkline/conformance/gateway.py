"""The wall against a gateway at a URL, whose upstream is the sandbox."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec

from trunkline.conformance.asking import Place, ask
from trunkline.conformance.calls import (
    BEHIND,
    PLAIN_CALLS,
    Call,
    Result,
    messages,
    parameters,
    result_of,
)
from trunkline.conformance.judge import Truth, Verdict, judge
from trunkline.conformance.outcome import SHAPES, Outcome, Shape
from trunkline.conformance.reading import read
from trunkline.conformance.upstream import Upstream
from trunkline.errors import ConfigurationError

_SOON = 3.0
"""Seconds after which the client leaves an answer that has no end."""
_MOMENT = 1.0
"""Seconds within which an answer to any call tells that a gateway is up."""
_TRIES = 2
"""Plain calls without an answer, one after the other, after which a gateway is given up."""


class Wall(msgspec.Struct, frozen=True):
    """A gateway, and how it is asked."""

    place: Place
    upstream: Upstream
    prefix: str = ""
    """What the gateway wants in front of a model's name."""
    limit: float = 10.0
    """Seconds for each call."""
    at_once: int = 16

    async def run(
        self, calls: Sequence[Call], note: Callable[[Result], None] = lambda _: None
    ) -> list[Result]:
        """Make every call, some at once and the heavy ones last; `note` is told of each result.

        A gateway that answers nothing any more is not asked again: what is left over hangs.
        """
        going = _Round(self, note)
        light = [call for call in calls if not call.row.heavy]
        found = dict(zip(light, await asyncio.gather(*map(going.make, light)), strict=True))
        for call in calls:
            if call.row.heavy:
                found[call] = await going.make(call)
        return [found[call] for call in calls]

    async def ready(self, wait: float) -> None:
        """See that the gateway answers and asks the sandbox; raises ConfigurationError.

        One that does not answer yet is asked again for `wait` seconds.
        """
        until = time.monotonic() + wait
        while True:
            wrong = [told for shape in SHAPES if (told := await self.plain_wrong(shape))]
            if not wrong:
                return
            if time.monotonic() >= until:
                raise ConfigurationError(wrong[0])
            await asyncio.sleep(0.25)

    async def plain_wrong(self, shape: Shape) -> str:
        """Return what is wrong with a call that has no fault, if anything."""
        verdict, truth, outcome = await self._ask(PLAIN_CALLS[shape])
        if verdict.name == "pass":
            return ""
        model = f"{self.prefix}{PLAIN_CALLS[shape].model}"
        error = outcome.error
        told = f"status {error.status}: {error.message}" if error else verdict.why
        seen = "was asked" if truth.asked else "was not asked"
        return (
            f"The gateway does not answer a plain chat ({shape}, model {model!r}), and the sandbox "
            f"{seen}: {told}. Its upstream has to be {self.upstream.url}, with any key."
        )

    async def result(self, call: Call) -> Result:
        """Make one call, and those right behind it where they matter."""
        started = time.monotonic()
        verdict, truth, _ = await self._ask(call)
        if call.row.then and verdict.name in ("pass", "safe error"):
            verdict = await self._behind(call.shape) or verdict
        seconds = time.monotonic() - started
        return result_of("gateway", call, verdict, truth.asked, seconds)

    async def _behind(self, shape: Shape) -> Verdict | None:
        """Return what is wrong with the calls right behind, if anything."""
        for _ in range(BEHIND):
            verdict, _, _ = await self._ask(PLAIN_CALLS[shape])
            if verdict.name != "pass":
                return Verdict("wrong", f"the call right behind it: {verdict.why}", expected=False)
        return None

    async def _ask(self, call: Call) -> tuple[Verdict, Truth, Outcome]:
        mark = secrets.token_hex(4)
        row, stream = call.row, call.shape == "stream"
        body = {
            "model": f"{self.prefix}{call.model}",
            "messages": messages(mark),
            "stream": stream,
            **parameters(call.shape, tools=bool(row.calls)),
        }
        limit = min(self.limit, _SOON) if row.leaves else self.limit
        heard = await ask(self.place, msgspec.json.encode(body), limit, stream=stream)
        outcome = read(call.shape, heard)
        truth = self.upstream.truth(mark, call.model, call.fault)
        if any(truth.secret in value for _, value in self.place.headers):
            truth = msgspec.structs.replace(truth, secret="")  # the client's own: it knows it
        if row.leaves and outcome.ended == "limit":
            left = await self.upstream.left(mark)
            truth = msgspec.structs.replace(truth, left=left)
        return judge(row, call.shape, truth, outcome), truth, outcome


class _Round:
    """The calls of one run, and whether the gateway still answers."""

    def __init__(self, wall: Wall, note: Callable[[Result], None]) -> None:
        self._wall = wall
        self._note = note
        self._turn = asyncio.Semaphore(wall.at_once)
        self._checking = asyncio.Lock()
        self._answered = 0.0
        """When an answer came last."""
        self._since = ""
        """The call since which nothing is answered."""

    async def make(self, call: Call) -> Result:
        """Make a call, if there is anybody to answer."""
        async with self._turn:
            if self._since:
                result = self._given_up(call)
            else:
                result = await self._wall.result(call)
                if self._doubtful(call, result) and await self._is_down(call):
                    result = self._given_up(call, result)
        self._note(result)
        return result

    def _doubtful(self, call: Call, result: Result) -> bool:
        """Tell whether the gateway may be down: nobody has been answered for a moment."""
        now = time.monotonic()
        lost = result.verdict == "hang" or (result.verdict == "wrong" and not result.asked)
        if not lost:
            self._answered = now
        return call.row.heavy or (lost and now - self._answered > _MOMENT)

    async def _is_down(self, call: Call) -> bool:
        """Tell whether plain calls are not answered either, and since this call."""
        async with self._checking:
            if self._since:
                return False
            for _ in range(_TRIES):
                if not await self._wall.plain_wrong("whole"):
                    return False
            self._since = f"{call.row.fault} ({call.shape})"
            return True

    def _given_up(self, call: Call, result: Result | None = None) -> Result:
        if result is None:
            why = f"the gateway answers nothing any more, since {self._since}"
            return result_of("gateway", call, Verdict("hang", why, expected=False), 0, 0.0)
        why = f"nothing else is answered behind it; it came to {result.verdict}: {result.why}"
        return msgspec.structs.replace(result, verdict="hang", why=why, expected=False)

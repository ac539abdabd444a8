"""One dispatched call: what it holds, its entry, and how it is settled, whoever carries it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from trunkline import errors
from trunkline.errors import APIConnectionError, APIError, DeadlineExceeded
from trunkline.gateway import quote
from trunkline.gateway.asked import Asked
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.gates import Gates, blocked, enter, leave
from trunkline.gateway.guard import LATER, Holder, Refusal
from trunkline.gateway.plans import Plan, Target
from trunkline.gateway.quote import Tariff
from trunkline.gateway.refusals import STOPPING, Fault, in_band, of_error, tell
from trunkline.gateway.tokens import Tokens
from trunkline.gateway.urgency import passed, seconds_left
from trunkline.store.records import Entry

if TYPE_CHECKING:
    from trunkline.gateway.course import Course

LEDGER_DOWN = Fault(
    503,
    "ledger_unavailable",
    "The gateway cannot write its ledger now, and sends nothing that it could not account for. Try again.",
    retry_after=5.0,
)


MOVING = (
    errors.APIConnectionError,
    errors.RateLimitError,
    errors.InternalServerError,
    errors.ModelNotSupportedError,
    errors.InvalidResponseError,
    errors.AuthenticationError,
)
"""What sends a call to its next target; never what is the caller's own error, nor who has to pay."""
FREE = Tariff(0, 0)


class Books(Protocol):
    """Where a call is noted when it is sent, and when it has ended."""

    def ended(self, entry: Entry) -> None:
        """Note an entry that has been settled."""
        ...


class Wait(Protocol):
    """Asks whether gates let a call in, and then calls one of two."""

    def __call__(
        self, gates: Gates, again: Callable[[], None], refuse: Callable[[Refusal], None], /
    ) -> object:
        """Begin to wait."""
        ...


class Desk(msgspec.Struct, frozen=True):
    """What every call needs of the gateway."""

    journal: Books
    counted: Callable[[Entry], None]
    """Counts a call that has ended."""
    attempted: Callable[[str, str], None]
    """Counts one exchange with an upstream that did not end well, and how it ended."""
    refused: Callable[[str, str], None]
    """Told of an upstream that does not accept its credential, and what it says."""
    kept: Callable[[str, bytes, bytes], None] | None
    """Keeps a prompt and its answer; None where that was not asked for."""
    live: set[Call]
    """Calls in flight."""
    hide: Callable[[], tuple[str, ...]]
    """Secrets that no message may repeat."""
    wait: Wait
    """Has a call wait for gates that are shared with other processes."""
    left: Callable[[], None]
    """Told that a call has left its gates: another one may be let in."""


class Call:
    """A call from its hold to its settlement."""

    settled = False
    gates: Gates = ()
    """Those that it has entered."""
    _seen: list[bytes] | None = None
    until = float("inf")
    """Monotonic time at which the present step is late."""
    course: Course | None = None
    """Where it is on its route, if it has one."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a call is
        self,
        desk: Desk,
        exchange: Exchange,
        asked: Asked,
        plan: Plan,
        holder: Holder,
        likely: int,
        entry: Entry,
    ) -> None:
        """Has been held for; is neither noted nor sent."""
        self.desk = desk
        self.exchange = exchange
        self.asked = asked
        self.plan = plan
        if plan.course is not None:
            self.course = plan.course
        self.holder = holder
        self.likely = likely
        """About how many tokens it will use, as the meters have it."""
        self.entry = entry
        desk.live.add(self)
        self.now: Callable[[], float] = exchange.connection.edge.clock
        """The time by the clock that the entry began with."""
        self._alarm: asyncio.TimerHandle | None = None
        if exchange.urgency.deadline < math.inf:
            left = seconds_left(exchange.urgency) or 0.0
            self._alarm = asyncio.get_running_loop().call_later(left, self._ring)
        exchange.on_gone = self.gone

    def noted(self) -> None:
        """Go on: the entry is in the journal."""
        if not self.settled:
            self.send()

    def not_noted(self, error: OSError) -> None:  # noqa: ARG002 - the journal keeps it
        """Give up: what is not in the journal is not sent."""
        if self.settled:
            return
        self.settled = True
        if self._alarm is not None:
            self._alarm.cancel()
        self.desk.live.discard(self)
        self.holder.settle(self.entry, self.likely, 0)
        self.enter(())
        tell(self.exchange, LEDGER_DOWN)

    def send(self) -> None:
        """Begin with the first target."""
        raise NotImplementedError

    def gone(self) -> None:
        """Stop: the client has left."""
        raise NotImplementedError

    def late(self) -> None:
        """Stop: the present step took too long."""
        raise NotImplementedError

    def expired(self, error: DeadlineExceeded) -> None:
        """Stop: the call's own deadline has passed, after something was sent, or was to be."""
        raise NotImplementedError

    def drained(self) -> None:
        """Stop: the gateway ends, and cannot wait any longer."""
        raise NotImplementedError

    def _ring(self) -> None:
        if self.settled:
            return
        error = passed(self.exchange.urgency)
        if self.entry.upstream:
            self.expired(error)
            return
        fault = of_error(error)  # it waits for the journal
        tell(self.exchange, fault)
        self.settle(fault.status, "failed", Tokens(0, 0), FREE, code=fault.code)

    def enter(self, gates: Gates) -> None:
        """Leave the gates of the last target, and enter these, which are open."""
        if self.gates:
            leave(self.gates)
            self.desk.left()
        self.gates = enter(gates, self.exchange.connection.edge.now)

    def move(self, at: int, go_on: Callable[[int], None], end: Callable[[], None]) -> None:
        """Have `go_on` ask the first target from `at` that lets the call in, or `end` it."""
        now, course = self.exchange.connection.edge.now, self.course
        for index in range(at, len(self.plan.targets)):
            target = self.plan.targets[index]
            if course is not None and not course.may(target):
                continue
            gates = target.gates
            refusal = blocked(gates, now)
            if refusal is None:
                if course is not None:
                    course.begin(target)
                self.enter(gates)
                go_on(index)
                return
            if refusal is LATER:
                self.enter(())
                again = partial(self._moved, index, go_on, end)
                shut = partial(self._moved, index + 1, go_on, end)
                self.desk.wait(gates, again, shut)
                return
        end()

    def _moved(
        self,
        at: int,
        go_on: Callable[[int], None],
        end: Callable[[], None],
        _refusal: Refusal | None = None,
    ) -> None:
        if not self.settled:
            self.move(at, go_on, end)

    def not_answered(self, error: APIError, target: Target, *, free: bool = False) -> None:
        """Count an exchange with a target that did not end well; `free` says that it bills nothing."""
        if self.course is not None:
            self.course.failed(error, free=free)
        self.desk.attempted(target.upstream, type(error).__name__)
        if isinstance(error, errors.AuthenticationError):
            self.desk.refused(target.upstream, error.message)

    def no_target(self) -> None:
        """Say that no target may be asked any more, before any was."""
        if self.course is not None and not self.settled:
            fault = self.course.fault(None, None)
            tell(self.exchange, fault)
            self.settle(fault.status, "refused", Tokens(0, 0), FREE, code=fault.code)

    def never_sent(self) -> None:
        """Settle a call whose client left before anything went upstream: it cost nothing."""
        self.settle(499, "cancelled", Tokens(0, 0), FREE)

    def settle(
        self,
        status: int,
        outcome: str,
        tokens: Tokens,
        tariff: Tariff,
        *,
        estimated: bool = False,
        code: str | None = None,
    ) -> None:
        """Write down how the call ended, give back what it held, and count it. Once."""
        if self.settled:
            return
        self.settled = True
        if self._alarm is not None:
            self._alarm.cancel()
        entry, desk = self.entry, self.desk
        quote.settle(entry, tokens, tariff, self.asked.answers)
        if entry.cost is None and tariff.request is not None and outcome == "ok":
            quote.settle_call(entry, tariff.request)
        entry.status, entry.outcome = status, outcome
        if code is not None:
            entry.error = code
        told = entry.input_tokens
        used = None
        if told is not None:
            used = told + (entry.output_tokens or 0)
            entry.token_source = "estimated" if estimated else "provider"
        if self.course is not None:
            self.course.settled(entry, outcome)
        entry.charged = entry.reserved if entry.cost is None else entry.cost
        entry.ended = self.now()
        entry.state = "settled"
        self.holder.settle(entry, self.likely, used)
        if self.gates:
            self.enter(())
        desk.live.discard(self)
        desk.journal.ended(entry)
        desk.counted(entry)
        if desk.kept is not None:
            desk.kept(entry.id, self.exchange.body, b"".join(self._seen or ()))

    def tell_stopping(self) -> None:
        """Tell the client that the gateway ends, in whichever way it still can be told."""
        if self.exchange.begun:
            self.exchange.end(in_band(self.exchange, STOPPING))
        else:
            tell(self.exchange, STOPPING, keep=False)

    def fault_of(self, error: APIError, target: Target) -> Fault:
        """Return what the client is told of a target's error, which is not where the target is."""
        fault = of_error(error, hide=self.desk.hide())
        if target.pool is None or not isinstance(error, APIConnectionError):
            return fault
        url, name = target.pool.url, f"the upstream {target.upstream!r}"
        said = fault.message.replace(url.authority, name).replace(repr(url.host), f"of {name}")
        return msgspec.structs.replace(fault, message=said[:1].upper() + said[1:])

    def lines(self, lines: bytes) -> bytes:
        """Return the header lines of an answer: who served it, and what is left of limits."""
        provider = self.entry.provider
        if self.course is not None:
            lines += self._served_by(self.course)
        elif provider is not None:
            lines += b"x-inference-provider: %b\r\n" % provider.encode("ascii", "replace")
        if self.holder.meters:
            lines += self.holder.labels(self.exchange.connection.edge.now)
        return lines

    def _served_by(self, course: Course) -> bytes:
        """Return header lines that name who served a call with a route, and in how many attempts."""
        entry = self.entry
        named = (
            (b"x-inference-provider", entry.provider or entry.upstream),
            (b"x-trunkline-model", entry.target_model),
            (b"x-trunkline-attempts", str(len(course.tries) + 1)),
        )
        return b"".join(
            b"%b: %b\r\n" % (name, value.encode("ascii", "replace"))
            for name, value in named
            if value.isprintable()
        )

    def keep(self, data: bytes) -> None:
        """Keep what goes to the client, where the operator wants answers kept."""
        if self.desk.kept is not None:
            if self._seen is None:
                self._seen = []
            self._seen.append(data)

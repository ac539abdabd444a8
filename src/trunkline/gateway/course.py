"""One call on its way along the targets of its route: which is asked, what came of each, what follows.

It decides; whoever carries the call (a relay, the SDK) does. No I/O.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from trunkline.gateway.refusals import Fault
from trunkline.gateway.verdicts import may_have_run
from trunkline.gateway.ways import Way, no_target
from trunkline.routing.moving import Step, next_step
from trunkline.routing.traffic import Facts
from trunkline.store.tries import Try, write_report, write_tries
from trunkline.types.route import RouteReport

if TYPE_CHECKING:
    from trunkline.errors import APIError
    from trunkline.gateway.plans import Target
    from trunkline.gateway.tokens import Tokens
    from trunkline.routing.ranking import Option
    from trunkline.store.records import Entry

_SHORT_WAIT = 0.25
"""The most seconds before a target that has just failed is asked once more."""
_MEASURABLE = 0.05
"""Seconds that a stream has to last for its speed to mean anything."""
Role = Literal["first", "retry", "failover", "hedge", "restart", "continue"]


_SLOWER = "Slower"
"""What is said of one of two targets that were asked at the same time, and was hung up on."""


def _nothing() -> None:
    """Do nothing."""


class Move(NamedTuple):
    """What follows a target that failed."""

    action: Literal["again", "move", "stop"]
    wait: float = 0.0
    """Seconds before the same target is asked again."""


class _Present:
    """The try that is being made."""

    __slots__ = ("first", "probe", "role", "started", "target")

    def __init__(self, target: Target, role: Role, started: float, *, probe: bool) -> None:
        self.target = target
        self.role: Role = role
        self.started = started
        self.probe = probe
        self.first: float | None = None
        """When the first token came."""


class Course:
    """Where one call is."""

    def __init__(self, way: Way) -> None:
        """Has asked nobody yet."""
        self.way = way
        self.role: Role = "first"
        """Of the next try."""
        self.tries: list[Try] = []
        self.notes: list[str] = []
        self._began = way.clock()
        self._present: _Present | None = None
        self._beside: _Present | None = None
        """The try at a second target at the same time."""
        self.drop_beside: Callable[[], None] = _nothing
        """Hangs up on it."""
        self._stands: int | None = None
        """Which try the entry's counts are of, where none is being made."""
        self._failed = 0
        """Tries in a row that failed at the present target."""
        self._least: int | None = None
        """The context that was too short."""
        self._broken: APIError | None = None
        """What broke the present target's stream off."""

    # asking

    def may(self, target: Target) -> bool:
        """Tell whether a target may be asked now."""
        option = _option(target)
        if self._least is not None and (option.context is None or option.context <= self._least):
            return False
        return self.way.traffic.trouble(option, self.way.clock()) is None

    def begin(self, target: Target) -> bool:
        """Note that a target is asked; False where it may not be, any more."""
        present = self._present
        if present is not None and present.target is target:
            return True  # once more on another connection: the first had died while idle
        if not self.may(target):
            return False
        now = self.way.clock()
        probe = self.way.traffic.begun(_option(target), now)
        self._present = _Present(target, self.role, now, probe=probe)
        return True

    def silence(self, others: Sequence[Target], deadline: float) -> float:
        """Return for how many seconds the present target may be silent: the next one needs time, too."""
        if any(self.may(target) for target in others):
            return min(self.way.policy.first_token_seconds, (deadline - self.way.clock()) / 2)
        return math.inf

    # a second target beside the first

    def slow_after(self) -> float | None:
        """Return after how many seconds the present target is slower than it nearly ever is."""
        present, way = self._present, self.way
        if present is None or not way.policy.hedge:
            return None
        return way.traffic.slow_after(_option(present.target), way.clock(), way.wall)

    def hedge(self, target: Target) -> bool:
        """Note that a target is asked beside the present one, if the budget allows it."""
        now, traffic = self.way.clock(), self.way.traffic
        if not self.may(target) or not traffic.may_hedge(now):
            return False
        probe = traffic.begun(_option(target), now)
        self._beside = _Present(target, "hedge", now, probe=probe)
        self.way.moved("hedge", "slow")
        return True

    def hedge_won(self) -> None:
        """Go on with the second target: the first one failed, or was not as soon."""
        present, way, beside = self._present, self.way, self._beside
        if present is not None:
            way.traffic.left(_option(present.target), way.clock(), probe=present.probe)
            self._close(present, error=_SLOWER, cost=None, moved="another target was sooner")
        self._present, self._beside = beside, None

    def hedge_lost(self, error: APIError | None) -> None:
        """Note that the second target failed, or was not as soon."""
        beside, way = self._beside, self.way
        if beside is None:
            return
        self._beside, present = None, self._present
        option, now = _option(beside.target), way.clock()
        if error is None:
            way.traffic.left(option, now, probe=beside.probe)
            self._close(beside, error=_SLOWER, cost=None)
        else:
            way.traffic.ended(option, now, way.wall, error, probe=beside.probe)
            free = error.status is not None or not may_have_run(error)
            kind, status = type(error).__name__, error.status
            self._close(beside, error=kind, status=status, cost=0 if free else None)
        self._present = present

    def token(self) -> None:
        """Note that the first token of a stream came."""
        present, way = self._present, self.way
        if present is None or present.first is not None:
            return
        now = present.first = way.clock()
        facts = Facts(first_token=now - present.started, whole=False)
        option = _option(present.target)
        way.traffic.ended(option, now, way.wall, None, probe=present.probe, facts=facts)
        present.probe = False

    # what came of it

    def failed(self, error: APIError, *, free: bool = False) -> None:
        """Note that the present target failed; `free` says that it bills nothing for that."""
        present, way = self._present, self.way
        if present is None:
            return
        way.traffic.ended(
            _option(present.target), way.clock(), way.wall, error, probe=present.probe
        )
        refused = error.status is not None and error.status >= 400
        ran = error.job is not None or any(attempt.error is None for attempt in error.attempts)
        free = not ran and (free or refused or not may_have_run(error))
        self._close(
            present, error=type(error).__name__, status=error.status, cost=0 if free else None
        )

    def broke(self, error: APIError) -> None:
        """Note that the present target's stream broke off after it had begun; it is settled next."""
        self._broken = error

    def cut(self, error: APIError, tokens: Tokens, cost: int | None) -> None:
        """Note that the present target's stream broke off, and what it came to: the call goes on."""
        present, way = self._present, self.way
        if present is None:
            return
        option = _option(present.target)
        way.traffic.ended(option, way.clock(), way.wall, error, probe=present.probe)
        known = {"input_tokens": tokens.input, "output_tokens": tokens.output, "cost": cost}
        self._close(present, error=type(error).__name__, status=200, **known)

    def stand(self, at: int) -> None:
        """Have the entry's own counts be those of a try: what the client has is from it."""
        self._stands = at

    def settled(self, entry: Entry, outcome: str) -> None:
        """Note how the call ended, and write on its entry what it came to in all."""
        self.drop_beside()
        self.hedge_lost(None)
        present = self._present
        if present is not None:
            self._ended(present, entry, outcome)
        own = len(self.tries) - 1 if present is not None else self._stands
        paid = [one.cost for at, one in enumerate(self.tries) if at != own]
        if entry.cost is not None:
            entry.cost += sum(cost or 0 for cost in paid)
        if None in paid and entry.note is None:
            entry.note = "what an earlier attempt cost is unknown"
        entry.tries = write_tries(self.tries)
        entry.route = write_report(self.report)

    def _ended(self, present: _Present, entry: Entry, outcome: str) -> None:
        way, option, now = self.way, _option(present.target), self.way.clock()
        broken, error = self._broken, None if outcome == "ok" else outcome
        if broken is not None:
            error = type(broken).__name__
        if broken is None and outcome != "ok":
            way.traffic.left(option, now, probe=present.probe)
        else:
            facts = _facts(present, entry, now) if broken is None else Facts()
            way.traffic.ended(option, now, way.wall, broken, probe=present.probe, facts=facts)
        status = 200 if outcome == "ok" or present.first is not None else None
        self._close(present, error=error, status=status, **_counts(entry))

    def _close(self, present: _Present, **known: Any) -> None:
        target, now = present.target, self.way.clock()
        self._present = None
        option = _option(target)
        self.tries.append(
            Try(
                option.name,
                target.upstream,
                target.model,
                option.provider,
                present.role,
                started=round(present.started - self._began, 6),
                seconds=round(now - present.started, 6),
                first_token=None
                if present.first is None
                else round(present.first - present.started, 6),
                **known,
            )
        )

    # what follows

    def after(self, error: APIError, others: Sequence[Target], deadline: float) -> Move:
        """Return what follows a target that failed; `others` come behind it."""
        way = self.way
        self._failed += 1
        open_ones = [target for target in others if self.may(target)]
        step = self._step(error, others=bool(open_ones))
        if step.action == "longer":
            self._least = self._context_of_last()
            longer = any(self.may(target) for target in open_ones)
            step = Step("move" if longer else "stop", step.why)
        now = way.clock()
        wait = step.wait or way.traffic.chance() * _SHORT_WAIT if step.action == "again" else 0.0
        if step.action == "stop" or now + wait >= deadline:
            return Move("stop")
        step = self._afforded(step, open_ones, now)
        if step.action == "stop":
            self.notes.append("the budget of retries was used up")
            return Move("stop")
        self._went_on(step.why)
        way.moved(step.action, type(error).__name__)
        if step.action == "again":
            self.role = "retry"
            return Move("again", wait)
        self._failed, self.role = 0, "failover"
        return Move("move")

    def resume(
        self,
        error: APIError,
        last: Target,
        others: Sequence[Target],
        role: Role,
        only: frozenset[str] | None = None,
    ) -> Target | None:
        """Return who is asked on after a stream broke: the next target, or else the same once more."""
        way = self.way
        open_ones = [
            target
            for target in (*others, last)
            if self.may(target) and (only is None or _option(target).name in only)
        ]
        step = self._step(error, others=bool(open_ones), failed=1)
        now = way.clock()
        if not open_ones or step.action == "stop":
            return None
        if not way.traffic.may_retry(now):
            self.notes.append("the budget of retries was used up")
            return None
        self._went_on(f"its stream broke off ({type(error).__name__})")
        way.moved(role, type(error).__name__)
        self._failed, self.role = 0, role
        return open_ones[0]

    def anew(self, target: Target) -> bool:
        """Ask a target for the whole answer that did not go on from its beginning."""
        self.notes.append(f"{_option(target).name} did not go on from the beginning")
        if not self.may(target) or not self.way.traffic.may_retry(self.way.clock()):
            return False
        self._went_on("it did not go on from the beginning")
        self.role = "restart"
        return True

    def _step(self, error: APIError, *, others: bool, failed: int | None = None) -> Step:
        return next_step(
            error,
            failed=self._failed if failed is None else failed,
            others=others,
            move_on=self.way.policy.move_on,
            own_key=False,
        )

    def _afforded(self, step: Step, open_ones: Sequence[Target], now: float) -> Step:
        """Return what the budget of retries allows; a target that does well is moved to in any case."""
        traffic = self.way.traffic
        if traffic.may_retry(now):
            return step
        well = bool(open_ones) and traffic.does_well(_option(open_ones[0]))
        return Step("move" if well and self._least is None else "stop", step.why)

    def _context_of_last(self) -> int:
        last = self.tries[-1].target if self.tries else None
        found = [option.context for option in self.way.options if option.name == last]
        return (found[0] if found else None) or 0

    def _went_on(self, why: str) -> None:
        if self.tries:
            self.tries[-1] = msgspec.structs.replace(self.tries[-1], moved=why)

    # what is told

    @property
    def report(self) -> RouteReport:
        """How the route came about, and what was done on the way."""
        report = self.way.report
        return msgspec.structs.replace(report, notes=(*report.notes, *self.notes))

    def fault(self, error: APIError | None, own: Fault | None) -> Fault:
        """Return what a client is told where no target answered: the target's own fault, or of all."""
        if error is not None and own is not None:
            final = self._step(error, others=True, failed=99).action in ("stop", "longer")
            if final or len(self.way.options) < 2:
                return own
        return no_target(self.way, self.report, self.tries, error)


def _option(target: Target) -> Option:
    option = target.option
    if option is None:  # the plan has a route, and its targets were made without
        raise TypeError("a target on a route needs an option")
    return option


def _counts(entry: Entry) -> dict[str, int | None]:
    return {
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "cost": entry.cost,
    }


def _facts(present: _Present, entry: Entry, now: float) -> Facts:
    output = entry.output_tokens if entry.token_source == "provider" else None  # noqa: S105 - of text
    if present.first is None:
        return Facts(output=output)
    seconds = now - present.first
    fast = output / seconds if output and seconds > _MEASURABLE else None
    return Facts(throughput=fast, output=output)

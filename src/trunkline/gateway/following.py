"""What a relay does after a target that failed, and after a stream that broke: the next one, or the end."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from trunkline import errors
from trunkline.errors import APIError
from trunkline.gateway import quote
from trunkline.gateway.call import MOVING
from trunkline.gateway.delivery import Delivery
from trunkline.gateway.gates import blocked
from trunkline.gateway.refusals import in_band
from trunkline.gateway.tap import StreamTap
from trunkline.gateway.tokens import Tokens

if TYPE_CHECKING:
    from trunkline.gateway.course import Course
    from trunkline.gateway.cuts import Cuts
    from trunkline.gateway.plans import Target

_REFUSALS = (errors.BadRequestError, errors.UnprocessableEntityError)
"""What a target says that does not go on from a beginning of its answer."""


class Following(Delivery):
    """Follows the targets of a call in their order, or its route."""

    _at = 0
    _tap: StreamTap | None = None
    _parts: list[bytes] | None = None
    _cuts: Cuts | None = None
    """What is done about a stream that breaks, where its route asks for that."""
    _goes_on = True
    """Whether answers are chats, whose streams can be gone on with elsewhere."""

    def _stream_tokens(self) -> tuple[Tokens, bool]:
        """Return the upstream's own counts, or an estimate."""
        raise NotImplementedError

    def _watch(self, course: Course) -> None:
        """Do about breaks of the stream that begins what its route asks for."""
        policy = course.way.policy
        if self._cuts is None:
            chats = self.exchange.voice is not None or self.entry.endpoint == "chat"
            if policy.on_cut == "error" or not (self._goes_on and chats):
                return
            from trunkline.gateway.cuts import Cuts  # other routes do without it

            self._cuts = Cuts(policy)
            self._rewritten = True
        self._cuts.begin(first=self._first)
        if self._cuts.holds and policy.hold_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(policy.hold_seconds, self._let_out, self._tap)

    def _let_out(self, tap: StreamTap | None) -> None:
        """Deliver what was kept back for long enough."""
        cuts = self._cuts
        if not self.settled and self._tap is tap and cuts is not None and cuts.holds:
            data = cuts.release()
            if data:
                self._pass_on(data)

    def _hand_on(self, data: bytes) -> None:
        """Hand on what has come, or what of it may go on."""
        cuts, tap = self._cuts, self._tap
        if cuts is None or tap is None:
            self._pass_on(data)
            return
        out = cuts.out(data, tap.events)
        if out:
            self._pass_on(out)
        if cuts.failure is not None:  # it is the end of this stream
            tap.failure, tap.unreadable, tap.finished = data, True, False

    def _cut(self, error: APIError) -> None:
        """End a stream that has begun with an error in it, unless it can be gone on with."""
        if self._first:
            self._failed(error)
            return
        fault, course, cuts = self.fault_of(error, self._target), self.course, self._cuts
        truncated = isinstance(error, errors.APIConnectionError)
        outcome = "truncated" if truncated else "failed"
        if course is None or cuts is None or cuts.policy.on_cut == "hold":
            if course is not None:
                course.broke(error)
            self.exchange.end(in_band(self.exchange, fault))
            self._drop()
            self._settle_partial(200, outcome, fault.code)
            return
        self._drop()
        tokens = self._note_cut(course, cuts.failure or error)
        if cuts.fault is None:
            cuts.fault, cuts.outcome, cuts.tokens = fault, outcome, tokens
            cuts.tariff, cuts.at = self._tariff(), len(course.tries) - 1
        if cuts.failure is not None:
            course.notes.append("the second answer began otherwise than what was delivered")
        elif self._resume(course, cuts, error):
            return
        self._break_off(cuts)

    def _note_cut(self, course: Course, error: APIError) -> Tokens:
        tokens, _ = self._stream_tokens()
        cost = quote.price(tokens.input, tokens.output, self._tariff())
        course.cut(error, tokens, cost)
        self.desk.attempted(self._target.upstream, type(error).__name__)
        return tokens

    def _break_off(self, cuts: Cuts) -> None:
        """End a stream with what broke it first, and settle by what came until then."""
        fault = cuts.fault
        if fault is None:
            raise TypeError("a stream that was not cut is not broken off")
        self._drop()
        self.exchange.end(in_band(self.exchange, fault))
        self._settle_cut(cuts, 200, cuts.outcome, fault.code)

    def _settle_cut(self, cuts: Cuts, status: int, outcome: str, code: str | None) -> None:
        """Settle by what came until a stream broke that could not be gone on with."""
        if self.course is not None:
            self.course.stand(cuts.at)
        self.settle(status, outcome, cuts.tokens, cuts.tariff, estimated=True, code=code)

    def never_sent(self) -> None:
        """Settle a call whose client left while nothing was on its way."""
        if self._cuts is not None and self._cuts.fault is not None:
            self._settle_cut(self._cuts, 499, "cancelled", None)
        else:
            super().never_sent()

    def _resume(self, course: Course, cuts: Cuts, error: APIError) -> bool:
        """Ask on for a stream that broke; tells whether somebody could be asked."""
        there = cuts.broke(error)
        cuts.resumed += 1
        if there.more or cuts.spent:
            course.notes.append("the stream broke off in what cannot be gone on from")
            return False
        others = self.plan.targets[self._at + 1 :]
        places = cuts.policy.takes_prefix
        if cuts.policy.on_cut == "continue" and not cuts.restarted and there.content:
            target = course.resume(error, self._target, others, "continue", places)
            if target is not None and self._enters(target):
                cuts.go_on()
                self._go_on(self.plan.targets.index(target))
                return True
            course.notes.append("no target is known to go on from a beginning; asked anew")
        target = course.resume(error, self._target, others, "restart")
        if target is None:
            return False
        cuts.restart(error)
        at = self.plan.targets.index(target)
        if at == self._at:
            self._go_on(at)
        else:
            self._be_between()
            self.move(at, self._go_on, partial(self._break_off, cuts))
        return True

    def _enters(self, target: Target) -> bool:
        if target is self._target:
            return True
        if blocked(target.gates, self.exchange.connection.edge.now) is not None:
            return False
        self.enter(target.gates)
        return True

    def _failed(self, error: APIError) -> None:
        """Go to the next target, or say what was wrong with the last."""
        free = 400 <= self._status < 600 or not self._sent
        if self.course is not None and self._tap is not None and self._tap.events:
            self._note_cut(self.course, error)  # it worked on it, and nothing was delivered
        else:
            self.not_answered(error, self._target, free=free)
        if self.course is not None:
            self._follow(self.course, error)
        elif self._at + 1 < len(self.plan.targets) and isinstance(error, MOVING) and self._first:
            self._be_between()
            self.move(self._at + 1, self._go_on, partial(self._give_up, error))
        else:
            self._give_up(error)

    def _give_up(self, error: APIError) -> None:
        """Say what was wrong; in a stream that has begun, what broke it first."""
        if self._cuts is not None and self._cuts.fault is not None and not self._first:
            self._break_off(self._cuts)
        else:
            super()._give_up(error)

    def _follow(self, course: Course, error: APIError) -> None:
        """Do what the route says follows a target that failed."""
        cuts = self._cuts
        if not self._first and cuts is None:
            self._give_up(error)
            return
        if cuts is not None and cuts.prefix is not None:
            cuts.restart(error)
            if isinstance(error, _REFUSALS) and course.anew(self._target):
                self._go_on(self._at)
                return
        others = self.plan.targets[self._at + 1 :]
        move = course.after(error, others, self.exchange.urgency.deadline)
        if move.action == "stop":
            self._give_up(error)
            return
        self._be_between()
        if move.action == "move":
            self.move(self._at + 1, self._go_on, partial(self._give_up, error))
            return
        self._sent, self._status = False, 0  # nothing is on its way while it waits
        asyncio.get_running_loop().call_later(move.wait, self._once_more)

    def _be_between(self) -> None:
        """Have nothing more said of what failed: the next target may have to be waited for."""
        self._tap = self._parts = None
        self.until = float("inf")  # a connection that is being opened has its own limit

    def _once_more(self) -> None:
        """Ask the present target again."""
        if not self.settled:
            self._go_on(self._at)

    def _go_on(self, at: int) -> None:
        """Ask another target."""
        self._at = at
        self._again = False
        self.until = float("inf")  # until it is sent; opening a connection has its own limit
        self._status, self._headers, self._tap, self._parts = 0, {}, None, None
        self.send()

"""A call whose target speaks another dialect than the client: the SDK carries it, and we write its answer.

This is what such calls have in common; each kind of them is a carrier of its own (`carriers.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline import errors
from trunkline.errors import APIError
from trunkline.gateway.asks import Asking, Manner
from trunkline.gateway.call import FREE, MOVING, Call
from trunkline.gateway.plans import Target
from trunkline.gateway.refusals import STOPPING, Fault, in_band, of_error, tell
from trunkline.gateway.tokens import Tokens
from trunkline.gateway.verdicts import may_have_run

if TYPE_CHECKING:
    from trunkline.client import AsyncClient
    from trunkline.types import Receipt

_log = logging.getLogger(__name__)


class Means(msgspec.Struct, frozen=True):
    """What calls are carried with."""

    client: Callable[[str], AsyncClient]
    """Gives the SDK's client of an upstream."""
    manner: Callable[[str], Manner]
    """Tells how calls to an upstream are made."""
    seal: bytes
    """What ids of videos are signed with."""


class Translated(Call):
    """Carries one call in a task of its own."""

    _task: asyncio.Task[None] | None = None
    _target: Target | None = None

    def __init__(self, *call: Any, means: Means) -> None:
        """As Call."""
        super().__init__(*call)
        self.means = means

    def send(self) -> None:
        """Begin."""
        self.entry.upstream = self.plan.targets[0].upstream
        self._task = asyncio.get_running_loop().create_task(self._carry())

    async def _ask(self, target: Target) -> None:
        """Make the call at one target, answer the client and settle; raises APIError."""
        raise NotImplementedError

    async def _carry(self) -> None:
        at: int | None = await self._first_of_course()
        while at is not None:
            target = self._target = self.plan.targets[at]
            self._begin(target)
            try:
                await self._ask(target)
            except APIError as error:
                self.not_answered(error, target)
                at = await self._following(at, error)
                if at is None:
                    self._failed(error, target)
                continue
            except Exception:
                _log.exception(
                    "a call could not be translated", extra={"request_id": self.entry.id}
                )
                failed = errors.InternalServerError("The gateway failed.", status=500)
                self._failed(failed, target, ours=True)
            return

    async def _first_of_course(self) -> int | None:
        """Return the first target that may be asked by now."""
        if self.course is None or self.course.begin(self.plan.targets[0]):
            return 0
        at = await self._next(0)
        if at is None:
            self.no_target()
        return at

    async def _following(self, at: int, error: APIError) -> int | None:
        """Return which target is asked after one that failed; None where none is."""
        if self.exchange.begun:
            return None
        course = self.course
        if course is None:
            return await self._next(at) if isinstance(error, MOVING) else None
        move = course.after(error, self.plan.targets[at + 1 :], self.exchange.urgency.deadline)
        if move.action == "again":
            await asyncio.sleep(move.wait)
            if course.begin(self.plan.targets[at]):
                return at
        return None if move.action == "stop" else await self._next(at)

    async def _next(self, at: int) -> int | None:
        """Return the next target that lets the call in; None where there is none."""
        found: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def go_on(index: int | None) -> None:
            if not found.done():
                found.set_result(index)

        self.move(at + 1, go_on, partial(go_on, None))
        return await found

    def _begin(self, target: Target) -> None:
        entry = self.entry
        entry.attempts += 1
        entry.upstream, entry.target_model = target.upstream, target.model
        entry.provider = target.provider

    def _settle_ok(self, tokens: Tokens, *, estimated: bool) -> None:
        target = self._target
        if target is not None:
            tariff = target.tariff_of(self.entry.provider)
            self.settle(200, "ok", tokens, tariff, estimated=estimated)

    def _failed(self, error: APIError, target: Target, *, ours: bool = False) -> None:
        error.provider = error.provider or self.entry.provider
        fault = _after_all(error, self.fault_of(error, target))
        if self.course is not None and not self.exchange.begun:
            fault = self.course.fault(error, fault)
        if self.exchange.begun:
            self.exchange.end(in_band(self.exchange, fault))
            cut = isinstance(error, errors.APIConnectionError)
            self._settle_partial(200, "truncated" if cut else "failed", fault.code)
            return
        tell(self.exchange, fault)
        answered = error.status is not None and error.status >= 400 and not ours
        if answered and self.entry.first_byte is None:
            self.entry.first_byte = self.now() - self.entry.started
        refused = answered or 400 <= fault.status < 500 or not may_have_run(error)
        if refused and not _has_run(error):
            self.settle(fault.status, "refused", Tokens(), FREE, code=fault.code)
        else:
            tariff = target.tariff_of(self.entry.provider)
            self.settle(fault.status, "failed", Tokens(), tariff, code=fault.code)

    # called by the exchange and the edge

    def gone(self) -> None:
        """Hang up: the client has left."""
        if self._task is None:
            self.never_sent()
            return
        self._task.cancel()
        self._left()
        self._settle_partial(499, "cancelled", None)

    def late(self) -> None:
        """Do nothing: the SDK keeps its own times."""

    def expired(self, error: errors.DeadlineExceeded) -> None:
        """Give up: whatever comes now is too late, and so would the next target be."""
        if self._task is not None:
            self._task.cancel()
        self._left()
        if self.course is not None:
            self.course.broke(error)
        fault = of_error(error)
        if not self.entry.attempts:  # the task had not begun
            tell(self.exchange, fault)
            self.settle(fault.status, "failed", Tokens(0, 0), FREE, code=fault.code)
        elif self.exchange.begun:
            self.exchange.end(in_band(self.exchange, fault))
            self._settle_partial(200, "truncated", fault.code)
        else:
            tell(self.exchange, fault)
            self._settle_partial(fault.status, "failed", fault.code)

    def drained(self) -> None:
        """End an answer that the gateway cannot wait for."""
        if self.settled:
            return
        self.tell_stopping()
        if self._task is None:
            self.never_sent()
            return
        self._task.cancel()
        self._left()
        self._settle_partial(self.exchange.status, "failed", STOPPING.code)

    # pieces of the above

    def _left(self) -> None:
        """Clean up after a call that nobody waits for any more."""

    async def _carried(self, target: Target, asking: Asking) -> Any:
        """Have the SDK carry out what is asked for, and note who served it; raises APIError."""
        result = await self.means.client(target.upstream).carry_out(asking)
        self._note(result.receipt)
        return result

    def _tokens_so_far(self) -> Tokens:
        """Return what a call that did not end has used, as far as can be told."""
        return Tokens()

    def _settle_partial(self, status: int, outcome: str, code: str | None) -> None:
        """Settle a call that did not end: by what came of it, or as unknown."""
        target = self._target or self.plan.targets[0]
        self.desk.attempted(target.upstream, outcome)
        tariff = target.tariff_of(self.entry.provider)
        self.settle(status, outcome, self._tokens_so_far(), tariff, estimated=True, code=code)

    def _note(self, receipt: Receipt | None) -> None:
        if receipt is None:
            return
        entry = self.entry
        entry.provider = receipt.provider or entry.provider
        entry.upstream_id = receipt.request_id
        if entry.first_byte is None:
            entry.first_byte = self.now() - entry.started


def _has_run(error: APIError) -> bool:
    """Tell whether a request of the call was answered well before it failed: that may be billed."""
    return error.job is not None or any(attempt.error is None for attempt in error.attempts)


def _after_all(error: APIError, fault: Fault) -> Fault:
    """Return what is told of a call that failed though its last request was answered well.

    What then goes wrong, a file that cannot be fetched or a job that is lost, is not the client's.
    """
    attempts = error.attempts
    late = error.job is not None or (bool(attempts) and attempts[-1].error is None)
    if not late or fault.status >= 500 or isinstance(error, errors.JobModeratedError):
        return fault
    return msgspec.structs.replace(fault, status=502, code="upstream_result_lost")

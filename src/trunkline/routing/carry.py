"""Carrying one request to its target, a few times if it must be: what every flow does first.

Generators: they say what they need, and are told. No socket, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import msgspec

from trunkline import errors
from trunkline._version import __version__
from trunkline.dialects import failures
from trunkline.errors import APIError
from trunkline.providers.mapping import ModelMaps
from trunkline.providers.spec import Target
from trunkline.providers.table import provider_hint
from trunkline.routing import record
from trunkline.routing.needs import Need, Renew, Reply, Send, Wait
from trunkline.routing.retry import Retry
from trunkline.types import Attempt, Chat, Secret
from trunkline.types.tasks import TaskCall
from trunkline.wire.message import ResponseHead

_EARLY = 0.01
"""Seconds by which an alarm may come too soon."""
_ABOUT_THE_PROVIDER = frozenset({400, 403, 404, 410, 422})
"""Statuses that a provider's name may have to do with."""

USER_AGENT = f"trunkline/{__version__}"

T = TypeVar("T")
CallT = TypeVar("CallT", bound=Chat | TaskCall)
Flow = Generator[Need, Any, T]
"""A call in progress: yields needs, is sent their answers, returns a T."""


class Account(msgspec.Struct, frozen=True):
    """On whose account a call goes, for whoever keeps a record of it."""

    secret: Secret | None
    bill_to: str | None


class Journey(msgspec.Struct, Generic[CallT], frozen=True):
    """What stays the same while a call is carried to its target."""

    call: CallT
    retry: Retry
    began: float
    """Monotonic time at which the call began."""
    maps: ModelMaps
    hub_secret: Callable[[Secret | None], Secret | None] = lambda given: given
    """The credential for the Hub, given the call's own: what has to be looked for is, then."""
    account: Account | None = None
    starts: float | None = None
    """Monotonic time at which this part of the call begins; None where the call itself does."""

    @property
    def start(self) -> float:
        """Monotonic time at which there is something to do for it."""
        return self.began if self.starts is None else self.starts

    @property
    def end(self) -> float:
        """Monotonic time of the call's deadline."""
        return math.inf if self.call.deadline is None else self.began + self.call.deadline


Write = Callable[[Journey[CallT], Target, float], Send]
"""Makes the request for a target, at a time."""
Accept = Callable[[Journey[CallT], Send, Reply, tuple[Attempt, ...]], T]
"""Makes a result of a good reply, or raises what is wrong with it."""


def carry(
    journey: Journey[CallT],
    target: Target,
    write: Write[CallT],
    accept: Accept[CallT, T],
    now: float,
    before: tuple[Attempt, ...] = (),
) -> Flow[T]:
    """Try the target, a few times if it must be, until it answers well; raises APIError.

    `before` are the attempts that the call has behind it.
    """
    attempts: list[Attempt] = list(before)
    failed, renewed = 0, False
    journey.retry.called(now)
    while True:
        send = write(journey, target, now)
        reply: Reply = yield send
        try:
            return accept(journey, send, reply, tuple(attempts))
        except APIError as caught:
            error = by_deadline(caught, reply, journey.end)
        attempts.append(record.attempt(len(attempts) + 1, send, reply, error, journey.began))
        now = reply.ended
        if isinstance(error, errors.AuthenticationError) and target.secret and not renewed:
            renewed = True
            fresh: Secret | None = yield Renew(target.secret)
            if fresh is not None:
                target = msgspec.structs.replace(target, secret=fresh)
                continue
        failed += 1
        wait = journey.retry.delay(error, failed)
        if (
            not _again(journey, error, failed, now + wait)
            or now + wait >= journey.end
            or not journey.retry.spend(now)
        ):
            raise placed(error, send, reply, tuple(attempts)) from error.__cause__
        now = yield Wait(wait)


def _again(journey: Journey[CallT], error: APIError, failed: int, now: float) -> bool:
    """Tell whether to try once more, at `now`. A model that is being loaded is waited for."""
    retry = journey.retry
    if isinstance(error, errors.ModelLoadingError) and retry.limit > 0:
        limit = math.inf if journey.call.deadline else journey.call.timeouts.total
        patience = min(journey.end, journey.began + limit)
        return now < patience and retry.again(error, 1)
    return retry.again(error, failed)


def headers_for(
    target: Target, own: dict[str, str], extra: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return a request's headers: `own` ones, then the target's credential and what it wants."""
    headers = {"user-agent": USER_AGENT, "accept-encoding": "identity", **own}
    if target.secret is not None:
        headers[target.auth_header] = f"{target.scheme} {target.secret.value}".lstrip()
    headers.update(target.headers)
    headers.update(extra)
    return tuple(headers.items())


def checked(reply: Reply) -> ResponseHead:
    """Return a good answer's head; raises what went wrong, without an answer or in one."""
    if reply.error is not None:
        raise reply.error
    head = reply.head
    if head is None:
        raise errors.InvalidResponseError("No answer came.")
    if not 200 <= head.status < 300:
        raise _refusal(head, reply)
    return head


def _refusal(head: ResponseHead, reply: Reply) -> APIError:
    if 300 <= head.status < 400:
        return errors.InvalidResponseError(
            f"The server redirects ({head.status}), which is not followed: the token would go "
            "along.",
            hint="Give the address that it redirects to as api_base=.",
        )
    return failures.error_for(failures.read_failure(head.status, head.headers, reply.body))


def by_deadline(error: APIError, reply: Reply, end: float) -> APIError:
    """Call a time-out what it is when the call's own deadline made it."""
    late = (
        isinstance(error, errors.Timeout) and error.status is None and reply.ended >= end - _EARLY
    )
    if not late or isinstance(error, errors.DeadlineExceeded):
        return error
    found = errors.DeadlineExceeded(
        f"The call's deadline passed. {error.message}", hint="Raise deadline= to allow more."
    )
    found.sent = found.received = True
    return found


def check_time(journey: Journey[CallT], now: float, what: str) -> None:
    """Raise DeadlineExceeded, with what was not done, where the call's deadline has passed."""
    if now >= journey.end - _EARLY:
        raise errors.DeadlineExceeded(
            f"The call's deadline passed. {what}", hint="Raise deadline= to allow more."
        )


def placed(error: APIError, send: Send, reply: Reply, attempts: tuple[Attempt, ...]) -> APIError:
    """Say on an error where it happened, and what is known of the provider it names."""
    head = reply.head
    error.provider = error.provider or record.served_by(send, head)
    error.model = error.model or send.target.model
    if error.status is None and head is not None and head.status >= 400:
        error.status = head.status
    error.request_id = error.request_id or (head.request_id if head else None)
    error.attempts = attempts
    _mask(error, send.target.secret)
    if send.target.via in ("served", "direct"):
        error.hint = failures.hint_elsewhere(error)
    asked = send.target.provider if send.target.via != "direct" else None
    if asked and error.status in _ABOUT_THE_PROVIDER:
        known = provider_hint(asked)
        if known:
            error.hint = f"{known}\n{error.hint}" if error.hint else known
    return error


def _mask(error: APIError, secret: Secret | None) -> None:
    """Take the call's own credential out of what was said of it: some servers repeat it."""
    if secret is not None:
        error.message = secret.masked_in(error.message)
        error.args = (error.message,)
        error.code = error.code and secret.masked_in(error.code)
        error.body = secret.masked_in(error.body)

"""When a failed attempt is worth another, and how long to wait first."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.errors import (
    APIConnectionError,
    APIError,
    BadGatewayError,
    GatewayTimeoutError,
    ModelLoadingError,
    RateLimitError,
    ServiceUnavailableError,
    Timeout,
)
from trunkline.routing.spare import Spare

LONGEST_WAIT = 120.0
"""A server that asks for more (in seconds) is not waited for, unless a model is being loaded."""

_PASSING = (RateLimitError, BadGatewayError, ServiceUnavailableError, GatewayTimeoutError)
FINAL_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class Retry(msgspec.Struct, frozen=True):
    """How often to try again, with full jitter between the attempts."""

    limit: int
    chance: Callable[[], float]
    """A random source: numbers from 0 up to 1."""
    first: float = 0.5
    """The most that the first wait can last, in seconds; it doubles each time."""
    longest: float = 8.0
    spare: Spare | None = None
    """What all calls together may spend on retries; None is without limit."""

    def called(self, now: float) -> None:
        """Count a call."""
        if self.spare is not None:
            self.spare.called(now)

    def spend(self, now: float) -> bool:
        """Take one retry from the budget, if one is left."""
        return self.spare is None or self.spare.spend(now)

    def again(self, error: APIError, failed: int) -> bool:
        """Tell whether to try again after `failed` attempts, the last of which raised `error`."""
        if failed > self.limit or error.code in FINAL_CODES:
            return False
        long = error.retry_after is not None and error.retry_after > LONGEST_WAIT
        if long and not isinstance(error, ModelLoadingError):  # which says how long it takes
            return False
        return passing(error) if error.should_retry is None else error.should_retry

    def delay(self, error: APIError, failed: int) -> float:
        """Return the seconds to wait before the next attempt.

        What the server asks for is kept to, plus a little so that callers do not return together.
        """
        if error.retry_after is not None:
            return error.retry_after + self.chance() * min(0.1 * error.retry_after, 1.0)
        return self.chance() * min(self.longest, self.first * 2.0 ** min(failed - 1, 30))


def passing(error: APIError) -> bool:
    """Tell whether an error may be gone next time, and asking again can do no harm."""
    if isinstance(error, _PASSING):
        return True
    if isinstance(error, Timeout) and (error.status is not None or error.sent):
        return error.status == 408  # a server that stayed silent is not asked again
    return isinstance(error, APIConnectionError) and not error.received

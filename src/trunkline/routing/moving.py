"""What follows a failed attempt on a route: the same place again, the next one, or the end. Pure.

One table for the SDK and the gateway. The caller's own errors end a call, and so does having to pay:
nobody's credits are spent because another's are used up.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from trunkline import errors
from trunkline.errors import APIError
from trunkline.routing.health import Outcome
from trunkline.routing.policy import Reason
from trunkline.routing.retry import FINAL_CODES, LONGEST_WAIT

Next = Literal["again", "move", "longer", "stop"]
"""`longer`: only to a place with a longer context."""


class Step(NamedTuple):
    """What to do next, and why."""

    action: Next
    why: str
    wait: float = 0.0
    """Seconds before the same place is asked again."""


def next_step(
    error: APIError,
    *,
    failed: int,
    others: bool,
    move_on: frozenset[Reason] = frozenset(),
    own_key: bool = True,
) -> Step:
    """Return what follows an attempt that `error` ended, the `failed`th in a row at this place.

    `others` tells whether another place remains. `own_key`: the credential is the caller's, so that
    its refusal is the caller's own error.
    """
    error = underlying(error)
    kind = error.code or type(error).__name__
    for classes, step in _TABLE:
        if isinstance(error, classes):
            return _weighed(step, kind, error, failed, others=others)
    for reason, refusals in _REFUSALS.items():
        if isinstance(error, refusals):
            named = reason in move_on
            why = f"it refused the call ({kind}), " + (
                f"and the route moves on for {reason}" if named else f"for its {reason}"
            )
            return Step("move" if named and others else "stop", why)
    if isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError)):
        return Step(
            "stop" if own_key or not others else "move", f"the credential was refused ({kind})"
        )
    return Step("stop", f"the call itself was refused ({kind})")


_Rule = Literal["never", "longer", "silent", "busy", "loading", "lost", "passing"]
_TABLE: tuple[tuple[tuple[type[APIError], ...], _Rule], ...] = (
    ((errors.DeadlineExceeded, errors.PaymentRequiredError), "never"),
    ((errors.ContextWindowExceededError,), "longer"),
    ((errors.ModelLoadingError,), "loading"),
    ((errors.ModelNotSupportedError, errors.GoneError, errors.NotFoundError), "lost"),
    ((errors.RateLimitError,), "busy"),
    ((errors.GatewayTimeoutError,), "passing"),
    ((errors.JobError,), "never"),
    ((errors.Timeout,), "silent"),
    (
        (errors.InternalServerError, errors.APIConnectionError, errors.InvalidResponseError),
        "passing",
    ),
)
"""The first row that an error fits; those that fit none are the caller's, or refusals."""
_REFUSALS: dict[Reason, tuple[type[APIError], ...]] = {
    "content": (errors.ContentPolicyViolationError,),
    "capability": (errors.UnsupportedParamsError,),
}


def _weighed(rule: _Rule, kind: str, error: APIError, failed: int, *, others: bool) -> Step:
    if rule == "never":
        return Step("stop", f"nothing else may be tried after {kind}")
    if rule == "longer":
        return Step("longer", "the context is too short for the call")
    if rule == "silent" and error.status != 408:
        return Step("move" if others else "stop", "it was silent for too long")
    if rule == "lost":
        return Step("move" if others else "stop", f"it does not have the model ({kind})")
    if rule == "loading":
        wait = error.retry_after or 1.0
        return (
            Step("move", "it is still loading the model")
            if others
            else Step("again", "it is still loading the model", wait)
        )
    if rule == "busy":
        return _busy(error, failed, others=others)
    why = f"it failed ({kind})" if error.status is None else f"it answered {error.status} ({kind})"
    wait = error.retry_after or 0.0
    asks_long = wait > (1.0 if others else LONGEST_WAIT)
    if failed < 2 and not asks_long and error.should_retry is not False:
        return Step("again", why, wait)
    return Step("move" if others else "stop", why)


def _busy(error: APIError, failed: int, *, others: bool) -> Step:
    if error.code in FINAL_CODES:
        return Step("stop", f"the account's quota is used up ({error.code})")
    if others:
        return Step("move", "it is too busy (429)")
    wait = error.retry_after
    if failed < 3 and wait is not None and wait <= LONGEST_WAIT:
        return Step("again", "it is too busy (429) and said until when", wait)
    return Step("stop", "it is too busy (429)")


def underlying(error: APIError) -> APIError:
    """Return the limit that passed on a stream which is said to be truncated, else the error itself."""
    if isinstance(error, errors.StreamTruncated) and isinstance(error.__cause__, errors.Timeout):
        return error.__cause__
    return error


def outcome_of(error: APIError | None) -> Outcome:
    """Return what an attempt's end says of its place."""
    if error is None:
        return "good"
    error = underlying(error)
    if isinstance(error, (errors.RateLimitError, errors.ModelLoadingError)):
        return "busy"
    if isinstance(error, errors.DeadlineExceeded):
        return "left"  # the caller's patience, not the place's fault
    bad = (
        errors.InternalServerError,
        errors.APIConnectionError,
        errors.InvalidResponseError,
        errors.ModelNotSupportedError,
        errors.GoneError,
    )
    return (
        "bad"
        if isinstance(error, bad) and not isinstance(error, errors.OutputValidationError)
        else "good"
    )

"""What follows a failed attempt: a table of errors, and what becomes of the call."""

from __future__ import annotations

import pytest

from trunkline import errors
from trunkline.errors import APIError
from trunkline.routing.moving import next_step, outcome_of


def made(kind: type[APIError], **facts: object) -> APIError:
    error = kind("no")
    for name, value in facts.items():
        setattr(error, name, value)
    return error


HUNG = made(errors.Timeout, sent=True)
CUT = made(errors.APIConnectionError)
BUSY = made(errors.RateLimitError, status=429)
BUSY_SOON = made(errors.RateLimitError, status=429, retry_after=2.0)
BUSY_LONG = made(errors.RateLimitError, status=429, retry_after=500.0)
USED_UP = made(errors.RateLimitError, status=429, code="insufficient_quota")
FAILED = made(errors.InternalServerError, status=500)
FAILED_LONG = made(errors.ServiceUnavailableError, status=503, retry_after=30.0)
LOADING = made(errors.ModelLoadingError, status=503, retry_after=20.0)
LOST = made(errors.ModelNotSupportedError, status=400)
LONG = made(errors.ContextWindowExceededError, status=400)
CONTENT = made(errors.ContentPolicyViolationError, status=400)
LACKS = made(errors.UnsupportedParamsError, status=400)
WRONG = made(errors.BadRequestError, status=400)
PAY = made(errors.PaymentRequiredError, status=402)
WHO = made(errors.AuthenticationError, status=401)
LATE = made(errors.DeadlineExceeded)
SLOW = made(errors.Timeout, status=408)
GARBAGE = made(errors.InvalidResponseError)
BROKE = made(errors.StreamTruncated, __cause__=CUT)
STALLED = made(errors.StreamTruncated, __cause__=HUNG)
OUT_OF_TIME = made(errors.StreamTruncated, __cause__=LATE)


@pytest.mark.parametrize(
    ("error", "failed", "others", "action"),
    [
        (CUT, 1, True, "again"),
        (CUT, 2, True, "move"),
        (CUT, 2, False, "stop"),
        (HUNG, 1, True, "move"),
        (HUNG, 1, False, "stop"),
        (SLOW, 1, True, "again"),
        (SLOW, 2, True, "move"),
        (FAILED, 1, True, "again"),
        (FAILED, 2, True, "move"),
        (FAILED_LONG, 1, True, "move"),
        (FAILED_LONG, 1, False, "again"),
        (GARBAGE, 2, True, "move"),
        (BUSY, 1, True, "move"),
        (BUSY, 1, False, "stop"),
        (BUSY_SOON, 1, True, "move"),
        (BUSY_SOON, 1, False, "again"),
        (BUSY_SOON, 3, False, "stop"),
        (BUSY_LONG, 1, False, "stop"),
        (USED_UP, 1, True, "stop"),
        (LOADING, 1, True, "move"),
        (LOADING, 1, False, "again"),
        (LOST, 1, True, "move"),
        (LOST, 1, False, "stop"),
        (LONG, 1, True, "longer"),
        (CONTENT, 1, True, "stop"),
        (LACKS, 1, True, "stop"),
        (WRONG, 1, True, "stop"),
        (PAY, 1, True, "stop"),
        (WHO, 1, True, "stop"),
        (LATE, 1, True, "stop"),
        (BROKE, 1, True, "again"),
        (STALLED, 1, True, "move"),
        (STALLED, 1, False, "stop"),
        (OUT_OF_TIME, 1, True, "stop"),
    ],
)
def test_what_follows_an_error(error: APIError, failed: int, others: bool, action: str):
    step = next_step(error, failed=failed, others=others)
    assert step.action == action
    assert step.why


def test_a_429_is_waited_for_as_it_says():
    assert next_step(BUSY_SOON, failed=1, others=False).wait == 2.0


def test_refusals_send_a_call_on_only_where_they_are_named():
    assert (
        next_step(CONTENT, failed=1, others=True, move_on=frozenset({"content"})).action == "move"
    )
    assert (
        next_step(CONTENT, failed=1, others=True, move_on=frozenset({"capability"})).action
        == "stop"
    )
    assert (
        next_step(LACKS, failed=1, others=True, move_on=frozenset({"capability"})).action == "move"
    )


def test_an_operators_refused_key_is_no_error_of_the_caller():
    assert next_step(WHO, failed=1, others=True, own_key=False).action == "move"
    assert next_step(PAY, failed=1, others=True, own_key=False).action == "stop"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "good"),
        (FAILED, "bad"),
        (CUT, "bad"),
        (HUNG, "bad"),
        (GARBAGE, "bad"),
        (LOST, "bad"),
        (BUSY, "busy"),
        (LOADING, "busy"),
        (LATE, "left"),
        (BROKE, "bad"),
        (STALLED, "bad"),
        (OUT_OF_TIME, "left"),
        (WRONG, "good"),
        (PAY, "good"),
    ],
)
def test_what_an_end_says_of_a_place(error: APIError | None, outcome: str):
    assert outcome_of(error) == outcome

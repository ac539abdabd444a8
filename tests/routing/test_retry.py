"""Which failures are worth another attempt, and how long the wait is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline import errors
from trunkline.errors import APIConnectionError, APIError, StreamTruncated, Timeout
from trunkline.routing.retry import LONGEST_WAIT, Retry, passing


def connection(kind: type[APIConnectionError], *, sent: bool, received: bool) -> APIError:
    error = kind("m")
    error.sent, error.received = sent, received
    return error


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (errors.RateLimitError("m", status=429), True),
        (errors.BadGatewayError("m", status=502), True),
        (errors.ServiceUnavailableError("m", status=503), True),
        (errors.ModelLoadingError("m", status=503), True),
        (errors.GatewayTimeoutError("m", status=504), True),
        (Timeout("m", status=408), True),
        (errors.InternalServerError("m", status=500), False),
        (errors.GenerationError("m", status=424), False),
        (errors.BadRequestError("m", status=400), False),
        (errors.AuthenticationError("m", status=401), False),
        (errors.PaymentRequiredError("m", status=402), False),
        (errors.PermissionDeniedError("m", status=403), False),
        (errors.NotFoundError("m", status=404), False),
        (errors.ConflictError("m", status=409), False),
        (errors.UnprocessableEntityError("m", status=422), False),
        (errors.InvalidResponseError("m"), False),
        (connection(APIConnectionError, sent=False, received=False), True),
        (connection(APIConnectionError, sent=True, received=False), True),
        (connection(APIConnectionError, sent=True, received=True), False),
        (connection(Timeout, sent=False, received=False), True),
        (connection(Timeout, sent=True, received=False), False),
        (connection(Timeout, sent=True, received=True), False),
        (connection(errors.DeadlineExceeded, sent=True, received=True), False),
        (StreamTruncated("m"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: APIError, again: bool) -> None:
    assert passing(error) is again
    assert Retry(1, float).again(error, 1) is again


@pytest.mark.parametrize(
    ("facts", "failed", "again"),
    [
        ({}, 2, True),
        ({}, 3, False),
        ({"retry_after": LONGEST_WAIT}, 1, True),
        ({"retry_after": LONGEST_WAIT + 0.1}, 1, False),
        ({"code": "insufficient_quota"}, 1, False),
        ({"should_retry": False}, 1, False),
        ({"should_retry": True}, 3, False),
    ],
)
def test_the_limit_and_the_servers_word_are_kept(
    facts: dict[str, Any], failed: int, again: bool
) -> None:
    assert Retry(2, float).again(errors.RateLimitError("m", **facts), failed) is again


def test_a_server_may_ask_for_a_retry_that_would_not_be_made() -> None:
    error = errors.ConflictError("m", status=409, should_retry=True)
    assert Retry(2, float).again(error, 1)


@pytest.mark.parametrize(("failed", "most"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (9000, 8.0)])
def test_waits_double_up_to_a_limit_with_full_jitter(failed: int, most: float) -> None:
    error = errors.BadGatewayError("m")
    assert Retry(2, lambda: 0.0).delay(error, failed) == 0.0
    assert Retry(2, lambda: 0.25).delay(error, failed) == most / 4
    assert Retry(2, lambda: 1.0).delay(error, failed) == most


@given(st.floats(0, LONGEST_WAIT), st.floats(0, 1, exclude_max=True), st.integers(1, 20))
@settings(deadline=None)
def test_what_a_server_asks_for_is_kept_to_plus_a_little(
    asked: float, chance: float, failed: int
) -> None:
    wait = Retry(2, lambda: chance).delay(errors.RateLimitError("m", retry_after=asked), failed)
    assert asked <= wait <= asked + min(asked / 10, 1.0)

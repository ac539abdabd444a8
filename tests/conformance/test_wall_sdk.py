"""Our own SDK before the wall, both clients: nothing wrong, nothing hangs, and all of it as expected."""

from __future__ import annotations

import asyncio

import pytest

from trunkline import errors
from trunkline.conformance.calls import Result, calls_for
from trunkline.conformance.sdk import outcome_of, run_sdk


def odd(results: list[Result]) -> list[Result]:
    return [result for result in results if not result.expected]


def test_the_sdk_bears_every_form_of_a_stream() -> None:
    results = asyncio.run(run_sdk(calls_for(["F7", "F8", "F12"]), 60.0))
    assert odd(results) == []
    assert {result.client for result in results} == {"Client", "AsyncClient"}


@pytest.mark.slow  # what stays silent is waited for
def test_the_sdk_comes_past_the_whole_wall() -> None:
    results = asyncio.run(run_sdk(calls_for(), 30.0))
    assert odd(results) == []
    assert len(results) == 2 * len(calls_for())


@pytest.mark.parametrize(
    ("error", "status", "in_stream"),
    [
        (errors.RateLimitError("x", status=429), 429, False),
        (errors.APIConnectionError("x"), 502, False),
        (errors.Timeout("x"), 408, False),
        (errors.InvalidResponseError("x", status=200), 502, False),
        (errors.StreamTruncated("x", text="some"), 502, True),
    ],
)
def test_an_error_of_the_sdk_is_judged_as_a_status(
    error: errors.APIError, status: int, in_stream: bool
) -> None:
    found = outcome_of(error)
    assert found.error is not None
    assert (found.error.status, found.error.in_stream) == (status, in_stream)
    assert found.said.text == ("some" if in_stream else "")

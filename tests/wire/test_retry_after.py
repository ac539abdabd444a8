"""How long to wait, in every form that servers say it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.wire.retry_after import read_retry_after

DATE = "Tue, 06 Oct 2026 10:00:00 GMT"
EPOCH = 1791280800  # DATE in seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("120", 120.0),
        ("3600", 3600.0),
        ("1e2", 100.0),
        ("1e9", 1e9),
        ("1e400", None),
        ("999999999", 999999999.0),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1_000", None),
        ("", None),
        ("soon", None),
        ("5, 10", None),
        ("Tue, 06 Oct 2026 10:00:30 GMT", 30.0),
        ("Tue, 06 Oct 2026 12:00:30 +0200", 30.0),
        ("Tue, 06 Oct 2026 09:00:00 GMT", 0.0),
        ("Tue, 06 Oct 2026 10:00:05 -0000", 5.0),
        ("Fri, 06 Oct 2028 10:00:00 GMT", 731 * 86400.0),
        ("Tue, 36 Oct 2026 10:00:00 GMT", None),
        ("2026-10-06T10:01:00Z", 60.0),
        ("2026-10-06T10:01:00", 60.0),
        ("2026-10-06T12:01:00.5+02:00", 60.5),
        (str(EPOCH + 45), 45.0),
        (str((EPOCH + 45) * 1000), 45.0),
        (str(EPOCH - 45), 0.0),
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("1h2m3s", 3723.0),
        ("1d", 86400.0),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("6m0s", 360.0),
        ("9" * 400 + "d", math.inf),
    ],
)
def test_retry_after_is_read_in_every_form(value: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after": value, "date": DATE}) == seconds


@pytest.mark.parametrize(
    "value", ["Tue, 06 Oct 2026 10:00:30 GMT", "2026-10-06T10:01:00Z", str(EPOCH + 45)]
)
@pytest.mark.parametrize("date", [{}, {"date": "yesterday"}, {"date": ""}])
def test_a_date_says_nothing_without_the_servers_own_clock(
    value: str, date: dict[str, str]
) -> None:
    assert read_retry_after({"retry-after": value, **date}) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "-5"}, 0.0),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "1e18"}, 1e15),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "300",
            },
            1.0,
        ),
        ({"x-ratelimit-reset": "12", "x-ratelimit-remaining": "many"}, 12.0),
        ({"x-ratelimit-reset": "12", "x-ratelimit-remaining": "3"}, None),
        ({"x-ratelimit-reset": "never"}, None),
        ({"x-ratelimit-reset": str(EPOCH + 7), "date": DATE}, 7.0),
        ({"x-ratelimit-reset": str((EPOCH + 7) * 1000), "date": DATE}, 7.0),
        ({"x-ratelimit-reset": "2026-10-06T10:00:09Z", "date": DATE}, 9.0),
        ({"retry-after": "2", "x-ratelimit-reset": "60"}, 2.0),
    ],
)
def test_the_family_of_headers_is_read_in_order(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert read_retry_after(headers) == seconds


@given(
    st.dictionaries(
        st.sampled_from(
            ["retry-after", "retry-after-ms", "date", "x-ratelimit-reset", "x-ratelimit-remaining"]
        ),
        st.text(max_size=20)
        | st.from_regex(r"\A[0-9]{0,4}[dhms.:-]{0,3}[0-9]{0,20}[smTZ+]{0,2}\Z")
        | st.datetimes().map(lambda moment: moment.isoformat()),
    )
)
@settings(max_examples=often(500), deadline=None)
def test_any_headers_give_a_wait_that_is_not_negative_or_none(headers: dict[str, str]) -> None:
    seconds = read_retry_after(headers)
    assert seconds is None or seconds >= 0.0

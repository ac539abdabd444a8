"""What `trunkline bench` reads from its options, and how its table fits a terminal."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import click
import pytest

from trunkline.cli.bench_options import read_dollars, read_span
from trunkline.cli.bench_screen import _fitting


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90", timedelta(seconds=90)),
        ("1.5s", timedelta(seconds=1.5)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
    ],
)
def test_a_span_of_time_has_a_unit_or_is_in_seconds(text: str, span: timedelta) -> None:
    assert read_span(text) == span


@pytest.mark.parametrize("text", ["", "0", "-1s", "h", "1w", "1h30m", "99d", "1e3", "nan"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no span of time"):
        read_span(text)


@pytest.mark.parametrize(("text", "amount"), [("0", "0"), ("0.10", "0.10"), ("$5", "5")])
def test_an_amount_is_exact(text: str, amount: str) -> None:
    assert read_dollars(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "a lot", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no amount of dollars"):
        read_dollars(text)


@pytest.mark.parametrize(
    ("width", "shown"), [(100, [0, 1, 2]), (17, [0, 1, 2]), (16, [0, 2]), (10, [2]), (1, [2])]
)
def test_columns_go_in_their_order_until_the_table_fits(width: int, shown: list[int]) -> None:
    table = [["aaa", "b", "cc"], ["a", "bbb", "c"]]
    assert _fitting(table, (1, 0), width) == shown

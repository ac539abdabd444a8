"""Kinds of values that `trunkline bench` takes: amounts of money, spans of time."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation

import click

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = timedelta(days=31)


def read_dollars(value: str) -> Decimal:
    """Read an amount, exactly."""
    try:
        amount = Decimal(value.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{value!r} is no amount of dollars.")
    return amount


def read_span(value: str) -> timedelta:
    """Read a span of time: 30s, 10m, 2h, 1d, or seconds."""
    found = _SPAN.fullmatch(value)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise click.BadParameter(f"{value!r} is no span of time; write 30s, 10m, 2h or 1d.")
    return timedelta(seconds=seconds)

"""What is given on the command line in short: moments, lengths of time, budgets. Text in, values out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import click

_LENGTH = re.compile(r"(\d{1,6})\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BUDGET = re.compile(r"\$?\s*([0-9._]+)\s*/\s*(day|month)")


def read_length(text: str) -> float:
    """Read `90s`, `30m`, `12h`, `7d` or `2w` as seconds."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None:
        raise click.BadParameter(f"{text!r} is no length of time. Write 90s, 30m, 12h, 7d or 2w.")
    return float(int(found[1]) * _SECONDS[found[2]])


def read_moment(text: str, now: float) -> float | None:
    """Read a day, a time, or a length of time from now, as seconds since 1970; `never` is None.

    A day begins, and a time without an offset is meant, in UTC.
    """
    text = text.strip()
    if text.lower() == "never":
        return None
    if text.lower() == "now":
        return now
    if _LENGTH.fullmatch(text.lower()):
        return now + read_length(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time. Write 2027-01-31, 2027-01-31T18:00Z, a length from now "
            "such as 30d, or never."
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_budget(text: str) -> dict[str, Any]:
    """Read `50/month` or `$2.50/day` as a budget that may be wished for."""
    found = _BUDGET.fullmatch(text.strip().lower())
    try:
        if found is None:
            raise ValueError(text)
        return {"amount": Decimal(found[1]), "period": found[2]}
    except (ValueError, InvalidOperation) as error:
        raise click.BadParameter(
            f"{text!r} is no budget. Write US dollars for each day or month: 50/month, 2.50/day."
        ) from error


def shown_moment(at: float | None) -> str:
    """Return a time for people, UTC; nothing for none."""
    if at is None:
        return ""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(at))
    return f"{moment:%Y-%m-%d %H:%M}Z"

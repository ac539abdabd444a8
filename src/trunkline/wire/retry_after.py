"""How long a server asks us to wait, in any of the forms that servers use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1_000_000_000.0
"""Seconds or milliseconds around the present, as a moment, are above this (a date in 2001)."""
_YEAR = 366 * 86400.0
"""A number within a year of the response's own date is a moment, any other one a span."""
_RESETS = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-ratelimit-reset")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that response `headers` ask for, or None if they do not say.

    `retry-after-ms` first, then `retry-after` (seconds or a date), then the longest of the
    `x-ratelimit-reset` family whose quota is used up. Dates count from the response's own `date`,
    so that a wrong clock here does no harm; without one a date says nothing.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return max(milliseconds / 1000, 0.0)
    now = _date(headers.get("date", ""))
    if "retry-after" in headers:
        return _read(headers["retry-after"], now)
    found = [
        wait
        for name in _RESETS
        if name in headers and _used_up(headers, name)
        if (wait := _read(headers[name], now)) is not None
    ]
    return max(found, default=None)


def _used_up(headers: Mapping[str, str], name: str) -> bool:
    remaining = _number(headers.get(name.replace("reset", "remaining"), "0"))
    return remaining is None or remaining <= 0


def _read(text: str, now: datetime | None) -> float | None:
    text = text.strip()
    number = _number(text)
    if number is not None:
        if now is not None:
            for moment in (number, number / 1000):
                if abs(moment - now.timestamp()) < _YEAR:
                    return max(moment - now.timestamp(), 0.0)
        elif _EPOCH < number < 3 * _EPOCH or 1000 * _EPOCH < number < 3000 * _EPOCH:
            return None  # a moment, and nothing to count from
        return max(number, 0.0)
    parts = _SPAN.fullmatch(text)
    if text and parts:
        return sum(float(n) * unit for n, unit in zip(parts.groups(), _UNITS, strict=True) if n)
    moment_given = _date(text)
    if moment_given is None or now is None:
        return None
    return max((moment_given - now).total_seconds(), 0.0)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # slow to load and rarely needed

    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text.strip())
        except (ValueError, TypeError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None

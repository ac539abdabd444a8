"""How long a server asks us to wait, in any of the forms that servers use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1_000_000_000.0
"""A plain number above this (a date in 2001) is a moment, not a span."""
_YEAR = 366 * 86400.0
_RESETS = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-ratelimit-reset")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that response `headers` ask for, or None if they do not say.

    `retry-after-ms` first, then `retry-after` (seconds or a date), then the longest of the
    `x-ratelimit-reset` family whose quota is used up. Dates count from the response's own `date`,
    so that a wrong clock here does no harm; without one a date says nothing.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _span(milliseconds / 1000)
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
        if number < _EPOCH:
            return _span(number)
        if now is None or number == _EPOCH:
            return None
        moment = number / 1000 if number > _EPOCH * 100 else number
        return _span(moment - now.timestamp())
    parts = _SPAN.fullmatch(text)
    if text and parts:
        return _span(
            sum(float(n) * unit for n, unit in zip(parts.groups(), _UNITS, strict=True) if n)
        )
    moment_given = _date(text)
    if moment_given is None or now is None:
        return None
    return _span((moment_given - now).total_seconds())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _span(seconds: float) -> float | None:
    """Take a wait between now and a year; a moment that has passed means now."""
    return max(seconds, 0.0) if seconds < _YEAR else None


def _date(text: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text.strip())
        except (ValueError, TypeError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None

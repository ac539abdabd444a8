"""A run as rows: a line for each call as CSV, and the table's cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from decimal import Decimal

from trunkline.bench.figures import Figures, Spread
from trunkline.bench.values import Run

UNKNOWN = "-"
COLUMNS = (
    "provider", "first s", "p95", "tok/s", "slow", "total s", "p95", "failed", "right", "alike",
    "$/call", "$ in/1M", "$ out/1M",
)  # fmt: skip
"""Of the table."""
_FIELDS = (
    "model", "provider", "prompt", "run", "began", "seconds", "first_token", "throughput",
    "input_tokens", "output_tokens", "tokens", "cost", "error", "message", "wrong", "finish",
    "answer",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def as_csv(run: Run) -> str:
    """Return a line for each call."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(_FIELDS)
    for sample in run.samples:
        answer = sample.answer
        rows.writerow(
            [
                *(run.model, _text(sample.provider), _text(sample.prompt), sample.run + 1),
                *map(_number, (sample.began, sample.seconds)),
                *map(_number, (sample.first_token, sample.throughput)),
                *(sample.input_tokens, sample.output_tokens, sample.tokens),
                "" if sample.cost is None else f"{sample.cost:f}",
                *map(_text, (sample.error, sample.message, sample.wrong)),
                *map(_text, (answer.finish, answer.shown()) if answer else ("", "")),
            ]
        )
    return written.getvalue()


def cells(rows: Iterable[Figures]) -> list[tuple[str, ...]]:
    """Return the table's cells for the places that were asked."""
    return [_cells(row) for row in rows if row.skipped is None]


def dollars(amount: Decimal | float | None, digits: int = 3) -> str:
    """Write an amount with so many figures that count; an amount that is little is not nothing."""
    if amount is None:
        return UNKNOWN
    if not amount:
        return "0"
    short = f"{Decimal(str(amount)):.{digits}g}"
    return f"{Decimal(short):f}"


def share(part: float | None) -> str:
    """Write a part of all."""
    return UNKNOWN if part is None else f"{part:.0%}"


def seconds(value: float | None) -> str:
    """Write seconds with the digits that a reader wants."""
    if value is None:
        return UNKNOWN
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def speed(value: float | None) -> str:
    """Write tokens a second."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _cells(row: Figures) -> tuple[str, ...]:
    return (
        row.provider + (" !" if row.odd else ""),
        *_both(row.first_token, seconds),
        *_both(row.throughput, speed),
        *_both(row.total, seconds),
        f"{row.failed}/{row.calls}",
        f"{row.right}/{row.judged}" if row.judged else UNKNOWN,
        share(row.similarity),
        dollars(row.cost),
        dollars(row.input_price),
        dollars(row.output_price),
    )


def _both(spread: Spread | None, write: Callable[[float | None], str]) -> tuple[str, str]:
    if spread is None:
        return UNKNOWN, UNKNOWN
    return write(spread.p50), write(spread.p95)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _text(value: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text

"""What samples come to, what two runs differ by, and how a run is written and read."""

from __future__ import annotations

import csv
import io
import random
from decimal import Decimal
from statistics import median

import msgspec
import pytest
from bench_runs import MODEL, SEA, SKY, judged, run_of, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.bench.against import compare, interval
from trunkline.bench.figures import figures, quantile
from trunkline.bench.measured import measured
from trunkline.bench.sheet import as_csv, cells, dollars, seconds, speed
from trunkline.bench.values import Place, Run, read_run, write_run
from trunkline.errors import InvalidInputError


def test_a_quantile_lies_between_two_values_where_it_falls_between() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([1, 2], 0.5) == 1.5
    assert quantile([7], 0.95) == 7
    assert quantile(list(range(101)), 0.95) == 95


@settings(max_examples=often(20))
@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_its_values(values: list[float], part: float) -> None:
    assert min(values) <= quantile(values, part) <= max(values) + 1e-6


def test_a_place_is_measured_by_its_answered_calls() -> None:
    samples = [
        sample("a", run=n, first_token=0.1 * (n + 1), throughput=10.0 * (n + 1)) for n in range(4)
    ]
    samples += [sample("a", "b", error="Timeout", seconds=60.0), judged("a", "sum", right=False)]
    samples.append(sample("a", "c", cost=None, tokens="estimated"))
    (row,) = figures(run_of(samples))
    assert (row.calls, row.failed, row.errors) == (7, 1, {"Timeout": 1})
    assert row.error_rate == pytest.approx(1 / 7)
    assert row.total is not None and row.total.p95 == 1.0  # a call that failed has no total
    assert row.throughput is not None and row.throughput.p95 < row.throughput.p50  # the slow end
    assert row.cost == Decimal("0.001")
    assert (row.unpriced, row.estimated, row.judged, row.right) == (1, 1, 1, 0)


def test_a_place_that_only_fails_has_unknown_figures_and_no_zeros() -> None:
    (row,) = figures(run_of([sample("a", error="Timeout")]))
    assert (row.first_token, row.throughput, row.total, row.cost) == (None, None, None, None)
    assert cells([row])[0][1:7] == ("-",) * 6


def test_a_place_that_was_not_asked_has_its_reason() -> None:
    run = run_of([sample("a")])
    run = msgspec.structs.replace(run, places=(*run.places, Place("b", skipped="it is not live")))
    rows = figures(run)
    assert [row.skipped for row in rows] == [None, "it is not live"]
    assert rows[1].error_rate is None
    assert len(cells(rows)) == 1


def timed(times: list[float], failures: int = 0, text: str = SKY) -> Run:
    made = [sample("a", run=n, text=text, first_token=t) for n, t in enumerate(times)]
    return run_of([*made, *(sample("a", run=99 + n, error="Timeout") for n in range(failures))])


def test_a_change_beyond_noise_is_told_from_one_within() -> None:
    quick, slow = [0.10, 0.11, 0.12, 0.10, 0.11], [0.50, 0.52, 0.51, 0.49, 0.53]
    found = {c.name: c for c in compare(timed(quick), timed(slow))}
    first = found["first token"]
    assert first.difference == pytest.approx(0.40)
    assert first.low is not None and first.low > 0.3
    assert (first.beyond_noise, first.better) == (True, False)
    assert (found["total"].beyond_noise, found["total"].better) == (False, None)
    back = next(c for c in compare(timed(slow), timed(quick)) if c.name == "first token")
    assert (back.beyond_noise, back.better) == (True, True)


def test_with_few_samples_nothing_is_said_of_noise() -> None:
    change = compare(timed([0.1, 0.1]), timed([0.9, 0.9]))[0]
    assert change.difference == pytest.approx(0.8)
    assert (change.low, change.high, change.beyond_noise) == (None, None, None)


def test_failures_are_compared_as_a_share() -> None:
    rows = compare(timed([0.1] * 10), timed([0.1] * 2, failures=8))
    failed = next(c for c in rows if c.name == "failed")
    assert (failed.before, failed.now) == (0.0, 0.8)
    assert failed.beyond_noise and failed.better is False


def test_only_what_both_runs_asked_is_compared() -> None:
    before = run_of([sample("a", "old", first_token=9.0), sample("a"), sample("b")])
    now = run_of([sample("a"), sample("a", "new", first_token=9.0), sample("c")])
    rows = compare(before, now)
    assert {change.provider for change in rows} == {"a"}
    assert next(c for c in rows if c.name == "first token").difference == 0.0


def test_the_same_two_runs_give_the_same_intervals() -> None:
    one, other = timed([0.1, 0.2, 0.3, 0.4]), timed([0.2, 0.3, 0.4, 0.5])
    assert compare(one, other) == compare(one, other)


@settings(max_examples=often(8))
@given(st.lists(st.floats(0, 100), min_size=4, max_size=20))
def test_a_run_against_itself_is_within_noise(values: list[float]) -> None:
    low, high = interval(values, values, median, random.Random(1))
    assert low <= 0 <= high


def test_a_run_is_read_as_it_was_written() -> None:
    run = run_of([sample("a"), sample("b", text=SEA), sample("c", error="Timeout")])
    data = write_run(run, figures(run))
    assert read_run(data, "run.json") == run
    body = msgspec.json.decode(data)
    assert body["figures"][0]["first_token"] == {"p50": 0.2, "p95": 0.2, "count": 1}
    assert body["samples"][0]["cost"] == "0.001"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"model": 1}', b"\xff"])
def test_what_is_no_run_is_refused_by_its_name(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"run\.json"):
        read_run(data, "run.json")


def test_a_run_of_another_form_is_refused() -> None:
    data = write_run(msgspec.structs.replace(run_of([sample("a")]), form="trunkline.bench/9"))
    with pytest.raises(InvalidInputError, match="bench/9"):
        read_run(data, "run.json")


def test_the_sheet_has_a_line_a_call_and_no_formulas() -> None:
    run = run_of([sample("a", text="=1+1"), sample("a", "b", error="Timeout", message="-x")])
    rows = list(csv.DictReader(io.StringIO(as_csv(run))))
    assert [row["provider"] for row in rows] == ["a", "a"]
    assert rows[0]["answer"] == "'=1+1"
    assert (rows[1]["error"], rows[1]["message"], rows[1]["first_token"]) == ("Timeout", "'-x", "")


def test_numbers_are_written_with_the_digits_that_count() -> None:
    assert [dollars(Decimal(n)) for n in ("0", "0.00001234", "0.5", "12.345")] == [
        "0", "0.0000123", "0.5", "12.3",
    ]  # fmt: skip
    assert [seconds(n) for n in (0.0123, 1.234, 12.34, None)] == ["0.012", "1.23", "12.3", "-"]
    assert [speed(n) for n in (9.87, 1234.5, None)] == ["9.9", "1,234", "-"]


def test_routing_counts_what_was_measured() -> None:
    good = [sample("a", run=n, first_token=0.2, throughput=50.0) for n in range(6)]
    bad = [sample("b", run=n, error="InternalServerError", outcome="bad") for n in range(6)]
    own = [sample("c", run=n, error="BadRequestError") for n in range(6)]
    late = [sample("d", error="DeadlineExceeded", outcome="left")]
    run = run_of([*good, *bad, *own, *late])
    seen = measured(run)
    now = run.began.timestamp() + 60
    a = seen.seen(("a", MODEL.lower()), now)
    assert a.first_token == pytest.approx(0.2, rel=0.08)
    assert a.throughput == pytest.approx(50, rel=0.08)
    assert (a.error_rate, a.output) == (0.0, None)
    assert seen.seen(("b", MODEL.lower()), now).error_rate == 1.0
    assert seen.seen(("c", MODEL.lower()), now).error_rate == 0.0
    assert ("d", MODEL.lower()) not in seen.tracks

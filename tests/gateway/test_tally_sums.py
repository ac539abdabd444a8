"""Tallies of several workers, added up: nothing is forgotten, nothing counts twice, no sum ever shrinks."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from ledger_side import ended

from trunkline.gateway.summary import summary
from trunkline.gateway.tallies import Counts, Histogram, Series, Tallies
from trunkline.gateway.tally_sums import (
    Numbers,
    added,
    keep_numbers_of,
    numbers_of,
    numbers_on_file,
    write_numbers,
)
from trunkline.gateway.telemetry import Telemetry


def counted(calls: int, model: str = "org/model") -> Telemetry:
    """Return tallies in which everything has been counted `calls` times."""
    found = Telemetry()
    for number in range(calls):
        found.ended(ended(number, model=model, first_byte=0.25, stream=True))
        found.refused("auth")
        found.rate_limited("key")
        found.disconnected("waiting")
        found.attempted("hub", "RateLimitError")
        found.committed(0.01)
        found.recovered(2)
        found.moved("again", "InternalServerError")
        found.waited("interactive", "let in", 0.2)
    return found


def sent_over(tallies: Tallies) -> Numbers:
    """Return tallies as another process has them."""
    data = msgspec.msgpack.encode(numbers_of(tallies))
    return msgspec.msgpack.decode(data, type=Numbers)


def test_what_one_and_another_counted_is_what_one_would_have_counted():
    total = added(
        [sent_over(counted(3)), sent_over(counted(4)), sent_over(counted(1, "org/other"))]
    )
    both = counted(7)
    both.ended(ended(7, model="org/other", first_byte=0.25, stream=True))
    expected = summary(both)
    told = summary(total)
    assert told["outcomes"] == {"ok": 8}
    for name in ("calls", "outcomes", "tokens", "cost_usd", "duration_seconds"):
        assert told[name] == expected[name], name
    assert told["refused"] == {"auth": 8}


def test_every_tally_that_there_is_is_added_up():
    one = counted(1)
    total = added([sent_over(one), sent_over(one)])
    for name, value in vars(one).items():
        if name.startswith("_") or name == "gauges":
            continue
        got = getattr(total, name)
        if isinstance(value, Counts):
            assert value.counts, name
            assert got.counts == {key: 2 * count for key, count in value.counts.items()}, name
        elif isinstance(value, Histogram):
            assert sum(got.counts) == 2 * sum(value.counts) > 0, name
        elif isinstance(value, int):
            assert got == 2 * value > 0, name
        else:
            assert value, name
            assert got.keys() == value.keys(), name
            assert [_size(each) for each in got.values()] == [
                2 * _size(each) for each in value.values()
            ], name


def _size(value: object) -> int:
    if isinstance(value, Series):
        return value.calls
    return sum(value.counts) if isinstance(value, Histogram) else int(value)  # type: ignore[call-overload]


def test_money_that_outgrows_64_bits_is_exact():
    rich = Telemetry()
    rich.ended(ended(1, cost=2**62))
    (labels,) = rich.series
    rich.series[labels].cost_estimated = 2**62
    total = added([sent_over(rich)] * 9)
    assert total.series[labels].cost_estimated == 9 * 2**62


def test_gauges_are_added_up_where_that_says_something_and_else_the_worst_is_told():
    def with_gauges(**values: float) -> Numbers:
        return Numbers(gauges=values)

    total = added(
        [
            with_gauges(inflight_requests=3, store_up=1, eventloop_lag_seconds=0.1, replicas=4),
            with_gauges(inflight_requests=4, store_up=0, eventloop_lag_seconds=0.2, replicas=4),
            with_gauges(clock_skew_seconds=-3),
            with_gauges(clock_skew_seconds=2),
        ]
    )
    assert total.readings() == {
        "inflight_requests": 7,
        "store_up": 0,
        "eventloop_lag_seconds": 0.2,
        "replicas": 4,
        "clock_skew_seconds": -3,
    }


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["count", "tell", "end", "merge"])),
        max_size=40,
    )
)
def test_what_was_told_once_is_never_less_afterwards_whoever_ends(
    tmp_path_factory, steps: list[tuple[int, str]]
):
    folder: Path = tmp_path_factory.mktemp("room")
    living = {slot: (f"boot{slot}-0", counted(0)) for slot in range(4)}
    gone: list[str] = []
    told = births = 0
    for slot, step in steps:
        boot, tallies = living[slot]
        if step == "count":
            tallies.refused("auth")
        elif step == "end":  # killed: without a last word
            births += 1
            gone.append(boot)
            living[slot] = (f"boot{slot}-{births}", counted(0))
        elif step == "merge" and gone:
            keep_numbers_of(folder, gone.pop())
        elif step == "tell":
            for name, each in living.values():
                write_numbers(folder, name, numbers_of(each))
            asked = [name for name, _ in living.values()]
            every = [numbers_of(each) for _, each in living.values()]
            total = added([*every, *numbers_on_file(folder, but=asked)])
            now = total.refusals.counts.get(("auth",), 0)
            assert now >= told
            told = now
    assert told <= sum(step == "count" for _, step in steps)


def test_files_that_are_none_are_passed_over(tmp_path: Path):
    (tmp_path / "torn.numbers").write_bytes(b"\x93")
    (tmp_path / "gone.numbers").write_bytes(b"")
    assert summary(added(numbers_on_file(tmp_path, but=())))["calls"] == 0
    keep_numbers_of(tmp_path, "nobody")
    keep_numbers_of(tmp_path, "")
    assert not (tmp_path / "torn.numbers.new").exists()

"""What of a stream is kept back, and until when."""

from __future__ import annotations

from itertools import chain

import pytest

from trunkline.routing.holding import Hold, Holding


@pytest.mark.parametrize(
    ("hold", "comes", "goes"),
    [
        (None, [["a"], ["b"]], [["a"], ["b"]]),
        (Hold(), [["a"], ["b"]], [[], []]),
        (Hold(tokens=2), [["a"], ["b"], ["c"]], [[], ["a", "b"], ["c"]]),
        (Hold(tokens=1), [["a"]], [["a"]]),
        (Hold(seconds=1.5), [["a"], ["b"], ["c"]], [[], ["a", "b"], ["c"]]),
        (Hold(tokens=9, seconds=0.5), [["a"]], [["a"]]),
    ],
    ids=str,
)
def test_what_is_kept_back_goes_out_by_tokens_or_seconds(
    hold: Hold | None, comes: list[list[str]], goes: list[list[str]]
):
    holding = Holding(hold, 0.0)
    found = [holding.passed(events, float(at)) for at, events in enumerate(comes, 1)]
    assert found == goes
    assert holding.holds is (hold == Hold())
    left = holding.release()
    assert [*chain(*found), *left] == [*chain(*comes)]
    assert not holding.holds


def test_what_is_dropped_never_goes_out():
    holding = Holding(Hold(), 0.0)
    holding.passed(["a"], 1.0)
    holding.dropped()
    assert holding.passed(["b"], 2.0) == []
    assert holding.release() == ["b"]
    holding.dropped()
    assert holding.passed(["c"], 3.0) == ["c"]

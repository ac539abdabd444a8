"""Claims in any order of events, against a model: who has a name is never in doubt."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import Clock

from trials import often
from trunkline.store.claims import Claim

NAMES = 3
CALLS = 4
EVENTS = st.one_of(
    st.tuples(st.just("claim"), st.integers(0, NAMES - 1), st.integers(0, CALLS - 1)),
    st.tuples(
        st.sampled_from(["answered", "large", "unknown"]),
        st.integers(0, NAMES - 1),
        st.integers(0, CALLS - 1),
    ),
    st.tuples(st.just("release"), st.integers(0, NAMES - 1), st.integers(0, CALLS - 1)),
    st.tuples(st.just("pass"), st.integers(1, 12), st.just(0)),
    st.tuples(st.just("purge"), st.just(0), st.just(0)),
)
SECONDS = 10


class Model:
    """What the store should know."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.known: dict[bytes, tuple[Claim, float]] = {}

    def claim(self, claim: Claim) -> Claim | None:
        standing = self.known.get(claim.id)
        if standing is not None and standing[1] > self.now:
            return standing[0]
        self.known[claim.id] = (claim, self.now + SECONDS)
        return None

    def running(self, claim: Claim) -> bool:
        standing = self.known.get(claim.id)
        return (
            standing is not None
            and standing[0].call == claim.call
            and standing[0].state == "running"
        )

    def purge(self) -> int:
        over = [name for name, (_, ends) in self.known.items() if ends <= self.now]
        for name in over:
            del self.known[name]
        return len(over)


@pytest.mark.timeout(300)
def test_claims_are_as_a_model_has_them(store: Any, clock: Clock):
    numbers = itertools.count()

    @settings(
        max_examples=often(60),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(EVENTS, max_size=25))
    def check(events: list[tuple[str, int, int]]) -> None:
        store.purge_claims()
        clock.now += 2 * SECONDS  # nothing is left of the example before
        store.purge_claims()
        example, model = next(numbers), Model(clock.now)
        for what, name, call in events:
            claim = Claim(b"%d %d" % (example, name), b"asked", f"req_{example}_{call}", "boot")
            if what == "claim":
                assert store.claim(claim, seconds=SECONDS) == model.claim(claim)
            elif what == "release":
                store.release(claim)
                if model.running(claim):
                    del model.known[claim.id]
            elif what == "pass":
                model.now += name
                clock.now = model.now
            elif what == "purge":
                assert store.purge_claims() == model.purge()
            else:
                done = Claim(claim.id, b"asked", claim.call, "boot", what, 200, b"", b"body")  # type: ignore[arg-type]
                had = model.running(claim)
                assert store.fulfil(done) is had
                if had:
                    model.known[claim.id] = (done, model.known[claim.id][1])

    check()

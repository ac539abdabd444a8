"""Limits of several processes in any order of calls, ends, minutes and troubles, against plain counts.

While limits are shared out, a minute's are never passed, nor those on calls at the same time. While they
are not, each process has its share beside.
"""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from lease_side import Process, SimCall, World

from trials import new_folder, often
from trunkline.store.records import Limits


class RatesMachine(RuleBasedStateMachine):
    """Three processes that call on one key, whose lines to the store may break."""

    flying = Bundle("flying")

    @initialize(
        requests=st.none() | st.integers(1, 40),
        tokens=st.none() | st.integers(50, 400),
        concurrency=st.none() | st.integers(1, 9),
    )
    def begin(self, requests, tokens, concurrency) -> None:
        self.folder = new_folder()
        self.world = World(self.folder, "one", "two", "three")
        self.limits = Limits(requests, tokens, concurrency)
        self.world.key(limits=self.limits)
        self.sent: Counter[int] = Counter()
        self.tokens: Counter[int] = Counter()
        self.seen: set[int] = set()
        self.calls: list[SimCall] = []
        self.broken = False
        """Whether limits were not shared out at some time."""

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.store.close()
            shutil.rmtree(self.folder)

    @rule(target=flying, number=st.integers(0, 2), tokens=st.integers(1, 50))
    def call(self, number, tokens):
        call = self.world.processes[number].ask(tokens=tokens)
        self.calls.append(call)
        self.pass_(0.12)
        return call

    @rule(number=st.integers(0, 2), tokens=st.integers(1, 20), count=st.integers(2, 8))
    def many_calls_at_once(self, number, tokens, count) -> None:
        for at in range(count):
            self.calls.append(self.world.processes[(number + at % 2) % 3].ask(tokens=tokens))
        self.pass_(0.3)

    @rule(call=consumes(flying), share=st.floats(0, 1))
    def a_call_ends(self, call, share) -> None:
        self.end(call, share)

    @rule(share=st.floats(0, 1))
    def all_calls_end(self, share) -> None:
        for call in self.calls:
            self.end(call, share)

    def end(self, call: SimCall, share: float) -> None:
        if call.entry is None or call.ended:
            return
        used = round(call.tokens * share)
        minute = self.minute(call.entry.started)
        if minute == self.minute(self.world.clock.wall()):
            self.tokens[minute] -= call.tokens - used
        call.end(0, used)

    @rule(seconds=st.sampled_from([0.05, 0.5, 2.0, 11.0, 31.0, 61.0]))
    def time_passes(self, seconds) -> None:
        self.pass_(seconds)

    @rule(number=st.integers(0, 2), trouble=st.sampled_from(["", "down", "lost"]))
    def a_line_breaks(self, number, trouble) -> None:
        self.broken |= bool(trouble)
        self.world.processes[number].rates.trouble = trouble

    def pass_(self, seconds: float) -> None:
        """Let time pass, and count what was sent in the minute in which it was."""
        while seconds > 0:
            self.world.pass_(min(seconds, 0.1))
            seconds -= 0.1
            self.count()

    def count(self) -> None:
        for call in self.calls:
            if call.entry is not None and id(call) not in self.seen:
                self.seen.add(id(call))
                minute = self.minute(call.entry.started)
                self.sent[minute] += 1
                self.tokens[minute] += call.tokens

    @staticmethod
    def minute(wall: float) -> int:
        return int(wall // 60)

    @property
    def most(self) -> float:
        """How many times its limit a minute may have: shares come beside what was granted."""
        return 2.0 if self.broken else 1.0

    @invariant()
    def no_limit_is_passed(self) -> None:
        if not hasattr(self, "world"):
            return
        self.count()
        requests, tokens = self.limits.requests_per_minute, self.limits.tokens_per_minute
        least = 3 if self.broken else 0
        """At least one request each."""
        for minute in self.sent:
            if requests is not None:
                assert self.sent[minute] <= self.most * requests + least
            if tokens is not None:
                assert self.tokens[minute] <= self.most * tokens + least
        concurrency = self.limits.concurrency
        running = sum(call.entry is not None and not call.ended for call in self.calls)
        if concurrency is not None and not self.broken:
            assert running <= concurrency

    @rule(number=st.integers(0, 2))
    def in_a_new_minute_whoever_asks_may_use_all_of_it(self, number) -> None:
        for process in self.world.processes:
            process.rates.trouble = ""
        for _ in range(2):  # those that waited, too
            for call in self.calls:
                self.end(call, 1.0)
            self.pass_(3)
        self.pass_(61 - self.world.clock.wall() % 60)
        process: Process = self.world.processes[number]
        for _ in range(min(self.limits.requests_per_minute or 5, 12)):
            call = process.ask(tokens=1)
            self.calls.append(call)
            self.pass_(0.3)
            assert call.code == "sent", call.refusal
            self.end(call, 1.0)


TestRatesMachine = pytest.mark.timeout(300)(RatesMachine.TestCase)
TestRatesMachine.settings = settings(deadline=None, max_examples=often(60), stateful_step_count=40)

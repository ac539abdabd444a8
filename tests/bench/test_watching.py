"""What a round of a watch does with the marks."""

from __future__ import annotations

from datetime import timedelta

from bench_runs import MODEL, NOON, SEA, SKY, judged, run_of, sample

from trunkline.bench.values import Run
from trunkline.bench.watching import after_round, in_agreement
from trunkline.routing.marks import Mark, standing

MINUTE = timedelta(minutes=1)


def round_of(**said: str) -> Run:
    return run_of(sample(name, prompt, text) for prompt in "ab" for name, text in said.items())


DRIFTED = round_of(groq=SKY, novita=SEA, cerebras=SKY)
AGREED = round_of(groq=SKY, novita=SKY, cerebras=SKY)


def test_who_drifts_is_marked_with_what_was_asked_and_said() -> None:
    change = after_round((), DRIFTED, MINUTE)
    (mark,) = change.marked
    assert change.marks == (mark,)
    assert (mark.provider, mark.model) == ("novita", MODEL)
    assert mark.reason == "unlike its peers, who agree: a, b"
    assert mark.evidence[0].prompt == "Asked: a?"
    assert (mark.evidence[0].said, mark.evidence[0].peers) == (SEA, {"groq": SKY, "cerebras": SKY})
    assert mark.since == DRIFTED.ended
    assert mark.until == DRIFTED.ended + timedelta(days=1)
    now = DRIFTED.ended.timestamp()
    assert list(standing(change.marks, now)) == [("novita", MODEL.lower())]


def test_a_mark_outlasts_three_rounds_of_a_slow_watch() -> None:
    (mark,) = after_round((), DRIFTED, timedelta(days=2)).marked
    assert mark.until == DRIFTED.ended + timedelta(days=6)


def test_who_agrees_again_is_freed() -> None:
    marks = after_round((), DRIFTED, MINUTE).marks
    change = after_round(marks, AGREED, MINUTE)
    assert (change.marks, change.freed) == ((), ("novita",))


def test_who_still_drifts_stays_marked_since_when_it_was() -> None:
    first = after_round((), DRIFTED, MINUTE).marks
    since = NOON - timedelta(days=3)
    old = tuple(Mark(m.provider, m.model, m.reason, since=since, until=m.until) for m in first)
    (mark,) = after_round(old, DRIFTED, MINUTE).marks
    assert mark.since == since
    assert mark.evidence


def test_who_only_fails_stays_marked() -> None:
    marks = after_round((), DRIFTED, MINUTE).marks
    silent = run_of(
        sample(name, prompt, SKY, error="Timeout" if name == "novita" else None)
        for prompt in "ab"
        for name in ("groq", "novita", "cerebras")
    )
    assert after_round(marks, silent, MINUTE).marks == marks


def test_who_has_no_peers_to_agree_with_stays_marked() -> None:
    marks = after_round((), DRIFTED, MINUTE).marks
    alone = round_of(novita=SKY)
    assert in_agreement(alone) == set()
    assert after_round(marks, alone, MINUTE).marks == marks


def test_marks_of_users_and_of_other_models_are_left_alone() -> None:
    mine = Mark("novita", MODEL, "I say so", origin="user")
    other = Mark("groq", "org/other", "drifts")
    assert after_round((mine, other), AGREED, MINUTE).marks == (mine, other)
    change = after_round((mine, other), DRIFTED, MINUTE)
    assert (change.marks, change.marked) == ((mine, other), ())


def test_a_mark_that_has_ended_is_gone() -> None:
    ended = Mark("groq", "org/other", "drifted", until=NOON)
    assert after_round((ended,), AGREED, MINUTE).marks == ()


def test_tools_that_break_mark_a_provider_though_its_prose_is_right() -> None:
    run = run_of(
        [
            *(sample(name, "prose", SKY) for name in ("groq", "novita")),
            judged("groq", "tool", right=True),
            judged("novita", "tool", right=False),
        ]
    )
    (mark,) = after_round((), run, MINUTE).marked
    assert (mark.provider, mark.reason) == ("novita", "wrong where its peers are right: tool")

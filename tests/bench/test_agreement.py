"""Who stands out among places that serve the same model, and who does not."""

from __future__ import annotations

import pytest
from bench_runs import SEA, SKY, judged, run_of, sample

from trunkline.bench.agreement import pairs, stand_out, unanswered
from trunkline.bench.values import Answer, Asked, Sample

NEARLY = SKY.replace("small", "tiny")


def odd(samples: list[Sample]) -> dict[str, str]:
    return {row.provider: row.reason for row in run_of(samples).odd}


def texts(prompt: str, *said: str) -> list[Sample]:
    return [sample(f"p{at}", prompt, text) for at, text in enumerate(said)]


def test_places_that_agree_do_not_stand_out() -> None:
    assert odd([*texts("a", SKY, SKY, NEARLY), *texts("b", NEARLY, SKY, SKY)]) == {}


def test_a_place_apart_from_those_that_agree_stands_out() -> None:
    found = odd([*texts("a", SKY, SEA, NEARLY), *texts("b", SKY, SEA, SKY)])
    assert found == {"p1": "unlike its peers, who agree: a, b"}


def test_one_free_text_that_differs_is_not_enough() -> None:
    assert odd([*texts("a", SKY, SEA, NEARLY), *texts("b", SKY, SKY, SKY)]) == {}


def test_two_places_that_differ_do_not_tell_which_of_them_is_wrong() -> None:
    assert odd([*texts("a", SKY, SEA), *texts("b", SKY, SEA), *texts("c", SKY, SEA)]) == {}


def test_two_camps_of_one_size_tell_nothing() -> None:
    assert odd([*texts("a", SKY, SKY, SEA, SEA), *texts("b", SKY, SKY, SEA, SEA)]) == {}


def test_the_larger_camp_counts_and_each_of_the_others_stands_out() -> None:
    third = "a third answer that shares hardly anything with either"
    found = odd([*texts("a", SKY, SKY, SEA, third), *texts("b", SKY, SKY, SEA, third)])
    assert set(found) == {"p2", "p3"}


def test_who_is_wrong_where_its_peers_are_right_stands_out_with_the_evidence() -> None:
    samples = [judged(p, "sum", right=p != "b", run=n) for p in "abc" for n in range(2)]
    (row,) = run_of(samples).odd
    assert (row.provider, row.reason) == ("b", "wrong where its peers are right: sum")
    (finding,) = row.findings
    assert finding.kind == "wrong"
    assert (finding.said, finding.peers) == ("41", {"a": "42", "c": "42"})
    assert finding.what == "'42' is not in it"


def test_with_a_known_answer_two_places_are_enough() -> None:
    assert list(odd([judged("a", "sum", right=True), judged("b", "sum", right=False)])) == ["b"]


def test_who_is_right_once_does_not_stand_out() -> None:
    samples = [judged("a", "sum", right=True, run=n) for n in range(2)]
    samples += [judged("b", "sum", right=n == 1, run=n) for n in range(2)]
    assert odd(samples) == {}


def test_where_most_are_wrong_nobody_stands_out() -> None:
    samples = [judged("a", "sum", right=True), *(judged(p, "sum", right=False) for p in "bc")]
    assert odd(samples) == {}


def test_what_nobody_knows_is_held_against_the_model_alone() -> None:
    samples = [judged(p, "sum", right=False) for p in "abc"]
    assert odd(samples) == {}
    prompts = [Asked("sum", ""), Asked("other", "")]
    assert unanswered(prompts, samples) == ("sum",)


def test_where_nobody_is_right_who_differs_stands_out_all_the_same() -> None:
    samples = [judged(p, "sum", right=False) for p in "abc"]
    samples.append(sample("d", "sum", "nine", judged=True, wrong="'42' is not in it"))
    assert odd(samples) == {"d": "unlike its peers, who agree: sum"}


def test_an_answer_of_nothing_tells_nothing() -> None:
    samples = [*texts("a", SKY, "", SKY), *texts("b", SKY, " ", SKY)]
    assert odd(samples) == {}
    assert [(p.first, p.second, p.compared) for p in pairs(samples)] == [("p0", "p2", 2)]


def test_failures_are_no_answers() -> None:
    samples = [sample("a"), sample("b"), sample("c", error="Timeout")]
    assert [(p.first, p.second) for p in pairs(samples)] == [("a", "b")]
    assert odd(samples) == {}


def test_pairs_are_compared_run_by_run_and_across_runs_where_none_is_shared() -> None:
    samples = [
        sample("a", text=SKY, run=0),
        sample("a", text=SEA, run=1),
        sample("b", text=SKY, run=0),
        sample("b", text=SEA, run=1),
        sample("c", text=SKY, run=2),
    ]
    found = {(p.first, p.second): (p.exact, p.compared) for p in pairs(samples)}
    assert found == {("a", "b"): (1.0, 2), ("a", "c"): (1.0, 1), ("b", "c"): (1.0, 1)}


def test_tools_are_compared_by_what_is_called() -> None:
    with_text = [sample(p, "tool", "f{}") for p in "ab"]
    assert pairs(with_text)[0].exact == 1.0
    assert Answer("", ()).is_empty


@pytest.mark.parametrize("samples", [[], [sample("a")]])
def test_nobody_stands_out_alone(samples: list[Sample]) -> None:
    assert stand_out([Asked("prose", "")], samples) == ()
    assert pairs(samples) == ()

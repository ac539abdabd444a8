"""How the places' answers agree, and which place stands out, with the evidence. Pure.

Places that serve the same weights answer alike at temperature 0, if not letter by letter. One that
does not, where most others agree among themselves, is served otherwise: quantised, cut short, or
behind a template that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean

from trunkline.bench.judging import same, similarity
from trunkline.bench.values import Answer, Asked, Finding, Odd, Pair, Sample
from trunkline.routing.marks import shortened

ALIKE = 0.8
"""Similarity from which two answers count as agreeing."""
GAP = 0.2
"""By how much less a place agrees with the others than they agree among themselves."""
ENOUGH = 1.0
"""Weight of findings from which a place stands out."""

Answers = dict[str, dict[int, Sample]]
"""The answered samples of one prompt: by provider, by run."""


def by_prompt(samples: Iterable[Sample]) -> dict[str, Answers]:
    """Return the samples whose answers can be compared. One that says nothing tells nothing."""
    found: dict[str, Answers] = {}
    for sample in samples:
        if sample.answer is not None and not sample.answer.is_empty:
            places = found.setdefault(sample.prompt, {})
            places.setdefault(sample.provider, {})[sample.run] = sample
    return found


def pairs(samples: Sequence[Sample]) -> tuple[Pair, ...]:
    """Return how each two places agree, over all prompts and runs that both answered."""
    alike: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for answers in by_prompt(samples).values():
        for one, other in combinations(sorted(answers), 2):
            found = alike.setdefault((one, other), [])
            for first, second in _both(answers[one], answers[other]):
                found.append((similarity(first, second), same(first, second)))
    return tuple(
        Pair(
            one,
            other,
            similarity=round(fmean(a for a, _ in found), 4),
            exact=round(sum(e for _, e in found) / len(found), 4),
            compared=len(found),
        )
        for (one, other), found in alike.items()
        if found
    )


def stand_out(prompts: Iterable[Asked], samples: Sequence[Sample]) -> tuple[Odd, ...]:
    """Return the places whose answers are not those of their peers, each with its findings."""
    asked = {prompt.name: prompt for prompt in prompts}
    found: dict[str, list[Finding]] = {}
    for name, answers in by_prompt(samples).items():
        prompt = asked.get(name, Asked(name, ""))
        for finding in [*_wrong(prompt, answers), *_different(prompt, answers)]:
            found.setdefault(finding.provider, []).append(finding)
    return tuple(
        Odd(provider, _reason(findings), tuple(sorted(findings, key=_telling)))
        for provider, findings in sorted(found.items())
        if sum(finding.weight for finding in findings) >= ENOUGH
    )


def unanswered(prompts: Iterable[Asked], samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the prompts to which no place gave the answer expected: they tell of no place."""
    right: dict[str, bool] = {}
    for sample in samples:
        if sample.judged:
            right[sample.prompt] = right.get(sample.prompt, False) or sample.wrong is None
    return tuple(prompt.name for prompt in prompts if right.get(prompt.name) is False)


def _wrong(prompt: Asked, answers: Answers) -> list[Finding]:
    """Return a finding for each place that is always wrong where most of its peers are right."""
    judged = {
        provider: [run.wrong is None for run in runs.values() if run.judged]
        for provider, runs in answers.items()
    }
    judged = {provider: rights for provider, rights in judged.items() if rights}
    found: list[Finding] = []
    for provider, rights in judged.items():
        peers = [any(rights) for name, rights in judged.items() if name != provider]
        if any(rights) or not peers or sum(peers) * 2 <= len(peers):
            continue
        first = next(run for run in answers[provider].values() if run.judged)
        found.append(_finding(prompt, answers, provider, "wrong", first.wrong or ""))
    return found


def _different(prompt: Asked, answers: Answers) -> list[Finding]:
    """Return a finding for each place that is apart from the most that agree."""
    near = _nearness(answers)
    together = _most(list(answers), near)
    if len(together) < 2 or any(
        run.judged and run.wrong is None for p in answers for run in answers[p].values()
    ):
        return []  # nobody agrees, or somebody is known to be right: then that is what counts
    within = fmean(near[pair] for pair in combinations(sorted(together), 2))
    found: list[Finding] = []
    for provider in answers:
        if provider in together:
            continue
        likeness = fmean(near[_key(provider, peer)] for peer in together)
        if within - likeness >= GAP:
            what = (
                f"it is {likeness:.0%} like the answers of {len(together)} others, "
                f"which are {within:.0%} alike"
            )
            found.append(_finding(prompt, answers, provider, "differs", what))
    return found


def _nearness(answers: Answers) -> dict[tuple[str, str], float]:
    near: dict[tuple[str, str], float] = {}
    for one, other in combinations(sorted(answers), 2):
        both = [similarity(a, b) for a, b in _both(answers[one], answers[other])]
        near[one, other] = fmean(both) if both else 0.0
    return near


def _most(places: Sequence[str], near: Mapping[tuple[str, str], float]) -> list[str]:
    """Return the largest set of places that agree with one of them; none where two are as large."""
    around = {
        place: [p for p in places if p == place or near[_key(p, place)] >= ALIKE]
        for place in places
    }
    largest = max(around.values(), key=len, default=[])
    left = [place for place in places if place not in largest]
    rival = max((sum(p in left for p in around[place]) for place in left), default=0)
    return largest if len(largest) > rival else []


def _finding(prompt: Asked, answers: Answers, provider: str, kind: str, what: str) -> Finding:
    said = {name: next(iter(runs.values())).answer or Answer() for name, runs in answers.items()}
    return Finding(
        provider=provider,
        prompt=prompt.name,
        kind="wrong" if kind == "wrong" else "differs",
        what=what,
        said=shortened(said.pop(provider).shown()),
        peers={name: shortened(answer.shown()) for name, answer in said.items()},
        weight=prompt.weight,
    )


def _telling(finding: Finding) -> tuple[float, bool]:
    """Put what tells most first, and what is known to be wrong before what differs."""
    return -finding.weight, finding.kind != "wrong"


def _reason(findings: Sequence[Finding]) -> str:
    wrong = [finding.prompt for finding in findings if finding.kind == "wrong"]
    other = [finding.prompt for finding in findings if finding.kind == "differs"]
    said = [f"wrong where its peers are right: {', '.join(wrong)}"] if wrong else []
    said += [f"unlike its peers, who agree: {', '.join(other)}"] if other else []
    return "; ".join(said)


def _both(one: dict[int, Sample], other: dict[int, Sample]) -> list[tuple[Answer, Answer]]:
    """Return the answers of the same run; of different runs where no run has both."""
    runs = sorted(one.keys() & other.keys())
    chosen = [(one[run], other[run]) for run in runs]
    if not chosen:
        chosen = [(one[min(one)], other[min(other)])]
    return [(a.answer, b.answer) for a, b in chosen if a.answer and b.answer]


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)

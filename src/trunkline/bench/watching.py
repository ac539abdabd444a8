"""What a round of a watch says of the marks: who is marked, and who agrees again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from trunkline.bench.agreement import by_prompt
from trunkline.bench.values import Odd, Run
from trunkline.routing.marks import Evidence, Mark, current, lifted, merged, shortened

HOLD = timedelta(days=1)
"""How long a mark lasts that no later round confirms or lifts, at the least."""
_ROUNDS = 3
_ENOUGH = 0.5
"""Part of a round's prompts that a place must have answered to be found in agreement."""


class Change(msgspec.Struct, frozen=True):
    """What a round changes."""

    marks: tuple[Mark, ...]
    """All that there are afterwards."""
    marked: tuple[Mark, ...] = ()
    """Those that this round sets, or confirms."""
    freed: tuple[str, ...] = ()
    """Providers whose mark goes, because they agree again."""


def after_round(marks: Iterable[Mark], run: Run, every: timedelta) -> Change:
    """Return the marks after a round. What a user has set is left alone."""
    now = run.ended
    kept = current(marks, now.timestamp())
    model = run.model.lower()
    until = now + max(HOLD, _ROUNDS * every)
    mine = {m.place for m in kept if m.origin == "user"}
    found = tuple(_mark(run, odd, until) for odd in run.odd)
    fresh = tuple(mark for mark in found if mark.place not in mine)
    agree = in_agreement(run)
    freed = tuple(
        mark.provider
        for mark in kept
        if mark.origin == "bench" and mark.place[1] == model and mark.place[0] in agree
    )
    left = lifted(kept, run.model, freed) if freed else kept
    return Change(merged(left, fresh), fresh, freed)


def in_agreement(run: Run) -> set[str]:
    """Return the places that answered enough, had peers to be compared with, and do not stand out."""
    odd = {row.provider for row in run.odd}
    answered: dict[str, int] = {}
    for answers in by_prompt(run.samples).values():
        for provider in answers if len(answers) > 1 else ():
            answered[provider] = answered.get(provider, 0) + 1
    enough = _ENOUGH * len(run.prompts)
    return {name.lower() for name, n in answered.items() if n >= enough and name not in odd}


def _mark(run: Run, odd: Odd, until: datetime) -> Mark:
    texts = {prompt.name: prompt.text for prompt in run.prompts}
    return Mark(
        provider=odd.provider,
        model=run.model,
        reason=odd.reason,
        evidence=tuple(
            Evidence(
                prompt=shortened(texts.get(finding.prompt, finding.prompt)),
                said=finding.said,
                peers=finding.peers,
                finding=f"{finding.prompt}: {finding.what}",
            )
            for finding in odd.findings
        ),
        since=run.ended,
        until=until,
    )

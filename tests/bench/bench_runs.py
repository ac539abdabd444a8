"""Runs made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from trunkline.bench.agreement import pairs, stand_out
from trunkline.bench.values import Answer, Asked, Place, Run, Sample, Settings

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
SKY = "the sky is blue because small particles scatter short waves of light more than long ones"
SEA = "water looks blue since it absorbs red light first and what remains comes back from the depth"


def sample(
    provider: str, prompt: str = "prose", text: str = SKY, run: int = 0, **more: Any
) -> Sample:
    usual = {"first_token": 0.2, "throughput": 50.0, "cost": Decimal("0.001")}
    answer = None if more.get("error") else Answer(text, finish="stop")
    fields = {**usual, **more}
    if more.get("error"):
        fields |= {"first_token": None, "throughput": None, "cost": Decimal(0)}
    return Sample(provider, prompt, run, 0.0, fields.pop("seconds", 1.0), answer=answer, **fields)


def judged(provider: str, prompt: str, *, right: bool, run: int = 0) -> Sample:
    text, wrong = ("42", None) if right else ("41", "'42' is not in it")
    return sample(provider, prompt, text, run, judged=True, wrong=wrong)


def run_of(samples: Iterable[Sample], **more: Any) -> Run:
    made = tuple(samples)
    names = list(dict.fromkeys(s.provider for s in made))
    kinds = {s.prompt: any(o.judged for o in made if o.prompt == s.prompt) for s in made}
    prompts = tuple(
        Asked(name, f"Asked: {name}?", weight=1.0 if kind else 0.5) for name, kind in kinds.items()
    )
    return Run(
        model=MODEL,
        began=NOON,
        ended=NOON + timedelta(minutes=1),
        router="https://router.example",
        catalog="router, as of today",
        settings=Settings(3, 4, 512, 60.0),
        places=tuple(Place(name, Decimal("0.1"), Decimal("0.2")) for name in names),
        prompts=prompts,
        samples=made,
        pairs=pairs(made),
        odd=stand_out(prompts, made),
        **more,
    )

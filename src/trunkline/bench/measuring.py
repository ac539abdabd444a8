"""A run from its wishes to its result: who is asked, what is asked, and what it all came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from trunkline.bench.agreement import pairs, stand_out, unanswered
from trunkline.bench.asking import Plan, places, steps
from trunkline.bench.prompts import Prompt
from trunkline.bench.spending import Bounds, Purse, pricing_of, total
from trunkline.bench.values import Asked, Run, Sample, Settings
from trunkline.catalog import Catalog, Offer
from trunkline.catalog.questions import look_up, nearest
from trunkline.errors import InvalidInputError
from trunkline.model_id import parse

LeftOut = tuple[Offer, str]


class Wishes(msgspec.Struct, frozen=True):
    """What was asked for."""

    model: str
    prompts: tuple[Prompt, ...]
    settings: Settings
    providers: tuple[str, ...] = ()
    """None: all that are live."""
    assumed: Decimal | None = None
    """Dollars for a million tokens that an unknown price is taken for."""


def plan_for(wishes: Wishes, catalog: Catalog) -> tuple[Plan, tuple[LeftOut, ...]]:
    """Return what a run asks, and which offers it leaves out, each with the reason.

    Raises NotFoundError for a model that the catalog does not have, and InvalidInputError where
    nobody is left to ask.
    """
    if parse(wishes.model).scheme == "sandbox":
        raise InvalidInputError(
            f"{wishes.model} has no providers to compare.",
            hint="`trunkline sandbox` serves models that have, under their real names.",
        )
    entry, asked = look_up(catalog, wishes.model)
    names = wishes.providers or ((asked.provider,) if asked.provider else ())
    offers = _named(entry.id, entry.providers, names) if names else entry.providers
    kept: list[Offer] = []
    left: list[LeftOut] = []
    for offer in offers:
        why = _why_not(offer, wishes.assumed, named=bool(names))
        if why is None:
            kept.append(offer)
        else:
            left.append((offer, why))
    if not kept:
        told = "; ".join(f"{offer.provider}: {why}" for offer, why in left)
        raise InvalidInputError(
            f"Nobody is left to ask for {entry.id}: {told or 'no provider serves it'}.",
            hint="--spend-unknown PRICE counts an unknown price as so many dollars for a million "
            "tokens."
            if any("price" in why for _, why in left)
            else None,
        )
    plan = Plan(entry.id, tuple(kept), wishes.prompts, wishes.settings, catalog, wishes.assumed)
    return plan, tuple(left)


def bounds_of(plan: Plan) -> tuple[int, Bounds]:
    """Return how many calls a plan makes, and what they cost: likely and at most."""
    found = list(steps(plan))
    return len(found), total(Bounds(step.likely, step.most) for step in found)


def result(  # noqa: PLR0913 - what a run consists of
    plan: Plan,
    left_out: Iterable[LeftOut],
    samples: Sequence[Sample],
    purse: Purse,
    *,
    began: datetime,
    ended: datetime,
    notes: Iterable[str] = (),
) -> Run:
    """Return a run's result."""
    catalog = plan.catalog
    prompts = tuple(_shown(prompt) for prompt in plan.prompts)
    nobody = unanswered(prompts, samples)
    said = [*notes, *_remarks(samples)]
    if nobody:
        said.append(
            f"No place gave the answer expected to {', '.join(nobody)}: that tells of the model, "
            "and is held against no place."
        )
    order = {offer.provider: at for at, offer in enumerate(plan.offers)}
    return Run(
        model=plan.model,
        began=began,
        ended=ended,
        router=catalog.router,
        catalog=f"{catalog.source}, as of {catalog.as_of:%Y-%m-%d %H:%M} UTC",
        settings=plan.settings,
        places=places(plan, left_out),
        prompts=prompts,
        samples=tuple(sorted(samples, key=lambda s: (order[s.provider], s.began))),
        pairs=pairs(samples),
        odd=stand_out(prompts, samples),
        notes=tuple(said),
        spent=purse.known,
        unsure=purse.unsure,
    )


def _remarks(samples: Sequence[Sample]) -> list[str]:
    """Say what makes a run's numbers other than they look."""
    found: list[str] = []
    silent = [sample for sample in samples if sample.answer is not None and sample.answer.ran_out]
    if silent:
        names = ", ".join(dict.fromkeys(sample.provider for sample in silent))
        found.append(
            f"{len(silent)} answers of {names} reached the limit on tokens before they said anything, "
            "and count as none: a higher --max-tokens leaves room for reasoning."
        )
    strangers = {
        (s.provider, s.served_by) for s in samples if s.served_by not in (None, s.provider)
    }
    found += [
        f"Calls to {asked} were answered by {who}." for asked, who in sorted(strangers, key=str)
    ]
    return found


def _named(model: str, offers: Iterable[Offer], names: Iterable[str]) -> list[Offer]:
    """Return the offers of the providers that were named; raises InvalidInputError for another."""
    by_name = {offer.provider: offer for offer in offers}
    found: list[Offer] = []
    for name in dict.fromkeys(name.lower() for name in names):
        if name not in by_name:
            near = nearest(name, by_name)
            raise InvalidInputError(
                f"The catalog has no offer of {model} by {name!r}.",
                hint=f"Did you mean {' or '.join(near)}?"
                if near
                else f"It is served by {', '.join(by_name)}.",
            )
        found.append(by_name[name])
    return found


def _why_not(offer: Offer, assumed: Decimal | None, *, named: bool) -> str | None:
    if not named and not offer.maybe_live:
        return f"it is not live ({offer.status})"
    if pricing_of(offer, assumed) is None:
        return "its price is not known"
    return None


def _shown(prompt: Prompt) -> Asked:
    text = prompt.text
    return Asked(
        prompt.name,
        text if len(text) <= 300 else f"{text[:150]} ... {text[-100:]}",
        prompt.looks_at,
        None if prompt.expect is None else str(prompt.expect),
        prompt.counts,
    )

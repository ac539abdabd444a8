"""The most that a call can cost, which is held before it is sent, and what becomes of calls without one."""

from __future__ import annotations

import msgspec

from trunkline.gateway import quote
from trunkline.gateway.asked import MEDIA, Asked
from trunkline.gateway.config import Money
from trunkline.gateway.guard import Holder, Refusal
from trunkline.gateway.plans import Plan
from trunkline.store.records import Endpoint
from trunkline.types.money import picos

_NO_PRICE = Refusal(
    402,
    "price_unknown",
    "What this call could cost is not known, so it cannot be held against a budget.",
    "Set max_tokens, choose a model with a known price, or have the operator set "
    "a price for it (upstreams.<name>.prices) or money.unknown_price.",
)
_NO_CALL_PRICE = msgspec.structs.replace(
    _NO_PRICE,
    hint="Have the operator set a price for a call of this model "
    "(upstreams.<name>.prices.<model>.request) or money.unknown_price.",
)


def most(asked: Asked, size: int, plan: Plan, endpoint: Endpoint) -> tuple[int | None, int]:
    """Return the most that a call can cost at the dearest of its targets, and its likely tokens."""
    targets = plan.targets
    output = endpoint != "embeddings"
    amount, likely = quote.most(asked, size, targets[0].tariff, output=output)
    if endpoint in MEDIA:
        amounts = [quote.most_of_media(asked, t.tariff) for t in targets]
        likely = quote.text_tokens(size)
    elif len(targets) > 1:
        amounts = [quote.most(asked, size, t.tariff, output=output)[0] for t in targets]
    else:
        return amount, likely
    known = [amount for amount in amounts if amount is not None]
    return (max(known) if len(known) == len(amounts) else None), likely


def unpriced(money: Money, holder: Holder, endpoint: Endpoint) -> tuple[Refusal | None, int]:
    """Do what the operator chose for a call whose most is unknown: refuse it, or hold so much."""
    chosen = money.unknown_price
    if chosen == "refuse" or (chosen == "refuse-if-budgeted" and holder.budgeted):
        return _NO_CALL_PRICE if endpoint in MEDIA else _NO_PRICE, 0
    return None, picos(money.fixed_reserve) if chosen == "reserve" else 0

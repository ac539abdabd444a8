"""A call that asks to be let in: what it is, and whether its caller could have it sent now."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.gateway import reserve
from trunkline.gateway.asked import Asked
from trunkline.gateway.config import Money
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.guard import LATER, Holder, Refusal
from trunkline.gateway.leased import LeasedHolder
from trunkline.gateway.plans import Plan
from trunkline.store.records import Endpoint, Priority


class Entrant(msgspec.Struct, frozen=True, eq=False):
    """Nothing has been held for it."""

    exchange: Exchange
    holder: Holder
    asked: Asked
    endpoint: Endpoint
    money: Money
    hold: Callable[[Plan], None]
    """Goes on with a plan whose first target lets it in, or asks anew."""

    @property
    def kind(self) -> Priority:
        """Whether it may wait behind others: what `service_tier` asks for says so too."""
        if self.asked.body.get("service_tier") == "flex":
            return "batch"
        return self.exchange.urgency.kind

    def lacks(self, plan: Plan) -> Refusal | None:
        """Return why its caller could not have it sent at once, whoever let it in."""
        amount, likely = reserve.most(self.asked, self.exchange.size, plan, self.endpoint)
        if amount is None:
            refusal, amount = reserve.unpriced(self.money, self.holder, self.endpoint)
            if refusal is not None:
                return refusal
        edge = self.exchange.connection.edge
        refusal = _lacking(self.holder, amount, likely, edge.now, edge.wall)
        return None if refusal is LATER else refusal


def _lacking(holder: Holder, amount: int, tokens: int, now: float, wall: float) -> Refusal | None:
    if isinstance(holder, LeasedHolder):
        return holder.lacking(amount, tokens, now, wall)
    for purse in holder.purses:
        if not purse.began <= wall < purse.ends:
            purse.turn(wall)
        if purse.spent + purse.charges.held + amount > purse.limit:
            return purse.refusal(amount, wall)
    for meter in holder.meters:
        refusal = meter.refusal(tokens, now)
        if refusal is not None:
            return refusal
    return None

"""Prices as calls are held and settled by them: of the router's offers, and of the configuration. Pure."""

from __future__ import annotations

from decimal import Decimal

from trunkline.catalog import Offer
from trunkline.gateway.config import Price
from trunkline.gateway.quote import Tariff
from trunkline.types.money import picos


def dearest(tariffs: dict[str, Tariff]) -> Tariff:
    """Return one tariff that no other of them exceeds; unknown where one of them is."""
    rows = list(tariffs.values())
    if not rows or any(row.input is None or row.output is None for row in rows):
        known = [row.context for row in rows if row.context is not None]
        return Tariff(context=max(known, default=None))
    contexts = [row.context for row in rows]
    return Tariff(
        max(row.input or 0 for row in rows),
        max(row.output or 0 for row in rows),
        None if None in contexts else max(c for c in contexts if c is not None),
        rows[0].source,
    )


def offer_tariff(offer: Offer, source: str) -> Tariff:
    """Return the prices of an offer of the catalog."""
    told = f"{source}, {offer.origin}" if offer.origin else source
    if offer.is_free:
        return Tariff(0, 0, offer.context_length, told)
    pricing = offer.pricing
    return Tariff(_pico(pricing.input), _pico(pricing.output), offer.context_length, told)


def configured_tariff(price: Price) -> Tariff:
    """Return the prices that the operator gave."""
    per_call = _pico(price.request)
    if price.input is None:
        return Tariff(None, None, price.context, "configuration", per_call)
    given = (picos(price.input), picos(price.output))
    return Tariff(*given, price.context, "configuration", per_call)


def _pico(price: Decimal | None) -> int | None:
    return None if price is None else picos(price)

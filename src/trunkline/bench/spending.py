"""What a run may cost: the likely and the most, and a purse that is never exceeded. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from trunkline.bench.prompts import Prompt
from trunkline.catalog import Offer
from trunkline.providers.prices import FREE, Pricing, price_of
from trunkline.wire import strict_json

_TEMPLATE = 256
"""Tokens that a chat's template, tools' wrapping and the like can add."""
_PART = 20_000
"""Tokens that a part which is no text is taken to be at most."""
_BYTES_A_TOKEN = 4


class Bounds(msgspec.Struct, frozen=True):
    """Dollars for one call, or for many."""

    likely: Decimal
    most: Decimal


def pricing_of(offer: Offer, assumed: Decimal | None) -> Pricing | None:
    """Return an offer's prices, `assumed` where it tells none; None where nothing is known."""
    if offer.is_free:
        return FREE
    prices = offer.pricing
    if prices.input is not None and prices.output is not None:
        return prices
    if assumed is None:
        return None
    return Pricing(
        assumed if prices.input is None else prices.input,
        assumed if prices.output is None else prices.output,
    )


def bounds(prompt: Prompt, max_tokens: int, pricing: Pricing) -> Bounds:
    """Return what one call costs: likely by four bytes a token, at most by one."""
    size, parts = _size(prompt)
    likely = price_of(size // _BYTES_A_TOKEN + parts * _PART // 10, max_tokens // 4, pricing)
    most = price_of(size + _TEMPLATE + parts * _PART, max_tokens, pricing)
    return Bounds(likely or Decimal(0), most or Decimal(0))


def total(many: Iterable[Bounds]) -> Bounds:
    """Add up."""
    found = list(many)
    return Bounds(
        sum((b.likely for b in found), Decimal(0)), sum((b.most for b in found), Decimal(0))
    )


class Purse:
    """What a run may spend. What is reserved counts as spent until it is known what it came to."""

    def __init__(self, cap: Decimal | None) -> None:
        """Set the cap; None is none."""
        self.cap = cap
        self.known = Decimal(0)
        """What is known to have been spent."""
        self.unsure = Decimal(0)
        """What calls of unknown cost can have come to."""
        self.held = Decimal(0)
        """What calls under way can come to."""

    @property
    def left(self) -> Decimal | None:
        """What may still be spent."""
        return None if self.cap is None else self.cap - self.known - self.unsure - self.held

    def hold(self, most: Decimal) -> bool:
        """Reserve what a call can come to; False, and nothing is reserved, where that is too much."""
        left = self.left
        if left is not None and most > left:
            return False
        self.held += most
        return True

    def settle(self, most: Decimal, cost: Decimal | None) -> None:
        """Give back what was reserved, and count what it came to; unknown, all of it stays counted."""
        self.held -= most
        if cost is None:
            self.unsure += most
        else:
            self.known += cost


def _size(prompt: Prompt) -> tuple[int, int]:
    """Return the bytes of all texts, and how many parts are none."""
    parts = 0
    told: list[object] = [list(prompt.tools), prompt.response_format]
    for message in prompt.messages:
        content = message.get("content")
        if isinstance(content, list):
            texts = [p for p in content if isinstance(p, dict) and p.get("type") == "text"]
            parts += len(content) - len(texts)
            message = {**message, "content": texts}  # noqa: PLW2901 - the same, without the rest
        told.append(message)
    return len(strict_json.encode(told)), parts

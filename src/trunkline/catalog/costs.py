"""What a call cost, or may cost: a receipt's tokens times a catalog's prices. Pure.

A number that is not known makes the amount unknown; it is never taken for zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from trunkline import model_id
from trunkline.catalog.entries import Catalog, ModelEntry, Offer
from trunkline.catalog.questions import candidates, look_up
from trunkline.dialects.messages import prepare_messages
from trunkline.errors import InvalidInputError
from trunkline.providers.prices import FREE, Pricing, exact, price_of, total
from trunkline.routing.record import count_tokens
from trunkline.types import Completion, Messages, Receipt, TokenCount
from trunkline.types.cost import Cost, Estimate, OfferEstimate
from trunkline.types.record import Record
from trunkline.types.results import EmbeddingResponse
from trunkline.wire import strict_json
from trunkline.wire.message import parse_url

_REPORTED = ("estimated_cost",)
"""Fields of a usage in which providers tell the cost in US dollars (DeepInfra)."""


_REMARKS = {
    "cached_tokens": "cached tokens count in full: no rate is known for them.",
    "cache_creation_input_tokens": "tokens put into a cache count in full: no rate is known for it.",
    "reasoning_tokens": "reasoning tokens count as output.",
}
"""What is said of a usage's fields."""


class _Call(msgspec.Struct, frozen=True):
    """What of an answer its cost rests on."""

    receipt: Receipt
    tokens: TokenCount
    usage: Record | None

    @property
    def provider(self) -> str | None:
        return self.receipt.provider

    @property
    def url(self) -> str | None:
        return self.receipt.attempts[-1].url if self.receipt.attempts else None


def cost(result: Any, catalog: Catalog, *, model: str | None = None) -> Cost:
    """Return what a result cost: anything with a receipt, a stream included.

    What the provider reported counts; else the tokens of the receipt times the prices of the
    provider that served it. `model` is the model string that was called, where the receipt does
    not have it. Never raises for what is unknown: the `amount` is None and `detail` says why.
    """
    usage = getattr(result, "usage", None)
    usage = usage if isinstance(usage, Record) else None
    told = _reported(usage)
    if told is not None:
        field, amount = told
        return Cost(amount, source="provider", detail=f"The provider's own word (usage.{field}).")
    receipt = getattr(result, "receipt", None)
    if not isinstance(receipt, Receipt):
        return Cost(detail="There is no receipt, so nobody knows who answered.")
    name = model or receipt.called or (receipt.attempts[-1].model if receipt.attempts else None)
    if name is None:
        return Cost(detail="The receipt does not say which model was called.")
    tokens = receipt.tokens
    if isinstance(result, EmbeddingResponse):  # nothing is generated
        tokens = msgspec.structs.replace(tokens, output=0)
    return _by_catalog(_Call(receipt, tokens, usage), name, catalog)


def estimate(
    catalog: Catalog,
    model: str,
    messages: Messages | str,
    *,
    max_tokens: int | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> Estimate:
    """Return what a chat would cost at each provider that it can go to.

    Raises NotFoundError for a model that the catalog does not have, and InvalidInputError for what
    is no model string, no messages or no limit.
    """
    if max_tokens is not None and max_tokens < 0:
        raise InvalidInputError(f"max_tokens is {max_tokens}; it cannot be below 0.")
    entry, asked = look_up(catalog, model)
    prepared = prepare_messages(
        [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    )
    tokens = _text_tokens(prepared, tools)
    more = _has_more_than_text(prepared)
    rows = tuple(
        _offer_estimate(offer, tokens, max_tokens, open_end=more)
        for offer in candidates(entry, asked.provider)
    )
    return Estimate(
        model=entry.id,
        input_tokens=tokens,
        offers=rows,
        low=_bound(min, [row.low for row in rows]),
        high=_bound(max, [row.high for row in rows]),
        source=catalog.source,
        as_of=catalog.as_of,
        detail=_estimate_detail(catalog, entry, rows, more=more),
    )


def sum_costs(costs: Iterable[Cost]) -> Cost:
    """Return several costs as one; unknown where one of them is."""
    parts = list(costs)
    amount = total(part.amount for part in parts)
    if amount is None:
        unknown = [part.detail for part in parts if part.amount is None]
        detail = f"{len(unknown)} of {len(parts)} are unknown. The first: {unknown[0]}"
        return Cost(detail=detail, estimated=any(part.estimated for part in parts))
    reported = all(part.source == "provider" for part in parts)
    dates = [part.as_of for part in parts if part.as_of is not None]
    return Cost(
        amount,
        source="provider" if reported and parts else "catalog",
        as_of=min(dates, default=None),
        detail=f"The sum of {len(parts)}.",
        estimated=any(part.estimated for part in parts),
    )


def _reported(usage: Record | None) -> tuple[str, Decimal] | None:
    for field in _REPORTED if usage else ():
        amount = exact(usage.get(field)) if usage else None
        if amount is not None:
            return field, amount
    return None


def _by_catalog(call: _Call, name: str, catalog: Catalog) -> Cost:
    if call.provider is None and call.url is not None and not _through(call, catalog):
        return Cost(detail="The answer is from a server whose prices the catalog does not have.")
    try:
        asked = model_id.parse(name)
    except InvalidInputError:
        return Cost(detail=f"{name!r} is no name that the catalog could have.")
    entry = catalog.find(asked.name)
    if entry is None:
        return Cost(detail=f"The catalog ({_told(catalog)}) has no model {asked.name!r}.")
    provider = call.provider or asked.provider
    if provider is None:
        return _unseen(call, entry, catalog)
    offer = entry.offer(provider)
    if offer is None:
        return Cost(
            detail=f"The catalog ({_told(catalog)}) has no price of {entry.id} at {provider}."
        )
    return _at(call, entry, offer, catalog)


def _at(call: _Call, entry: ModelEntry, offer: Offer, catalog: Catalog) -> Cost:
    """Return the cost at the provider that served the answer."""
    if offer.is_free:
        return Cost(
            Decimal(0),
            source="catalog",
            as_of=catalog.as_of,
            input_price=FREE.input,
            output_price=FREE.output,
            detail=f"{entry.id} is free at {offer.provider} ({_told(catalog, offer)}).",
        )
    amount = price_of(call.tokens.input, call.tokens.output, offer.pricing)
    source = f"Prices of {offer.provider} ({_told(catalog, offer)})."
    return Cost(
        amount,
        source="unknown" if amount is None else "catalog",
        as_of=catalog.as_of,
        input_price=offer.pricing.input,
        output_price=offer.pricing.output,
        detail=" ".join([*_missing(call, offer.pricing), source, *_remarks(call, catalog)]),
        estimated=call.tokens.source == "estimated",
    )


def _unseen(call: _Call, entry: ModelEntry, catalog: Catalog) -> Cost:
    """Return what is known where nobody said who served the answer."""
    prices = [_pricing(offer) for offer in candidates(entry, None)]
    amounts = [price_of(call.tokens.input, call.tokens.output, p) for p in prices]
    low, high = _bound(min, amounts), _bound(max, amounts)
    said = "The router chose a provider and did not say which."
    spread = f" Of {len(amounts)} it can be ({_told(catalog)})." if low is not None else ""
    return Cost(
        as_of=catalog.as_of if low is not None else None,
        detail=said + spread,
        estimated=call.tokens.source == "estimated",
        low=low,
        high=high,
    )


def _pricing(offer: Offer) -> Pricing:
    return FREE if offer.is_free else offer.pricing


def _missing(call: _Call, pricing: Pricing) -> list[str]:
    """Say what the amount lacks."""
    sides = (
        ("input", call.tokens.input, pricing.input),
        ("output", call.tokens.output, pricing.output),
    )
    found = [f"{side} tokens" for side, count, _ in sides if count is None or count < 0]
    found += [f"{side} price" for side, count, price in sides if price is None and count != 0]
    return [f"Unknown: {', '.join(found)}."] if found else []


def _remarks(call: _Call, catalog: Catalog) -> list[str]:
    """Say what the amount rests on besides prices and counts."""
    said: list[str] = []
    if call.tokens.source == "estimated":
        said.append("The tokens are estimated from the text.")
    for field, remark in _REMARKS.items():
        count = call.usage.get(field) if call.usage else None
        if isinstance(count, int) and count > 0:
            said.append(f"{count} {remark}")
    if call.url is not None and not _through(call, catalog):
        said.append("The call did not go through this router; its bill may differ.")
    return said


def _through(call: _Call, catalog: Catalog) -> bool:
    """Tell whether the call went to the router whose offers the catalog has."""
    router = str(parse_url(catalog.router)).rstrip("/").removesuffix("/v1")
    return call.url is not None and call.url.startswith(f"{router}/")


def _told(catalog: Catalog, offer: Offer | None = None) -> str:
    origin = f": {offer.origin}" if offer is not None and offer.origin else ""
    return f"{catalog.source}{origin}, as of {catalog.as_of:%Y-%m-%d %H:%M} UTC"


def _text_tokens(messages: list[dict[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> int:
    """Count as receipts do where the provider tells nothing."""
    counted = list(messages)
    if tools:
        text = strict_json.encode(list(tools)).decode()
        counted.append({"role": "system", "content": text})
    return count_tokens(None, Completion(None, None, []), counted).input or 0


def _has_more_than_text(messages: list[dict[str, Any]]) -> bool:
    contents = [m["content"] for m in messages if isinstance(m.get("content"), list)]
    return any(part.get("type") != "text" for content in contents for part in content)


def _offer_estimate(
    offer: Offer, tokens: int, max_tokens: int | None, *, open_end: bool
) -> OfferEstimate:
    pricing = _pricing(offer)
    limits = [n for n in (max_tokens, offer.context_length) if n is not None]
    longest = min(limits, default=None)
    return OfferEstimate(
        provider=offer.provider,
        low=price_of(tokens, 0, pricing),
        high=None if open_end and not offer.is_free else price_of(tokens, longest, pricing),
        input_price=pricing.input,
        output_price=pricing.output,
        max_output_tokens=longest,
    )


def _bound(pick: Any, amounts: list[Decimal | None]) -> Decimal | None:
    """Return the least or the most of amounts that are all known."""
    known = [amount for amount in amounts if amount is not None]
    return pick(known) if known and len(known) == len(amounts) else None


def _estimate_detail(
    catalog: Catalog, entry: ModelEntry, rows: tuple[OfferEstimate, ...], *, more: bool
) -> str:
    if not rows:
        return f"The catalog ({_told(catalog)}) has no such offer of {entry.id}."
    said = [f"Prices: {_told(catalog)}. The input is estimated from the text."]
    if more:
        said.append("What is no text costs more, and is not counted.")
    unknown = [row.provider for row in rows if row.low is None or row.high is None]
    if unknown and not more:
        said.append(f"Unknown at {', '.join(unknown)}.")
    return " ".join(said)

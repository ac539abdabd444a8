"""From what the catalog knows of a model to the places that a route may choose from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trunkline.providers.prices import FREE
from trunkline.providers.table import PROVIDERS
from trunkline.routing.ranking import Option

if TYPE_CHECKING:
    from trunkline.catalog.entries import ModelEntry, Offer
    from trunkline.routing.policy import Need


def option_of(entry: ModelEntry, offer: Offer) -> Option:
    """Return one provider's place."""
    row = PROVIDERS.get(offer.provider)
    latency = offer.first_token_latency_ms
    return Option(
        name=offer.provider,
        provider=offer.provider,
        model=entry.id,
        pricing=FREE if offer.is_free else offer.pricing,
        context=offer.context_length,
        can=_abilities(entry, offer),
        live=offer.maybe_live,
        first_token=None if latency is None else latency / 1000,
        throughput=offer.throughput,
        region=None if row is None else row.region,
    )


def _abilities(entry: ModelEntry, offer: Offer) -> Mapping[Need, bool | None]:
    kinds = entry.input_modalities
    return {
        "tools": offer.supports_tools,
        "json_schema": offer.supports_structured_output,
        "vision": "image" in kinds if kinds else None,
        "audio": "audio" in kinds if kinds else None,
        "reasoning": entry.reasoning,
    }

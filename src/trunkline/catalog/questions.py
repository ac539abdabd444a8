"""What can be asked of a catalog: which models, what of one, what it can do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from trunkline import model_id
from trunkline.catalog.entries import Catalog, ModelEntry, Offer
from trunkline.errors import InvalidInputError, NotFoundError
from trunkline.model_id import ModelId

Capability = Literal["tools", "vision", "audio", "reasoning", "json_schema", "structured_output"]

_OF_OFFERS: dict[str, Callable[[Offer], bool | None]] = {
    "tools": lambda offer: offer.supports_tools,
    "json_schema": lambda offer: offer.supports_structured_output,
    "structured_output": lambda offer: offer.supports_structured_output,
}
"""Where providers differ."""
_OF_MODELS: dict[str, Callable[[ModelEntry], bool | None]] = {
    "vision": lambda entry: _takes(entry, "image"),
    "audio": lambda entry: _takes(entry, "audio"),
    "reasoning": lambda entry: entry.reasoning,
}
"""What a model can do wherever it runs."""


def models(
    catalog: Catalog,
    search: str | None = None,
    *,
    provider: str | None = None,
    capability: Capability | None = None,
    live: bool = True,
    limit: int | None = None,
) -> list[ModelEntry]:
    """Return the models, each with the offers that fit.

    The words of `search` are all in a model's name. `capability` is known to be there. With `live`,
    offers that are known not to be live are left out. Raises InvalidInputError for an unknown
    capability, a search that is no text and a limit below 0.
    """
    if search is not None and not isinstance(search, str):
        raise InvalidInputError(f"search is {search!r:.80}; words of a model's name are expected.")
    if limit is not None and limit < 0:
        raise InvalidInputError(f"limit is {limit}; it cannot be below 0.")
    words = (search or "").lower().split()
    provider = provider.lower() if isinstance(provider, str) else None
    narrowed = provider is not None or capability in _OF_OFFERS
    found: list[ModelEntry] = []
    for entry in catalog.entries:
        if not all(word in entry.id.lower() for word in words):
            continue
        if capability is not None and not _may(entry, capability):
            continue
        offers = tuple(o for o in entry.providers if _fits(o, provider, capability, live=live))
        if offers or not narrowed:
            found.append(msgspec.structs.replace(entry, providers=offers))
    return found[:limit]


def model_info(catalog: Catalog, model: str) -> ModelEntry:
    """Return what is known of a model; with a provider in its name, only that provider's offer.

    Raises NotFoundError, with the nearest names, for a model that the catalog does not have, and
    InvalidInputError for what is no model string.
    """
    entry, asked = look_up(catalog, model)
    if asked.provider is None:
        return entry
    offer = entry.offer(asked.provider)
    return msgspec.structs.replace(entry, providers=() if offer is None else (offer,))


def supports(catalog: Catalog, model: str, capability: Capability) -> bool | None:
    """Tell whether a model can do something; None is unknown, nothing is guessed.

    With a provider in the model's name that provider counts. Where the router chooses: True if
    every provider it can choose does, False if none of them, else None. Raises as model_info, and
    InvalidInputError for an unknown capability.
    """
    entry, asked = look_up(catalog, model)
    if capability in _OF_MODELS:
        return _OF_MODELS[capability](entry)
    read = _of_offers(capability)
    told = {read(offer) for offer in candidates(entry, asked.provider)}
    return told.pop() if len(told) == 1 else None


def look_up(catalog: Catalog, model: str) -> tuple[ModelEntry, ModelId]:
    """Return a model's entry and how its string reads; raises as model_info."""
    asked = model_id.parse(model)
    entry = catalog.find(asked.name)
    if entry is not None:
        return entry, asked
    near = nearest(asked.name, [entry.id for entry in catalog.entries])
    raise NotFoundError(
        f"The catalog ({catalog.source}, {catalog.as_of:%Y-%m-%d}) has no model {asked.name!r}.",
        model=model,
        hint=f"Did you mean {' or '.join(near)}?" if near else None,
    )


def candidates(entry: ModelEntry, provider: str | None) -> tuple[Offer, ...]:
    """Return the offers that a call can go to: the provider's, else all that may be live."""
    if provider is None:
        return tuple(offer for offer in entry.providers if offer.maybe_live)
    offer = entry.offer(provider)
    return () if offer is None else (offer,)


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Return the names most like `name`, those with the same last part first."""
    import difflib  # slow to load and rarely needed

    known = {other.lower(): other for other in names}
    last = name.lower().rpartition("/")[2]
    same = [lower for lower in known if lower.rpartition("/")[2] == last]
    near = difflib.get_close_matches(name.lower(), known, n=count)
    return [known[lower] for lower in dict.fromkeys([*same, *near])][:count]


def _fits(offer: Offer, provider: str | None, capability: Capability | None, *, live: bool) -> bool:
    read = _OF_OFFERS.get(capability or "")
    return (
        (offer.maybe_live or not live)
        and provider in (None, offer.provider)
        and (read is None or read(offer) is True)
    )


def _may(entry: ModelEntry, capability: Capability) -> bool:
    """Tell whether the model itself rules the capability out; its offers are looked at later."""
    if capability in _OF_MODELS:
        return _OF_MODELS[capability](entry) is True
    _of_offers(capability)
    return True


def _of_offers(capability: str) -> Callable[[Offer], bool | None]:
    try:
        return _OF_OFFERS[capability]
    except KeyError:
        known = ", ".join(sorted([*_OF_OFFERS, *_OF_MODELS]))
        raise InvalidInputError(
            f"{capability!r} is no capability.", hint=f"Known are {known}."
        ) from None


def _takes(entry: ModelEntry, kind: str) -> bool | None:
    return kind in entry.input_modalities if entry.input_modalities else None

"""From a route's configuration to its places: who may be asked, under which names, and what is known of each.

A model of Hugging Face without a provider becomes all that serve it, where the route chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from trunkline import model_id
from trunkline.catalog import Catalog, ModelEntry, Offer
from trunkline.catalog.options import option_of
from trunkline.errors import InvalidInputError
from trunkline.gateway.config import Config, RouteRules
from trunkline.gateway.config import Target as RouteTarget
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.config_route_rules import is_routed, policy_of, settings_of, target_name
from trunkline.providers.prices import Pricing
from trunkline.providers.table import PROVIDERS
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option

if TYPE_CHECKING:
    from trunkline.gateway.plans import Target

_CHOOSING = ("max_price", "max_input_price", "min_context", "needs", "allow", "deny", "regions")
"""Settings that are about who serves a model."""
_MOST_FALLBACKS = 50


class Spot(msgspec.Struct, frozen=True):
    """One place of a route."""

    upstream: str
    model: str
    """As its upstream is asked for it."""
    name: str = ""
    fallback: int = 0
    """0 for the route's own, then 1 for those of its first fallback, ..."""
    can: tuple[str, ...] = ()
    entry: ModelEntry | None = None
    offer: Offer | None = None


class Way(msgspec.Struct, frozen=True):
    """The places of one name, and by which policy they are asked."""

    spots: tuple[Spot, ...]
    policy: Policy | None = None
    """None where there is one place, which is asked as it is."""


class RoutePlaces:
    """Finds the places of a name."""

    def __init__(
        self,
        config: Config,
        catalog: Callable[[], Catalog],
        resolve: Callable[[str], tuple[str, str]],
    ) -> None:
        """`resolve` returns upstream and model of a name that is no route; raises for unknown ones."""
        self._config = config
        self._catalog = catalog
        self._resolve = resolve

    def way(self, name: str, *, chats: bool = True) -> Way:
        """Return the places of a name; raises what `resolve` does. `chats` says what it is asked for."""
        config = self._config
        route = config.routes.get(name)
        rules: RouteRules = config.default_route if route is None else route
        if route is None and not (chats and settings_of(rules) and self._is_open(name)):
            upstream, model = self._resolve(name)
            return Way((Spot(upstream, model),))
        own = tuple(self._own(name, rules))
        spots = _distinct((*own, *self._fallbacks(name, rules)))
        plain = len(spots) == 1 and not settings_of(rules)
        return Way(spots, None if plain else policy_of(rules))

    def _is_open(self, name: str) -> bool:
        """Tell whether a name leaves it to others who of Hugging Face's providers serves it."""
        upstream, model = self._resolve(name)
        try:
            return is_routed(upstream, self._config) and model_id.parse(model).suffix is None
        except InvalidInputError:
            return False

    def _own(self, name: str, rules: RouteRules) -> Iterator[Spot]:
        route = self._config.routes.get(name)
        targets: Iterable[RouteTarget]
        targets = (RouteTarget(*self._resolve(name)),) if route is None else route.targets
        several = len(tuple(targets)) > 1
        for target in targets:
            spots = self._spots(target, rules)
            if several and len(spots) > 1:
                taken = [f"{target.model}:{spot.name}" for spot in spots]
                spots = [
                    msgspec.structs.replace(spot, name=name)
                    for spot, name in zip(spots, taken, strict=True)
                ]
            yield from spots

    def _spots(self, target: RouteTarget, rules: RouteRules) -> list[Spot]:
        """Return the place of a target; or those of all who serve it."""
        upstream = self._config.upstreams.get(target.upstream)
        name, can = target_name(target, self._config), target.can or ()
        spot = Spot(target.upstream, target.model, name, can=can)
        if upstream is not None and upstream.kind != "huggingface":
            return [spot]
        try:
            asked = model_id.parse(target.model)
        except InvalidInputError:
            return [spot]
        entry = self._catalog().find(asked.name)
        if entry is None or asked.scheme != "huggingface" or asked.policy is not None:
            return [spot]
        if asked.provider is not None:
            return [msgspec.structs.replace(spot, entry=entry, offer=entry.offer(asked.provider))]
        if not _chooses(rules):
            return [spot]
        return [
            Spot(
                target.upstream,
                f"{asked.name}:{offer.provider}",
                offer.provider,
                0,
                can,
                entry,
                offer,
            )
            for offer in entry.providers
        ] or [spot]

    def _fallbacks(self, name: str, rules: RouteRules) -> Iterator[Spot]:
        """Yield the places of fallbacks, and of theirs; a route that leads back was refused at load."""
        waiting, seen = list(rules.fallbacks or ()), {name}
        group = 0
        while waiting and group < _MOST_FALLBACKS:
            fallback = waiting.pop(0)
            if fallback in seen:
                continue
            seen.add(fallback)
            group += 1
            route = self._config.routes.get(fallback)
            spots = list(self._own(fallback, rules))
            for spot in spots:
                called = fallback if len(spots) == 1 else f"{fallback} > {spot.name}"
                yield msgspec.structs.replace(spot, name=called, fallback=group)
            waiting[:0] = (route.fallbacks or ()) if route is not None else ()


def option_for(spot: Spot, target: Target, upstream: UpstreamConfig) -> Option:
    """Return what is known of a place."""
    told = upstream.prices.get(spot.model) or upstream.prices.get("*")
    if spot.entry is not None:
        told = upstream.prices.get(spot.entry.id) or told
    provider = target.provider or spot.upstream
    if spot.entry is not None and spot.offer is not None:
        option = option_of(spot.entry, spot.offer)
    else:
        row = PROVIDERS.get(provider)
        model = spot.model if spot.entry is None else spot.entry.id
        region = None if row is None else row.region
        option = Option(spot.name, provider, model, context=target.tariff.context, region=region)
    changes = {"name": spot.name, "account": spot.upstream, "fallback": spot.fallback}
    option = msgspec.structs.replace(option, **changes)
    if told is not None and told.input is not None:
        pricing = Pricing(told.input, told.output)
        context = told.context or option.context
        option = msgspec.structs.replace(option, pricing=pricing, context=context)
    if spot.can:
        option = msgspec.structs.replace(
            option, can={**option.can, **dict.fromkeys(spot.can, True)}
        )
    return option


def _chooses(rules: RouteRules) -> bool:
    return rules.order != "fixed" or any(getattr(rules, name) for name in _CHOOSING)


def _distinct(spots: Iterable[Spot]) -> tuple[Spot, ...]:
    """Leave out what is there already, and names that stand for another place."""
    found: dict[tuple[str, str], Spot] = {}
    for spot in spots:
        found.setdefault((spot.upstream, spot.model), spot)
    names: set[str] = set()
    distinct: list[Spot] = []
    for spot in found.values():
        name = spot.name if spot.name not in names else f"{spot.upstream}/{spot.model}"
        names.add(name)
        distinct.append(msgspec.structs.replace(spot, name=name))
    return tuple(distinct)

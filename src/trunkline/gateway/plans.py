"""From the model that a client names to where its call goes: targets in their order, ready to be asked.

Plans are made once for a name and kept until the configuration or the catalog changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from trunkline import model_id
from trunkline.catalog import Catalog
from trunkline.catalog.questions import candidates, nearest
from trunkline.errors import InvalidInputError
from trunkline.gateway.apis import head_for, speaks
from trunkline.gateway.asked import MEDIA
from trunkline.gateway.config import Config
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.connected import Connected, request_head
from trunkline.gateway.gates import Gates
from trunkline.gateway.quote import UNKNOWN, Tariff
from trunkline.gateway.route_places import RoutePlaces, Spot, option_for
from trunkline.gateway.tariffs import configured_tariff, dearest, offer_tariff
from trunkline.gateway.upstream import Upstream
from trunkline.model_id import ModelId
from trunkline.providers.spec import Tune
from trunkline.providers.table import PROVIDERS
from trunkline.routing.policy import Policy
from trunkline.routing.ranking import Option
from trunkline.wire import strict_json
from trunkline.wire.message import Url, below

if TYPE_CHECKING:
    from trunkline.gateway.course import Course

_log = logging.getLogger(__name__)
_KEPT = 10_000
"""Names whose plan is kept."""
_NAMED = 60
"""Characters of a client's word that an error repeats."""
PATHS = {
    "chat": "chat/completions",
    "completions": "completions",
    "embeddings": "embeddings",
    "messages": "messages",
    "responses": "responses",
}
_UNIFIED = frozenset({"chat", "messages", "responses"})
"""What Hugging Face's router serves for every provider."""


class Target(msgspec.Struct, frozen=True):
    """Where one attempt goes, its request's head written but for the length."""

    upstream: str
    pool: Upstream | None
    """None where the call is carried by the SDK, in the provider's own dialect."""
    model: str
    model_json: bytes
    head: bytes
    """Request line and headers, up to `content-length: `."""
    tariff: Tariff
    """The dearest that it can be."""
    provider: str | None
    """The provider asked for; None where the router or the server decides."""
    tariffs: dict[str, Tariff] = {}
    """By provider, where several can serve it."""
    one_limit: bool = False
    """Whether `max_tokens` is the only limit that it knows, as in Hugging Face's specification."""
    tune: Tune | None = None
    refuses: frozenset[str] = frozenset()
    first_byte_seconds: float = 600.0
    idle_seconds: float = 60.0
    gates: Gates = ()
    """What has to let a call in before it is sent there."""
    served: bool = False
    """Whether its server speaks OpenAI's API: what the SDK has to know to ask it."""
    option: Option | None = None
    """What its route knows of it."""

    @property
    def sdk_name(self) -> str:
        """The model as the SDK is asked for it."""
        return f"openai/{self.model}" if self.served or self.pool is not None else self.model

    def tariff_of(self, provider: str | None) -> Tariff:
        """Return the prices of who served it."""
        if provider is None:
            return self.tariff if len(self.tariffs) < 2 else UNKNOWN
        return self.tariffs.get(provider, self.tariff if not self.tariffs else UNKNOWN)


class Plan(msgspec.Struct, frozen=True):
    """Where calls for one name go."""

    name: str
    targets: tuple[Target, ...]
    relayed: bool
    """Whether every target takes the client's bytes; else the SDK carries the call."""
    refuses: frozenset[str]
    """Parameters that one of them does not take."""
    native: bool = True
    """Whether targets are asked in the client's own API; else by chats."""
    gated: bool = False
    """Whether one of them has gates."""
    deadline_seconds: float | None = None
    """That a call may take in all."""
    policy: Policy | None = None
    """How targets are ordered, and when the next one is asked; None where there is one as it is."""
    course: Course | None = None
    """Of one call: where it is on its way along the targets, which are in their order then."""

    def after(self, count: int) -> Plan:
        """Return the plan without its first targets."""
        return self.only(self.targets[count:]) if count else self

    def only(self, targets: Iterable[Target]) -> Plan:
        """Return the plan with these of its targets."""
        plan = plan_of(
            self.name, targets, native=self.native, deadline_seconds=self.deadline_seconds
        )
        if self.policy is None:
            return plan
        return msgspec.structs.replace(plan, policy=self.policy, course=self.course)


def plan_of(
    name: str,
    targets: Iterable[Target],
    *,
    native: bool = True,
    deadline_seconds: float | None = None,
) -> Plan:
    """Return the plan that asks `targets` in their order."""
    found = tuple(targets)
    refuses = frozenset[str]().union(*[target.refuses for target in found])
    relayed = all(target.pool is not None for target in found)
    gated = any(target.gates for target in found)
    return Plan(name, found, relayed, refuses, native, gated, deadline_seconds)


class UnknownModelError(Exception):
    """A name that no route, upstream or catalog has; says which are near."""

    def __init__(self, name: str, near: list[str]) -> None:
        """Keep the names that are near."""
        super().__init__(name)
        shown = name[:_NAMED] + ("…" if len(name) > _NAMED else "")
        meant = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        self.message = f"The model {shown!r} is not served here.{meant}"


class Plans:
    """Finds the plan for a name."""

    def __init__(
        self,
        config: Config,
        upstreams: dict[str, Connected],
        pool: Callable[[Connected], Upstream],
        catalog: Callable[[], Catalog],
        missed: Callable[[], None] = lambda: None,
        gates: Callable[[str, UpstreamConfig, str | None], Gates] = lambda *_: (),
    ) -> None:
        """Know the upstreams; `pool` gives the connections to one, `catalog` what the router serves.

        `missed` is told of a model that the catalog does not have; `gates` gives those of an
        upstream and a provider.
        """
        self._config = config
        self._upstreams = upstreams
        self._pool = pool
        self._catalog = catalog
        self._missed = missed
        self._gates = gates
        self._kept: dict[tuple[str, str], Plan] = {}
        self._routes = RoutePlaces(config, catalog, self._resolve)

    def find(self, name: str, endpoint: str) -> Plan:
        """Return the plan for a name; raises UnknownModelError, and InvalidInputError for no name."""
        kept = self._kept
        plan = kept.get((name, endpoint))
        if plan is None:
            plan = self._made(name, endpoint)
            if len(kept) >= _KEPT:
                kept.clear()
            kept[name, endpoint] = plan
        return plan

    def forget(self) -> None:
        """Make every plan anew: the catalog is another."""
        self._kept.clear()

    def names(self) -> list[tuple[str, str, int]]:
        """Return `(name, who has it, created)` of every model that can be listed."""
        found = [(name, "trunkline", 0) for name in self._config.routes]
        for upstream in self._upstreams.values():
            found += [
                (f"{upstream.name}/{model}", upstream.name, 0) for model in upstream.config.models
            ]
            if upstream.name == self._config.default_upstream and (
                upstream.config.kind == "huggingface"
            ):
                entries = self._catalog().entries
                found += [
                    (e.id, e.owned_by or e.id.partition("/")[0], e.created or 0) for e in entries
                ]
        return list({row[0]: row for row in reversed(found)}.values())[::-1]

    def _made(self, name: str, endpoint: str) -> Plan:
        way = self._routes.way(name, chats=endpoint in _UNIFIED)
        uses = [self._upstreams[spot.upstream].config for spot in way.spots]
        native = all(speaks(config, endpoint) for config in uses)
        spoken = endpoint if native else "chat"
        targets = [t for spot in way.spots if (t := self._at(spot, spoken, way.policy)) is not None]
        route = self._config.routes.get(name)
        seconds = None if route is None else route.deadline_seconds
        plan = plan_of(name, targets, native=native, deadline_seconds=seconds)
        return plan if way.policy is None else msgspec.structs.replace(plan, policy=way.policy)

    def _at(self, spot: Spot, endpoint: str, policy: Policy | None) -> Target | None:
        """Return the target at a place; None for a fallback that is not served any more."""
        upstream = self._upstreams[spot.upstream]
        try:
            target = self._target(upstream, spot.model, endpoint)
        except (UnknownModelError, InvalidInputError) as error:
            if not spot.fallback:
                raise
            _log.warning(
                "a fallback is not served", extra={"model": spot.name, "reason": str(error)}
            )
            return None
        if policy is None:
            return target
        return msgspec.structs.replace(target, option=option_for(spot, target, upstream.config))

    def _resolve(self, name: str) -> tuple[str, str]:
        """Return who is asked for a name that is no route, and what they call it."""
        first, slash, rest = name.partition("/")
        upstream = self._upstreams.get(first) if slash else None
        if upstream is not None and rest and upstream.config.kind != "huggingface":
            return first, rest
        if self._config.default_upstream not in self._upstreams:
            raise self._unknown(name)
        return self._config.default_upstream, name

    def _target(self, upstream: Connected, model: str, endpoint: str) -> Target:
        target = self._ungated(upstream, model, endpoint)
        gates = self._gates(upstream.name, upstream.config, target.provider)
        return msgspec.structs.replace(target, gates=gates) if gates else target

    def _ungated(self, upstream: Connected, model: str, endpoint: str) -> Target:
        kind = upstream.config.kind
        if kind == "huggingface":
            return self._routed(upstream, model, endpoint)
        if kind == "provider":
            return self._direct(upstream, model, endpoint)
        tariff = self._configured(upstream, model)
        if endpoint in MEDIA:
            return Target(upstream.name, None, model, b"", b"", tariff, None, served=True)
        url = below(upstream.base, PATHS[endpoint])
        return self._written(upstream, endpoint, url, model, tariff)

    def _routed(self, upstream: Connected, name: str, endpoint: str) -> Target:
        asked = model_id.parse(name)
        if asked.scheme != "huggingface":
            raise self._unknown(name)
        self._check_listed(asked, name, endpoint)
        wanted = f"{asked.name}:{asked.suffix}" if asked.suffix else asked.name
        prices = upstream.config.prices
        told = prices.get(asked.name) or prices.get("*")
        tariffs = {} if told is not None else self._tariffs(asked)
        tariff = dearest(tariffs) if told is None else configured_tariff(told)
        if endpoint not in _UNIFIED:  # for the rest the SDK finds the provider's own route
            return Target(
                upstream.name, None, str(asked), b"", b"", tariff, asked.provider, tariffs
            )
        url = below(upstream.base, PATHS[endpoint])
        target = self._written(upstream, endpoint, url, wanted, tariff)
        return msgspec.structs.replace(
            target, provider=asked.provider, tariffs=tariffs, one_limit=endpoint == "chat"
        )

    def _direct(self, upstream: Connected, model: str, endpoint: str) -> Target:
        row = PROVIDERS[upstream.config.provider or ""]
        tariff = self._configured(upstream, model)
        if endpoint in MEDIA or (endpoint not in _UNIFIED and upstream.config.base_url is None):
            name = f"huggingface/{row.name}/{model}"
            return Target(upstream.name, None, name, b"", b"", tariff, row.name)
        if row.chat_path is None:
            raise InvalidInputError(f"{row.title} serves pictures, sounds or videos, and no chat.")
        path = row.chat_path.replace(PATHS["chat"], PATHS[endpoint])
        url = below(upstream.base, path.replace("{model}", _in_path(model)))
        target = self._written(upstream, endpoint, url, model, tariff)
        target = msgspec.structs.replace(target, provider=row.name)
        if endpoint != "chat":
            return target
        return msgspec.structs.replace(
            target, tune=row.tune, refuses=row.chat_refuses, one_limit=row.name != "openai"
        )

    def _written(
        self, upstream: Connected, endpoint: str, url: Url, model: str, tariff: Tariff
    ) -> Target:
        return Target(
            upstream=upstream.name,
            pool=self._pool(upstream),
            model=model,
            model_json=strict_json.encode(model),
            head=head_for(endpoint, request_head(upstream, url)),
            tariff=tariff,
            provider=None,
            first_byte_seconds=upstream.config.first_byte_seconds,
            idle_seconds=upstream.config.idle_seconds,
        )

    def _configured(self, upstream: Connected, model: str) -> Tariff:
        prices = upstream.config.prices
        told = prices.get(model) or prices.get("*")
        return UNKNOWN if told is None else configured_tariff(told)

    def _tariffs(self, asked: ModelId) -> dict[str, Tariff]:
        """Return the prices of each provider that may serve a model on the router."""
        catalog = self._catalog()
        entry = catalog.find(asked.name)
        offers = candidates(entry, asked.provider) if entry is not None else []
        source = f"{catalog.source} as of {catalog.as_of:%Y-%m-%dT%H:%MZ}"
        return {offer.provider: offer_tariff(offer, source) for offer in offers}

    def _check_listed(self, asked: ModelId, name: str, endpoint: str) -> None:
        """Refuse a model that the router itself says it does not have."""
        catalog = self._catalog()
        if (
            endpoint not in _UNIFIED
            or catalog.source != "router"
            or self._config.unlisted_models == "pass"
        ):
            return
        if catalog.find(asked.name) is None:
            self._missed()
            raise self._unknown(name)

    def _unknown(self, name: str) -> UnknownModelError:
        short = name.removeprefix("huggingface/").removeprefix("hf/").partition(":")[0]
        return UnknownModelError(name, nearest(short[:200], [row[0] for row in self.names()], 2))


def _in_path(model: str) -> str:
    """Write a client's name of a model into a path, which it must not lead out of."""
    if any(part in ("", ".", "..") for part in model.split("/")):
        raise InvalidInputError(f"{model[:_NAMED]!r} cannot be the name of a model there.")
    return quote(model, safe="/")

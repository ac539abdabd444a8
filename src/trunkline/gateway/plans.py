"""From the model that a client names to where its call goes: targets in their order, ready to be asked.

Plans are made once for a name and kept until the configuration or the catalog changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import quote

import msgspec

from trunkline import model_id
from trunkline._version import __version__
from trunkline.catalog import Catalog
from trunkline.catalog.questions import candidates, nearest
from trunkline.errors import InvalidInputError
from trunkline.gateway.apis import head_for, speaks
from trunkline.gateway.asked import MEDIA
from trunkline.gateway.config import Config
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.gates import Gates
from trunkline.gateway.quote import UNKNOWN, Tariff
from trunkline.gateway.tariffs import configured_tariff, dearest, offer_tariff
from trunkline.gateway.upstream import Upstream
from trunkline.model_id import ModelId
from trunkline.providers.spec import Tune
from trunkline.providers.table import PROVIDERS
from trunkline.types import Secret
from trunkline.wire import strict_json
from trunkline.wire.message import Url, below, parse_url

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

    def after(self, count: int) -> Plan:
        """Return the plan without its first targets."""
        return self.only(self.targets[count:]) if count else self

    def only(self, targets: Iterable[Target]) -> Plan:
        """Return the plan with these of its targets."""
        return plan_of(
            self.name, targets, native=self.native, deadline_seconds=self.deadline_seconds
        )


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


class Connected(msgspec.Struct, frozen=True):
    """A configured upstream, its address read and its credential found."""

    name: str
    config: UpstreamConfig
    base: Url
    secret: Secret | None


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
        places = self._places(name)
        native = all(speaks(upstream.config, endpoint) for upstream, _ in places)
        spoken = endpoint if native else "chat"
        targets = [self._target(upstream, model, spoken) for upstream, model in places]
        route = self._config.routes.get(name)
        seconds = None if route is None else route.deadline_seconds
        return plan_of(name, targets, native=native, deadline_seconds=seconds)

    def _places(self, name: str) -> list[tuple[Connected, str]]:
        """Return who may be asked for a name, and what they call it."""
        route = self._config.routes.get(name)
        if route is not None:
            return [(self._upstreams[t.upstream], t.model) for t in route.targets]
        first, slash, rest = name.partition("/")
        upstream = self._upstreams.get(first) if slash else None
        if upstream is not None and rest and upstream.config.kind != "huggingface":
            return [(upstream, rest)]
        default = self._upstreams.get(self._config.default_upstream)
        if default is None:
            raise self._unknown(name)
        return [(default, name)]

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


def request_head(upstream: Connected, url: Url) -> bytes:
    """Return a request's head up to the value of `content-length`; the client adds nothing to it."""
    row = (
        PROVIDERS.get(upstream.config.provider or "")
        if upstream.config.kind == "provider"
        else None
    )
    headers = {
        "user-agent": f"trunkline/{__version__}",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if upstream.secret is not None:
        name, scheme = (row.auth_header, row.scheme) if row else ("authorization", "Bearer")
        headers[name] = f"{scheme} {upstream.secret.value}".lstrip()
    headers.update(row.headers if row else ())
    if upstream.config.bill_to:
        headers["x-hf-bill-to"] = upstream.config.bill_to
    lines = [f"POST {url.target} HTTP/1.1", f"host: {url.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("ascii") + b"\r\ncontent-length: "


def read_base(upstream: UpstreamConfig, router: str) -> Url:
    """Return the address below which an upstream's paths lie; raises InvalidInputError."""
    if upstream.kind == "provider":
        row = PROVIDERS.get(upstream.provider or "")
        if row is None:
            raise InvalidInputError(f"No provider {upstream.provider!r} is known.")
        return parse_url(upstream.base_url or row.base_url)
    base = upstream.base_url or router
    url = parse_url(base)
    if upstream.kind == "huggingface" and not url.target.rstrip("/").endswith("/v1"):
        return below(url, "v1")
    return url

"""The pages below `/hf`: Hugging Face's own routes and its Hub's look-ups, as its own clients ask for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from trunkline.catalog import Catalog
from trunkline.dialects.openai_server import RequestError
from trunkline.errors import APIError
from trunkline.gateway.asked import Asked
from trunkline.gateway.call import FREE
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.connected import Connected
from trunkline.gateway.dispatch import Dispatch
from trunkline.gateway.exchange import Exchange
from trunkline.gateway.gates import Gates
from trunkline.gateway.hf_head import job_base, path_of, request_head, router_root
from trunkline.gateway.hf_hub import Hub, HubAnswer
from trunkline.gateway.hf_relay import HfRelay, Parcel
from trunkline.gateway.hf_routes import (
    OWN,
    PREFIX,
    HfRoute,
    checked_path,
    checked_query,
    read_route,
)
from trunkline.gateway.hf_work import UNKNOWN, Work, read_work
from trunkline.gateway.pages import failed
from trunkline.gateway.plans import Plan, Target, plan_of
from trunkline.gateway.quote import UNKNOWN as NO_TARIFF
from trunkline.gateway.quote import Tariff
from trunkline.gateway.refusals import Fault, of_error, tell
from trunkline.gateway.tariffs import configured_tariff, offer_tariff
from trunkline.gateway.upstream import Upstream
from trunkline.gateway.urgency import seconds_left
from trunkline.wire import strict_json

if TYPE_CHECKING:
    from trunkline.gateway.access import Caller

_LOOK_UPS = re.compile(r"/api/(?:tasks|models/(?P<model>[^/]+(?:/[^/]+)?))")
_KEPT = 10_000
"""Plans that are kept."""
_POLL = Asked(UNKNOWN, stream=False, body={}, changes={}, hide_usage=False)


class Sources(msgspec.Struct, frozen=True):
    """What the configuration in force leads to; asked anew for each request."""

    upstreams: Callable[[], dict[str, Connected]]
    default: Callable[[], str]
    """The upstream that serves what nobody names."""
    pool: Callable[[Connected], Upstream]
    catalog: Callable[[], Catalog]
    hub: Hub
    gates: Callable[[str, UpstreamConfig, str | None], Gates]
    public: Callable[[], str]
    """Where clients find the gateway; empty where it is where they ask."""


def hf_error(fault: Fault, request_id: str) -> bytes:
    """Return an error's body as Hugging Face's router has it: a text; what else we know is beside it."""
    told = {"error": fault.message, "code": fault.code, "request_id": request_id}
    return strict_json.encode(told)


class HfPages:
    """Takes requests below `/hf`."""

    def __init__(self, dispatch: Dispatch, sources: Sources) -> None:
        """Carry by `dispatch`."""
        self._dispatch = dispatch
        self._sources = sources
        self._waiting: set[asyncio.Task[None]] = set()
        self._kept: dict[tuple[str, str, str | None], Plan] = {}
        self._kept_of: tuple[Connected | None, Catalog | None] = (None, None)
        """The router and the catalog that the kept plans are from."""

    def serve(self, exchange: Exchange) -> None:
        """Take a request for a provider's route, or for what the Hub tells."""
        try:
            self._dispatch.look_how_urgent(exchange)
            if exchange.head.path.startswith(b"/hf/api/"):
                self._look_up(exchange)
            else:
                self._route(exchange)
        except RequestError as wrong:
            self._dispatch.refuse(exchange, wrong)

    # a provider's routes

    def _route(self, exchange: Exchange) -> None:
        head, caller = exchange.head, _caller(exchange)
        route = read_route(head.method.decode(), head.path, head.query)
        if caller.providers and route.provider not in caller.providers:
            allowed = ", ".join(sorted(caller.providers))
            raise RequestError(
                f"This key may only use these providers: {allowed}.",
                code="provider_not_allowed",
                status=403,
            )
        _check_payer(exchange)
        router = self._router()
        if route.kind == "poll":
            carrier = partial(
                HfRelay, parcel=_parcel(exchange, route, router, self._sources.public())
            )
            plan = self._plan(router, route, "", None)
            self._dispatch.pass_by(exchange, _POLL, plan, "hf", carrier)
            return
        kind = head.headers.get(b"content-type", b"").decode("latin-1")
        work = read_work(route, kind, exchange.body)
        if route.counted is None:
            exchange.size = 0  # which bounds tokens: these bytes are none
        if work.own is None:
            self._send(exchange, route, work, router, ())
            return
        names = (
            (work.own,)
            if route.provider == OWN
            else self._sources.hub.known(route.provider, work.own)
        )
        if names is not None:
            self._send(exchange, route, work, router, names)
        else:
            self._later(exchange, self._named(exchange, route, work, router))

    async def _named(
        self, exchange: Exchange, route: HfRoute, work: Work, router: Connected
    ) -> None:
        """Go on once the Hub has told what it calls the model."""
        names = await self._sources.hub.find(route.provider, work.own or "")
        if exchange.gone:
            return
        try:
            self._send(exchange, route, work, router, names)
        except RequestError as wrong:
            self._dispatch.refuse(exchange, wrong)

    def _send(
        self,
        exchange: Exchange,
        route: HfRoute,
        work: Work,
        router: Connected,
        names: tuple[str, ...],
    ) -> None:
        name = _permitted(_caller(exchange), route, work.own, names)
        plan = self._plan(router, route, work.own or "", name)
        asked = msgspec.structs.replace(work.asked, model=name)
        carrier = partial(HfRelay, parcel=_parcel(exchange, route, router, self._sources.public()))
        self._dispatch.carry(exchange, asked, plan, "hf", carrier)

    def _router(self) -> Connected:
        """Return the upstream that is Hugging Face's router: the default, or the first of them."""
        upstreams = self._sources.upstreams()
        found = [row for row in upstreams.values() if row.config.kind == "huggingface"]
        default = upstreams.get(self._sources.default())
        if default in found:
            return default
        if not found:
            raise RequestError(
                "No upstream of this gateway is Hugging Face's router.",
                code="not_found",
                status=404,
            )
        return found[0]

    def _plan(self, router: Connected, route: HfRoute, own: str, name: str | None) -> Plan:
        """Return the plan for a model, or for a poll without one; kept while what it is from stays."""
        catalog = self._sources.catalog()
        if router is not self._kept_of[0] or catalog is not self._kept_of[1]:
            self._kept, self._kept_of = {}, (router, catalog)
        key = (route.provider, own, name)
        plan = self._kept.get(key)
        if plan is None:
            tariff = FREE if name is None else self._tariff(router, route.provider, name)
            plan = plan_of(name or UNKNOWN, [self._target(router, route.provider, own, tariff)])
            if len(self._kept) < _KEPT:
                self._kept[key] = plan
        return plan

    def _target(self, router: Connected, provider: str, own: str, tariff: Tariff) -> Target:
        config = router.config
        return Target(
            router.name,
            self._sources.pool(router),
            own,
            b"",
            b"",
            tariff,
            provider,
            first_byte_seconds=config.first_byte_seconds,
            idle_seconds=config.idle_seconds,
            gates=self._sources.gates(router.name, config, provider),
        )

    def _tariff(self, router: Connected, provider: str, name: str) -> Tariff:
        prices = router.config.prices
        told = prices.get(name) or prices.get("*")
        if told is not None:
            return configured_tariff(told)
        catalog = self._sources.catalog()
        entry = catalog.find(name)
        offer = None if entry is None else entry.offer(provider)
        if offer is None:
            return NO_TARIFF
        return offer_tariff(offer, f"{catalog.source} as of {catalog.as_of:%Y-%m-%dT%H:%MZ}")

    # the Hub's look-ups

    def _look_up(self, exchange: Exchange) -> None:
        head, caller = exchange.head, _caller(exchange)
        path = checked_path(head.path).removeprefix(PREFIX)
        query = checked_query("", head.query)
        found = _LOOK_UPS.fullmatch(path)
        if found is None or head.method not in (b"GET", b"HEAD"):
            raise RequestError(
                "Of the Hub's API only GET /api/models/<model> and /api/tasks are served here.",
                code="not_found",
                status=404,
            )
        model = found["model"] and unquote(found["model"])
        if model is not None and caller.models is not None and not caller.may_use(model):
            raise _not_allowed(caller, repr(model[:200]))
        target = path + (f"?{query}" if query else "")
        self._dispatch.within_rates(exchange, partial(self._tell_or_ask, exchange, target, model))

    def _tell_or_ask(self, exchange: Exchange, target: str, model: str | None) -> None:
        answer = self._sources.hub.remembered(target)
        if answer is not None:
            _tell_hub(exchange, answer, path_of(self._sources.public()))
        else:
            self._later(exchange, self._ask_hub(exchange, target, model))

    async def _ask_hub(self, exchange: Exchange, target: str, model: str | None) -> None:
        try:
            answer = await self._sources.hub.look(target, model)
        except APIError as error:
            tell(exchange, of_error(error))
            return
        if not exchange.gone:
            _tell_hub(exchange, answer, path_of(self._sources.public()))

    # what has to wait

    def _later(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(exchange, work))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _guarded(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        """Do what nobody waits for; a fault is told, as everywhere, and that its time is over."""
        try:
            async with asyncio.timeout(seconds_left(exchange.urgency)):
                await work
        except TimeoutError:
            self._dispatch.out_of_time(exchange)
        except Exception:
            failed(exchange)


def _caller(exchange: Exchange) -> Caller:
    if exchange.caller is None:  # the route table has let a stranger in: it must not
        raise TypeError("a call needs a caller")
    return exchange.caller


def _permitted(caller: Caller, route: HfRoute, own: str | None, names: tuple[str, ...]) -> str:
    """Return the model's name for the ledger, once the caller may use it; raises RequestError."""
    if caller.models is None:
        return (names or (own or UNKNOWN,))[0]
    for name in names:
        if caller.may_use(name) or caller.may_use(f"{name}:{route.provider}"):
            return name
    if names:
        raise _not_allowed(caller, repr(names[0][:200]))
    what = "a model that the request does not name" if own is None else f"{own[:200]!r}"
    raise _not_allowed(caller, f"{what} of {route.provider}, which the Hub does not tell")


def _not_allowed(caller: Caller, what: str) -> RequestError:
    patterns = ", ".join(caller.key.scope.models[:10])
    return RequestError(
        f"This key may not use {what}; it may use: {patterns}.",
        param="model",
        code="model_not_allowed",
        status=403,
    )


def _check_payer(exchange: Exchange) -> None:
    if b"x-hf-bill-to" in exchange.headers:
        raise RequestError(
            "'x-hf-bill-to' is not taken here: on whose account a call goes, the gateway's operator "
            "decides (upstreams.<name>.bill_to). Leave it out.",
            param="x-hf-bill-to",
            code="parameter_not_allowed",
        )


def _parcel(exchange: Exchange, route: HfRoute, router: Connected, public: str) -> Parcel:
    head = exchange.head
    method = "GET" if head.method == b"HEAD" else head.method.decode()
    host = head.headers.get(b"host", b"")
    return Parcel(
        head=request_head(router, route, method, head.headers),
        bodied=method != "GET",
        provider=route.provider,
        root=router_root(router),
        poll=route.kind == "poll",
        once=route.kind == "work" and route.counted is None,
        counted=route.counted,
        jobs=job_base(route, host, public, secure=exchange.secure),
        public=public,
    )


def _tell_hub(exchange: Exchange, answer: HubAnswer, prefix: str) -> None:
    """Hand on an answer of the Hub; that it does not know the gateway's token is not the client's affair."""
    status, lines = answer.status, b""
    if status == 401 and answer.headers.get("x-error-code") == "RepoNotFound":
        status = 404  # so it says to strangers
    elif status == 401:
        message = "The Hub does not accept the gateway's own credential. Tell its operator."
        tell(exchange, Fault(502, "upstream_credential_refused", message))
        return
    if 300 <= status < 400 and not answer.headers.get("location"):
        tell(exchange, Fault(502, "upstream_invalid_response", "The Hub redirects elsewhere."))
        return
    for name, value in answer.headers.items():
        told = prefix + value if name == "location" else value
        lines += f"{name}: {told}\r\n".encode("ascii", "replace")
    exchange.answer_bytes(status, lines, answer.body)

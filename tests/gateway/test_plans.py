"""From a model's name to where its call goes, at what price, and with which head."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog import Catalog, ModelEntry, Offer, Pricing
from trunkline.dialects.response_events import RESPONSES
from trunkline.errors import ConfigurationError, InvalidInputError
from trunkline.gateway.apis import _RESPONDING
from trunkline.gateway.config import Config, Price, Route
from trunkline.gateway.config import Target as RouteTarget
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.plans import Plan, Plans, UnknownModelError
from trunkline.gateway.quote import UNKNOWN, Tariff
from trunkline.gateway.tariffs import dearest
from trunkline.gateway.upstream import Upstream
from trunkline.gateway.upstreams import Upstreams
from trunkline.providers.table import PROVIDERS
from trunkline.settings import read_settings
from trunkline.transport.aio import AioTransport

WHEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TOKEN = "hf_" + "a" * 34


def offer(provider: str, *prices: str | None, **more: Any) -> Offer:
    told = [None if price is None else Decimal(price) for price in prices]
    return Offer(provider, more.pop("status", "live"), pricing=Pricing(*told), **more)


ENTRIES = (
    ModelEntry(
        "org/two",
        created=1_700_000_000,
        owned_by="org",
        providers=(
            offer("groq", "1", "2", context_length=1000),
            offer("novita", "0.5", "4", context_length=500),
            offer("nscale", "90", "90", status="error"),
        ),
    ),
    ModelEntry("org/gap", providers=(offer("groq", "1", "2"), offer("novita", "1", None))),
    ModelEntry("org/free", providers=(offer("groq", None, None, is_free=True),)),
    ModelEntry("Org/Three", providers=(offer("groq", "3", "3"),)),
)
CATALOG = Catalog(ENTRIES, "router", WHEN)
LOCAL = UpstreamConfig(base_url="http://127.0.0.1:8000/v1", models=("tiny", "deep/er"))


class Places:
    """Plans of a configuration, over a catalog that can be replaced."""

    def __init__(self, catalog: Catalog = CATALOG, environment: Any = None, **config: Any) -> None:
        self.catalog = catalog
        self.missed = 0
        self.config = Config(**config)
        settings = read_settings({})
        environment = {"HF_TOKEN": TOKEN, **(environment or {})}
        self.upstreams = Upstreams(
            self.config,
            environment,
            settings,
            AioTransport(),
            pools := {},
            None,  # type: ignore[arg-type]
        )
        self.pools: dict[Any, Upstream] = pools
        self.plans = Plans(
            self.config,
            self.upstreams.connected,
            self.upstreams.pool,
            lambda: self.catalog,
            self._miss,
        )

    def _miss(self) -> None:
        self.missed += 1

    def find(self, name: str, endpoint: str = "chat") -> Plan:
        return self.plans.find(name, endpoint)

    def head(self, name: str, endpoint: str = "chat") -> list[str]:
        """The lines of the head that is sent for a name."""
        head = self.find(name, endpoint).targets[0].head
        assert head.endswith(b"content-length: ")
        return head.decode("ascii").split("\r\n")[:-1]


def dollars(amount: str) -> int:
    return int(Decimal(amount) * 10**12)


@pytest.mark.parametrize(
    ("name", "sent", "provider"),
    [
        ("org/two", "org/two", None),
        ("huggingface/org/two", "org/two", None),
        ("hf/org/two", "org/two", None),
        ("org/two:groq", "org/two:groq", "groq"),
        ("org/two:fastest", "org/two:fastest", None),
        ("org/two:cheapest", "org/two:cheapest", None),
        ("org/two:preferred", "org/two:preferred", None),
        ("org/two:auto", "org/two", None),
        ("huggingface/groq/org/two", "org/two:groq", "groq"),
        ("groq/org/two", "org/two:groq", "groq"),
        ("huggingface/auto/org/two", "org/two", None),
        ("huggingface/groq/org/two:groq", "org/two:groq", "groq"),
    ],
)
def test_every_form_of_a_models_name_goes_to_the_router(
    name: str, sent: str, provider: str | None
) -> None:
    plan = Places().find(name)
    target = plan.targets[0]
    assert (target.model, target.provider, target.upstream) == (sent, provider, "huggingface")
    assert msgspec.json.decode(target.model_json) == sent
    assert plan.relayed
    assert target.head.startswith(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: router.huggingface.co"
    )


@pytest.mark.parametrize("name", ["", "org/", "/", "a b", "org/two:", "org/two:a:b", "huggingface/",
                                  "org//two", "huggingface/groq/org/two:novita", "org/t\u0000wo"])  # fmt: skip
def test_what_names_no_model_is_told_with_the_forms_that_work(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Places().find(name)
    assert "is not a model string" in caught.value.message


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("org/twoo", "'org/two'"),
        ("other/two", "'org/two'"),
        ("huggingface/org/thre:fastest", "'Org/Three'"),
        ("near/tiny", "'near/tiny'"),
        ("sandbox/demo", ""),
        ("x" * 5000, ""),
    ],
)
def test_a_model_that_nobody_has_is_refused_with_the_nearest(name: str, near: str) -> None:
    places = Places(upstreams={"nearby": LOCAL})
    with pytest.raises(UnknownModelError) as caught:
        places.find(name)
    assert "is not served here" in caught.value.message
    assert near.strip("'").rpartition("/")[2] in caught.value.message
    assert len(caught.value.message) < 300


def test_an_unlisted_model_is_looked_for_and_passes_where_the_operator_lets_it() -> None:
    strict = Places()
    with pytest.raises(UnknownModelError):
        strict.find("org/new")
    assert strict.missed == 1
    lax = Places(unlisted_models="pass")
    assert lax.find("org/new").targets[0].tariff == UNKNOWN
    snapshot = Places(msgspec.structs.replace(CATALOG, source="snapshot"))
    assert snapshot.find("org/new").relayed


def test_a_route_has_its_targets_in_their_order() -> None:
    route = Route((RouteTarget("huggingface", "org/two:groq"), RouteTarget("near", "tiny")))
    places = Places(upstreams={"near": LOCAL}, routes={"best": route})
    plan = places.find("best")
    assert [(t.upstream, t.model) for t in plan.targets] == [
        ("huggingface", "org/two:groq"),
        ("near", "tiny"),
    ]
    assert plan.relayed
    assert not places.find("best", "embeddings").relayed


def test_an_upstream_in_front_of_the_name_chooses_it() -> None:
    places = Places(upstreams={"near": LOCAL})
    for name, sent in (
        ("near/tiny", "tiny"),
        ("near/org/any:tag", "org/any:tag"),
        ("near/x y", "x y"),
    ):
        target = places.find(name).targets[0]
        assert (target.upstream, target.model, target.provider) == ("near", sent, None)
    for endpoint, path in (
        ("chat", "/v1/chat/completions"),
        ("completions", "/v1/completions"),
        ("embeddings", "/v1/embeddings"),
    ):
        assert places.head("near/tiny", endpoint)[0] == f"POST {path} HTTP/1.1"
        assert places.find("near/tiny", endpoint).relayed


def test_another_default_takes_every_name_that_no_other_has() -> None:
    places = Places(upstreams={"near": LOCAL}, default_upstream="near")
    assert places.find("whatever it is").targets[0].model == "whatever it is"
    assert "huggingface" not in places.upstreams.connected
    with pytest.raises(UnknownModelError):
        Places(default_upstream="nowhere").find("org/two")


@pytest.mark.parametrize("suffix", ["", ":fastest", ":cheapest", ":preferred"])
def test_where_the_router_chooses_the_dearest_live_offer_bounds(suffix: str) -> None:
    target = Places().find(f"org/two{suffix}").targets[0]
    assert (target.tariff.input, target.tariff.output) == (dollars("1"), dollars("4"))
    assert target.tariff.context == 1000
    assert target.tariff_of("novita").input == dollars("0.5")
    assert target.tariff_of("groq").output == dollars("2")
    assert target.tariff_of("nscale") == target.tariff_of("stranger") == UNKNOWN
    assert target.tariff_of(None) == UNKNOWN


def test_a_provider_that_was_named_has_its_own_price() -> None:
    target = Places().find("org/two:novita").targets[0]
    assert target.tariff == target.tariff_of("novita") == target.tariff_of(None)
    assert (target.tariff.input, target.tariff.context) == (dollars("0.5"), 500)
    assert target.tariff.source == "router as of 2026-11-24T12:00Z"


def test_one_unknown_price_makes_the_dearest_unknown_and_free_is_free() -> None:
    places = Places()
    gap = places.find("org/gap").targets[0]
    assert (gap.tariff.input, gap.tariff.output) == (None, None)
    assert gap.tariff_of("groq").output == dollars("2")
    free = places.find("org/free").targets[0]
    assert (free.tariff.input, free.tariff.output) == (0, 0)
    assert places.find("org/two:stranger").targets[0].tariff == UNKNOWN


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.builds(Tariff, st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(1, 9)),
        min_size=1,
    )
)
def test_no_tariff_exceeds_the_dearest(tariffs: dict[str, Tariff]) -> None:
    most = dearest(tariffs)
    for tariff in tariffs.values():
        assert (tariff.input or 0) <= (most.input or 0)
        assert (tariff.output or 0) <= (most.output or 0)
        assert most.context is None or (tariff.context or 0) <= most.context
    if None in [tariff.context for tariff in tariffs.values()]:
        assert most.context is None


def test_the_operators_prices_count_wherever_they_are_given() -> None:
    prices = {"org/two": Price(Decimal(7), Decimal(8), 9), "*": Price(Decimal("0.5"))}
    hub = UpstreamConfig(kind="huggingface", prices=prices)
    near = UpstreamConfig(
        base_url=LOCAL.base_url, prices={"tiny": Price(Decimal(1)), "*": Price(Decimal(2))}
    )
    places = Places(upstreams={"huggingface": hub, "near": near}, unlisted_models="pass")
    two = places.find("org/two").targets[0]
    for provider in (None, "groq", "novita", "stranger"):
        assert two.tariff_of(provider) == Tariff(dollars("7"), dollars("8"), 9, "configuration")
    new = places.find("org/new").targets[0]
    assert new.tariff_of("groq").input == dollars("0.5")
    assert places.find("near/tiny").targets[0].tariff.input == dollars("1")
    assert places.find("near/else").targets[0].tariff_of("any").input == dollars("2")


def test_plans_are_kept_until_the_catalog_is_another() -> None:
    places = Places()
    first = places.find("org/two")
    assert places.find("org/two") is first
    places.catalog = Catalog(
        (ModelEntry("org/two", providers=(offer("groq", "9", "9"),)),), "router", WHEN
    )
    places.plans.forget()
    assert places.find("org/two").targets[0].tariff.input == dollars("9")


def test_any_number_of_names_can_be_asked_for() -> None:
    places = Places(upstreams={"near": LOCAL})
    for number in range(10_050):
        assert places.find(f"near/{number}").targets[0].model == str(number)
    assert len(places.plans._kept) <= 10_000


def test_calls_for_other_tasks_of_the_routers_models_are_carried_by_the_sdk() -> None:
    for endpoint in ("embeddings", "completions"):
        plan = Places().find("groq/org/two", endpoint)
        assert not plan.relayed
        assert plan.targets[0].model == "huggingface/groq/org/two"
        assert plan.targets[0].tariff.input == dollars("1")


CHATTING = sorted(name for name, row in PROVIDERS.items() if row.chat_path)


@pytest.mark.parametrize("name", CHATTING)
def test_a_provider_is_asked_at_its_own_address_with_its_own_header(name: str) -> None:
    row = PROVIDERS[name]
    upstream = UpstreamConfig(kind="provider", provider=name, key_env="KEY")
    places = Places(upstreams={"own": upstream}, environment={"KEY": "secret-1"})
    line, host, *headers = places.head("own/org/a model?x=1#y")
    told = dict(header.split(": ", 1) for header in headers)
    assert told[row.auth_header] == f"{row.scheme} secret-1".strip()
    assert ("authorization" in told) == (row.auth_header == "authorization")
    for header, value in dict(row.headers).items():
        assert told[header] == value
    method, path, version = line.split(" ")
    assert (method, version) == ("POST", "HTTP/1.1")
    assert "?" not in path.removesuffix(row.chat_path or "") or "{model}" not in (
        row.chat_path or ""
    )
    if "{model}" in (row.chat_path or ""):
        assert "org/a%20model%3Fx%3D1%23y" in path
    target = places.find("own/m").targets[0]
    assert (target.provider, target.tune, target.refuses) == (name, row.tune, row.chat_refuses)
    assert host.startswith("host: ")


@pytest.mark.parametrize("model", ["..", "a/../b", ".", "a//b", "/a", "a/"])
def test_a_models_name_cannot_lead_out_of_a_path(model: str) -> None:
    upstream = UpstreamConfig(kind="provider", provider=CHATTING[0], key_env="KEY")
    places = Places(upstreams={"own": upstream}, environment={"KEY": "secret-1"})
    with pytest.raises(InvalidInputError):
        places.find(f"own/{model}")


@given(st.text(min_size=1, max_size=40))
def test_no_name_breaks_out_of_a_requests_head(name: str) -> None:
    upstream = UpstreamConfig(kind="provider", provider="hf-inference", key_env="KEY")
    places = Places(upstreams={"own": upstream, "near": LOCAL}, environment={"KEY": "secret-1"})
    for prefix in ("own/", "near/", ""):
        try:
            target = places.find(prefix + name).targets[0]
        except (InvalidInputError, UnknownModelError):
            continue
        lines = target.head.split(b"\r\n")
        assert len(lines) == 8 - (prefix == "near/")
        assert lines[0].count(b" ") == 2
        assert b"\n" not in target.head.replace(b"\r\n", b"")


def test_a_head_says_who_asks_for_what_and_nothing_else() -> None:
    hub = UpstreamConfig(kind="huggingface", bill_to="my-org")
    names = [
        line.split(":")[0] for line in Places(upstreams={"huggingface": hub}).head("org/two")[1:]
    ]
    assert names == ["host", "user-agent", "accept", "accept-encoding", "content-type",
                     "authorization", "x-hf-bill-to"]  # fmt: skip
    assert "authorization" not in "".join(Places(upstreams={"near": LOCAL}).head("near/tiny"))


@pytest.mark.parametrize("secret", ["a\r\nx: y", "a\nb", "a b", "ä", "\x00"])
def test_a_secret_that_is_none_is_refused_without_being_told(secret: str) -> None:
    upstream = UpstreamConfig(base_url=LOCAL.base_url, key_env="KEY")
    with pytest.raises(ConfigurationError) as caught:
        Places(upstreams={"near": upstream}, environment={"KEY": secret})
    assert "KEY" in str(caught.value)
    assert secret not in str(caught.value).replace("KEY", "")


def test_every_model_is_listed_once_with_who_has_it() -> None:
    route = Route((RouteTarget("near", "tiny"),))
    places = Places(upstreams={"near": LOCAL}, routes={"best": route, "org/two": route})
    assert sorted(places.plans.names()) == [
        ("Org/Three", "Org", 0),
        ("best", "trunkline", 0),
        ("near/deep/er", "near", 0),
        ("near/tiny", "near", 0),
        ("org/free", "org", 0),
        ("org/gap", "org", 0),
        ("org/two", "trunkline", 0),
    ]
    assert ("org/two", "org", 1_700_000_000) in Places().plans.names()


def test_the_routers_models_are_not_listed_where_another_is_the_default() -> None:
    hub = UpstreamConfig(kind="huggingface")
    places = Places(upstreams={"huggingface": hub, "near": LOCAL}, default_upstream="near")
    assert [row[0] for row in places.plans.names()] == ["near/tiny", "near/deep/er"]


def test_upstreams_at_one_address_share_their_connections() -> None:
    places = Places(
        upstreams={
            "one": LOCAL,
            "two": msgspec.structs.replace(LOCAL, base_url="http://127.0.0.1:8000/other/v1"),
            "few": msgspec.structs.replace(LOCAL, connections=5),
            "far": msgspec.structs.replace(LOCAL, base_url="https://127.0.0.1:8000/v1"),
        }
    )
    pools = {
        name: places.find(f"{name}/m").targets[0].pool for name in ("one", "two", "few", "far")
    }
    assert pools["one"] is pools["two"]
    assert len({id(pool) for pool in pools.values()}) == 3


def test_responses_are_asked_where_they_are_made_and_chats_elsewhere() -> None:
    """Mixed routes are asked by chats, which every target has."""
    both = Route((RouteTarget("huggingface", "org/two"), RouteTarget("near", "tiny")))
    made = Route((RouteTarget("huggingface", "org/two"), RouteTarget("vllm", "tiny")))
    upstreams = {
        "near": LOCAL,
        "vllm": msgspec.structs.replace(LOCAL, speaks=("chat", "responses")),
        "chatty": UpstreamConfig(
            kind="provider", provider="openai", key_env="KEY", speaks=("chat",)
        ),
        "own": UpstreamConfig(kind="provider", provider="openai", key_env="KEY"),
        "other": UpstreamConfig(kind="provider", provider="together", key_env="KEY"),
    }
    places = Places(
        environment={"KEY": "sk-x"}, upstreams=upstreams, routes={"both": both, "made": made}
    )
    for name, path, native in (
        ("org/two:groq", "/v1/responses", True),
        ("near/tiny", "/v1/chat/completions", False),
        ("vllm/tiny", "/v1/responses", True),
        ("own/gpt-5", "/v1/responses", True),
        ("chatty/gpt-5", "/v1/chat/completions", False),
        ("other/org/m", "/v1/chat/completions", False),
        ("both", "/v1/chat/completions", False),
        ("made", "/v1/responses", True),
    ):
        plan = places.find(name, "responses")
        assert (plan.native, plan.relayed) == (native, True), name
        assert places.head(name, "responses")[0] == f"POST {path} HTTP/1.1"
    target = places.find("org/two", "responses").targets[0]
    assert (target.one_limit, target.tariffs.keys()) == (False, {"groq", "novita"})
    assert places.find("own/gpt-5", "responses").refuses == frozenset()
    with pytest.raises(UnknownModelError):
        places.find("org/none", "responses")


def test_messages_are_asked_where_the_operator_says_that_they_are_made() -> None:
    upstreams = {
        "near": LOCAL,
        "claude": msgspec.structs.replace(LOCAL, speaks=("chat", "messages")),
        "own": UpstreamConfig(kind="provider", provider="openai", key_env="KEY"),
    }
    places = Places(environment={"KEY": "sk-x"}, upstreams=upstreams)
    for name, path, native in (
        ("claude/tiny", "/v1/messages", True),
        ("near/tiny", "/v1/chat/completions", False),
        ("own/gpt-5", "/v1/chat/completions", False),
        ("org/two:groq", "/v1/chat/completions", False),
    ):
        plan = places.find(name, "messages")
        assert (plan.native, plan.relayed) == (native, True), name
        head = places.head(name, "messages")
        assert head[0] == f"POST {path} HTTP/1.1"
        assert ("anthropic-version: 2023-06-01" in head) is native


def test_providers_that_make_responses_are_those_that_the_sdk_knows_for_it() -> None:
    assert RESPONSES.own == _RESPONDING

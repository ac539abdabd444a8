"""Who may be asked for a name by its route's rules: providers in place of a model, names, fallbacks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from test_plans import LOCAL, Places

from trunkline.gateway.config import Price, Route, RouteRules, Target
from trunkline.gateway.config import Upstream as UpstreamConfig
from trunkline.gateway.plans import Plan, UnknownModelError

HUB, VLLM = "huggingface", "vllm"
WHOLE = (Target(HUB, "org/two"),)
UPSTREAMS = {HUB: UpstreamConfig(kind="huggingface"), VLLM: LOCAL}


def plan(name: str = "r", endpoint: str = "chat", **config: Any) -> Plan:
    return Places(**{"upstreams": UPSTREAMS, **config}).plans.find(name, endpoint)


def names(found: Plan) -> list[str]:
    return [target.option.name for target in found.targets if target.option is not None]


def test_a_route_of_one_target_without_rules_is_asked_as_it_is() -> None:
    found = plan(routes={"r": Route((Target(VLLM, "tiny"),))})
    assert (found.policy, found.targets[0].option) == (None, None)


def test_a_model_without_a_provider_is_the_routers_choice_where_the_order_is_fixed() -> None:
    found = plan(routes={"r": Route((*WHOLE, Target(VLLM, "tiny")))})
    assert [target.model for target in found.targets] == ["org/two", "tiny"]
    assert names(found) == ["org/two", "vllm/tiny"]
    assert found.policy is not None


@pytest.mark.parametrize(
    "rules", [{"order": "cheapest"}, {"max_price": Decimal(3)}, {"deny": ("x",)}]
)
def test_it_stands_for_all_that_serve_it_where_rules_choose(rules: dict[str, Any]) -> None:
    found = plan(routes={"r": Route(WHOLE, **rules)})
    assert [t.model for t in found.targets] == ["org/two:groq", "org/two:novita", "org/two:nscale"]
    assert names(found) == ["groq", "novita", "nscale"]
    first = found.targets[0].option
    assert first is not None
    assert (first.pricing.input, first.context, first.account) == (Decimal(1), 1000, HUB)
    assert [t.option.live for t in found.targets if t.option] == [True, True, False]


def test_two_such_models_have_providers_by_the_names_of_both() -> None:
    found = plan(routes={"r": Route((*WHOLE, Target(HUB, "org/gap")), order="cheapest")})
    assert names(found)[0] == "org/two:groq"
    assert "org/gap:novita" in names(found)


def test_what_the_operator_says_of_a_target_is_known() -> None:
    upstream = UpstreamConfig(
        base_url="http://127.0.0.1:1/v1", prices={"*": Price(Decimal(2), Decimal(3), 500)}
    )
    target = Target("own", "m", "mine", ("tools",))
    found = plan(
        upstreams={**UPSTREAMS, "own": upstream}, routes={"r": Route((target,), needs=("tools",))}
    )
    [option] = [t.option for t in found.targets]
    assert option is not None
    assert (option.name, option.provider, option.model) == ("mine", "own", "m")
    assert (option.pricing.output, option.context, option.can["tools"]) == (Decimal(3), 500, True)


def test_fallbacks_come_in_groups_and_theirs_behind_them() -> None:
    routes = {
        "r": Route((Target(VLLM, "a"),), fallbacks=("s", "org/gap")),
        "s": Route((Target(VLLM, "b"), Target(VLLM, "c")), fallbacks=("vllm/d", "vllm/a")),
    }
    found = plan(routes=routes)
    options = [t.option for t in found.targets if t.option]
    assert [(o.name, o.fallback) for o in options] == [
        ("vllm/a", 0),
        ("s > vllm/b", 1),
        ("s > vllm/c", 1),
        ("vllm/d", 2),
        ("org/gap", 4),
    ]


def test_a_fallback_that_is_not_served_any_more_is_passed_over() -> None:
    found = plan(routes={"r": Route((Target(VLLM, "a"),), fallbacks=("org/gone", "vllm/b"))})
    assert [target.model for target in found.targets] == ["a", "b"]
    with pytest.raises(UnknownModelError):
        plan("org/gone")


def test_the_default_route_is_for_open_names_and_chats_alone() -> None:
    rules = RouteRules(order="fastest", fallbacks=("vllm/tiny",))
    assert names(plan("org/two", default_route=rules)) == ["groq", "novita", "nscale", "vllm/tiny"]
    for name in ("org/two:groq", "org/two:fastest", "vllm/tiny"):
        assert plan(name, default_route=rules).policy is None
    assert plan("org/two", "embeddings", default_route=rules).policy is None
    assert plan("org/two").policy is None

"""What a configuration must say of the order of targets, and of fallbacks, which must not lead back. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.errors import InvalidInputError
from trunkline.gateway.config import Config, Route, RouteRules, Target
from trunkline.gateway.config_problems import Problem, Where, did_you_mean, listed, quoted
from trunkline.providers.table import PROVIDERS
from trunkline.routing.policy import Policy

_NOTHING = RouteRules()
_WITH = {"weights": {"order": "weighted"}, "hold_tokens": {"on_cut": "hold"}}
"""What has to be said beside a setting for it to be right by itself."""
_WITH["hold_seconds"] = _WITH["hold_tokens"]


def settings_of(rules: RouteRules) -> dict[str, Any]:
    """Return what was set of a route's rules."""
    names = RouteRules.__struct_fields__
    return {n: v for n in names if (v := getattr(rules, n)) != getattr(_NOTHING, n)}


def policy_of(rules: RouteRules) -> Policy:
    """Return the policy of a route; raises InvalidInputError."""
    return Policy(**settings_of(rules))


def target_name(target: Target, config: Config) -> str:
    """Return what a route calls a target."""
    if target.name is not None:
        return target.name
    if is_routed(target.upstream, config):
        return target.model.rpartition(":")[2] if ":" in target.model else target.model
    return f"{target.upstream}/{target.model}"


def is_routed(upstream: str, config: Config) -> bool:
    """Tell whether an upstream is Hugging Face's router."""
    found = config.upstreams.get(upstream)
    return upstream == "huggingface" if found is None else found.kind == "huggingface"


def rule_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with the rules of routes, and of models without one."""
    yield from _rules(("default_route",), config.default_route)
    yield from _fallbacks(("default_route",), None, config.default_route, config)
    for name, route in config.routes.items():
        where: Where = ("routes", name)
        yield from _rules(where, route)
        yield from _names(where, route, config)
        yield from _fallbacks(where, name, route, config)


def _rules(where: Where, rules: RouteRules) -> Iterator[Problem]:
    wrong = False
    for name, value in settings_of(rules).items():
        if value == ():
            yield Problem((*where, name), "is an empty list. Leave it out.")
            wrong = True
            continue
        try:
            given: dict[str, Any] = {**_WITH.get(name, {}), name: value}
            Policy(**given)
        except InvalidInputError as error:
            wrong = True
            yield Problem((*where, name), _said(name, error))
    if wrong:
        return
    try:
        policy_of(rules)
    except InvalidInputError as error:
        yield Problem(where, f"cannot be meant: {_whole(error)}")


def _said(name: str, error: InvalidInputError) -> str:
    whole = _whole(error)
    told = whole.removeprefix(f"The route's {name} ").removeprefix(f"the route's {name} ")
    return told if told != whole else f"cannot be meant: {whole}"


def _whole(error: InvalidInputError) -> str:
    return f"{error.message} {error.hint or ''}".strip()


def _names(where: Where, route: Route, config: Config) -> Iterator[Problem]:
    """Yield what is wrong with targets' names, and with weights, which go by them."""
    names = [target_name(target, config) for target in route.targets]
    for at, target in enumerate(route.targets):
        if names[at] in names[:at] and target not in route.targets[:at]:
            yield Problem(
                (*where, "targets", at, "name"),
                f"is {quoted(names[at])} for two targets. Give one of them another name.",
            )
    whole = any(is_routed(t.upstream, config) and ":" not in t.model for t in route.targets)
    for name in route.weights:
        if name not in names and not (whole and name in PROVIDERS):
            yield Problem(
                (*where, "weights", name),
                f"is the weight of no target.{did_you_mean(name, names)} There is {listed(names)}.",
            )
    if names and not whole and not any(route.weights.get(name, 1) for name in names):
        yield Problem((*where, "weights"), "are all 0, so that no target could be asked.")


def _fallbacks(
    where: Where, name: str | None, rules: RouteRules, config: Config
) -> Iterator[Problem]:
    place = (*where, "fallbacks")
    for fallback in rules.fallbacks or ():
        first, slash, _ = fallback.partition("/")
        known = fallback in config.routes or (slash and first in config.upstreams)
        if not known and not (slash and is_routed(config.default_upstream, config)):
            yield Problem(
                place,
                f"has {quoted(fallback)}, which is no route and no model of an upstream."
                f"{did_you_mean(fallback, config.routes)}",
            )
    if name is not None:
        circle = _circle(name, config)
        if circle is not None:
            yield Problem(place, f"lead back to the route itself: {' -> '.join(circle)}.")


def _circle(name: str, config: Config) -> tuple[str, ...] | None:
    """Return a way on which fallbacks lead from a route back to it."""
    ways: dict[str, tuple[str, ...]] = {name: (name,)}
    waiting = [name]
    while waiting:
        here = waiting.pop()
        route = config.routes.get(here)
        for fallback in (route.fallbacks or ()) if route is not None else ():
            if fallback == name:
                return (*ways[here], name)
            if fallback not in ways:
                ways[fallback] = (*ways[here], fallback)
                waiting.append(fallback)
    return None

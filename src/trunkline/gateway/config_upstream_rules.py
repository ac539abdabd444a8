"""What a configuration must say of upstreams and of the routes to them. Pure; opens nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qsl

from trunkline.errors import InvalidInputError
from trunkline.gateway.config import Config, Route, Upstream
from trunkline.gateway.config_problems import (
    Problem,
    Where,
    did_you_mean,
    listed,
    masked,
    quoted,
)
from trunkline.providers.table import PROVIDERS
from trunkline.wire.message import parse_url

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_RANDOM = re.compile(r"(?=[^_]*[a-z])(?=[^_]*[0-9])[A-Za-z0-9]{20,}")
"""What a key without a known beginning looks like, and the name of a variable does not."""
_SECRET_QUERY = re.compile(r"(?i)key|token|secret|password|auth|sig")


def upstream_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with upstreams, each by itself, and with the default one."""
    for name, upstream in config.upstreams.items():
        where: Where = ("upstreams", name)
        if not _NAME.fullmatch(name):
            yield Problem(
                where,
                "cannot be a name: letters, digits, dots, hyphens and underscores, at most 64.",
            )
        yield from _kind(where, upstream)
        if upstream.base_url is not None:
            yield from _address((*where, "base_url"), upstream.base_url)
        yield from _key_env((*where, "key_env"), upstream.key_env)
        yield from _models(where, upstream)
        yield from _limited_providers(where, upstream)
        if upstream.speaks is not None and "chat" not in upstream.speaks:
            yield Problem((*where, "speaks"), 'needs "chat": every upstream is asked by chats.')
    if config.default_upstream not in config.upstreams:
        yield _not_configured(("default_upstream",), config.default_upstream, config)


def route_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with routes: names, targets, and names that mean two things."""
    listed_models = {
        f"{name}/{model}" for name, each in config.upstreams.items() for model in each.models
    }
    cases = Counter(name.lower() for name in config.routes)
    for name, route in config.routes.items():
        where: Where = ("routes", name)
        if not name or not name.isprintable() or any(c.isspace() for c in name):
            yield Problem(where, "cannot be a name: it is empty or has white space in it.")
        if name in listed_models:
            yield Problem(
                where,
                "is also the name of a model that an upstream lists in its `models`. Rename it.",
            )
        if cases[name.lower()] > 1:
            yield Problem(where, "differs from another route in capitals alone. Rename one.")
        yield from _targets((*where, "targets"), route, config)


def _targets(where: Where, route: Route, config: Config) -> Iterator[Problem]:
    if not route.targets:
        yield Problem(where, "is empty: a route needs a target.")
    for at, target in enumerate(route.targets):
        place = (*where, at)
        if target.upstream not in config.upstreams:
            yield _not_configured((*place, "upstream"), target.upstream, config)
        if not _is_model(target.model):
            yield Problem((*place, "model"), "is no model's name: it is empty or has white space.")
        if target in route.targets[:at]:
            yield Problem(place, "is the same as a target before it.")


def _not_configured(where: Where, name: str, config: Config) -> Problem:
    known = config.upstreams
    return Problem(
        where,
        f"is {quoted(name)}, and no such upstream is configured.{did_you_mean(name, known)} "
        f"There is {listed(known)}.",
        leans_on=(("upstreams",), ("upstreams", name)),
    )


def _kind(where: Where, upstream: Upstream) -> Iterator[Problem]:
    place = (*where, "provider")
    if upstream.kind == "openai" and upstream.base_url is None:
        yield Problem(
            (*where, "base_url"),
            'is missing: kind "openai" needs the address, such as "http://127.0.0.1:8000/v1".',
            leans_on=((*where, "kind"), place),
        )
    if upstream.kind == "provider":
        yield from _provider(place, upstream)
    elif upstream.provider is not None:
        yield Problem(
            place, f'is for kind = "provider" alone, and kind is {quoted(upstream.kind)} here.'
        )


def _provider(place: Where, upstream: Upstream) -> Iterator[Problem]:
    name = upstream.provider
    if name is None:
        yield Problem(
            place, f'is missing: kind "provider" needs one of {listed(sorted(PROVIDERS))}.'
        )
        return
    row = PROVIDERS.get(name)
    if row is None:
        yield Problem(
            place,
            f"is {quoted(name)}, which is no provider known here.{did_you_mean(name, PROVIDERS)} "
            f"There are {listed(sorted(PROVIDERS))}.",
        )
    if upstream.key_env is None:
        yield Problem(
            (*place[:-1], "key_env"),
            "is missing: a provider's own address wants the provider's own key. "
            "Name the environment variable that holds it.",
        )


def _limited_providers(where: Where, upstream: Upstream) -> Iterator[Problem]:
    """Yield what is wrong with providers that have limits: only what calls name can be counted."""
    for name in upstream.providers:
        place = (*where, "providers", name)
        if upstream.kind != "huggingface":
            yield Problem(
                place, 'is for kind = "huggingface" alone; put `limits` on the upstream itself.'
            )
        elif name not in PROVIDERS:
            yield Problem(
                place,
                f"is no provider known here.{did_you_mean(name, PROVIDERS)} "
                f"There are {listed(sorted(PROVIDERS))}.",
            )


def _address(where: Where, url: str) -> Iterator[Problem]:
    example = 'such as "http://127.0.0.1:8000/v1"'
    if "@" in url:
        yield Problem(
            where, f"has a user or password in it. Give an address alone, {example}, and key_env."
        )
        return
    query = url.partition("#")[0].partition("?")[2]
    if any(_SECRET_QUERY.search(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        yield Problem(
            where, "has a key in its query; put it into a variable and name it in key_env."
        )
        return
    try:
        parse_url(url)
    except InvalidInputError as error:
        why = masked(error.message.rpartition("URL: ")[2] or error.message).rstrip(".")
        yield Problem(where, f"is no absolute http(s) URL, {example}: {why}.")


def _key_env(where: Where, name: str | None) -> Iterator[Problem]:
    if name is not None and (not _VARIABLE.fullmatch(name) or _RANDOM.fullmatch(name)):
        yield Problem(
            where,
            'must be the name of an environment variable, such as "GROQ_API_KEY". '
            "The key itself is never written in the file.",
        )


def _models(where: Where, upstream: Upstream) -> Iterator[Problem]:
    for at, model in enumerate(upstream.models):
        if not _is_model(model):
            yield Problem((*where, "models", at), "is no model's name: empty or with white space.")
        elif model in upstream.models[:at]:
            yield Problem((*where, "models", at), "is there twice.")
    for model in upstream.prices:
        if not _is_model(model):
            yield Problem((*where, "prices", model), "is no model's name.")
    yield from _prices(where, upstream)


def _prices(where: Where, upstream: Upstream) -> Iterator[Problem]:
    for model, price in upstream.prices.items():
        place = (*where, "prices", model)
        if price.input is None and (price.request is None or price.output):
            yield Problem(
                (*place, "input"),
                "is missing: the price of a million tokens, or `request` alone for that of a call.",
                leans_on=((*place, "output"), (*place, "request")),
            )


def _is_model(name: str) -> bool:
    return bool(name) and name.isprintable() and not any(c.isspace() for c in name)

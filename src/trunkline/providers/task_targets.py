"""From a task, a model and a credential to the target of a call.

What has to be asked first, the flow asks: nothing is sent here.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from trunkline.dialects.shape import Lora
from trunkline.errors import AuthenticationError, InvalidInputError, ModelNotSupportedError
from trunkline.model_id import ModelId
from trunkline.providers.engines import engine_url
from trunkline.providers.mapping import Serving
from trunkline.providers.served import PIPELINE_TASKS, SERVED, TEI_TASKS, TEI_TOKENS
from trunkline.providers.spec import Provider, Route, Target, Via
from trunkline.providers.table import PROVIDERS, provider_hint
from trunkline.providers.targets import (
    Places,
    account_headers,
    check_names_model,
    is_hugging_faces,
    no_token,
    own_provider,
    placeholder,
)
from trunkline.providers.task_table import find_route, providers_of
from trunkline.types import Secret
from trunkline.types.tasks import FUNCTIONS
from trunkline.wire.message import SANDBOX, Url, below, parse_url

_SANDBOX_FIRST = ("hf-inference", "fal-ai", "deepinfra", "wavespeed")
"""Whose manner a `sandbox/<name>` model has, if nothing else is said: the first with the task."""

_UNROUTED = frozenset({"openai"})
"""Providers that take their own keys alone: the Hub maps nothing to them."""

_RUNNING = {
    "openai": "that speaks OpenAI's form",
    "tei": "that runs Text Embeddings Inference",
    "tgi": "that runs Text Generation Inference",
}


class Way(msgspec.Struct, frozen=True):
    """How a call to one of Hugging Face's providers goes: through the router, or straight."""

    via: Via
    provider: str | None
    """None leaves the choice to the Hub's mapping."""
    name: str
    """The model, as the caller named it."""
    secret: Secret | None

    @property
    def mapped(self) -> bool:
        """Whether the Hub has to be asked: for the provider, or for its name of the model."""
        row = PROVIDERS.get(self.provider or "")
        return self.provider is None or (
            self.name.count("/") == 1 and (row is None or row.maps_models)
        )


def choose_way(task: str, model: ModelId, places: Places) -> Way:
    """Decide how a call of `task` goes; raises for what cannot be.

    Raises AuthenticationError without a credential where one is needed, InvalidInputError where
    model and credential do not go together, ModelNotSupportedError for a provider without the task.
    """
    _check_servable(task, model)
    provider, name = model.provider, model.name
    secret = places.secret or placeholder(places.router)
    direct = places.direct
    if direct is None:
        direct = bool(secret and places.explicit and not secret.is_hugging_face)
    if direct:
        provider, name = own_provider(model)
    if secret is None and provider != "hf-inference":  # which answers strangers, a little
        raise no_token()
    if direct and provider is None:
        raise InvalidInputError(
            "The call should go to a provider itself, and the model string names none.",
            model=str(model),
            hint="Name it: huggingface/<provider>/<org>/<model>. Or pass direct=False.",
        )
    if provider is not None:
        route_of(provider, task, str(model))
        if provider in _UNROUTED and not direct:
            raise AuthenticationError(
                f"Hugging Face does not route to {provider}.",
                provider=provider,
                model=str(model),
                hint=f"Pass {PROVIDERS[provider].title}'s own key as token=.",
            )
    if direct and not places.explicit and provider != "hf-inference":
        raise AuthenticationError(
            f"direct=True goes to {provider} itself, and no key for it was given.",
            provider=provider,
            hint="Pass the provider's own key as token=.",
        )
    return Way("direct" if direct else "router", provider, name, secret)


def _check_servable(task: str, model: ModelId) -> None:
    """Raise for a task that nobody serves, and for a model string that means nothing for it."""
    if model.provider is None and not providers_of(task):
        raise ModelNotSupportedError(
            f"No provider serves {task}.", model=str(model), hint=_elsewhere(task)
        )
    if model.policy not in (None, "preferred"):
        raise InvalidInputError(
            f"The router chooses the {model.policy} provider for chat only, not for {task}.",
            model=str(model),
            hint="Name a provider (huggingface/<provider>/<org>/<model>), or leave the policy out.",
        )
    check_names_model(model)


def route_of(provider: str, task: str, model: str | None = None) -> Route:
    """Return how `provider` serves `task`; raises ModelNotSupportedError, naming who does."""
    route = find_route(provider, task)
    if route is not None:
        return route
    others = ", ".join(providers_of(task)) or "no provider"
    who = "Use completion() for chat." if task == "conversational" else f"Those who do: {others}."
    said = f"Provider {provider} does not serve {task}."
    if provider not in PROVIDERS:
        said = provider_hint(provider) or said
        who = who.replace("Those who do", f"Those who serve {task}")
    raise ModelNotSupportedError(said, provider=provider, model=model, hint=who)


def knows(provider: str, task: str) -> bool:
    """Tell whether a provider's way of serving a task is known here."""
    return find_route(provider, task) is not None


def provider_target(
    task: str, way: Way, places: Places, serving: Serving | None, hub: str
) -> Target:
    """Return the target at a provider, given what the Hub says of it (None: nothing)."""
    provider = serving.provider if serving else way.provider or ""
    route = route_of(provider, task)
    row = PROVIDERS[provider]
    name = serving.name if serving else way.name
    if way.via == "router":
        base = below(parse_url(places.router.removesuffix("/").removesuffix("/v1")), provider)
        scheme, auth, account = "Bearer", "authorization", account_headers(places)
    else:
        base = parse_url(places.address or route.base_url or row.base_url)
        scheme, auth, account = row.scheme, row.auth_header, ()
    target = _target(base, way.via, row, route, name)
    return msgspec.structs.replace(
        target,
        secret=way.secret,
        scheme=scheme,
        auth_header=auth,
        headers=(*account, *row.headers, *route.headers),
        lora=_lora(way.name, serving, hub),
    )


def sandbox_target(task: str, model: ModelId) -> Target:
    """Return the target in the emulator; `sandbox/<provider>/<org>/<model>` has its manner.

    Raises ModelNotSupportedError where that provider lacks the task, as it would in life.
    """
    first, _, rest = model.name.partition("/")
    named = "/" in rest and first in PROVIDERS
    manners = (first,) if named else (*_SANDBOX_FIRST, *PROVIDERS)
    provider = next((p for p in manners if named or knows(p, task)), None)
    name = rest if named else model.name
    if provider is None:
        return _sandbox_engine(task, name)
    row, route = PROVIDERS[provider], route_of(provider, task, str(model))
    target = _target(below(SANDBOX, provider), "sandbox", row, route, name)
    # a real model has one task; in the emulator any name has all, so that it has to be told
    told = ("x-sandbox-task", task)
    return msgspec.structs.replace(target, headers=(*row.headers, *route.headers, told))


def _sandbox_engine(task: str, name: str) -> Target:
    """Return the target in the emulator for what no provider serves: its TEI."""
    route = TEI_TASKS.get(task)
    if route is None:
        raise ModelNotSupportedError(f"There is no task {task!r}.", model=name)
    base = below(SANDBOX, "tei")
    url = below(base, route.path)
    return Target(url, name, "sandbox", route=route, base=base, max_batch=route.max_batch)


def served_target(
    task: str, model: ModelId, places: Places, base: Url, engine: str, *, pooled: bool = False
) -> Target:
    """Return the target on a server of the caller's own, by the engine that runs there.

    `pooled` asks for a vector for each token, where the engine has a route for that.
    """
    routes = PIPELINE_TASKS if engine == "pipeline" else SERVED.get(engine, {})
    route = routes.get(task) or SERVED["openai"].get(task) or PIPELINE_TASKS.get(task)
    if pooled and route is TEI_TASKS["feature-extraction"]:
        route = TEI_TOKENS
    if route is None:
        raise ModelNotSupportedError(
            f"A server {_RUNNING.get(engine, f'that runs {engine}')} has no known way to serve {task}.",
            model=str(model),
            hint=_elsewhere(task),
        )
    theirs = is_hugging_faces(base)
    send = places.explicit or (theirs and base.scheme == "https")
    url = engine_url(base, route.path) if route.path else base
    if places.address is not None and route.path.startswith("v1/"):
        url = below(parse_url(places.address), route.path.removeprefix("v1/"))
    if route.shape.job is not None:  # its jobs lie beside it
        path, mark, query = url.target.partition("?")
        base = msgspec.structs.replace(url, target=path.rpartition("/")[0] + mark + query)
    return Target(
        url,
        model.name,
        "served",
        secret=places.secret if send else None,
        headers=(*account_headers(places, known_host=theirs), *route.headers),
        route=route,
        base=base,
        max_batch=route.max_batch,
    )


def _target(base: Url, via: Via, row: Provider, route: Route, name: str) -> Target:
    versioned = ":" in name.rpartition("/")[2] and route.version_path
    path = (versioned or route.path).replace("{model}", quote(name, safe="/:@"))
    queue = route.shape.job.routed_query if route.shape.job and via != "direct" else ""
    url = below(base, path + (f"?{queue}" if queue else ""))
    return Target(url, name, via, row.name, route=route, base=base, max_batch=route.max_batch)


def _lora(repo: str, serving: Serving | None, hub: str) -> Lora | None:
    if serving is None or serving.adapter != "lora":
        return None
    return Lora(repo, serving.weights or "", hub.rstrip("/"))


def _elsewhere(task: str) -> str:
    found = providers_of(task)
    if not found:
        return f"{FUNCTIONS[task]}() needs a server that runs TEI: give its address as api_base=."
    return f"{FUNCTIONS[task]}() works with a provider: {', '.join(found)}."

"""The inference router: chat on the unified route and on each provider's own, and its models."""

from __future__ import annotations

import re

import msgspec

from trunkline.dialects.openai_server import (
    RequestError,
    completion_body,
    error_body,
    read_chat,
    wants_usage,
)
from trunkline.model_id import POLICIES
from trunkline.providers.table import PROVIDERS
from trunkline.sandbox.accounts import refusal
from trunkline.sandbox.answers import answer
from trunkline.sandbox.models import (
    MODELS,
    RENAMED,
    chat_models,
    offers_by_own_name,
    router_entry,
    serving_providers,
)
from trunkline.sandbox.pieces import MANNERS, PLAIN, events, mannered
from trunkline.sandbox.reply import Pause, Reply, json_reply
from trunkline.sandbox.served import Served
from trunkline.sandbox.visit import Visit
from trunkline.types import Chat

SANDBOX_PROVIDER = "sandbox"
FAULT_MODEL = re.compile(r"(?:^|/)fault-(?P<fault>[^:]+)")

_NO_PRICE = float("inf")


def chat(visit: Visit, _: dict[str, str]) -> Reply:
    """Answer a chat on the unified route."""
    refused = None if visit.inside else refusal(visit.head.headers, visit.orgs)
    if refused:
        return refused
    try:
        asked = read_chat(visit.body)
        offer = find_offer(asked.model.name, inside=visit.inside)
        return speak(visit, asked, offer, named=True)
    except RequestError as wrong:
        return json_reply(wrong.status, wrong.body())


def provider_post(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer on a provider's own route: a chat, if that is its path for chats, or a task."""
    provider, path = parts["provider"], parts["path"]
    row = PROVIDERS.get(provider)
    if row is None or provider not in serving_providers():
        return json_reply(404, {"error": "Not Found"})
    refused = None if visit.inside else refusal(visit.head.headers, visit.orgs)
    if refused:
        return refused
    if path != row.chat_path:
        return _task(visit, parts)
    try:
        asked = read_chat(visit.body)
        offer = _find_own(provider, asked.model.name, inside=visit.inside)
        if offer is None:
            return json_reply(400, {"error": f"Model not supported by provider {provider}"})
        return speak(visit, asked, offer)
    except RequestError as wrong:
        return json_reply(wrong.status, wrong.body())


def server_post(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer a task in OpenAI's own form, as a server of one's own does."""
    return _task(visit, {**parts, "provider": "openai"})


def hf_inference_chat(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer a chat with a model that Hugging Face serves itself; no token is needed."""
    name = RENAMED.get(parts["model"], parts["model"])
    headers = visit.head.headers
    refused = None if visit.inside else refusal(headers, visit.orgs, anonymous=True)
    if refused:
        return refused
    if name not in MODELS and not is_invented(name, inside=visit.inside):
        return json_reply(404, {"error": f"Model {name} does not exist"})
    offer = _find_own("hf-inference", name, inside=visit.inside)
    if offer is None:
        return Reply(404, (("content-type", "text/plain; charset=utf-8"),), (b"Not Found",))
    try:
        return speak(visit, read_chat(visit.body), offer)
    except RequestError as wrong:
        return json_reply(wrong.status, wrong.body())


def models(_: Visit, __: dict[str, str]) -> Reply:
    """List the models that chat."""
    listed = [router_entry(model) for model in chat_models()]
    return json_reply(200, {"object": "list", "data": listed})


def model(_: Visit, parts: dict[str, str]) -> Reply:
    """Tell of one model."""
    found = MODELS.get(parts["model"])
    if found is None or found not in chat_models():
        message = f"The model '{parts['model']}' does not exist"
        return json_reply(404, error_body(message, param="model", code="model_not_found"))
    return json_reply(200, router_entry(found))


def provider_other(visit: Visit, parts: dict[str, str]) -> Reply:
    """List a provider's own models, or tell of a job: all that may be read of it."""
    provider, path = parts["provider"], parts["path"]
    row = PROVIDERS.get(provider)
    if row is None or provider not in serving_providers():
        return json_reply(404, {"error": "Not Found"})
    listed = row.chat_path and path == row.chat_path.replace("chat/completions", "models")
    if not listed or visit.head.method == "PUT":
        refused = None if visit.inside else refusal(visit.head.headers, visit.orgs)
        return refused or _task(visit, parts)
    names = [o.own_name for m in chat_models() for o in m.served if o.provider == provider]
    return json_reply(
        200, {"object": "list", "data": [{"id": n, "object": "model"} for n in names]}
    )


def is_invented(name: str, *, inside: bool = False) -> bool:
    """Tell whether a name answers though no model has it: `sandbox/...` and `org/fault-...`."""
    return inside or name.startswith("sandbox/") or FAULT_MODEL.search(name) is not None


def _task(visit: Visit, parts: dict[str, str]) -> Reply:
    from trunkline.sandbox import task_routes  # chats need none of it

    return task_routes.answer(visit, parts)


def find_offer(asked: str, *, inside: bool) -> Served:
    """Return who serves what the unified route was asked for; raises RequestError."""
    name, _, suffix = asked.partition(":")
    if is_invented(name, inside=inside):
        return Served(suffix if suffix in PROVIDERS else SANDBOX_PROVIDER, name)
    if suffix and suffix not in POLICIES and suffix not in serving_providers():
        raise RequestError(
            f"the provider you attempted to explicitly specify '{suffix}' is not a valid provider.",
            param="model",
            code="model_not_supported",
        )
    found = MODELS.get(name)
    chats = found is not None and found.task == "conversational"
    offer = _choose(found.served, suffix) if found and chats else None
    if offer is None:
        raise RequestError(
            f"The requested model '{asked}' is not supported by any provider you have enabled.",
            param="model",
            code="model_not_supported",
        )
    return offer


def _choose(offers: tuple[Served, ...], suffix: str) -> Served | None:
    """Take the provider that is named, or the best live one by the policy's measure."""
    if suffix and suffix not in POLICIES:
        return next((offer for offer in offers if offer.provider == suffix), None)
    live = [offer for offer in offers if offer.status == "live"]
    if suffix == "preferred":
        return next(iter(live), None)
    if suffix == "cheapest":
        return min(live, key=lambda o: o.prices[1] if o.prices else _NO_PRICE, default=None)
    return max(live, key=lambda o: o.throughput or 0.0, default=None)


def _find_own(provider: str, own_name: str, *, inside: bool) -> Served | None:
    if is_invented(own_name, inside=inside):
        return Served(provider, own_name)
    found = offers_by_own_name().get((provider, own_name), ())
    return next((offer for model, offer in found if model.task == "conversational"), None)


def speak(visit: Visit, asked: Chat, offer: Served, *, named: bool = False) -> Reply:
    """Return the provider's answer; `named` says in a header who it is."""
    refused = particular_refusal(asked, offer.provider)
    if refused:
        return refused
    manner = MANNERS.get(offer.provider, PLAIN)
    headers = (("x-inference-provider", offer.provider),) if named else ()
    completion = answer(asked, visit.seed, offer.own_name)
    if not asked.stream:
        whole = json_reply(200, completion_body(mannered(completion, manner)), *headers)
        spent = (completion.usage and completion.usage.completion_tokens) or 0
        wait = visit.delay + visit.gap * spent
        return msgspec.structs.replace(whole, before=(Pause(wait),)) if wait else whole
    steps = events(completion, manner, include_usage=wants_usage(asked))
    typed = ("content-type", "text/event-stream; charset=utf-8")
    return Reply(200, (typed, ("cache-control", "no-cache"), *headers), tuple(steps), "chunked")


def particular_refusal(asked: Chat, provider: str) -> Reply | None:
    """Return a provider's answer to what it does not take; None where it takes all."""
    for refuse in _PARTICULAR.get(provider, ()):
        refused = refuse(asked)
        if refused:
            return refused
    return None


def _no_tools(asked: Chat) -> Reply | None:
    """Refuse tools, as Nscale does."""
    given = ", ".join(name for name in ("tools", "tool_choice") if name in asked.parameters)
    if not given:
        return None
    message = f"The following parameters are not supported for this model: {given}"
    error = {
        "code": "422",
        "error_type": "UNSUPPORTED_OPENAI_PARAMS",
        "message": message,
        "param": given,
    }
    return json_reply(400, {"error": error})


def _no_store(asked: Chat) -> Reply | None:
    """Refuse `store`, as Cerebras does."""
    if "store" not in asked.parameters:
        return None
    message = "body.store: property 'body.store' is unsupported"
    wrong = {"message": message, "type": "invalid_request_error", "param": "store"}
    return json_reply(400, {**wrong, "code": "wrong_api_format"})


_PARTICULAR = {"cerebras": (_no_store,), "nscale": (_no_tools,)}
"""What some providers refuse and others take."""

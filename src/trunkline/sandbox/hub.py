"""The Hub's API, as far as calls through Hugging Face need it: model info, who am I, tasks."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from trunkline.sandbox.accounts import BAD_TOKEN, find_account, unauthorized, whoami
from trunkline.sandbox.models import MODELS, RENAMED, hub_id, mapping, serving_for
from trunkline.sandbox.reply import Reply, json_reply, with_headers
from trunkline.sandbox.served import Model, Served
from trunkline.sandbox.visit import Visit
from trunkline.types.tasks import TASKS

_NOT_FOUND = "Repository not found"


def model_info(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell of one model, or only what `expand` names."""
    name = parts["model"]
    if name in RENAMED:
        query = f"?{visit.head.query}" if visit.head.query else ""
        return _moved(f"/api/models/{RENAMED[name]}{query}")
    model = MODELS.get(name) or _invented(name)
    if model is None:
        return _missing(visit)
    return json_reply(200, _info(model, _expanded(visit), listed=False))


def model_list(visit: Visit, _: dict[str, str]) -> Reply:
    """List models; `inference_provider`, `pipeline_tag`, `search` and `limit` narrow it."""
    query = parse_qs(visit.head.query)
    wanted = {p for value in query.get("inference_provider", ()) for p in value.split(",")}
    tags = set(query.get("pipeline_tag", ()))
    search = query.get("search", [""])[0].lower()
    limit = query.get("limit", ["1000"])[0]
    found = [
        model
        for model in MODELS.values()
        if (not wanted or _served_by(model, wanted))
        and (not tags or model.pipeline_tag in tags)
        and search in model.name.lower()
    ]
    found = found[: int(limit)] if limit.isdigit() else found
    return json_reply(200, [_info(model, _expanded(visit), listed=True) for model in found])


def _served_by(model: Model, wanted: set[str]) -> bool:
    providers = {offer.provider for offer in model.served}
    return bool(providers if "all" in wanted else providers & wanted)


def who_am_i(visit: Visit, _: dict[str, str]) -> Reply:
    """Tell whose token it is."""
    account = find_account(visit.head.headers)
    if account is None:
        return unauthorized(BAD_TOKEN)
    return json_reply(200, whoami(account, visit.orgs))


def tasks(_: Visit, __: dict[str, str]) -> Reply:
    """List the tasks that models here have, each with its models."""
    found: dict[str, dict[str, Any]] = {}
    for model in MODELS.values():
        tag = model.pipeline_tag
        label = tag.replace("-", " ").title()
        task = found.setdefault(
            tag, {"id": tag, "label": label, "models": [], "widgetModels": [model.name]}
        )
        task["models"].append({"id": model.name, "description": "Served by the sandbox."})
    return json_reply(200, found)


def partner_models(visit: Visit, parts: dict[str, str]) -> Reply:
    """List what a provider serves, by task; `status` narrows it."""
    wanted = set(parse_qs(visit.head.query).get("status", ()))
    found: dict[str, dict[str, Any]] = {}
    for model in MODELS.values():
        for offer in model.served:
            if offer.provider != parts["provider"] or (wanted and offer.status not in wanted):
                continue
            told = {"_id": hub_id(model.name), "providerId": offer.own_name}
            lora = {} if offer.lora is None else {"adapterType": "lora"}
            entry = {**told, "status": offer.status, **lora}
            found.setdefault(offer.task or model.task, {})[model.name] = entry
    return json_reply(200, found)


def _moved(place: str) -> Reply:
    text = f"Temporary Redirect. Redirecting to {place}"
    headers = (("content-type", "text/plain; charset=utf-8"), ("location", place))
    return Reply(307, headers, (text.encode(),))


def _invented(name: str) -> Model | None:
    """Return the model `<task>/fault-...` or `sandbox/<task>...`: everybody serves it for that."""
    org, _, rest = name.partition("/")
    told = {org} if org != "sandbox" else {t for t in TASKS if rest.startswith(t)}
    task = max(told & set(TASKS), key=len, default=None)
    if task is None or not (org == "sandbox" or rest.startswith("fault-")):
        return None
    tag = "text-generation" if task == "conversational" else task
    offers = tuple(Served(provider, name) for provider in sorted(serving_for(task)))
    return Model(name, offers, task=task, pipeline_tag=tag)


def _expanded(visit: Visit) -> set[str]:
    query = parse_qs(visit.head.query)
    return set(query.get("expand", [])) | set(query.get("expand[]", []))


def _info(model: Model, expanded: set[str], *, listed: bool) -> dict[str, Any]:
    served = mapping(model)
    fields: dict[str, Any] = {
        "author": model.org,
        "pipeline_tag": model.pipeline_tag,
        "tags": [model.pipeline_tag, model.task],
        "private": False,
        "gated": "auto" if model.gated else False,
        "disabled": False,
        "downloads": 1000,
        "likes": 10,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "inference": "warm",
        "inferenceProviderMapping": _as_list(served, model) if listed else served,
    }
    always = {"_id": hub_id(model.name), "id": model.name}
    if not expanded:
        del fields["inferenceProviderMapping"]
        return {**always, "modelId": model.name, **fields}
    return {**always, **{name: fields[name] for name in fields if name in expanded}}


def _as_list(served: dict[str, dict[str, Any]], model: Model) -> list[dict[str, Any]]:
    return [{"provider": p, "hfModelId": model.name, **told} for p, told in served.items()]


def _missing(visit: Visit) -> Reply:
    """Answer for a model that is not there: the Hub hides from strangers whether it is."""
    code = (("x-error-code", "RepoNotFound"), ("x-error-message", _NOT_FOUND))
    if find_account(visit.head.headers):
        return json_reply(404, {"error": _NOT_FOUND}, *code)
    plain = unauthorized(BAD_TOKEN)
    headers = tuple(h for h in plain.headers if h[0] != "x-error-message")
    return with_headers(Reply(401, headers, plain.steps), *code)

"""The Hub's API, as far as calls through Hugging Face need it: model info, who am I, tasks."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from trunkline.sandbox.accounts import BAD_TOKEN, find_account, unauthorized, whoami
from trunkline.sandbox.models import MODELS, Model, hub_id, mapping
from trunkline.sandbox.reply import Reply, json_reply, with_headers
from trunkline.sandbox.visit import Visit

_NOT_FOUND = "Repository not found"


def model_info(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell of one model, or only what `expand` names."""
    model = MODELS.get(parts["model"])
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
        if (not wanted - {"all"} or wanted & {offer.provider for offer in model.served})
        and (not tags or model.pipeline_tag in tags)
        and search in model.name.lower()
    ]
    found = found[: int(limit)] if limit.isdigit() else found
    return json_reply(200, [_info(model, _expanded(visit), listed=True) for model in found])


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
        "gated": False,
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

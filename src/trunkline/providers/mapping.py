"""Which providers serve a model of the Hub, for which task and under which name.

`GET /api/models/<org>/<name>?expand=inferenceProviderMapping`, written, read and remembered. It
asks nobody itself, and does not know the providers.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

import msgspec

from trunkline._version import __version__
from trunkline.providers.memory import Key, Memory, key_for
from trunkline.types import Secret
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest, ResponseHead, Url, parse_url

Problem = Literal["missing", "gated", "disabled", "refused", "unmapped", "unreadable"]
"""Why the Hub told no providers: no such repository, or none that the token may see; terms to
accept; a repository that was closed; a token that was not accepted; an answer without a mapping;
an answer that makes no sense."""

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes that the Hub's answer may have."""

_SAME_ON_HF_INFERENCE = frozenset({"feature-extraction", "sentence-similarity", "text-ranking"})
"""hf-inference serves all of these with any model that is mapped to one of them."""


class Serving(msgspec.Struct, frozen=True):
    """One provider's row for a model."""

    provider: str
    name: str
    """The model's name at the provider."""
    task: str = ""
    status: str = ""
    """`live`; `staging`: for members of the provider's organisation; `error`: the last automatic
    check failed, and calls may work all the same."""
    adapter: str | None = None
    """`lora` where the model is put on another one."""
    weights: str | None = None
    """A LoRA's file in the model's repository."""

    def serves(self, task: str) -> bool:
        """Tell whether the row is for `task`."""
        if self.provider == "hf-inference" and task in _SAME_ON_HF_INFERENCE:
            return self.task in _SAME_ON_HF_INFERENCE
        return self.task == task


class ModelMap(msgspec.Struct, frozen=True):
    """What the Hub told of one model."""

    model: str
    """As it was asked for; a renamed repository answers under its old name too."""
    servings: tuple[Serving, ...] = ()
    """In the Hub's order, which is the account's order of preference where a token was sent."""
    problem: Problem | None = None

    def row(self, provider: str, task: str | None = None) -> Serving | None:
        """Return a provider's row, the one for `task` first."""
        rows = [row for row in self.servings if row.provider == provider]
        fitting = [row for row in rows if task is not None and row.serves(task)]
        return next(iter((*fitting, *rows)), None)


# reading


def read_servings(body: Any) -> tuple[Serving, ...] | None:
    """Return the rows of a decoded model info, in order; None where it has no mapping.

    The mapping is a dict by provider on model info and a list elsewhere. Unknown keys are ignored,
    and rows without a provider or a name.
    """
    mapping = body.get("inferenceProviderMapping") if isinstance(body, dict) else None
    if isinstance(mapping, dict):
        rows = list(mapping.items())
    elif isinstance(mapping, list):
        rows = [(row.get("provider"), row) for row in mapping if isinstance(row, dict)]
    else:
        return None
    read = (_read_row(provider, row) for provider, row in rows if isinstance(row, dict))
    return tuple(row for row in read if row.provider and row.name)


def _read_row(provider: Any, row: dict[str, Any]) -> Serving:
    return Serving(
        _text(provider),
        _text(row.get("providerId")),
        _text(row.get("task")),
        _text(row.get("status")),
        _text(row.get("adapter")) or None,
        _text(row.get("adapterWeightsPath")) or None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def read_map(model: str, head: ResponseHead, body: bytes) -> ModelMap | None:
    """Return what an answer of the Hub says of `model`; None where it says nothing.

    Nothing is what a Hub says that is down, limits or redirects.
    """
    if head.status == 200:
        return _read_info(model, body)
    problem = _read_problem(head, body)
    return None if problem is None else ModelMap(model, problem=problem)


def _read_info(model: str, body: bytes) -> ModelMap:
    try:
        info = strict_json.decode(body)
    except strict_json.JsonError:
        info = None
    if not isinstance(info, dict):
        return ModelMap(model, problem="unreadable")
    servings = read_servings(info)
    if servings is not None:
        return ModelMap(model, servings)
    told = info.get("inferenceProviderMapping") is not None
    return ModelMap(model, problem="unreadable" if told else "unmapped")


_PROBLEMS: dict[str, Problem] = {
    "RepoNotFound": "missing",
    "GatedRepo": "gated",
    "DisabledRepo": "disabled",
}
"""By the header X-Error-Code (huggingface_hub, utils/_http.py)."""


def _read_problem(head: ResponseHead, body: bytes) -> Problem | None:
    code = head.headers.get("x-error-code", "")
    if head.status not in (401, 403, 404):
        return _PROBLEMS.get(code) if 400 <= head.status < 500 else None
    if code in _PROBLEMS:
        return _PROBLEMS[code]
    said = head.headers.get("x-error-message", "") + body[:1000].decode("utf-8", "replace")
    if "is disabled" in said:
        return "disabled"
    by_status: dict[int, Problem] = {401: "refused", 404: "missing"}
    return by_status.get(head.status)


# remembering


class ModelMaps(Memory[ModelMap]):
    """What one Hub told of its models, by model and token."""

    def __init__(self, hub: str) -> None:
        """Ask the Hub at `hub`."""
        super().__init__()
        self._hub = hub.rstrip("/")

    def key(self, model: str, secret: Secret | None) -> Key:
        """Return what the answer to `request(model, secret)` is remembered under."""
        return key_for(model, _hugging_faces(secret))

    def request(self, model: str, secret: Secret | None) -> HttpRequest:
        """Return the request that asks for `model`; only Hugging Face's own token goes along."""
        query = "expand=inferenceProviderMapping"
        url = parse_url(f"{self._hub}/api/models/{quote(model, safe='/')}?{query}")
        return _request(url, _hugging_faces(secret))


def _hugging_faces(secret: Secret | None) -> Secret | None:
    return secret if secret is not None and secret.is_hugging_face else None


def _request(url: Url, secret: Secret | None) -> HttpRequest:
    headers = [
        ("user-agent", f"trunkline/{__version__}"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
    ]
    if secret is not None:
        headers.append(("authorization", f"Bearer {secret.value}"))
    return HttpRequest("GET", url, tuple(headers), limit=MAX_ANSWER)

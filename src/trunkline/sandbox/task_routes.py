"""Which paths each provider has for tasks other than chat, and which page answers them.

From huggingface_hub 2.4.0 and @huggingface/inference 4.13.30. Hugging Face lets no other path pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from trunkline.sandbox import fal, openai_tasks, queues, replicate
from trunkline.sandbox.reply import Reply, json_reply
from trunkline.sandbox.visit import Page, Visit

_Row: TypeAlias = tuple[str, re.Pattern[str], Page]
_Task: TypeAlias = Callable[[Visit, str], Reply]

_OPENAI: dict[str, _Task] = {
    "audio/speech": openai_tasks.speech,
    "audio/transcriptions": openai_tasks.transcriptions,
    "audio/translations": openai_tasks.translations,
    "completions": openai_tasks.text_completions,
    "embeddings": openai_tasks.embeddings,
    "images/edits": openai_tasks.image_edits,
    "images/generations": openai_tasks.images,
    "rerank": openai_tasks.rerank,
}

_ROUTED = sorted(_OPENAI.keys() - {"audio/translations", "images/edits"})
"""Those that Hugging Face routes; the others a provider has at its own address."""


def _row(method: str, path: str, page: Page) -> _Row:
    return method, re.compile(path), page


def _for(provider: str, page: _Task) -> Page:
    return lambda visit, _: page(visit, provider)


def _openai(provider: str, prefix: str, *names: str) -> tuple[_Row, ...]:
    return tuple(
        _row("POST", re.escape(f"{prefix}/{name}"), _for(provider, _OPENAI[name])) for name in names
    )


_ID = r"(?P<id>[^/]+)"
_MODEL = r"(?P<model>.+)"

_ROUTES: dict[str, tuple[_Row, ...]] = {
    "deepinfra": _openai("deepinfra", "v1/openai", *_ROUTED),
    "fal-ai": (
        _row("GET", rf"(?P<app>.+)/requests/{_ID}/status", fal.status),
        _row("PUT", rf"(?P<app>.+)/requests/{_ID}/cancel", fal.cancel),
        _row("GET", rf"(?P<app>.+)/requests/{_ID}", fal.result),
        _row("POST", _MODEL, fal.submit),
    ),
    "featherless-ai": _openai("featherless-ai", "v1", "completions"),
    "novita": (
        *_openai("novita", "v3/openai", "completions", "rerank"),
        _row("POST", rf"v3/async/{_MODEL}", queues.novita_submit),
        _row("GET", r"v3/async/task-result", queues.novita_result),
        _row("POST", rf"v3/hf/{_MODEL}", queues.novita_at_once),
        _row("POST", r"v3/minimax/v2/video_generation", queues.minimax_submit),
        _row("GET", rf"v3/minimax/v2/query/video_generation/{_ID}", queues.minimax_result),
    ),
    "nscale": _openai("nscale", "v1", "images/generations"),
    "openai": _openai("openai", "v1", *_OPENAI),
    "ovhcloud": _openai("ovhcloud", "v1", "completions"),
    "replicate": (
        _row("POST", rf"v1/predictions/{_ID}/cancel", replicate.cancel),
        _row("POST", r"v1/predictions", replicate.by_version),
        _row("POST", rf"v1/models/{_MODEL}/predictions", replicate.by_model),
        _row("GET", rf"v1/predictions/{_ID}", replicate.ask_after),
    ),
    "scaleway": _openai("scaleway", "v1", "completions", "embeddings", "rerank"),
    "together": (
        *_openai("together", "v1", *_ROUTED),
        _row("POST", r"v2/videos", queues.together_submit),
        _row("GET", rf"v2/videos/{_ID}", queues.together_status),
    ),
    "wavespeed": (
        _row("POST", rf"api/v3/{_MODEL}", queues.wavespeed_submit),
        _row("GET", rf"api/v3/predictions/{_ID}/result", queues.wavespeed_result),
    ),
    "zai-org": (
        _row("POST", r"api/paas/v4/async/images/generations", queues.zai_submit),
        _row("GET", rf"api/paas/v4/async-result/{_ID}", queues.zai_result),
        _row("POST", r"api/paas/v4/layout_parsing", _for("zai-org", openai_tasks.layout_parsing)),
    ),
}
"""Provider, and its rows: method, path below the provider's address, page."""


def answer(visit: Visit, parts: dict[str, str]) -> Reply:
    """Answer on a provider's own route; a path that is not on its list is refused."""
    provider, path = parts["provider"], parts["path"]
    method = visit.head.method
    for verb, place, page in _ROUTES.get(provider, ()):
        found = place.fullmatch(path) if verb == method else None
        if found is not None:
            return page(visit, found.groupdict(""))
    return json_reply(400, {"error": f"Not allowed to {method} {path} for provider {provider}"})

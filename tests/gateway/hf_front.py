"""A gateway in front of a router and a Hub that answer as a test tells them, and record what reaches them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from running import Gateway, running

from loopback import Request, Upstream, Visit, whole

TOKEN = "hf_the_gateways_own_token"
LLAMA, GROQS = "meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b-versatile"
PARTNERS: dict[str, dict[str, Any]] = {
    "groq": {
        "conversational": {
            LLAMA: {"providerId": GROQS, "status": "live"},
            "openai/gpt-oss-20b": {"providerId": "openai/gpt-oss-20b", "status": "live"},
        }
    },
    "fal-ai": {
        "text-to-image": {
            "black-forest-labs/FLUX.1-dev": {"providerId": "fal-ai/flux/dev", "status": "live"},
            "tag-filter=base_model:adapter:x": {"providerId": "fal-ai/lora", "adapterType": "lora"},
        }
    },
    "replicate": {
        "text-to-image": {
            "black-forest-labs/FLUX.1-dev": {"providerId": "black-forest-labs/flux-dev"},
            "openai/whisper-large-v3": {"providerId": "openai/whisper:8099ab"},
        }
    },
    "deepinfra": {
        "automatic-speech-recognition": {
            "openai/whisper-large-v3": {"providerId": "openai/whisper-large-v3"}
        }
    },
}
PRICED = {
    "object": "list",
    "data": [
        {
            "id": LLAMA,
            "providers": [
                {"provider": "groq", "status": "live", "context_length": 131072,
                 "pricing": {"input": 0.5, "output": 1.0}},
            ],
        }
    ],
}  # fmt: skip
Answer = Callable[[Visit, Request], None]


class Front:
    """What stands there."""

    def __init__(self, gateway: Gateway, router: Upstream, hub: Upstream) -> None:
        self.gateway = gateway
        self.router = router
        self.hub = hub

    @property
    def seen(self) -> list[Request]:
        """What clients made the router get, save the lists that the gateway asks for itself."""
        return [r for r in self.router.requests if r.target != "/v1/models"]

    @property
    def last(self) -> Request:
        """The newest of it."""
        return self.seen[-1]


def router_that(answer: Answer) -> Upstream:
    """A router; `answer` takes every request but the one for its prices."""

    def script(visit: Visit) -> None:
        while True:
            request = visit.request()
            if request.target == "/v1/models":
                visit.answer(json.dumps(PRICED).encode())
            else:
                answer(visit, request)

    return Upstream(script)


def hub_that(answer: Answer | None = None) -> Upstream:
    """A Hub that knows PARTNERS, and no model but Llama."""

    def script(visit: Visit) -> None:
        while True:
            request = visit.request()
            if answer is not None:
                answer(visit, request)
            else:
                visit.send(told_by_hub(request))

    return Upstream(script)


def told_by_hub(request: Request) -> bytes:
    path = request.target.partition("?")[0]
    parts = path.split("/")
    if path.startswith("/api/partners/"):
        return whole(json.dumps(PARTNERS.get(parts[3], {})).encode())
    if path == f"/api/models/{LLAMA}":
        served = {"groq": {"providerId": GROQS, "task": "conversational", "status": "live"}}
        return whole(json.dumps({"id": LLAMA, "inferenceProviderMapping": served}).encode())
    if path == "/api/models/old/name":
        return whole(
            b"moved", 307, location="/api/models/new/name?expand=x", content_type="text/plain"
        )
    told = {"x_error_code": "RepoNotFound", "x_error_message": "Repository not found"}
    return whole(b'{"error":"Repository not found"}', 404, **told)


@contextmanager
def front(
    folder: Path, answer: Answer, config: str = "", hub: Upstream | None = None, *options: str
) -> Iterator[Front]:
    """Run a gateway between them, with more options if need be."""
    router, hub = router_that(answer), hub or hub_that()
    environment = {
        "TRUNKLINE_ROUTER": router.url,
        "HF_ENDPOINT": hub.url.removesuffix("/v1"),
        "HF_TOKEN": TOKEN,
    }
    try:
        with running(folder, config, environment, *options) as gateway:
            yield Front(gateway, router, hub)
    finally:
        router.close()
        hub.close()

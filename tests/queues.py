"""A router, a Hub and a server of files in one, on loopback: what it is asked, a table answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from loopback import Request, Upstream, Visit, whole
from trunkline.settings import read_settings

Answer = bytes | Callable[[Visit], None]
"""The bytes of a response, or what is done instead."""


def says(body: Any = None, status: int = 200, **headers: str) -> bytes:
    """Return a response with a JSON body."""
    return whole(json.dumps(body).encode(), status, **headers)


class Queue:
    """Answers by `METHOD /path?query`, each time with the next answer; the last one stays."""

    def __init__(self, serve: Callable[..., Upstream]) -> None:
        """Listen."""
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[Request] = []
        self.upstream = serve(self._script)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.upstream.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What moves router and Hub here."""
        return {"TRUNKLINE_ROUTER": f"{self.origin}/v1", "HF_ENDPOINT": self.origin}

    def settings(self) -> Any:
        return read_settings(self.environment)

    def on(self, what: str, *answers: Answer) -> None:
        """Answer `what`."""
        self.answers[what] = list(answers)

    def maps(self, provider: str, own: str, task: str, model: str = "org/m") -> None:
        """Have the Hub tell that a provider serves a model."""
        row = {"providerId": own, "status": "live", "task": task}
        body = {"id": model, "inferenceProviderMapping": {provider: row}}
        self.on(f"GET /api/models/{model}?expand=inferenceProviderMapping", says(body))

    def asked(self, *, hub: bool = False) -> list[str]:
        """Return what was asked, in order, without the Hub's part."""
        lines = [what_of(request) for request in self.seen]
        return lines if hub else [line for line in lines if "/api/models/" not in line]

    def _script(self, visit: Visit) -> None:
        while True:
            request = visit.request()
            self.seen.append(request)
            left = self.answers.get(what_of(request))
            if left is None:
                visit.send(says({"error": "Not Found"}, 404))
                continue
            answer = left.pop(0) if len(left) > 1 else left[0]
            if callable(answer):
                answer(visit)
            else:
                visit.send(answer)


def what_of(request: Request) -> str:
    return f"{request.method} {request.target}"

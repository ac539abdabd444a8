"""The names that providers have for the Hub's models, as the Hub's mapping tells them.

`GET /api/models/<org>/<name>?expand=inferenceProviderMapping`; both of its shapes are read. Only
calls with a provider's own key need it: the unified router takes the Hub's names.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from trunkline.types import Secret
from trunkline.wire import strict_json
from trunkline.wire.message import HttpRequest, parse_url

LIFETIME = 3600.0
"""Seconds for which an answer of the Hub is taken as true."""
PATIENCE = 60.0
"""Seconds after which a Hub that did not answer is asked again."""


def read_mapping(body: Any) -> dict[str, str]:
    """Return provider -> provider-side name from a decoded model-info answer.

    The mapping is a dict by provider on model info and a list elsewhere; unknown keys are ignored,
    and a missing or empty mapping is no providers.
    """
    mapping = body.get("inferenceProviderMapping") if isinstance(body, dict) else None
    if isinstance(mapping, dict):
        rows = [(name, row) for name, row in mapping.items() if isinstance(row, dict)]
    elif isinstance(mapping, list):
        rows = [(row.get("provider"), row) for row in mapping if isinstance(row, dict)]
    else:
        rows = []
    return {
        name: row["providerId"]
        for name, row in rows
        if isinstance(name, str) and isinstance(row.get("providerId"), str)
    }


class ModelNames:
    """Provider-side names, remembered for a while. Time is an argument, in monotonic seconds."""

    def __init__(self, hub: str, secret: Secret | None = None) -> None:
        """Ask the Hub at `hub`, with the Hub's own token if there is one."""
        self._hub = hub.rstrip("/")
        self._secret = secret if secret and secret.is_hugging_face else None
        self._known: dict[str, tuple[float, dict[str, str]]] = {}

    def get(self, model: str, provider: str | None, now: float) -> str | None:
        """Return the name that `provider` has for `model`, if it is known and fresh.

        A model that the Hub does not map to the provider is known by its own name.
        """
        at, names = self._known.get(model, (-LIFETIME, {}))
        if now - at >= LIFETIME:
            return None
        return names.get(provider or "", model)

    def keep(self, model: str, data: bytes, now: float) -> None:
        """Remember what the Hub answered for `model`; no JSON is as good as no answer."""
        try:
            self._known[model] = (now, read_mapping(strict_json.decode(data)))
        except strict_json.JsonError:
            self.miss(model, now)

    def miss(self, model: str, now: float) -> None:
        """Remember that the Hub did not answer for `model`, so as not to ask it for each call."""
        self._known[model] = (now - LIFETIME + PATIENCE, {})

    def request(self, model: str) -> HttpRequest:
        """Return the request that asks the Hub for `model`."""
        url = parse_url(
            f"{self._hub}/api/models/{quote(model, safe='/')}?expand=inferenceProviderMapping"
        )
        headers = [("accept", "application/json"), ("accept-encoding", "identity")]
        if self._secret is not None:
            headers.append(("authorization", f"Bearer {self._secret.value}"))
        return HttpRequest("GET", url, tuple(headers))

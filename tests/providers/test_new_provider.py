"""A provider that speaks OpenAI's forms is one row: that of docs/providers.md is added and called."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopback import Upstream, Visit
from trunkline import Client
from trunkline.providers.table import PROVIDERS
from trunkline.settings import read_settings

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
MAPPING = {
    "id": "org/m",
    "inferenceProviderMapping": {
        "acme": {"status": "live", "providerId": "acme-embed-1", "task": "feature-extraction"}
    },
}
VECTORS = {"data": [{"index": 0, "embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": 2}}


@pytest.fixture
def _acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the page's snippet, on a table that is put back afterwards."""
    snippet = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert snippet is not None
    monkeypatch.setitem(PROVIDERS, "acme", None)
    monkeypatch.delitem(PROVIDERS, "acme")
    exec(snippet[1], {})  # noqa: S102 - the documentation's own example


def serve(visit: Visit) -> None:
    """Answer as the Hub, the router and Acme do."""
    while True:
        request = visit.request()
        if request.target.startswith("/api/models/"):
            visit.answer(json.dumps(MAPPING).encode())
        elif request.target.endswith("/embeddings"):
            visit.answer(json.dumps(VECTORS).encode())
        else:
            visit.answer()


@pytest.mark.usefixtures("_acme")
def test_the_row_of_the_page_serves_chat_and_its_tasks_through_the_router() -> None:
    with closing(Upstream(serve)) as upstream:
        base = upstream.url.removesuffix("/v1")
        settings = read_settings({"TRUNKLINE_ROUTER": base, "HF_ENDPOINT": base})
        with Client("hf_test", settings=settings) as client:
            assert client.embedding("huggingface/acme/org/m", "hello").vectors == [[0.6, 0.8]]
            client.chat("huggingface/acme/org/m", [{"role": "user", "content": "hi"}])
        asked = upstream.requests
    assert [(request.method, request.target) for request in asked] == [
        ("GET", "/api/models/org/m?expand=inferenceProviderMapping"),
        ("POST", "/acme/v1/embeddings"),
        ("POST", "/v1/chat/completions"),
    ]
    sent: list[Any] = [request.json["model"] for request in asked[1:]]
    assert sent == ["acme-embed-1", "org/m:acme"]


@pytest.mark.usefixtures("_acme")
def test_the_row_of_the_page_names_its_own_address_for_its_own_keys() -> None:
    from trunkline.errors import APIConnectionError

    settings = read_settings({"HF_ENDPOINT": "http://127.0.0.1:9"})
    with (
        Client("acme-key", settings=settings, max_retries=0, timeout=2) as client,
        pytest.raises(APIConnectionError, match=r"api\.acme\.example"),
    ):
        client.embedding("huggingface/acme/org/m", "hello")

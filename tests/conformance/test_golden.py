"""The chat requests of Hugging Face's own clients are ours too, or the difference is listed here.

Their requests were taken from huggingface_hub and @huggingface/inference with the network cut off.
Ours come from a real client whose transport keeps what it is given.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from recordings import needs_oracle, oracle

from trunkline import Client
from trunkline.errors import InvalidInputError
from trunkline.settings import read_settings
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, ResponseHead

pytestmark = needs_oracle

PYTHON = "py-huggingface_hub-2.4.0.jsonl"
JAVASCRIPT = "js-inference-4.13.30.jsonl"
ROUTER = "https://router.huggingface.co/v1/chat/completions"
KEYS = {"hf": "hf_testtoken", "direct": "direct-key"}
HUB_NAME = "org/hf-model"
PROVIDERS_NAME = "prov/model-id"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
OPENAI_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "x", "strict": True, "schema": SCHEMA},
}
REWRITES = {
    "py": {"cohere", "fireworks-ai", "hf-inference", "together"},
    "js": {"together"},
}
"""Providers for which each client writes a schema in another form than OpenAI's."""

ALWAYS_OURS = {"user-agent", "accept", "accept-encoding"}
"""Headers in which every client speaks for itself; the records leave theirs out."""


@dataclass(frozen=True)
class Request:
    """What goes over the wire, as far as it matters here."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One golden request: who asked for what, and what was sent, or why nothing was."""

    client: str
    number: int
    provider: str
    key: str
    messages: list[dict[str, Any]]
    parameters: dict[str, Any]
    sent: Request | None
    error: str | None

    def __str__(self) -> str:
        return f"{self.client}-{self.number}-{self.provider}-{self.key}"

    @property
    def refused(self) -> bool:
        """Whether neither client sends anything: the router's own choice with a foreign key."""
        return self.error is not None and self.key == "direct"

    @property
    def streams(self) -> bool:
        return self.parameters.get("stream") is True

    @property
    def wants_schema(self) -> bool:
        return "response_format" in self.parameters

    @property
    def model(self) -> str:
        return HUB_NAME if self.provider == "auto" else f"{self.provider}/{HUB_NAME}"


def _rows() -> list[Row]:
    return [
        _read_row(client, number, row)
        for client, name in (("py", PYTHON), ("js", JAVASCRIPT))
        for number, row in enumerate(oracle(name))
    ]


def _read_row(client: str, number: int, row: dict[str, Any]) -> Row:
    sent = None
    if "error" not in row:
        headers = {name.lower(): value for name, value in row["headers"].items()}
        sent = Request(row["url"], headers, row["json"])
    if client == "py":
        messages, parameters = row["inputs"], row["parameters"]
    else:  # its rows keep no arguments; they were the body's, but for the schema's form
        rest = {k: v for k, v in row["json"].items() if k not in ("model", "messages")}
        messages = row["json"]["messages"]
        parameters = {**rest, **({"response_format": OPENAI_FORMAT} if len(rest) == 1 else {})}
    return Row(
        client, number, row["provider"], row["key"], messages, parameters, sent, row.get("error")
    )


ROWS = _rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=str)


@dataclass(frozen=True)
class Difference:
    """Rows whose request is not ours, what ours is instead, and why."""

    name: str
    reason: str
    applies: Callable[[Row], bool]
    ours: Callable[[Row, Request], Request]
    rows: int


def _with_body(request: Request, **fields: Any) -> Request:
    return replace(request, body={**request.body, **fields})


def _with_format(request: Request, **wanted: Any) -> Request:
    return _with_body(request, response_format=wanted)


def _unified(row: Row, request: Request) -> Request:
    name = HUB_NAME if row.provider == "auto" else f"{HUB_NAME}:{row.provider}"
    headers = {name: request.headers[name] for name in ("authorization", "content-type")}
    return replace(_with_body(request, model=name), url=ROUTER, headers=headers)


def _asked_of_the_router(row: Row, _request: Request) -> Request:
    headers = {"authorization": f"Bearer {KEYS['hf']}", "content-type": "application/json"}
    return Request(ROUTER, headers, {"messages": row.messages, **row.parameters})


def _by_the_hubs_name(_row: Row, request: Request) -> Request:
    url = request.url.replace(PROVIDERS_NAME, HUB_NAME)
    return replace(_with_body(request, model=HUB_NAME), url=url)


DIFFERENCES = (
    Difference(
        "openai with a token of Hugging Face goes to the router",
        "huggingface_hub refuses it; what we know of providers never blocks a call, so Hugging "
        "Face's own answer decides",
        lambda row: row.provider == "openai" and row.key == "hf",
        _asked_of_the_router,
        3,
    ),
    Difference(
        "the unified route",
        "with a token of Hugging Face chat goes to /v1/chat/completions, the model is named "
        "org/model:provider, no mapping is looked up, and what headers a provider wants besides "
        "(Z.ai's) is the router's affair",
        lambda row: row.key == "hf" and row.provider != "auto",
        _unified,
        48 + 30,
    ),
    Difference(
        "OpenAI's response_format on the unified route",
        "the unified route takes OpenAI's form for every provider and translates it itself",
        lambda row: row.key == "hf" and row.wants_schema and row.provider in REWRITES[row.client],
        lambda _row, request: _with_format(request, **OPENAI_FORMAT),
        4 + 1,
    ),
    Difference(
        "a schema in json_object, direct to Cohere and Fireworks",
        "the JavaScript client passes OpenAI's form on; we follow the Python client, which "
        "rewrites it to what these two take",
        lambda row: (
            row.client == "js"
            and row.key == "direct"
            and row.wants_schema
            and row.provider in ("cohere", "fireworks-ai")
        ),
        lambda _row, request: _with_format(request, type="json_object", schema=SCHEMA),
        2,
    ),
    Difference(
        "a value in json_object, direct to hf-inference",
        "the JavaScript client passes OpenAI's form on; we follow the Python client, which "
        "rewrites it to TGI's",
        lambda row: (
            row.client == "js"
            and row.key == "direct"
            and row.wants_schema
            and row.provider == "hf-inference"
        ),
        lambda _row, request: _with_format(request, type="json_object", value=SCHEMA),
        1,
    ),
    Difference(
        "hf-inference by the Hub's names",
        "the JavaScript client maps its models like another provider's; it serves the Hub's "
        "models under their own names, as the Python client has it",
        lambda row: row.client == "js" and row.key == "direct" and row.provider == "hf-inference",
        _by_the_hubs_name,
        2,
    ),
    Difference(
        "usage is asked for in every stream",
        "several servers report it only then, and a receipt needs it",
        lambda row: row.streams and not row.refused,
        lambda _row, request: _with_body(request, stream_options={"include_usage": True}),
        17 + 16,
    ),
)


class KeepingTransport:
    """Keeps the requests it is given and answers each as its server would."""

    def __init__(self, provider: str) -> None:
        self.requests: list[HttpRequest] = []
        self._provider = provider

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> CannedExchange:
        self.requests.append(request)
        if request.method == "GET":
            row = {"status": "live", "providerId": PROVIDERS_NAME, "task": "conversational"}
            return CannedExchange({"inferenceProviderMapping": {self._provider: row}})
        place = "delta" if json.loads(request.body).get("stream") else "message"
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, place: message, "finish_reason": "stop"}
        answer = {"id": "1", "model": "m", "created": 1, "choices": [choice]}
        return CannedExchange(answer, stream=place == "delta")

    def close(self) -> None:
        """Nothing is open."""


class CannedExchange:
    """A whole answer, ready to be read."""

    def __init__(self, body: dict[str, Any], *, stream: bool = False) -> None:
        data = json.dumps(body).encode()
        kind = "text/event-stream" if stream else "application/json"
        self.head = ResponseHead(200, {"content-type": kind})
        self.started = time.monotonic()
        self._parts = [b"data: " + data + b"\n\ndata: [DONE]\n\n" if stream else data]

    def read(self, until: float) -> bytes:
        return self._parts.pop() if self._parts else b""

    def close(self) -> None:
        """Nothing is open."""


@every_row
def test_our_request_is_theirs_but_for_the_listed_differences(row: Row):
    if row.refused:
        with pytest.raises(InvalidInputError, match="is not a Hugging Face token"):
            _sent(row)
        return
    expected = row.sent or Request("", {}, {})
    for difference in DIFFERENCES:
        if difference.applies(row):
            assert difference.ours(row, expected) != expected, "no difference any more"
            expected = difference.ours(row, expected)

    hub, ours = _sent(row)

    assert ours.url == expected.url
    assert ours.body == expected.body
    assert ours.headers == expected.headers
    assert next(iter(ours.body)) == "model"  # so that a proxy can route after a small prefix
    looked_up = row.key == "direct" and row.provider not in ("hf-inference", "openai")
    lookup = f"https://huggingface.co/api/models/{HUB_NAME}?expand=inferenceProviderMapping"
    assert hub == ([lookup] if looked_up else [])


def test_a_refused_call_sends_nothing():
    row = next(row for row in ROWS if row.refused)
    transport = KeepingTransport(row.provider)
    with pytest.raises(InvalidInputError):
        _call(row, transport)
    assert transport.requests == []


def test_every_difference_has_as_many_rows_as_it_says():
    found = {d.name: sum(d.applies(row) for row in ROWS) for d in DIFFERENCES}
    assert found == {d.name: d.rows for d in DIFFERENCES}


def test_every_row_is_covered():
    assert Counter((row.client, row.key) for row in ROWS) == {
        ("py", "hf"): 51,
        ("py", "direct"): 51,
        ("js", "hf"): 30,
        ("js", "direct"): 30,
    }
    same = [row for row in ROWS if row.sent and not any(d.applies(row) for d in DIFFERENCES)]
    refused = [row for row in ROWS if row.refused]
    different = [row for row in ROWS if any(d.applies(row) for d in DIFFERENCES)]
    assert (len(same), len(different), len(refused)) == (60, 99, 3)
    assert len(same) + len(different) + len(refused) == len(ROWS) == 162


def _call(row: Row, transport: KeepingTransport) -> None:
    given = {k: v for k, v in row.parameters.items() if k != "stream"}
    with Client(KEYS[row.key], settings=read_settings({}), transport=transport) as client:
        if row.streams:
            assert client.stream(row.model, row.messages, **given).collect().text == "hello"
        else:
            assert client.chat(row.model, row.messages, **given).text == "hello"


def _sent(row: Row) -> tuple[list[str], Request]:
    """Return what our client sends for the same wish: questions to the Hub, and the request."""
    transport = KeepingTransport(row.provider)
    _call(row, transport)
    *questions, chat = transport.requests
    assert chat.method == "POST"
    headers = {name: value for name, value in chat.headers if name not in ALWAYS_OURS}
    return (
        [str(question.url) for question in questions],
        Request(str(chat.url), headers, json.loads(chat.body)),
    )

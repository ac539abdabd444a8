"""Upstreams of kind `provider`: a gateway sends what the SDK itself would send with a provider's own key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from questions import AS_REPORT, MESSAGES
from running import Gateway, running

from trunkline import APIConnectionError, Client
from trunkline.providers.table import PROVIDERS
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest

CHATTING = sorted(name for name, row in PROVIDERS.items() if row.chat_path is not None)
MODEL = "accounts/some/model"
"""Of three parts, so that no provider's name for it is looked up."""
KEY = "sk-the-providers-own-key"
ANSWER = json.dumps(
    {
        "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
).encode()
_BY_THE_WAY = {"host", "user-agent", "accept", "accept-encoding", "content-length", "connection"}
"""Headers of the exchange, not of the call."""


class Recorder:
    """A server that answers everything with one chat, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[tuple[str, str]], bytes]] = []
        recorder = self

        class Asked(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = [(name.lower(), value) for name, value in self.headers.items()]
                recorder.asked.append((self.command, self.path, headers, body))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(ANSWER)))
                self.end_headers()
                self.wfile.write(ANSWER)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class Kept:
    """A transport that keeps what the SDK would send and sends nothing."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> Any:
        self.requests.append(request)
        raise APIConnectionError("nothing is sent here")

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with every provider that chats, each at an address of its own."""
    config = 'default_upstream = "openai"\n' + "".join(
        f'[upstreams."{name}"]\nprovider = "{name}"\nkey_env = "KEY"\n'
        f'base_url = "{recorder.url}/{name}"\nprices."*" = {{ input = 1, output = 2 }}\n'
        for name in CHATTING
    )
    with running(tmp_path_factory.mktemp("gateway"), config, {"KEY": KEY}) as started:
        yield started


def of_the_sdk(provider: str, **more: Any) -> HttpRequest:
    """Return the request that the SDK makes of a call with the provider's own key."""
    kept = Kept()
    made = Client(KEY, direct=True, transport=kept, max_retries=0)
    with made as client, pytest.raises(APIConnectionError):
        client.chat(f"huggingface/{provider}/{MODEL}", MESSAGES, **more)
    return kept.requests[-1]


def own(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name not in _BY_THE_WAY}


@pytest.mark.parametrize("provider", CHATTING)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_completion_tokens": 20, "temperature": 0.5},
        {"response_format": AS_REPORT, "max_tokens": 20},
    ],
    ids=["plain", "limited", "json"],
)
def test_a_call_is_sent_as_the_sdk_sends_it(
    gateway: Gateway, key: str, recorder: Recorder, provider: str, more: dict[str, Any]
) -> None:
    body = {"model": f"{provider}/{MODEL}", "messages": MESSAGES, **more}
    status, headers, told = gateway.ask("POST", "/v1/chat/completions", body, key)
    assert (status, told["choices"][0]["message"]["content"]) == (200, "Hi")
    method, path, sent_headers, sent = recorder.asked[-1]
    expected = of_the_sdk(provider, **more)
    base = PROVIDERS[provider].base_url.partition("://")[2].partition("/")[2]
    below = expected.url.target.removeprefix(f"/{base}" if base else "")
    assert (method, path) == (expected.method, f"/{provider}{below}")
    assert own(sent_headers) == own(expected.headers)
    assert json.loads(sent) == json.loads(expected.body)
    row = gateway.entry(headers["x-request-id"])
    assert (row["upstream"], row["provider"], row["target_model"]) == (provider, provider, MODEL)


def test_a_stream_is_tuned_too_and_asks_for_usage(
    gateway: Gateway, key: str, recorder: Recorder
) -> None:
    body = {
        "model": f"nebius/{MODEL}",
        "messages": MESSAGES,
        "stream": True,
        "response_format": AS_REPORT,
    }
    gateway.ask("POST", "/v1/chat/completions", body, key)
    sent = json.loads(recorder.asked[-1][3])
    assert sent["guided_json"] == AS_REPORT["json_schema"]["schema"]
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert "response_format" not in sent


@pytest.mark.parametrize(
    "name",
    [
        *("../../../v1", "a/../b", "a//b", ".", "/a", "a/"),
        *("a b", "a\r\nx-injected: 1", "a?b=c", "a#b", "a%2e%2e", "a\u2028é", "a HTTP/1.1\r\n\r\n"),
    ],
)
def test_a_models_name_in_a_path_stays_one_and_leads_nowhere_else(
    gateway: Gateway, key: str, recorder: Recorder, name: str
) -> None:
    before = len(recorder.asked)
    body = {"model": f"hf-inference/{name}", "messages": MESSAGES}
    status, _, told = gateway.ask("POST", "/v1/chat/completions", body, key)
    new = recorder.asked[before:]
    if status == 400:
        assert told["error"]["param"] == "model"
        assert new == []
        return
    assert status == 200
    ((_, path, headers, sent),) = new
    assert path.startswith("/hf-inference/models/a")
    assert path.endswith("/v1/chat/completions")
    assert not {"?", "#", " ", "\r", "\n"} & set(path)
    assert "x-injected" not in dict(headers)
    assert json.loads(sent)["model"] == name


def test_the_providers_key_is_never_told(gateway: Gateway, key: str) -> None:
    body = {"model": f"groq/{MODEL}", "messages": MESSAGES}
    _, headers, told = gateway.ask("POST", "/v1/chat/completions", body, key)
    assert KEY not in json.dumps(told) + str(headers) + gateway.log.read_text()
    _, _, listed = gateway.ask("GET", "/admin/config", key=gateway.admin_key)
    assert KEY not in str(listed)


@pytest.mark.parametrize(
    ("endpoint", "provider", "path"),
    [
        ("embeddings", "together", "/together/v1/embeddings"),
        ("completions", "together", "/together/v1/completions"),
        ("embeddings", "groq", "/groq/openai/v1/embeddings"),
        ("embeddings", "hf-inference", f"/hf-inference/models/{MODEL}/v1/embeddings"),
    ],
)
def test_other_calls_go_to_the_address_that_was_given_too(
    gateway: Gateway, key: str, recorder: Recorder, endpoint: str, provider: str, path: str
) -> None:
    body = {"model": f"{provider}/{MODEL}", "input": "red", "prompt": "red"}
    status, _, _ = gateway.ask("POST", f"/v1/{endpoint}", body, key)
    assert status == 200
    _, asked, headers, sent = recorder.asked[-1]
    assert (asked, dict(headers)["authorization"]) == (path, f"Bearer {KEY}")
    assert json.loads(sent)["model"] == MODEL

"""Files that clients name by URL: passed on untouched, and fetched only where allowed, from public servers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Gateway, running

from loopback import Upstream, Visit
from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.slow

BYTES_ONLY = "huggingface/hf-inference/timbrooks/instruct-pix2pix"
TAKES_URLS = "huggingface/fal-ai/black-forest-labs/FLUX.1-Kontext-dev"
FETCHES = "[edge]\nfetch_urls = true\n"


@pytest.fixture(scope="module")
def canary() -> Iterator[Upstream]:
    """A private server that nobody should come to."""

    def script(visit: Visit) -> None:
        visit.request()
        visit.answer(b"secret")

    server = Upstream(script)
    yield server
    server.close()


@pytest.fixture(scope="module")
def fetching(
    sandbox_server: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("fetching")
    with running(folder, FETCHES, sandbox_server.environment) as started:
        yield started


def edit(gateway: Gateway, model: str, url: Any, **more: Any) -> tuple[int, Any]:
    wish = {"model": model, "prompt": "in winter", "image": url, **more}
    status, _, told = gateway.ask("POST", "/v1/images/edits", wish, gateway.new_key())
    return status, told


TRICKS = [
    "http://127.0.0.1:{port}/a.png",
    "https://127.0.0.1:{port}/a.png",
    "https://127.1:{port}/a.png",
    "https://0.0.0.0:{port}/a.png",
    "https://0:{port}/a.png",
    "https://[::]:{port}/a.png",
    "https://[::1]:{port}/a.png",
    "https://[::ffff:127.0.0.1]:{port}/a.png",
    "https://[64:ff9b::7f00:1]:{port}/a.png",
    "https://2130706433:{port}/a.png",
    "https://0x7f000001:{port}/a.png",
    "https://0x7f.0.0.1:{port}/a.png",
    "https://017700000001:{port}/a.png",
    "https://0177.0.0.1:{port}/a.png",
    "https://127.0.0.1.:{port}/a.png",
    "https://localhost:{port}/a.png",
    "https://LOCALHOST.:{port}/a.png",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://10.0.0.1/a.png",
    "https://192.168.1.1/a.png",
    "https://100.64.0.1/a.png",
    "https://example.org@127.0.0.1:{port}/a.png",
    "https://127.0.0.1:{port}\\@example.org/a.png",
    "https://example.org\\@127.0.0.1:{port}/a.png",
    "https://127.0.0.1:{port}#@example.org/a.png",
    "https://example.org:{port}@127.0.0.1/a.png",
    "https://①②⑦.⓪.⓪.①:{port}/a.png",
    "https://127。0。0。1:{port}/a.png",
    "https://ｌｏｃａｌｈｏｓｔ:{port}/a.png",
    "https://xn--/a.png",
    "https://127.0.0.1%2f@example.org/a.png",
    "https:///127.0.0.1:{port}/a.png",
    "https://127.0.0.1:{port}\r\nhost: example.org\r\n/a.png",
    "https://127.0.0.1\t:{port}/a.png",
    "https://user:pass@localhost:{port}/a.png",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://127.0.0.1/a.png",
    "//127.0.0.1:{port}/a.png",
    "/etc/passwd",
    "unix:///var/run/docker.sock",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_gateway_that_fetches_comes_to_no_private_server(
    fetching: Gateway, canary: Upstream, trick: str
) -> None:
    url = trick.replace("{port}", str(canary.port))
    status, told = edit(fetching, BYTES_ONLY, url)
    assert status == 400, told
    assert told["error"]["message"]
    assert "secret" not in str(told) and "pass@" not in str(told)
    with socket.create_connection(("127.0.0.1", canary.port)) as probe:
        probe.sendall(b"GET /probe HTTP/1.1\r\nhost: h\r\n\r\n")
        assert probe.recv(1000).endswith(b"secret")
    came = [request.target for request in canary.requests]
    assert set(came) == {"/probe"}
    assert len(canary.visits) == len(came), "nobody else has connected"


@pytest.mark.parametrize("field", ["mask", "image"])
def test_every_field_of_a_file_is_guarded(fetching: Gateway, canary: Upstream, field: str) -> None:
    pixel = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB"
        "0C8AAAAASUVORK5CYII="
    )
    here = f"https://127.0.0.1:{canary.port}/a.png"
    wish = {"image": pixel, "mask": pixel, field: here}
    status, told = edit(fetching, BYTES_ONLY, wish.pop("image"), **wish)
    assert status == 400, told


def test_nothing_is_fetched_unless_the_operator_allows_it(gateway: Gateway) -> None:
    status, told = edit(gateway, BYTES_ONLY, "https://example.org/a.png?signature=geheim")
    assert status == 400
    assert "not fetched by URL here" in told["error"]["message"]
    assert "geheim" not in str(told)


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png?x=1&y=%20", "http://192.0.2.1/a.png", "https://münchen.de/a"]
)
def test_a_url_goes_on_untouched_to_a_provider_that_takes_it(
    gateway: Gateway, sandbox_server: SandboxServer, url: str
) -> None:
    status, told = edit(gateway, TAKES_URLS, url)
    assert status == 200, told
    sent = [seen.json for seen in sandbox_server.requests if seen.method == "POST"][-1]
    assert sent["image_url"] == url


def test_a_recording_by_url_goes_on_untouched(
    gateway: Gateway, sandbox_server: SandboxServer
) -> None:
    wish = {
        "model": "huggingface/fal-ai/openai/whisper-large-v3",
        "file": "https://example.org/a.wav",
    }
    status, _, told = gateway.ask("POST", "/v1/audio/transcriptions", wish, gateway.new_key())
    assert status == 200, told
    sent = [seen.json for seen in sandbox_server.requests if seen.method == "POST"][-1]
    assert sent["audio_url"] == wish["file"]


def test_in_chats_urls_of_images_always_go_on_untouched(
    fetching: Gateway, sandbox_server: SandboxServer, canary: Upstream
) -> None:
    url = f"http://127.0.0.1:{canary.port}/chat.png"
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    wish = {
        "model": "Qwen/Qwen3-VL-30B-A3B-Instruct",
        "messages": [{"role": "user", "content": parts}],
        "max_tokens": 5,
    }
    status, _, told = fetching.ask("POST", "/v1/chat/completions", wish, fetching.new_key())
    assert status == 200, told
    sent = sandbox_server.requests[-1].json
    assert sent["messages"][0]["content"][1]["image_url"]["url"] == url
    assert not [request for request in canary.requests if "chat" in request.target]

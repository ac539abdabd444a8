"""Clients that leave while a picture is made: the upstream is closed, the job cancelled, the row settled."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from raw import eventually
from running import Gateway, running

from loopback import PATIENCE, Upstream, Visit
from trunkline.sandbox import SandboxServer

CONFIG = """
[edge]
drain_seconds = 0.1
[upstreams.slow]
base_url = "{url}"
prices."*" = {{ request = 0.25 }}
"""


def makes_wait(visit: Visit) -> None:
    """Say that there is no /info, and never answer the rest."""
    visit.request()
    visit.answer(b"{}", 404)
    visit.request()
    visit.note("asked")
    visit.until_gone()


@contextmanager
def slow_gateway(
    folder: Path, upstream: Upstream, sandbox: SandboxServer
) -> Iterator[tuple[Gateway, str]]:
    config = CONFIG.format(url=upstream.url)
    with running(folder, config, sandbox.environment) as gateway:
        yield gateway, gateway.new_key()


def ask(gateway: Gateway, key: str, path: str, wish: Any) -> socket.socket:
    body = json.dumps(wish).encode()
    sock = socket.create_connection(("127.0.0.1", gateway.port))
    sock.sendall(
        b"POST /v1/%b HTTP/1.1\r\nhost: h\r\nauthorization: Bearer %b\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (path.encode(), key.encode(), len(body), body)
    )
    return sock


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("images/generations", {"prompt": "a cat"}),
        ("audio/speech", {"input": "Hello"}),
        ("rerank", {"query": "q", "documents": ["a"]}),
    ],
)
def test_a_client_that_leaves_hangs_the_upstream_up(
    tmp_path: Path,
    serve: Callable[..., Upstream],
    sandbox_server: SandboxServer,
    path: str,
    wish: dict[str, Any],
) -> None:
    upstream = serve(makes_wait)
    with slow_gateway(tmp_path, upstream, sandbox_server) as (gateway, key):
        sock = ask(gateway, key, path, {"model": "slow/m", **wish})
        upstream.wait("asked")
        sock.close()
        assert upstream.visits[0].gone.wait(PATIENCE)
        row = gateway.ledger(1)[0]
        assert (row["status"], row["outcome"]) == (499, "cancelled")
        assert (row["cost"], row["charged"]) == (None, "0.25")


def test_a_gateway_that_stops_tells_whoever_waits(
    tmp_path: Path, serve: Callable[..., Upstream], sandbox_server: SandboxServer
) -> None:
    upstream = serve(makes_wait)
    with slow_gateway(tmp_path, upstream, sandbox_server) as (gateway, key):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE)
        connection.request(
            "POST",
            "/v1/images/generations",
            json.dumps({"model": "slow/m", "prompt": "a cat"}),
            {"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        upstream.wait("asked")
        assert gateway.stop() == 0
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (
            503,
            "gateway_stopping",
        )
        connection.close()


def test_the_job_of_a_client_that_leaves_is_cancelled(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        model = "huggingface/fal-ai/text-to-image/fault-job-endless"

        def seen(method: str, ending: str) -> bool:
            return any(
                r.method == method and r.path.endswith(ending) for r in sandbox_server.requests
            )

        sock = ask(
            gateway, gateway.new_key(), "images/generations", {"model": model, "prompt": "a cat"}
        )
        eventually(lambda: seen("GET", "/status"), "the job is asked after")
        sock.close()
        eventually(lambda: seen("PUT", "/cancel"), "the job is cancelled")
        row = gateway.ledger(1)[0]
        assert (row["status"], row["outcome"], row["cost"]) == (499, "cancelled", None)

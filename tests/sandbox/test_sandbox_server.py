"""The sandbox on a port, over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from typing import Any

import pytest

from trunkline.errors import ConfigurationError
from trunkline.sandbox import Limits, SandboxServer, serve_in_thread
from trunkline.wire.http1_read import HttpLimits

HEADERS = {"authorization": "Bearer hf_good", "content-type": "application/json"}
MESSAGES = [{"role": "user", "content": "Hello"}]


def connect(server: SandboxServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def post(client: http.client.HTTPConnection, model: str, **more: Any) -> http.client.HTTPResponse:
    body = json.dumps({"model": model, "messages": MESSAGES, **more})
    client.request("POST", "/v1/chat/completions", body, HEADERS)
    return client.getresponse()


def raw(server: SandboxServer, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_a_connection_is_kept_for_the_next_request(server) -> None:
    client = connect(server)
    for _ in range(3):
        reply = post(client, "sandbox/demo")
        assert json.loads(reply.read())["choices"]
    assert [seen.connection for seen in server.requests] == [1, 1, 1]
    client.close()
    wait_for(lambda: server.connections == 0)


def test_a_stream_comes_in_events_and_ends_with_done(server) -> None:
    client = connect(server)
    reply = post(client, "sandbox/demo", stream=True)
    assert reply.getheader("content-type") == "text/event-stream; charset=utf-8"
    assert reply.getheader("transfer-encoding") == "chunked"
    assert reply.read().endswith(b"data: [DONE]\n\n")
    assert json.loads(post(client, "sandbox/demo").read())["object"] == "chat.completion"
    client.close()


def test_requests_are_kept_to_be_looked_at(server) -> None:
    client = connect(server)
    client.request("GET", "/v1/models?x=1")
    client.getresponse().read()
    post(client, "sandbox/demo").read()
    first, last = server.requests
    assert (first.method, first.path, first.query, first.body) == ("GET", "/v1/models", "x=1", b"")
    assert last.json["model"] == "sandbox/demo"
    assert last.headers["authorization"] == "Bearer hf_good"
    wait_for(lambda: last.answered)  # the client may have the last byte before that is noted
    assert (last.status, last.hung_up) == (200, None)
    assert len(server.requests) == 2
    server.requests.clear()
    assert not list(server.requests)
    client.close()


def test_head_gets_the_head_alone(server) -> None:
    client = connect(server)
    client.request("HEAD", "/v1/models")
    reply = client.getresponse()
    assert reply.status == 200
    assert int(reply.getheader("content-length") or 0) > 100
    assert reply.read() == b""
    client.request("GET", "/v1/models")
    assert client.getresponse().read()
    client.close()


def test_a_client_that_waits_to_be_asked_is_asked_for_its_body(server) -> None:
    body = json.dumps({"model": "sandbox/demo", "messages": MESSAGES}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hf_x\r\n"
            b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"a: b\r\n" * 300 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70_000, 431),
    ],
)
def test_bytes_that_are_no_request_are_refused_and_the_connection_closed(
    server, data: bytes, status: int
) -> None:
    assert raw(server, data).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_client_that_wants_to_close_is_closed_on(server) -> None:
    found = raw(server, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b"connection: close\r\n" in found
    assert found.endswith(b"}")


def test_a_request_too_large_or_too_slow_is_refused() -> None:
    limits = Limits(http=HttpLimits(body=100), head=0.02, body=0.02, idle=0.02)
    with serve_in_thread(limits=limits) as server:
        start = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n"
        large = start.replace(b"50", b"500") + b"\r\n" + b"x" * 500
        assert raw(server, large).startswith(b"HTTP/1.1 413 ")
        assert raw(server, start).startswith(b"HTTP/1.1 408 ")
        assert raw(server, start + b"\r\nhalf").startswith(b"HTTP/1.1 408 ")
        assert raw(server, b"") == b""


@pytest.mark.parametrize("fault", ["stall-head", "stall-first", "stall", "endless"])
def test_a_client_that_hangs_up_is_noticed_at_once(server, fault: str) -> None:
    body = json.dumps({"model": f"x/fault-{fault}", "messages": MESSAGES, "stream": True}).encode()
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    sock.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hf_x\r\n"
        b"content-length: %d\r\n\r\n" % len(body) + body
    )
    wait_for(lambda: len(server.requests) == 1)
    if fault != "stall-head":
        assert sock.recv(100)
    closed = time.monotonic()
    sock.close()
    wait_for(lambda: server.requests[0].hung_up)
    seen = server.requests[0]
    assert seen.hung_up is not None
    assert 0 <= seen.hung_up - closed < 0.1
    assert seen.answered is None


def test_a_client_that_does_not_read_holds_the_answer_back(server) -> None:
    body = json.dumps({"model": "x/fault-endless;seconds=0", "messages": MESSAGES, "stream": True})
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    sock.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hf_x\r\n"
        b"content-length: %d\r\n\r\n" % len(body) + body.encode()
    )
    (connection,) = _connections(server)
    wait_for(lambda: not connection._writable.is_set())
    transport = connection._transport
    assert transport is not None
    assert transport.get_write_buffer_size() < 1 << 20
    assert connect_and_ask(server) == 200
    sock.close()
    wait_for(lambda: server.connections == 0)


def _connections(server: SandboxServer) -> list[Any]:
    wait_for(lambda: server.connections == 1)
    return list(server._open)


def connect_and_ask(server: SandboxServer) -> int:
    client = connect(server)
    status = post(client, "sandbox/demo").status
    client.close()
    return status


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", ConnectionResetError),
        ("reset-at-once", ConnectionResetError),
        ("no-answer", http.client.RemoteDisconnected),
        ("cut", http.client.IncompleteRead),
        ("cut-length", http.client.IncompleteRead),
    ],
)
def test_broken_connections_are_broken_for_real(server, fault: str, error: type[Exception]) -> None:
    client = connect(server)
    with pytest.raises(error):
        post(client, f"x/fault-{fault}", stream=True).read()
    client.close()


def test_an_answer_without_length_ends_by_closing(server) -> None:
    client = connect(server)
    reply = post(client, "x/fault-truncated-close", stream=True)
    assert reply.getheader("connection") == "close"
    assert reply.read()
    client.close()


def test_a_request_sent_ahead_is_answered_in_its_turn(server) -> None:
    one = json.dumps(
        {"model": "x/fault-stall;seconds=0.02", "messages": MESSAGES, "stream": True}
    ).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hf_x\r\n"
            b"content-length: %d\r\n\r\n" % len(one) + one
        )
        data = sock.recv(100)
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        data += b"".join(iter(lambda: sock.recv(65536), b""))
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.index(b"[DONE]") < data.index(b'"object":"list"')


def test_it_serves_on_loopback_only() -> None:
    with pytest.raises(ConfigurationError):
        SandboxServer(host="0.0.0.0")  # noqa: S104


def test_it_starts_and_stops_in_a_loop_of_ones_own() -> None:
    async def run() -> None:
        server = SandboxServer()
        await server.start()
        assert str(server) == server.url == f"http://127.0.0.1:{server.port}"
        assert server.environment == {
            "TRUNKLINE_ROUTER": f"{server.url}/v1",
            "HF_ENDPOINT": server.url,
        }
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.sleep(0)
        await server.stop()
        assert await reader.read() == b""
        writer.close()
        again = SandboxServer()
        task = asyncio.create_task(again.serve_forever())
        while not again.port:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())

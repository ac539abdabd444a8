"""Proxies from the environment: tunnels for https, whole URLs for http, and who is reached without.

The proxy is a small one in a thread: it checks a password, connects and carries bytes.
"""

from __future__ import annotations

import base64
import select
import socket

import pytest

from faces import ONCE
from loopback import answers, open_sockets, saying, sockets_settle, whole
from trunkline import APIConnectionError, APIError, Timeout, Timeouts
from trunkline.settings import read_settings

LOGIN = "Basic " + base64.b64encode(b"user:p@ss word").decode()


@pytest.fixture
def secure(serve, server_context):
    """An upstream that speaks TLS."""
    return serve(answers, tls=server_context("localhost"))


def tunnels(visit) -> None:
    """Open a tunnel for who knows the password."""
    head = visit.head().decode()
    visit.upstream.heads = [*getattr(visit.upstream, "heads", []), head]
    if LOGIN not in head:
        visit.send(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        return
    host, port = head.split(" ")[1].rsplit(":", 1)
    with socket.create_connection((host, int(port))) as there:
        visit.send(b"HTTP/1.1 200 Connection established\r\nvia: a proxy\r\n\r\n")
        carry(visit.sock, there)


def carry(one: socket.socket, other: socket.socket) -> None:
    while one.fileno() >= 0:  # the server closes it when the test is over
        for sock in select.select([one, other], [], [], 20)[0]:
            data = sock.recv(65536)
            if not data:
                return
            (other if sock is one else one).sendall(data)


def through(proxy, login: str = "user:p%40ss%20word@", **more: str):
    address = f"http://{login}127.0.0.1:{proxy.port}"
    return read_settings({"https_proxy": address, "http_proxy": address, **more})


def test_https_goes_through_a_tunnel_that_sees_no_token(face, serve, secure, authority) -> None:
    proxy = serve(tunnels)
    client = face.client(secure.url, ca_file=authority, settings=through(proxy), token="hf_secret")
    for _ in range(2):
        assert face.chat(client, **ONCE).text == "Hello"
    assert face.collect(client, **ONCE).text == "Hello"
    assert len(proxy.visits) == len(secure.visits) == 1
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT localhost:{secure.port} HTTP/1.1\r\n")
    assert "hf_secret" not in head
    assert secure.requests[0].target == "/v1/chat/completions"
    assert "proxy-authorization" not in secure.requests[0].headers


def test_a_proxy_that_refuses_is_told_with_a_hint_and_asked_once(
    face, serve, secure, authority
) -> None:
    proxy = serve(tunnels)
    settings = through(proxy, login="user:wrong@")
    client = face.client(secure.url, ca_file=authority, settings=settings)
    with pytest.raises(APIConnectionError, match="refused the tunnel with 407") as caught:
        face.chat(client)
    assert "HTTPS_PROXY" in caught.value.hint
    assert "wrong" not in str(caught.value)
    assert len(proxy.visits) == 1
    assert secure.visits == []


@pytest.mark.parametrize(
    "script",
    [
        lambda visit: visit.head(),
        lambda visit: (visit.head(), visit.send(b"what?\r\n\r\n")),
    ],
    ids=["closes", "babbles"],
)
def test_a_proxy_that_fails_is_a_connection_that_failed(face, serve, secure, script) -> None:
    before = open_sockets()
    proxy = serve(script)
    with pytest.raises(APIConnectionError):
        face.chat(face.client(secure.url, settings=through(proxy)), **ONCE)
    proxy.close()
    assert sockets_settle(before + 2)  # the proxy's and the upstream's loops


def test_a_proxy_that_stays_silent_is_left(face, serve, secure) -> None:
    proxy = serve(lambda visit: visit.until_gone())
    with pytest.raises(Timeout):
        face.chat(
            face.client(secure.url, settings=through(proxy)), timeout=Timeouts(connect=0.2), **ONCE
        )
    assert proxy.visits[0].gone.wait(5)


def test_a_proxy_that_is_not_there_is_named(face, serve, secure) -> None:
    proxy = serve(tunnels)
    proxy.close()
    with pytest.raises(APIConnectionError, match=f"{proxy.port} refused the connection"):
        face.chat(face.client(secure.url, settings=through(proxy)), **ONCE)


def test_plain_http_goes_through_a_proxy_with_its_whole_url_and_login(face, serve) -> None:
    proxy = serve(answers)  # answers for the upstream, so that what it was sent can be seen
    client = face.client("http://example.invalid/v1", settings=through(proxy))
    assert face.chat(client, **ONCE).text == "Hello"
    assert face.collect(client, **ONCE).text == "Hello"
    assert len(proxy.visits) == 1
    request = proxy.requests[0]
    assert request.target == "http://example.invalid/v1/chat/completions"
    assert request.headers["host"] == "example.invalid"
    assert request.headers["proxy-authorization"] == LOGIN


@pytest.mark.parametrize("rule", ["127.0.0.1", "127.0.0.0/8", "*", "other.org, 127.0.0.1"])
def test_hosts_in_no_proxy_are_reached_directly(face, serve, rule) -> None:
    proxy, upstream = serve(answers), serve(answers)
    client = face.client(upstream.url, settings=through(proxy, no_proxy=rule))
    assert face.chat(client, **ONCE).text == "Hello"
    assert proxy.visits == []


def test_a_rule_for_another_host_or_port_does_not_count(face, serve) -> None:
    proxy, upstream = serve(answers), serve(answers)
    settings = through(proxy, no_proxy=f"example.org,127.0.0.1:{upstream.port + 1},27.0.0.1")
    face.chat(face.client(upstream.url, settings=settings), **ONCE)
    assert upstream.visits == []


def test_the_refusal_of_a_proxy_of_plain_http_is_an_error(face, serve) -> None:
    proxy = serve(saying(whole(b"denied", 407)))
    with pytest.raises(APIError) as caught:
        face.chat(face.client("http://example.invalid/v1", settings=through(proxy)), **ONCE)
    assert caught.value.status == 407

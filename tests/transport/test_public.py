"""Which addresses are public, and that nothing is sent to the others where a server named them."""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback import saying, whole
from trunkline.errors import APIError, InvalidResponseError
from trunkline.transport.aio import AioTransport
from trunkline.transport.blocking import BlockingTransport
from trunkline.transport.proxy import Proxies, Proxy
from trunkline.transport.public import check_peer, is_public, may_be_public
from trunkline.types import Timeouts
from trunkline.wire.message import HttpRequest, parse_url

PRIVATE = [
    "0.0.0.0",  # noqa: S104 - an address like any other here
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:0:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::",
    "2606:4700::6810:84e5",
    "2a00:1450:4001::200e",
]


@pytest.mark.parametrize(
    ("text", "public"), [(a, False) for a in PRIVATE] + [(a, True) for a in PUBLIC]
)
def test_an_address_is_public_where_everybody_can_reach_it(text: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(text.partition("%")[0])) is public
    assert may_be_public(text) is public


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost..",
        "a.localhost",
        "a.localhost.",
        "printer.local",
        "metadata.google.internal",
        "router.home.arpa",
        "box.lan",
        "host.localdomain",
        "intranet",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.0.1.",
        "0177.0.0.1",
        "0x7f.0.0.0x1",
        "1.1.1.256",
        "1.2.3.4.5",
        "",
        ".",
    ],
)
def test_names_of_ones_own_and_odd_ways_to_write_an_address_are_not_public(host: str) -> None:
    assert not may_be_public(host)


@pytest.mark.parametrize(
    "host", ["example.com", "example.com.", "cdn.example", "1.example", "0x.example", "xn--4ca.de"]
)
def test_a_name_may_be_public(host: str) -> None:
    assert may_be_public(host)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_no_more_public_in_the_guise_of_ipv6(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    for disguise in (f"::ffff:{plain}", f"64:ff9b::{plain}"):
        assert is_public(ipaddress.ip_address(disguise)) is is_public(plain)
    sixtofour = ipaddress.IPv6Address((0x2002 << 112) | (number << 80))
    assert is_public(sixtofour) is is_public(plain)


def request(url: str, *, public: bool = True) -> HttpRequest:
    return HttpRequest("GET", parse_url(url), (("accept", "*/*"),), public=public)


@pytest.mark.parametrize(
    "peer",
    [("127.0.0.1", 1), ("::1", 1, 0, 0), ("fe80::1%eth0", 1, 0, 2), ("::ffff:10.0.0.1", 1, 0, 0)],
)
def test_a_private_peer_is_refused_where_a_public_one_is_wanted(peer: Any) -> None:
    wanted = request("https://files.example.com/a?signature=secret")
    with pytest.raises(InvalidResponseError, match=r"files\.example\.com has a private") as caught:
        check_peer(wanted, peer)
    assert "secret" not in str(caught.value)
    check_peer(msgspec.structs.replace(wanted, public=False), peer)


@pytest.mark.parametrize("peer", [("8.8.8.8", 443), ("2606:4700::1", 443, 0, 0), "", None])
def test_a_public_peer_and_one_without_an_address_are_taken(peer: Any) -> None:
    assert check_peer(request("https://files.example.com/a"), peer) is None  # it raises otherwise


# over sockets


class Opener:
    """Opens one request on either transport."""

    def __init__(self, face: Any) -> None:
        self.face = face

    def open(self, asked: HttpRequest, **options: Any) -> Any:
        """Return the answer's status; raises as the transport."""
        until = time.monotonic() + 20
        if self.face.name == "blocking":
            transport = BlockingTransport(**options)
            try:
                return transport.open(asked, Timeouts(), until).head.status
            finally:
                transport.close()

        async def awaited() -> int:
            line = AioTransport(**options)
            try:
                return (await line.open(asked, Timeouts(), until)).head.status
            finally:
                line.close()

        return self.face.run(awaited())


@pytest.fixture
def opener(face: Any) -> Opener:
    return Opener(face)


def listens(visit: Any) -> None:
    visit.note("came")
    visit.request()


def test_nothing_is_sent_to_a_private_server(opener: Opener, serve: Any) -> None:
    upstream = serve(listens)
    with pytest.raises(InvalidResponseError, match="private address"):
        opener.open(request(upstream.url))
    with socket.create_connection(("127.0.0.1", upstream.port)):
        upstream.wait("came")
    assert len(upstream.visits) == 1, "nobody came before"
    assert upstream.requests == []


def test_a_name_that_resolves_to_a_private_address_is_refused_over_tls(
    opener: Opener, serve: Any, authority: str, server_context: Any
) -> None:
    upstream = serve(listens, tls=server_context("localhost"))
    with pytest.raises(InvalidResponseError, match="private address"):
        opener.open(request(f"https://localhost:{upstream.port}/a"), ca_file=authority)
    assert upstream.requests == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1"])
def test_what_only_a_resolver_reads_as_an_address_is_refused_once_it_is_known(
    opener: Opener, serve: Any, host: str
) -> None:
    upstream = serve(listens)
    with pytest.raises(InvalidResponseError, match="private address"):
        opener.open(request(f"http://{host}:{upstream.port}/a"))


def test_a_private_server_that_the_caller_named_is_asked(opener: Opener, serve: Any) -> None:
    upstream = serve(saying(whole(b"{}")))
    assert opener.open(request(upstream.url, public=False)) == 200


def test_behind_a_proxy_what_a_name_means_is_the_proxys_affair(opener: Opener, serve: Any) -> None:
    upstream = serve(saying(whole(b"{}")))
    proxies = Proxies(http=Proxy("127.0.0.1", upstream.port))
    assert opener.open(request("http://files.example.com/a"), proxies=proxies) == 200
    assert upstream.requests[0].target == "http://files.example.com/a"


def test_a_connection_that_was_used_before_is_looked_at_again(face: Any, serve: Any) -> None:
    """One that the caller's own call left behind does not carry what a server named."""
    upstream = serve(saying(whole(b"{}"), whole(b"{}")))
    until = time.monotonic() + 20
    asked = request(upstream.url, public=False)

    def blocking() -> None:
        transport = BlockingTransport()
        first = transport.open(asked, Timeouts(), until)
        assert first.read(until) == b"{}"
        first.close()
        with pytest.raises(InvalidResponseError):
            transport.open(request(upstream.url), Timeouts(), until)

    async def awaited() -> None:
        transport = AioTransport()
        first = await transport.open(asked, Timeouts(), until)
        assert await first.read(until) == b"{}"
        first.close()
        with pytest.raises(InvalidResponseError):
            await transport.open(request(upstream.url), Timeouts(), until)
        transport.close()

    blocking() if face.name == "blocking" else face.run(awaited())
    assert len(upstream.requests) == 1


# what is sent once


def test_what_must_be_sent_once_takes_no_connection_that_may_have_died(
    face: Any, serve: Any
) -> None:
    upstream = serve(saying(whole(b"{}")), saying(whole(b"{}")))
    until = time.monotonic() + 20
    plain = request(upstream.url, public=False)
    order = msgspec.structs.replace(plain, method="POST", once=True)

    def blocking() -> None:
        transport = BlockingTransport()
        for asked in (plain, order):
            exchange = transport.open(asked, Timeouts(), until)
            assert exchange.read(until) == b"{}"
            exchange.close()
        transport.close()

    async def awaited() -> None:
        transport = AioTransport()
        for asked in (plain, order):
            exchange = await transport.open(asked, Timeouts(), until)
            assert await exchange.read(until) == b"{}"
            exchange.close()
        transport.close()

    blocking() if face.name == "blocking" else face.run(awaited())
    assert [[r.method for r in visit.requests] for visit in upstream.visits] == [["GET"], ["POST"]]


def test_an_order_whose_answer_is_lost_is_sent_once(face: Any, serve: Any) -> None:
    def dies(visit: Any) -> None:
        visit.request()
        visit.reset()

    upstream = serve(dies)
    order = msgspec.structs.replace(
        request(upstream.url, public=False), method="POST", body=b"{}", once=True
    )
    with pytest.raises(APIError):
        Opener(face).open(order)
    assert len(upstream.requests) == 1

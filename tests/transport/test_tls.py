"""TLS: whom a client trusts, and what it says of those it does not. Authorities are trustme's."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import ssl
import subprocess
import sys
import time

import pytest

from faces import ASKED, ONCE
from loopback import (
    PATIENCE,
    STREAM_HEAD,
    answers,
    chunk,
    event,
    open_sockets,
    sockets_settle,
    then_waits,
)
from trunkline import APIConnectionError, AsyncClient, ConfigurationError


@pytest.fixture(scope="module")
def context(authority, server_context):
    """Server-side TLS for localhost."""
    return server_context("localhost")


def test_a_server_is_trusted_by_the_authority_in_ca_file(face, serve, authority, context) -> None:
    upstream = serve(answers, tls=context)
    client = face.client(upstream.url, ca_file=authority)
    for _ in range(3):
        assert face.chat(client, **ONCE).text == "Hello"
        assert face.collect(client, **ONCE).text == "Hello"
    assert len(upstream.visits) == 1
    assert upstream.visits[0].sock.selected_alpn_protocol() == "http/1.1"


def test_a_server_of_an_unknown_authority_is_refused_at_once_with_a_hint(
    face, serve, context
) -> None:
    upstream = serve(answers, tls=context)
    with pytest.raises(APIConnectionError, match="certificate of localhost") as caught:
        face.chat(face.client(upstream.url))
    assert "SSL_CERT_FILE" in caught.value.hint
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert len(caught.value.attempts) == 1  # trying again does not change a certificate
    assert upstream.requests == []


def test_a_certificate_for_another_name_is_refused(face, serve, authority, server_context) -> None:
    upstream = serve(answers, tls=server_context("elsewhere.example"))
    with pytest.raises(APIConnectionError, match="localhost"):
        face.chat(face.client(upstream.url, ca_file=authority), **ONCE)
    assert upstream.requests == []


def test_a_server_that_speaks_no_tls_is_an_error_that_says_so(face, serve) -> None:
    def plain(visit) -> None:
        visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        visit.until_gone()

    upstream = serve(plain)
    with pytest.raises(APIConnectionError, match="TLS|broke"):
        face.chat(face.client(upstream.url.replace("http:", "https:")), **ONCE)


def test_a_ca_file_that_is_none_is_an_error_of_ours(face, serve, tmp_path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("nothing")
    for path in (nonsense, tmp_path / "absent.pem"):
        with pytest.raises(ConfigurationError, match="pem"):
            face.chat(face.client("https://localhost:1/v1", ca_file=str(path)), **ONCE)


def test_a_used_tls_connection_that_died_is_replaced(face, serve, authority, context) -> None:
    def answers_once(visit) -> None:
        visit.request()
        visit.answer()
        visit.close()
        visit.note("closed")

    upstream = serve(answers_once, answers, tls=context)
    client = face.client(upstream.url, ca_file=authority)
    face.chat(client, **ONCE)
    upstream.wait("closed")
    assert face.chat(client, **ONCE).text == "Hello"


def test_leaving_a_tls_stream_hangs_up(face, serve, authority, context) -> None:
    before = open_sockets()
    upstream = serve(then_waits(STREAM_HEAD, chunk(event("Hel"))), tls=context)
    client = face.client(upstream.url, ca_file=authority)
    stream = face.stream(client, **ONCE)
    assert face.next(stream).text == "Hel"
    since = time.monotonic()
    face.run(stream.close())
    assert upstream.seconds_until_gone(since) < 1
    upstream.close()
    face.close()
    assert sockets_settle(before)


def test_cancelling_a_task_hangs_up_on_tls(runner, serve, authority, context) -> None:
    upstream = serve(then_waits(), tls=context)

    async def main() -> None:
        before = open_sockets()
        client = AsyncClient(api_base=upstream.url, ca_file=authority)
        task = asyncio.create_task(client.chat("m", ASKED))
        await asyncio.to_thread(upstream.wait, "sent")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(upstream.seconds_until_gone, 0)
        assert sockets_settle(before)

    runner.run(main())


TRUSTING = """
import asyncio, sys
from trunkline import AsyncClient, Client
asked = [{"role": "user", "content": "Hello?"}]
with Client(api_base=sys.argv[1]) as client:
    print(client.chat("m", asked).text)
async def main():
    async with AsyncClient(api_base=sys.argv[1]) as client:
        print((await client.chat("m", asked)).text)
asyncio.run(main())
"""


def test_ssl_cert_file_names_further_authorities(serve, authority, context) -> None:
    upstream = serve(answers, tls=context)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", TRUSTING, upstream.url],
        env={**os.environ, "SSL_CERT_FILE": authority},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("Hello\nHello\n", "")


INTERRUPTED = """
import os, signal, sys
from trunkline import Client

client = Client(api_base=sys.argv[1])
try:
    client.chat("m", [{"role": "user", "content": "Hello?"}])
except KeyboardInterrupt as caught:  # which knows every frame that it came through
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    print([os.readlink(link) for link in links if os.path.exists(link)])
"""


@pytest.mark.slow
def test_ctrl_c_within_a_handshake_closes_the_socket(serve) -> None:
    upstream = serve(lambda visit: (visit.note("here"), visit.until_gone()))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", INTERRUPTED, upstream.url.replace("http:", "https:")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        upstream.wait("here")
        hello = upstream.visits[0].sock
        assert select.select([hello], [], [], PATIENCE)[0], "the handshake has begun"
        program.send_signal(signal.SIGINT)
        said, complained = program.communicate(timeout=30)
    assert "socket:" not in said
    assert (said[:1], complained) == ("[", "")

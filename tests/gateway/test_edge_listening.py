"""The listening side: TLS, too many connections, no descriptors left, and the end of the process."""

from __future__ import annotations

import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from raw import Wire, ask, chat, eventually, get, post
from running import Gateway, request, running

from trunkline.sandbox.server import SandboxServer


class Encrypted(Gateway):
    """A gateway that is asked over TLS."""

    context: ssl.SSLContext

    def _answers(self, port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            return plain.fileno() >= 0

    def ask(self, *_: object, **__: object) -> tuple[int, dict[str, str], object]:
        raise NotImplementedError("ask over a wire")


@pytest.fixture(scope="module")
def encrypted(
    tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer
) -> Iterator[Encrypted]:
    """A gateway with a certificate."""
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(folder / "chain.pem", append=number > 0)
    config = f"""
unlisted_models = "pass"
[listen]
tls_certificate = "{folder / "chain.pem"}"
tls_key = "{folder / "key.pem"}"
[edge]
head_seconds = 1.0
"""
    gateway = Encrypted(folder, config, sandbox_server.environment)
    gateway.context = ssl.create_default_context()
    authority.configure_trust(gateway.context)
    yield gateway
    gateway.stop()


def over_tls(gateway: Encrypted, **options: int) -> Wire:
    return Wire(gateway, tls=gateway.context, **options)


def test_requests_are_served_over_tls(encrypted: Encrypted, sandbox_server: SandboxServer) -> None:
    key = encrypted.admin_key
    with over_tls(encrypted) as wire:
        assert wire.socket.version() in ("TLSv1.2", "TLSv1.3")  # type: ignore[attr-defined]
        assert [wire.ask(post(chat(), key)).status for _ in range(3)] == [200] * 3
        assert wire.ask(post(chat(stream=True), key)).body.endswith(b"[DONE]\n\n")
        assert wire.ask(post(chat(), "wrong")).status == 401
        wire.send(post(chat(), key) * 5)
        assert [wire.answer().status for _ in range(5)] == [200] * 5
        large = post(chat(user="x" * 900_000), key)
        assert wire.ask(large).status == 200
        assert wire.ask(get("/x", "a : b")).status == 400
        assert wire.ended()
    assert sandbox_server.requests[-1].json["user"] == "x" * 900_000


def test_a_client_that_is_refused_over_tls_can_read_why(encrypted: Encrypted) -> None:
    for data, status in (
        (post(b"x" * 100_000), 401),
        (get("/", *[f"x-{i}: y" for i in range(200)]), 431),
        (post(chat(), encrypted.admin_key, "content-encoding: gzip"), 415),
    ):
        with over_tls(encrypted) as wire:
            assert wire.ask(data).status == status


def test_leaving_is_noticed_over_tls(encrypted: Encrypted, sandbox_server: SandboxServer) -> None:
    sandbox_server.requests.clear()
    with over_tls(encrypted) as wire:
        wire.send(post(chat(model="org/fault-stall-head"), encrypted.admin_key))
        eventually(lambda: len(sandbox_server.requests) == 1, "the call is with the upstream")
    eventually(lambda: sandbox_server.requests[0].hung_up is not None, "it is hung up on")
    assert len(sandbox_server.requests) == 1, "and nobody else is asked"


def test_a_client_that_does_not_shake_hands_is_let_go(encrypted: Encrypted) -> None:
    with Wire(encrypted) as silent, Wire(encrypted) as half:
        half.send(b"\x16\x03\x01\x02\x00\x01\x00")
        assert silent.ended()
        assert half.ended()


def test_plain_http_on_a_port_for_tls_is_closed(encrypted: Encrypted) -> None:
    with Wire(encrypted) as wire:
        wire.send(get("/health/live"))
        try:
            assert not wire.socket.recv(1 << 16).startswith(b"HTTP/1.1 2")
        except ConnectionError:
            pass  # reset
    with over_tls(encrypted) as wire:
        assert wire.lives()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(encrypted: Encrypted, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Wire(encrypted, tls=context)


def test_more_connections_than_allowed_are_told_so_and_room_is_made_again(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "[listen]\nconnections = 20\n", sandbox_server.environment) as gateway:
        eventually(lambda: ask(gateway, get("/health/live")).status == 200, "it is there")
        wires = [Wire(gateway) for _ in range(20)]
        assert all(wire.lives() for wire in wires)
        for _ in range(5):
            with Wire(gateway) as more:
                answer = more.answer()
                assert (answer.status, answer.error["code"]) == (503, "overloaded")
                assert answer.headers["retry-after"] == "1"
                assert more.ended()
        assert all(wire.lives() for wire in wires)
        for wire in wires:
            wire.socket.close()
        eventually(lambda: served(gateway), "there is room again")


def served(gateway: Gateway) -> bool:
    """Whether a new client is served."""
    try:
        return request("127.0.0.1", gateway.port, "GET", "/health/live")[0] == 200
    except OSError:
        return False


def processor_seconds(gateway: Gateway) -> float:
    """What the process has used of the processor."""
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_descriptors_nothing_spins_and_all_is_well_afterwards(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        key = gateway.new_key()
        first = Wire(gateway)
        assert first.ask(post(chat(), key)).status == 200
        pid = gateway.process.pid
        few = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 10
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, before[1]))
        crowd = [Wire(gateway) for _ in range(60)]
        assert first.ask(post(chat(), key)).status == 200
        used = processor_seconds(gateway)
        time.sleep(1.0)
        used = processor_seconds(gateway) - used
        assert used < 0.5, f"{used:.2f} s of the processor in a second of waiting"
        assert first.ask(post(chat(), key)).status == 200
        for wire in crowd:
            wire.socket.close()
        eventually(lambda: served(gateway), "new clients are served again")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert first.ask(post(chat(stream=True), key)).status == 200
        first.socket.close()
        assert ask(gateway, post(chat(), key)).status == 200
        assert gateway.stop() == 0


@pytest.mark.parametrize(("connections", "limit"), [(1000, 2256), (1_000_000, None)])
def test_as_many_descriptors_are_taken_as_clients_need_where_that_is_allowed(
    tmp_path: Path, sandbox_server: SandboxServer, connections: int, limit: int | None
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    config = f"[listen]\nconnections = {connections}\n"
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with running(tmp_path, config, sandbox_server.environment) as gateway:
            now = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
            assert now == (limit or hard, hard)
            assert ("ulimit -n" in gateway.log.read_text()) is (limit is None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_at_the_end_idle_clients_are_let_go_and_the_others_are_answered(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    config = 'unlisted_models = "pass"\n'
    with running(tmp_path, config, sandbox_server.environment) as gateway:
        key = gateway.new_key()
        slow = post(chat(model="org/fault-drip", stream=True), key)
        with Wire(gateway) as fresh, Wire(gateway) as idle, Wire(gateway) as busy:
            assert idle.lives()
            busy.send(slow + post(chat(), key))
            busy.head()
            gateway.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert idle.ended()
            assert fresh.ended()
            assert time.monotonic() - began < 10
            with pytest.raises(OSError):
                Wire(gateway)
            busy.until(b"data: [DONE]\n\n")
            assert busy.until(b"0\r\n\r\n") == b"\r\n"
        assert gateway.process.wait(20) == 0


def test_at_the_end_answers_say_that_their_connection_closes(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        data = post(chat(), gateway.new_key())
        with Wire(gateway) as wire:
            wire.send(data[:-10])
            eventually(lambda: ask(gateway, get("/health/live")).status == 200, "it is read")
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: not served(gateway), "it listens no more")
            answer = wire.ask(data[-10:])
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert wire.ended()
        assert gateway.process.wait(20) == 0


def test_many_clients_at_once_are_all_answered(gateway: Gateway) -> None:
    key = gateway.new_key()
    statuses: list[int] = []

    def client(number: int) -> None:
        with Wire(gateway) as wire:
            asked = [post(chat(user=f"{number} {turn}"), key) for turn in range(5)]
            statuses.extend(wire.ask(data).status for data in asked)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 150

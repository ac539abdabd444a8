"""A client's own id for a request: in the log and the ledger beside ours, or refused, and never in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw import REQUEST_ID, Wire, ask, chat, eventually, get, post
from running import Gateway, running

from trunkline.gateway.client_ids import CLIENT_IDS, client_id
from trunkline.gateway.refusals import Fault
from trunkline.sandbox.server import SandboxServer


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


@pytest.mark.parametrize("stream", [False, True])
def test_it_is_in_the_ledger_beside_ours(gateway: Gateway, key: str, stream: bool):
    with Wire(gateway) as wire:
        for own in ("trace-1", "trace-2", "trace-2"):
            answer = wire.ask(post(chat(stream=stream), key, f"x-request-id: {own}"))
            assert answer.status == 200
            ours = answer.headers["x-request-id"]
            assert REQUEST_ID.fullmatch(ours)
            assert own not in answer.headers.values()
            assert gateway.entry(ours)["client_request_id"] == own
        answer = wire.ask(post(chat(stream=stream), key))
        assert gateway.entry(answer.headers["x-request-id"])["client_request_id"] is None


def test_openais_header_counts_more_and_may_be_longer(gateway: Gateway, key: str):
    own = "a" * 512
    lines = ["x-request-id: proxy", f"X-Client-Request-Id: {own}"]
    answer = ask(gateway, post(chat(), key, *lines))
    assert gateway.entry(answer.headers["x-request-id"])["client_request_id"] == own


@pytest.mark.parametrize(
    "line",
    [
        "x-request-id: ",
        "x-request-id: " + "a" * 129,
        "x-client-request-id: " + "a" * 513,
        "x-client-request-id: caf\xe9",
        "x-request-id: a\tb",
    ],
)
def test_one_that_cannot_be_kept_is_refused_and_nothing_is_sent(
    gateway: Gateway, key: str, line: str
):
    before = len(gateway.ledger())
    answer = ask(gateway, post(chat(), key, line))
    assert (answer.status, answer.error["code"]) == (400, "invalid_client_request_id")
    assert line.split(":", maxsplit=1)[0] in answer.error["message"]
    assert len(gateway.ledger()) == before


def test_every_answer_has_our_own_id_whatever_it_is_asked(gateway: Gateway, key: str):
    for request in (
        get("/nothing", "x-request-id: mine"),
        get("/health/live", "x-request-id: mine"),
        get("/v1/models", "x-request-id: mine", key=key),
        post({"model": 1}, key, "x-request-id: mine"),
        post(chat(), None, "x-request-id: mine"),
        b"nonsense\r\n\r\n",
    ):
        assert REQUEST_ID.fullmatch(ask(gateway, request).headers["x-request-id"])


def test_it_is_in_the_log_of_requests(tmp_path: Path, sandbox_server: SandboxServer):
    with running(tmp_path, "", sandbox_server.environment, "--log-requests") as gateway:
        key = gateway.new_key()
        answer = ask(gateway, post(chat(), key, "x-request-id: find-me"))
        gateway.entry(answer.headers["x-request-id"])
        (line,) = [each for each in gateway.log.read_text().splitlines() if "find-me" in each]
        assert answer.headers["x-request-id"] in line


def test_an_answer_that_is_told_again_is_in_the_log_of_requests(
    tmp_path: Path, sandbox_server: SandboxServer
):
    with running(tmp_path, "", sandbox_server.environment, "--log-requests") as gateway:
        key = gateway.new_key()
        request = post(chat(), key, "idempotency-key: not-for-logs")
        first, again = ask(gateway, request), ask(gateway, request)
        ids = [answer.headers["x-request-id"] for answer in (first, again)]
        eventually(lambda: ids[1] in gateway.log.read_text(), "a line for the replay")
        (line,) = [each for each in gateway.log.read_text().splitlines() if ids[1] in each]
        assert ids[0] in line
        assert "not-for-logs" not in gateway.log.read_text()


def test_it_may_stand_beside_a_name(gateway: Gateway, key: str):
    lines = ["idempotency-key: both", "x-request-id: mine"]
    first, again = (ask(gateway, post(chat(), key, *lines)) for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert gateway.entry(first.headers["x-request-id"])["client_request_id"] == "mine"


@given(st.binary(max_size=600), st.sampled_from(sorted(CLIENT_IDS)))
def test_what_is_kept_is_printable_and_as_it_was_sent(value: bytes, name: bytes):
    found = client_id({name: value})
    if isinstance(found, Fault):
        assert found.status == 400
    else:
        assert found is not None
        assert found.encode() == value
        assert found.isascii()
        assert found.isprintable()
        assert 0 < len(found) <= CLIENT_IDS[name]


def test_without_one_there_is_none():
    assert client_id({b"user-agent": b"x"}) is None

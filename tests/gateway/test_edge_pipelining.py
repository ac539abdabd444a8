"""Several requests on one connection: each is answered once, in its turn, however the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw import CHATS, Wire, chat, chunks, eventually, get, head, post
from running import Gateway

from trials import often
from trunkline.sandbox.server import SandboxServer


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    return gateway.new_key()


def asked(number: int, key: str, **more: object) -> bytes:
    return post(chat(user=f"number {number}", **more), key)


def test_several_requests_in_one_segment_are_answered_in_their_order(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    sandbox_server.requests.clear()
    with Wire(gateway) as wire:
        wire.send(b"".join(asked(number, key) for number in range(10)))
        ids = [wire.answer().headers["x-request-id"] for _ in range(10)]
        assert wire.lives()
    assert ids == sorted(set(ids))
    told = [seen.json["user"] for seen in sandbox_server.requests]
    assert told == [f"number {number}" for number in range(10)]


def test_requests_of_every_kind_are_answered_in_their_order(gateway: Gateway, key: str) -> None:
    requests: list[tuple[bytes, int, bool]] = [
        (asked(1, key), 200, False),
        (get("/health/live"), 200, False),
        (get("/health/live", method="HEAD"), 200, True),
        (asked(2, key, stream=True), 200, False),
        (get("/v1/models", method="HEAD", key=key), 200, True),
        (get("/nothing"), 404, False),
        (asked(3, "wrong"), 401, False),
        (post(b"{", key), 400, False),
        (get("/admin/status", key=gateway.admin_key), 200, False),
        (get("/admin/keys", key=key), 403, False),
        (asked(4, key), 200, False),
        (post(b"", key, "transfer-encoding: chunked", length=False)
            + chunks(json.dumps(chat()).encode(), 10), 200, False),
        (get("/health/live"), 200, False),
    ]  # fmt: skip
    data = b"".join(request for request, _, _ in requests)
    for size in (len(data), 1, 97, 1000):
        with Wire(gateway) as wire:
            wire.send(*[data[at : at + size] for at in range(0, len(data), size)])
            for number, (_, status, only) in enumerate(requests):
                answer = wire.answer(head_only=only)
                assert answer.status == status, (size, number, answer)
            assert wire.lives()


def test_what_is_wrong_in_the_middle_is_told_after_what_came_before(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    for wrong, status in (
        (b"rubbish\r\n\r\n", 400),
        (get("/", "x : y"), 400),
        (head("POST", CHATS, "content-length: 3", "transfer-encoding: chunked") + b"\r\n", 400),
        (get("/" + "a" * 9000), 414),
        (head("POST", CHATS, "content-length: 99999999", key=key) + b"\r\n", 413),
    ):
        sandbox_server.requests.clear()
        with Wire(gateway) as wire:
            wire.send(asked(1, key) + asked(2, key) + wrong + asked(3, key))
            assert [wire.answer().status for _ in range(3)] == [200, 200, status]
            assert wire.ended()
        assert len(sandbox_server.requests) == 2


def test_a_last_request_ends_the_row(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    sandbox_server.requests.clear()
    last = post(chat(), key, "connection: close")
    with Wire(gateway) as wire:
        wire.send(asked(1, key) + last + asked(2, key))
        assert [wire.answer().status for _ in range(2)] == [200, 200]
        assert wire.ended()
    assert len(sandbox_server.requests) == 2


def test_too_many_requests_ahead_are_refused_after_the_answers_to_the_first(
    gateway: Gateway, key: str
) -> None:
    with Wire(gateway) as wire:
        wire.send(b"".join(asked(number, key) for number in range(100)))
        statuses = []
        while not statuses or statuses[-1] == 200:
            statuses.append(wire.answer().status)
        assert statuses[-1] == 429
        assert len(statuses) > 16
        assert wire.ended()


def test_a_large_body_behind_another_request_waits_and_is_served(
    gateway: Gateway, key: str, sandbox_server: SandboxServer
) -> None:
    large = "x" * 600_000
    with Wire(gateway) as wire:
        wire.send(asked(1, key), post(chat(user=large), key), asked(2, key))
        assert [wire.answer().status for _ in range(3)] == [200] * 3
    assert sandbox_server.requests[-2].json["user"] == large


def test_a_request_that_waits_to_be_asked_behind_another_is_asked(
    gateway: Gateway, key: str
) -> None:
    first, _, body = post(chat(), key, "expect: 100-continue").partition(b"\r\n\r\n")
    with Wire(gateway) as wire:
        wire.send(asked(1, key) + first + b"\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.head().status == 100
        assert wire.ask(body).status == 200


def test_a_key_is_read_anew_for_every_request(gateway: Gateway, key: str) -> None:
    other = gateway.new_key(scope={"endpoints": ["models"]})
    with Wire(gateway) as wire:
        for _ in range(2):
            wire.send(asked(1, key) + asked(2, other) + asked(3, "wrong") + post(chat()))
            assert [wire.answer().status for _ in range(4)] == [200, 403, 401, 401]
        assert wire.ask(asked(1, key)).status == 200
        assert wire.ask(asked(1, key[:-1] + "~")).status == 401
        assert wire.ask(asked(1, other)).status == 403


def test_a_client_that_leaves_takes_what_waits_with_it(
    lax_gateway: Gateway, sandbox_server: SandboxServer
) -> None:
    key = lax_gateway.new_key()
    sandbox_server.requests.clear()
    with Wire(lax_gateway) as wire:
        wire.send(asked(1, key, model="org/fault-stall-head") + asked(2, key) + asked(3, key))
        eventually(lambda: len(sandbox_server.requests) == 1, "the first is asked")
    eventually(lambda: sandbox_server.requests[0].hung_up is not None, "it is hung up on")
    assert lax_gateway.ledger(1)[0]["status"] == 499
    assert len(sandbox_server.requests) == 1


KINDS = ("chat", "stream", "live", "head", "wrong", "chunked", "nothing")


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    sizes=st.lists(st.integers(0, 300), min_size=8, max_size=8),
)
@settings(
    max_examples=often(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_row_of_requests_cut_anywhere_is_answered_in_its_order(
    gateway: Gateway, key: str, kinds: list[str], cuts: list[int], sizes: list[int]
) -> None:
    made = {
        "chat": lambda size: post(chat(user="a" * size), key),
        "stream": lambda size: post(chat(user="b" * size, stream=True), key),
        "live": lambda size: get("/health/live", f"x: {'c' * size}"),
        "head": lambda size: get(f"/health/live?{size}", method="HEAD"),
        "wrong": lambda size: post(chat(user="d" * size), "wrong"),
        "chunked": lambda size: (
            post(b"", key, "transfer-encoding: chunked", length=False)
            + chunks(json.dumps(chat(user="e" * size)).encode(), 7)
        ),
        "nothing": lambda size: get(f"/nothing/{size}"),
    }
    statuses = {"wrong": 401, "nothing": 404}
    data = b"".join(made[kind](size) for kind, size in zip(kinds, sizes, strict=False))
    places = sorted({cut % len(data) for cut in cuts} | {0, len(data)})
    with Wire(gateway) as wire:
        wire.send(*[data[a:b] for a, b in pairwise(places)])
        for kind in kinds:
            answer = wire.answer(head_only=kind == "head")
            assert answer.status == statuses.get(kind, 200), (kind, answer)
            if kind == "stream":
                assert answer.body.endswith(b"data: [DONE]\n\n")
        assert wire.lives()

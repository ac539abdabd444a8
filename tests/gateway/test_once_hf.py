"""Requests that name themselves on Hugging Face's own routes: bytes, streams and refusals are told again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hf_front import Front, front
from raw import Answer, Wire, ask, post
from test_hf_relay import GROQ, play, say, work


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("once"), play) as started:
        yield started


@pytest.fixture(scope="module")
def key(there: Front) -> str:
    return there.gateway.new_key()


def twice(there: Front, request: bytes) -> tuple[Answer, Answer]:
    return ask(there.gateway, request), ask(there.gateway, request)


def named(case: str, key: str, body: Any, path: str) -> bytes:
    return post(body, key, f"idempotency-key: {case} {path}", path=path)


@pytest.mark.parametrize("case", ["bytes", "made", "wrong", "text", "page"])
def test_what_came_is_told_again_as_it_came(there: Front, key: str, case: str) -> None:
    first, again = twice(there, named(case, key, {}, work(case)))
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-original-request-id"] == first.headers["x-request-id"]
    assert (again.status, again.body) == (first.status, first.body)
    for name in ("content-type", "x-inference-provider"):
        assert again.headers[name] == first.headers[name]
    assert len([r for r in there.router.requests if r.target.endswith(work(case)[3:])]) == 1


@pytest.mark.parametrize("case", ["Hi", "stream", "failing"])
def test_chats_are_too(there: Front, key: str, case: str) -> None:
    request = named(case, key, say(case, stream=case != "Hi"), GROQ)
    first, again = twice(there, request)
    assert first.status == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.body == first.body


def test_bytes_that_broke_off_are_not_asked_for_again(there: Front, key: str) -> None:
    request = named("cut", key, {}, work("cut"))
    with Wire(there.gateway) as wire:
        head = wire.send(request).head()
        assert head.status == 200
        with pytest.raises((AssertionError, ConnectionError)):
            wire.until(b"\r\n0\r\n\r\n")
    while (again := ask(there.gateway, request)).json["code"] == "idempotency_in_progress":
        pass
    assert again.status == 409
    assert b"Idempotency-Key" in again.body
    assert head.headers["x-request-id"].encode() in again.body


def test_an_upstreams_limit_may_be_tried_again(there: Front, key: str) -> None:
    for answer in twice(there, named("limited", key, {}, work("limited"))):
        assert answer.status == 429
        assert "idempotent-replayed" not in answer.headers

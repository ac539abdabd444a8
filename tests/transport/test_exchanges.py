"""One exchange after another: connections that are kept, lost and cut, whole answers and capped."""

from __future__ import annotations

from faces import ONCE
from loopback import answers


def test_a_call_brings_an_answer(face, serve) -> None:
    upstream = serve(answers)
    answer = face.chat(face.client(upstream.url))
    assert answer.text == "Hello"
    assert upstream.requests[0].target == "/v1/chat/completions"


def test_many_calls_share_one_connection(face, serve) -> None:
    upstream = serve(answers)
    client = face.client(upstream.url)
    for _ in range(5):
        face.chat(client, **ONCE)
        face.collect(client, **ONCE)
    assert len(upstream.requests) == 10
    assert len(upstream.visits) == 1

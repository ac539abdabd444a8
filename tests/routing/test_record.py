"""Attempts and receipts: what is known, what is estimated, and nothing invented."""

from __future__ import annotations

from typing import Any

import pytest
from hand import START, Hand, answers, chat, target

from trunkline.routing.needs import Reply, Send
from trunkline.routing.record import attempt, count_tokens
from trunkline.types import Choice, Completion, Message, Timeouts, TokenCount, Usage
from trunkline.wire.message import HttpRequest, ResponseHead, parse_url

HELLO = Completion(None, None, [Choice(0, Message(content="Hello", reasoning="Hm. "))])
ASKED: list[dict[str, Any]] = [
    {"role": "user", "content": "four"},
    {"role": "user", "content": [{"type": "text", "text": "four"}, {"type": "image_url"}]},
    {"role": "assistant", "content": None},
    {"role": "assistant"},
]


@pytest.mark.parametrize(
    ("usage", "count"),
    [
        (Usage(3, 2, 5), TokenCount(3, 2, "provider")),
        (Usage(3, None, None), TokenCount(3, None, "provider")),
        (Usage(None, 0, None), TokenCount(None, 0, "provider")),
        (Usage(None, None, 7), TokenCount(2, 3, "estimated")),
        (None, TokenCount(2, 3, "estimated")),
    ],
)
def test_tokens_are_the_providers_or_an_estimate_that_says_so(
    usage: Usage | None, count: TokenCount
) -> None:
    assert count_tokens(usage, HELLO, ASKED) == count


def test_an_empty_answer_is_estimated_as_nothing() -> None:
    assert count_tokens(None, Completion(None, None, []), []) == TokenCount(0, 0, "estimated")


def test_an_attempt_shows_no_query_and_no_secret() -> None:
    url = parse_url("https://h/v1/chat/completions?api-key=s3cret")
    send = Send(target(), HttpRequest("POST", url, ()), Timeouts(), START)
    tried = attempt(1, send, Reply(START + 1, START + 3), None, START)
    assert tried.url == "https://h/v1/chat/completions"
    assert "s3cret" not in repr(tried)
    assert "hf_first" not in repr(tried)
    assert (tried.started, tried.seconds, tried.status, tried.provider) == (1, 2, None, "groq")


def test_the_provider_is_the_one_that_answered_else_the_one_asked_for_else_unknown() -> None:
    def provider(model: str, **headers: str) -> str | None:
        receipt = chat(Hand(answers(**headers)), target(model)).receipt
        assert receipt is not None
        return receipt.provider

    assert provider("org/m", x_inference_provider="together") == "together"
    assert provider("groq/org/m", x_inference_provider="together") == "together"
    assert provider("groq/org/m") == "groq"
    assert provider("org/m") is None


def test_an_error_of_an_attempt_is_named() -> None:
    send = Send(target(), HttpRequest("POST", parse_url("https://h/"), ()), Timeouts(), START)
    reply = Reply(START, START, ResponseHead(500, {"x-request-id": "r"}))
    tried = attempt(2, send, reply, ValueError("x"), START)  # type: ignore[arg-type]
    assert (tried.number, tried.error, tried.status, tried.request_id) == (
        2,
        "ValueError",
        500,
        "r",
    )

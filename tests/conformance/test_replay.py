"""Every recorded chat goes through a real client, however its bytes arrive, to its own outcome."""

from __future__ import annotations

import asyncio
import gzip
import random
import re
from collections import Counter
from dataclasses import dataclass

import pytest
from recordings import Exchange, chats, digest, needs_recordings
from replay import (
    Replays,
    answer_bytes,
    answer_headers,
    call,
    call_async,
    call_in_pieces,
    single_bytes,
    split,
)

from trunkline import errors

pytestmark = needs_recordings
CHATS = chats()
every_chat = pytest.mark.parametrize("exchange", CHATS, ids=str)
UNPACKED = [e for e in CHATS if not any(n == "content-encoding" for n, _ in answer_headers(e))]

COLLECTION = "6d7292d64ca098e0"
"""The collection that was counted; of another only what holds for each exchange is asserted."""
COUNTED = digest(CHATS) == COLLECTION
counted = pytest.mark.skipif(not COUNTED, reason="another collection of recordings")

STREAMED = {
    "completed": 79,
    "UnprocessableEntityError": 11,
    "StreamTruncated": 3,
    "BadRequestError": 2,
    "AuthenticationError": 1,
    "RateLimitError": 1,
    "UnsupportedParamsError": 1,
}
UNSTREAMED = {
    "completed": 181,
    "UnprocessableEntityError": 6,
    "ModelNotSupportedError": 5,
    "InternalServerError": 3,
    "APIConnectionError": 2,
    "BadRequestError": 2,
    "AuthenticationError": 1,
    "ContextWindowExceededError": 1,
    "NotFoundError": 1,
    "UnsupportedParamsError": 1,
}

BYTEWISE_OVER_SOCKET = 8192
"""Longer answers go byte by byte through the parser alone: TCP would merge the bytes anyway."""


@dataclass(frozen=True)
class Exempt:
    """A 200 that does not become a completion, and why that is right."""

    kind: str
    reason: str


EXCEPTIONS = {
    "10e30bcb4bc95b43": Exempt(
        "APIConnectionError", "recorded packed with Brotli, which is never asked for"
    ),
    "ae45c681d6be812f": Exempt(
        "APIConnectionError", "recorded packed with Brotli, which is never asked for"
    ),
    "c213375ee7f8c263": Exempt(
        "StreamTruncated",
        "its last event, the one with the finish reason, ends in a stray quote: it is no JSON",
    ),
    "7535a9bd72e31aa7": Exempt(
        "StreamTruncated",
        "its last two events have no blank line between them: by the rules they are one, which "
        "is no JSON, and the stream ends within it",
    ),
    "f19fa2f919b6c2a6": Exempt(
        "StreamTruncated",
        "TGI 1.4.3 counted tokens where choices are numbered: 32 choices, of which one ended",
    ),
    "cdc57973de6fab6a": Exempt("BadRequestError", "Groq's `event: error` within a stream"),
}


@dataclass(frozen=True)
class Refusal:
    """Recorded error answers of one meaning."""

    status: int
    text: str
    error: type[errors.APIError]


REFUSALS = (
    Refusal(400, r"^This model's maximum context length", errors.ContextWindowExceededError),
    Refusal(400, r"^Only .* allowed now, your model \S+$", errors.ModelNotSupportedError),
    Refusal(400, r"^Server is pinned to", errors.ModelNotSupportedError),
    Refusal(400, r"`stream` is not supported for this model$", errors.UnsupportedParamsError),
    Refusal(400, r"^Tool call validation failed", errors.BadRequestError),
    Refusal(400, r"^Tool choice is required", errors.BadRequestError),
    Refusal(400, r"^you must provide a model parameter$", errors.BadRequestError),
    Refusal(401, r"^Invalid username or password\.$", errors.AuthenticationError),
    Refusal(401, r"^No API key found in request$", errors.AuthenticationError),
    Refusal(404, r"^The model .* does not exist or you do not", errors.NotFoundError),
    Refusal(422, r"^Template error", errors.UnprocessableEntityError),
    Refusal(422, r"^Failed to deserialize the JSON body", errors.UnprocessableEntityError),
    Refusal(422, r"^body\.messages: Field required$", errors.UnprocessableEntityError),
    Refusal(422, r"^Unexpected fields in the request", errors.UnsupportedParamsError),
    Refusal(429, r"^You exceeded your current quota", errors.RateLimitError),
    Refusal(500, r"^unknown error: There was an inference error", errors.InternalServerError),
    Refusal(500, r"1 validation error", errors.InternalServerError),
)

LISTED_MEANINGS = {refusal.error for refusal in REFUSALS}


@every_chat
def test_the_outcome_is_the_same_however_the_bytes_arrive(exchange: Exchange, replays: Replays):
    whole = replays.whole(exchange)
    answer = answer_bytes(exchange)
    pieces = split(answer, random.Random(f"pieces of {exchange.id}"))
    assert b"".join(pieces) == answer

    assert call(exchange, replays.answer_with(pieces)) == whole
    assert call_in_pieces(exchange, replays.server.address, pieces) == whole
    assert call_in_pieces(exchange, replays.server.address, single_bytes(answer)) == whole
    if len(answer) <= BYTEWISE_OVER_SOCKET:
        assert call(exchange, replays.answer_with(single_bytes(answer))) == whole


@every_chat
def test_the_awaiting_client_comes_to_the_same_outcome(exchange: Exchange, replays: Replays):
    whole = replays.whole(exchange)
    pieces = split(answer_bytes(exchange), random.Random(f"other pieces of {exchange.id}"))
    assert asyncio.run(call_async(exchange, replays.answer_with(pieces))) == whole


@pytest.mark.parametrize("exchange", UNPACKED, ids=str)
def test_an_answer_packed_with_gzip_reads_as_it_does_plain(exchange: Exchange, replays: Replays):
    body = gzip.compress(exchange.body, mtime=0)
    packed = answer_bytes(exchange, body, ("content-encoding", "gzip"))
    pieces = split(packed, random.Random(f"packed pieces of {exchange.id}"))
    whole = replays.whole(exchange)
    assert call_in_pieces(exchange, replays.server.address, pieces) == whole


@every_chat
def test_a_200_completes_unless_it_is_a_listed_exception(exchange: Exchange, replays: Replays):
    expected = EXCEPTIONS.get(exchange.id)
    if exchange.status >= 400:
        assert expected is None
        return
    kind = replays.whole(exchange).kind
    if COUNTED or expected:
        assert kind == (expected.kind if expected else "completed")
    else:
        assert kind == "completed" or _cannot_complete(exchange)


@every_chat
def test_an_error_answer_has_the_class_of_its_meaning(exchange: Exchange, replays: Replays):
    if exchange.status < 400:
        return
    outcome = replays.whole(exchange)
    said = outcome.error
    assert said is not None
    found = [
        r for r in REFUSALS if r.status == exchange.status and re.search(r.text, said["message"])
    ]
    if found:
        assert [r.error.__name__ for r in found] == [outcome.kind]
    else:
        raised = getattr(errors, outcome.kind)
        of_status = errors.class_for_status(exchange.status)
        assert not COUNTED, "an error answer that no row describes"
        assert issubclass(raised, of_status) or raised in LISTED_MEANINGS
    assert said["status"] == exchange.status
    assert outcome.chunks == ()


@every_chat
def test_an_error_quotes_the_server(exchange: Exchange, replays: Replays):
    said = replays.whole(exchange).error
    if exchange.status < 400 or said is None:
        return
    message = said["message"]
    try:
        texts = list(_strings(exchange.json))
    except ValueError:
        texts = [exchange.body.decode().strip()]
    assert any(text[:2000] in message for text in texts), message
    assert "<html" not in message.lower()
    assert message in said["str"]
    assert f"status {exchange.status}" in said["str"]


@counted
def test_the_outcomes_of_streamed_chats_are_these(replays: Replays):
    assert _kinds(replays, asked_stream=True) == STREAMED


@counted
def test_the_outcomes_of_unstreamed_chats_are_these(replays: Replays):
    assert _kinds(replays, asked_stream=False) == UNSTREAMED


@counted
def test_every_listed_exception_and_refusal_is_there(replays: Replays):
    assert {e.id for e in CHATS} >= EXCEPTIONS.keys()
    refused = [(e.status, replays.whole(e).error["message"]) for e in CHATS if e.status >= 400]
    for row in REFUSALS:
        assert any(s == row.status and re.search(row.text, m) for s, m in refused), row


def _kinds(replays: Replays, *, asked_stream: bool) -> dict[str, int]:
    return dict(Counter(replays.whole(e).kind for e in CHATS if e.asked_stream == asked_stream))


def _cannot_complete(exchange: Exchange) -> bool:
    """Tell of a 200 that nobody has looked at whether it may end otherwise."""
    ends = re.search(rb'"finish_reason": ?"', exchange.body)
    return exchange.packed or b'"error"' in exchange.body or ends is None


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value.strip()]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _strings(item) if text]

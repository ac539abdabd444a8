"""Every recorded stream of a text goes through a real client, however its bytes arrive."""

from __future__ import annotations

import json
import random
from collections import Counter
from functools import cache
from typing import Any

import pytest
import recordings
from recordings import RECORDINGS, Exchange, digest, needs_recordings
from replay import PiecesTransport, Replays, answer_bytes, single_bytes, split

from trunkline import APIError, Client
from trunkline.settings import read_settings

pytestmark = needs_recordings


@cache
def text_streams() -> tuple[Exchange, ...]:
    """Return every recorded stream of a text, and a real server's sample."""
    found = [
        exchange
        for transport in recordings.CHAT_TRANSPORTS
        for exchange in recordings._recorded(transport)
        if exchange.task == "text-generation"
        and exchange.streamed
        and b'"chat.completion.chunk"' not in exchange.body  # chats, filed wrongly
    ]
    sample = RECORDINGS / "transformers-serve" / "completion_stream.http"
    if sample.is_file():
        found.append(recordings._read_sample(sample.read_bytes()))
    return tuple(found)


STREAMS = text_streams()
every_stream = pytest.mark.parametrize("exchange", STREAMS, ids=str)
REFUSED = [exchange for exchange in STREAMS if b'"error"' in exchange.body]
SPOKEN = [exchange for exchange in STREAMS if exchange not in REFUSED]
COUNTS = {
    ("router", "tgi", False): 14,
    ("router", "tgi", True): 3,
    ("legacy", "tgi", False): 11,
    ("legacy", "tgi", True): 4,
    ("sample", "openai", False): 1,
}
"""Streams by where they were recorded, in whose form they are, and whether they refuse."""
COUNTED = digest(STREAMS) == "2285661c21a0f61b"


def events(exchange: Exchange) -> list[dict[str, Any]]:
    """Return the events, read in the plainest way; `[DONE]` left out."""
    lines = exchange.body.decode().split("\n")
    data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def engine_of(exchange: Exchange) -> str:
    return "openai" if b'"choices"' in exchange.body else "tgi"


def outcome(exchange: Exchange, pieces: list[bytes]) -> dict[str, Any]:
    """Make a real call that gets the recorded answer in these pieces; return what came of it."""
    return _read(exchange, "http://127.0.0.1:9", PiecesTransport(pieces))


def _read(exchange: Exchange, address: str, transport: PiecesTransport | None) -> dict[str, Any]:
    client = Client(settings=read_settings({}), transport=transport, max_retries=0)
    engine = engine_of(exchange)
    found: list[dict[str, Any]] = []
    with client:
        try:
            with client.text_completion(
                "m", "Say", api_base=address, engine=engine, stream=True
            ) as stream:
                found.extend(piece.model_dump() for piece in stream)
                whole = stream.whole
        except APIError as error:
            partial = error.partial and error.partial.model_dump()
            return {"kind": type(error).__name__, "pieces": found, "whole": partial}
    assert whole.receipt is not None
    tokens = whole.receipt.tokens.model_dump()
    return {
        "kind": "completed",
        "pieces": found,
        "whole": whole.model_dump(),
        "tokens": tokens,
        "request_id": whole.receipt.request_id,
    }


@every_stream
def test_a_stream_says_the_same_however_it_arrives(exchange: Exchange, replays: Replays) -> None:
    data = answer_bytes(exchange)
    whole = outcome(exchange, [data])
    assert outcome(exchange, single_bytes(data)) == whole
    for turn in range(5):
        assert outcome(exchange, split(data, random.Random(f"{exchange.id}-{turn}"))) == whole
    address = replays.answer_with(split(data, random.Random(exchange.id)))
    assert _read(exchange, address, None) == whole


@pytest.mark.parametrize("exchange", SPOKEN, ids=str)
def test_each_event_is_a_piece_and_the_whole_is_what_they_say(exchange: Exchange) -> None:
    told = events(exchange)
    found = outcome(exchange, [answer_bytes(exchange)])
    assert len(found["pieces"]) == len(told) > 0
    assert found["kind"] == "completed"
    whole = found["whole"]
    if engine_of(exchange) == "openai":
        assert whole["choices"][0]["text"] == "".join(e["choices"][0]["text"] for e in told)
        assert whole["choices"][0]["finish_reason"] == told[-1]["choices"][0]["finish_reason"]
        return
    assert whole["choices"][0]["text"] == told[-1]["generated_text"]
    details = told[-1]["details"] or {}
    finish = {"eos_token": "stop", "stop_sequence": "stop", "length": "length", None: None}
    assert whole["choices"][0]["finish_reason"] == finish[details.get("finish_reason")]
    assert found["tokens"]["source"] == ("provider" if details else "estimated")
    if details:
        assert found["tokens"]["output"] == details["generated_tokens"]
    spoken = "".join(e["token"]["text"] for e in told if not e["token"]["special"])
    assert "".join(p["choices"][0]["text"] for p in found["pieces"]) == spoken


@pytest.mark.parametrize("exchange", REFUSED, ids=str)
def test_an_error_in_the_stream_is_raised_as_what_it_is(exchange: Exchange) -> None:
    assert outcome(exchange, [answer_bytes(exchange)])["kind"] == "ContextWindowExceededError"


@pytest.mark.parametrize("exchange", SPOKEN, ids=str)
def test_a_stream_without_its_last_event_is_truncated(exchange: Exchange) -> None:
    told = exchange.body.rstrip().split(b"\n\n")
    body = b"".join(event + b"\n\n" for event in told[:-1])
    found = outcome(exchange, [answer_bytes(exchange, body)])
    assert found["kind"] == "StreamTruncated"
    assert len(found["pieces"]) == len(told) - 1


@pytest.mark.skipif(not COUNTED, reason="another collection of recordings")
def test_none_is_left_out() -> None:
    assert Counter((e.transport, engine_of(e), e in REFUSED) for e in STREAMS) == COUNTS

"""A real server's responses, whole and in events, through a real client."""

from __future__ import annotations

import random
from typing import Any

import pytest
import recordings
from recordings import RECORDINGS, Exchange, needs_recordings
from replay import PiecesTransport, answer_bytes, single_bytes, split

from trunkline import Client
from trunkline.settings import read_settings
from trunkline.types.response_events import OtherResponseEvent

FOLDER = RECORDINGS / "transformers-serve"
pytestmark = [
    needs_recordings,
    pytest.mark.skipif(not (FOLDER / "responses.http").is_file(), reason="no samples of responses"),
]


def sample(name: str) -> Exchange:
    return recordings._read_sample((FOLDER / f"{name}.http").read_bytes())


def call(pieces: list[bytes], **parameters: Any) -> Any:
    client = Client(settings=read_settings({}), transport=PiecesTransport(pieces))
    with client:
        return client.responses("tiny", "Hi", api_base="http://127.0.0.1:9", **parameters)


def test_a_whole_response_is_read_with_nothing_lost() -> None:
    exchange = sample("responses")
    response = call([answer_bytes(exchange)])
    told = exchange.json
    assert response.to_dict() == told
    assert response.output_text == told["output"][0]["content"][0]["text"] != ""
    assert response.receipt.tokens.source == "provider"
    assert response.receipt.tokens.output == told["usage"]["output_tokens"]


def test_a_streamed_response_says_the_same_however_it_arrives() -> None:
    data = answer_bytes(sample("responses_stream"))
    expected = None
    for pieces in ([data], single_bytes(data), split(data, random.Random(7))):
        stream = call(pieces, stream=True)
        events = list(stream)
        assert len(events) == 11
        assert not any(isinstance(event, OtherResponseEvent) for event in events)
        assert [event.sequence_number for event in events] == list(range(11))
        found = ([event.model_dump() for event in events], stream.whole.model_dump())
        assert found == (expected or found)
        expected = found
        assert stream.whole.output_text == events[7].text
        assert stream.whole.status == "completed"

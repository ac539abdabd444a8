"""Every recorded chat told as a response, and every recorded response through its tap."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "conformance"))

from recordings import RECORDINGS, Exchange, _read_sample, chats, needs_recordings

from trunkline import errors
from trunkline.dialects.openai_chat import ChunkReader, read_answer
from trunkline.dialects.openai_responses import read_answer as read_response_answer
from trunkline.dialects.response_events import ResponseReader
from trunkline.dialects.responses_answer import Envelope
from trunkline.dialects.responses_server import read_request
from trunkline.gateway.responses_tap import ResponseTap, read_response
from trunkline.gateway.responses_voice import ResponsesVoice
from trunkline.gateway.tap import StreamTap
from trunkline.gateway.tokens import Tokens
from trunkline.types import Completion
from trunkline.types.responses import Response

pytestmark = needs_recordings
READABLE = [e for e in chats() if 200 <= e.status < 300 and not e.packed]
STREAMED = [e for e in READABLE if e.streamed]
WHOLE = [e for e in READABLE if not e.streamed]
ECHO = read_request({"model": "asked/for", "input": "x"}).echo


def voice() -> ResponsesVoice:
    return ResponsesVoice(Envelope("0", 0, ECHO))


def check_same(response: Response, chat: Completion) -> None:
    """Compare a response with the chat that it was made of."""
    choice = chat.choices[0]
    message = choice.message
    assert response.output_text == (message.content or "")
    assert (response.reasoning_text or "") == (message.reasoning or "")
    calls = [(c.call_id, c.name, c.arguments) for c in response.function_calls]
    told = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ()]
    assert calls == told
    cut = choice.finish_reason in ("length", "content_filter")
    assert response.status == ("incomplete" if cut else "completed")
    assert response.model == "asked/for"
    counts = chat.usage and (chat.usage.prompt_tokens, chat.usage.completion_tokens)
    if not counts or None in counts:
        assert response.usage is None
    else:
        assert response.usage is not None
        assert (response.usage.input_tokens, response.usage.output_tokens) == counts


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
@pytest.mark.parametrize("size", [1, 97, 1 << 20])
def test_a_recorded_stream_says_as_a_response_what_it_said_as_a_chat(
    exchange: Exchange, size: int
) -> None:
    reader, tap, told = ChunkReader(think_tags=True), StreamTap(), voice()
    reader.feed(exchange.body)
    reader.finish()
    events = b""
    for start in range(0, len(exchange.body), size):
        events += told.events(tap.feed(exchange.body[start : start + size]))
    events += told.events(tap.finish())
    if not tap.whole:
        pytest.skip("the recording is not whole")
    ours = ResponseReader()
    ours.feed(events + told.end())
    assert ours.finished
    check_same(ours.whole(), reader.fold.completion())


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_a_recorded_answer_says_as_a_response_what_it_said_as_a_chat(exchange: Exchange) -> None:
    try:
        chat = read_answer(exchange.body, think_tags=True)
    except errors.APIError:
        pytest.skip("the recording is no answer")
    check_same(read_response_answer(voice().whole(exchange.body)), chat)


def test_recorded_responses_go_through_their_tap_and_are_counted() -> None:
    folder = RECORDINGS / "transformers-serve"
    answer = _read_sample((folder / "responses.http").read_bytes())
    assert read_response(answer.body) == Tokens(18, 5, 0)
    stream = _read_sample((folder / "responses_stream.http").read_bytes())
    for size in (1, 97, 1 << 20):
        tap, ours, direct = ResponseTap(), ResponseReader(), ResponseReader()
        for start in range(0, len(stream.body), size):
            ours.feed(tap.feed(stream.body[start : start + size]))
        direct.feed(stream.body)
        assert tap.whole
        assert tap.tokens == Tokens(18, 5, 0)
        assert ours.whole() == direct.whole()

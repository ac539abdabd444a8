"""Every recorded chat through a tap: the same verdict and usage as the SDK's own readers give."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "conformance"))

from recordings import Exchange, chats, needs_recordings

from trunkline import errors
from trunkline.dialects import failures
from trunkline.dialects.openai_chat import ChunkReader, read_answer
from trunkline.gateway.tap import StreamTap
from trunkline.gateway.tokens import Tokens, read_whole
from trunkline.types import Usage

pytestmark = needs_recordings
READABLE = [e for e in chats() if 200 <= e.status < 300 and not e.packed]
STREAMED = [e for e in READABLE if e.streamed]
WHOLE = [e for e in READABLE if not e.streamed]


def tokens(usage: Usage | None) -> Tokens:
    if usage is None:
        return Tokens()
    return Tokens(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


@pytest.mark.parametrize("exchange", STREAMED, ids=str)
@pytest.mark.parametrize("size", [1, 97, 1 << 20])
def test_a_recorded_stream_is_read_as_the_sdk_reads_it(exchange: Exchange, size: int) -> None:
    reader, tap = ChunkReader(), StreamTap()
    reader.feed(exchange.body)
    reader.finish()
    passed = b""
    for start in range(0, len(exchange.body), size):
        passed += tap.feed(exchange.body[start : start + size])
    passed += tap.finish()
    assert (tap.whole or (tap.unreadable and tap.finished)) == (reader.failure is None)
    assert tap.tokens == tokens(reader.fold.usage)
    if tap.failure is not None and not tap.unreadable:
        found = failures.error_for(failures.failure_in_stream(tap.failure))
        assert type(found) is type(reader.failure)
    again = ChunkReader()
    again.feed(passed)
    again.finish()
    assert again.fold.completion() == reader.fold.completion()


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_a_recorded_answer_is_read_as_the_sdk_reads_it(exchange: Exchange) -> None:
    told = read_whole(exchange.body)
    try:
        completion = read_answer(exchange.body)
    except errors.APIError:
        assert told is None
    else:
        assert told == tokens(completion.usage)

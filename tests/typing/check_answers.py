"""What type checkers make of the APIs beside chat. Read by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from trunkline import AsyncClient, Client
from trunkline.answer_functions import (
    amessages,
    aresponses,
    atext_completion,
    messages,
    responses,
    text_completion,
)
from trunkline.streams import AsyncEventStream, EventStream
from trunkline.types import Receipt
from trunkline.types.anthropic import AnthropicMessage, MessageEvent
from trunkline.types.response_events import OutputTextDelta, ResponseEvent
from trunkline.types.responses import FunctionCallItem, Response
from trunkline.types.results import TextCompletion

MODEL = "huggingface/groq/org/model"
ASKED = [{"role": "user", "content": "Hello?"}]


def blocking(flag: bool) -> None:
    """The functions and Client."""
    assert_type(responses(MODEL, "Hi", max_output_tokens=5), Response)
    assert_type(responses(MODEL, ASKED, stream=True), EventStream[ResponseEvent, Response])
    assert_type(
        responses(MODEL, "Hi", stream=flag), Response | EventStream[ResponseEvent, Response]
    )
    assert_type(messages(MODEL, ASKED, max_tokens=5), AnthropicMessage)
    assert_type(text_completion(MODEL, "Hi", top_k=5), TextCompletion)
    assert_type(
        text_completion(MODEL, "Hi", stream=True), EventStream[TextCompletion, TextCompletion]
    )

    client = Client(token="hf_x")
    answer = client.responses(MODEL, "Hi", tools=[blocking, {"type": "mcp"}])
    assert_type(answer.function_calls, list[FunctionCallItem])
    assert_type(answer.receipt, Receipt | None)
    with client.responses(MODEL, [*ASKED, *answer.output], stream=True) as stream:
        for event in stream:
            if isinstance(event, OutputTextDelta):
                assert_type(event.delta, str)
        for text in stream.text:
            assert_type(text, str)
        assert_type(stream.collect(), Response)
        assert_type(stream.whole, Response)
    with client.messages(MODEL, ASKED, max_tokens=5, stream=True) as said:
        assert_type(said, EventStream[MessageEvent, AnthropicMessage])


async def awaiting() -> None:
    """Their twins."""
    assert_type(await aresponses(MODEL, "Hi"), Response)
    assert_type(await amessages(MODEL, ASKED, max_tokens=5), AnthropicMessage)
    assert_type(await atext_completion(MODEL, "Hi"), TextCompletion)
    client = AsyncClient(token="hf_x")
    stream = await client.responses(MODEL, "Hi", stream=True)
    assert_type(stream, AsyncEventStream[ResponseEvent, Response])
    async for event in stream:
        assert_type(event, ResponseEvent)
    assert_type(await stream.collect(), Response)
    said = await client.messages(MODEL, ASKED, max_tokens=5, stream=True)
    assert_type(said, AsyncEventStream[MessageEvent, AnthropicMessage])


def wrong() -> None:
    """Mistakes that a checker finds; an ignore that is not needed is itself an error."""
    responses(MODEL, "Hi", max_tokens=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    messages(MODEL, ASKED)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    text_completion(MODEL, "Hi", temperature="hot")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]

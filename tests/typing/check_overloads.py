"""What type checkers make of the faces. Read by mypy and pyright, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from trunkline import (
    AsyncClient,
    AsyncStream,
    Chunk,
    Client,
    Completion,
    Message,
    Receipt,
    Stream,
    Timeouts,
    Usage,
    acompletion,
    completion,
)

MODEL = "huggingface/groq/org/model"
ASKED = [{"role": "user", "content": "Hello?"}]


@dataclass
class City:
    """A type to answer in."""

    name: str


def blocking(flag: bool, earlier: Message) -> None:
    """`completion` and Client."""
    assert_type(completion(MODEL, ASKED), Completion)
    assert_type(completion(model=MODEL, messages=ASKED, temperature=0.5, stop=["a"]), Completion)
    assert_type(completion(MODEL, ASKED, stream=False), Completion)
    assert_type(completion(MODEL, ASKED, stream=None), Completion)
    assert_type(completion(MODEL, ASKED, stream=True), Stream)
    assert_type(completion(MODEL, ASKED, stream=flag), Completion | Stream)
    assert_type(completion(MODEL, ASKED, response_model=City), City)
    assert_type(completion(MODEL, ASKED, response_model=City, repair_rounds=2), City)
    assert_type(completion(MODEL, [*ASKED, earlier], timeout=Timeouts(idle=5)), Completion)

    client = Client(token="hf_x", timeout=30, max_retries=1)
    assert_type(client.chat(MODEL, ASKED, max_tokens=5, deadline=10), Completion)
    assert_type(client.chat(MODEL, ASKED, response_model=City), City)
    assert_type(client.chat(MODEL, ASKED, tools=[{"type": "function"}, blocking]), Completion)
    with client.stream(MODEL, ASKED) as stream:
        assert_type(stream, Stream)
        for chunk in stream:
            assert_type(chunk, Chunk)
        for text in stream.text:
            assert_type(text, str)
        assert_type(stream.collect(), Completion)
        assert_type(stream.completion, Completion)
        assert_type(stream.usage, Usage | None)
        assert_type(stream.receipt, Receipt | None)


async def awaiting(flag: bool) -> None:
    """`acompletion` and AsyncClient."""
    assert_type(await acompletion(MODEL, ASKED), Completion)
    assert_type(await acompletion(MODEL, ASKED, stream=False), Completion)
    assert_type(await acompletion(MODEL, ASKED, stream=True), AsyncStream)
    assert_type(await acompletion(MODEL, ASKED, stream=flag), Completion | AsyncStream)
    assert_type(await acompletion(MODEL, ASKED, response_model=City), City)
    assert_type(await acompletion(MODEL, ASKED, response_model=City, repair_rounds=2), City)

    client = AsyncClient(token="hf_x")
    assert_type(await client.chat(MODEL, ASKED, max_tokens=5), Completion)
    assert_type(await client.chat(MODEL, ASKED, response_model=City), City)
    async with client.stream(MODEL, ASKED) as stream:
        assert_type(stream, AsyncStream)
        async for chunk in stream:
            assert_type(chunk, Chunk)
        async for text in stream.text:
            assert_type(text, str)
        assert_type(await stream.collect(), Completion)
        assert_type(stream.completion, Completion)
        assert_type(stream.usage, Usage | None)
        assert_type(stream.receipt, Receipt | None)
    assert_type(await client.stream(MODEL, ASKED), AsyncStream)


def wrong() -> None:
    """Mistakes that a checker finds; an ignore that is not needed is itself an error."""
    completion(MODEL, ASKED, temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    completion(MODEL, ASKED, temperature="hot")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    completion(MODEL, ASKED, stream=True, response_model=City)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    Client().chat(MODEL)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]

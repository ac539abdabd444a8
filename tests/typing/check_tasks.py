"""What type checkers make of the task functions and methods. Checked, never run."""

from __future__ import annotations

from typing import assert_type

from trunkline import (
    AsyncClient,
    Client,
    Cost,
    EmbeddingResponse,
    ImageResponse,
    Items,
    Label,
    Media,
    Transcription,
    aembedding,
    atext_to_video,
    cost,
    embedding,
    image_generation,
    supports,
    transcription,
)


def functions() -> None:
    assert_type(embedding("m", "text", dimensions=8, timeout=3.0), EmbeddingResponse)
    assert_type(image_generation("m", "a cat", size="64x64"), ImageResponse)
    assert_type(transcription("m", b"RIFF", language="en"), Transcription)
    assert_type(supports("m", "tools"), bool | None)
    assert_type(cost(None), Cost)
    embedding("m", "text", no_such_keyword=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    embedding("m", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def awaited() -> None:
    assert_type(await aembedding("m", ["text"]), EmbeddingResponse)
    assert_type(await atext_to_video("m", "a dog"), Media)


def methods(client: Client) -> None:
    assert_type(client.embedding("m", "text"), EmbeddingResponse)
    assert_type(client.text_classification("m", "text"), Items[Label])
    client.embedding("m", "text", no_such_keyword=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def async_methods(client: AsyncClient) -> None:
    assert_type(await client.embedding("m", "text"), EmbeddingResponse)
    assert_type(await client.speech("m", "text"), Media)

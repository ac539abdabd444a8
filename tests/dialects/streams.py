"""Streams as bytes, for the tests of their reader."""

from __future__ import annotations

import json
from typing import Any

from trunkline.dialects.openai_chat import DONE, ChunkReader
from trunkline.errors import APIError
from trunkline.types import Chunk, Completion


def event(body: Any) -> bytes:
    """Return one event of a stream."""
    return b"data: " + (body if isinstance(body, bytes) else json.dumps(body).encode()) + b"\n\n"


def events(*bodies: Any) -> bytes:
    return b"".join(event(body) for body in bodies)


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk with one choice, as a decoded body."""
    choice = {"index": index, "delta": fields, "finish_reason": finish}
    return {"id": "c1", "model": "org/m", "created": 1, "choices": [choice]}


STOP = delta(finish="stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
END = event(STOP) + event(DONE)


def read(*pieces: bytes, cut: APIError | None = None, **options: bool) -> ChunkReader:
    """Return the reader after a whole stream."""
    return read_chunks(*pieces, cut=cut, **options)[0]


def read_chunks(
    *pieces: bytes, cut: APIError | None = None, **options: bool
) -> tuple[ChunkReader, list[Chunk]]:
    """Feed the pieces, then the end; return the reader and the chunks it gave."""
    reader = ChunkReader(**options)
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    chunks += reader.finish(cut)
    return reader, chunks


def answer(*pieces: bytes, **options: bool) -> Completion:
    """Return what a stream that ends well spells out."""
    reader = read(*pieces, **options)
    assert reader.failure is None
    assert reader.done
    return reader.fold.completion()


def failure(*pieces: bytes, cut: APIError | None = None) -> APIError:
    """Return how a stream failed."""
    found = read(*pieces, cut=cut).failure
    assert found is not None
    return found


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return `stream` cut at the given places, which wrap around its length."""
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]

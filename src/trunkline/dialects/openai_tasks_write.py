"""OpenAI's embeddings and text completions, as the one who answers writes them.

What a provider did not tell is left out: counts, ids and reasons are never made up here.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

from trunkline.dialects.answer_parts import MisfitError
from trunkline.dialects.openai_write import DONE_EVENT
from trunkline.dialects.pipeline_vectors import packed
from trunkline.errors import InvalidResponseError
from trunkline.types.results import Embedding, EmbeddingResponse, TextChoice, TextCompletion
from trunkline.types.usage import Usage
from trunkline.wire import strict_json
from trunkline.wire.sse import write_event

__all__ = [
    "DONE_EVENT",
    "completion_text_body",
    "embeddings_body",
    "text_chunk_event",
    "text_usage_event",
]


def embeddings_body(
    result: EmbeddingResponse, model: str, encoding_format: Literal["float", "base64"] = "float"
) -> bytes:
    """Write vectors as floats, or as base64 of little-endian 32-bit floats.

    Raises InvalidResponseError for a vector that 32-bit floats cannot hold.
    """
    return strict_json.encode(
        {
            "object": result.object,
            "data": [_row(row, encoding_format) for row in result.data],
            "model": model,
            **_told(usage=_usage(result.usage)),
            **result.extra,
        }
    )


def completion_text_body(result: TextCompletion) -> bytes:
    """Write a whole answer."""
    return strict_json.encode(_completion(result, usage=_usage(result.usage)))


def text_chunk_event(piece: TextCompletion) -> bytes:
    """Write a piece as a server-sent event, without counts: they have an event of their own."""
    return write_event(strict_json.encode(_completion(piece)))


def text_usage_event(piece: TextCompletion) -> bytes:
    """Write a last event with the counts of `piece` and no text, for those who asked for it."""
    head = TextCompletion([], piece.id, piece.model, piece.created, object=piece.object)
    return write_event(strict_json.encode({**_completion(head), "usage": _usage(piece.usage)}))


def _row(row: Embedding, encoding_format: str) -> dict[str, Any]:
    vector = row.embedding
    if encoding_format == "base64" and not isinstance(vector, str):
        try:
            vector = packed(vector)
        except (MisfitError, struct.error) as error:
            raise InvalidResponseError(
                f"Vector {row.index} cannot be written as base64: {error}."
            ) from error
    elif encoding_format == "float":
        vector = row.vector
    return {"object": row.object, "index": row.index, "embedding": vector, **row.extra}


def _completion(result: TextCompletion, **more: Any) -> dict[str, Any]:
    return {
        **_told(id=result.id),
        "object": result.object,
        **_told(created=result.created, model=result.model),
        "choices": [_choice(choice) for choice in result.choices],
        **_told(**more),
        **result.extra,
    }


def _choice(choice: TextChoice) -> dict[str, Any]:
    return {
        "text": choice.text,
        "index": choice.index,
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason,
        **choice.extra,
    }


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """Return the counts that were told; None where none was."""
    return (usage.to_dict() or None) if usage else None


def _told(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

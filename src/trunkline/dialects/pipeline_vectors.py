"""Vectors, similarities and rankings as sentence models answer them, at hf-inference, TEI and endpoints.

An answer is taken only if it has one vector, or one score, for each text that was asked about.
"""

from __future__ import annotations

import binascii
import math
import struct
from typing import Any

from trunkline.dialects.answer_parts import (
    MisfitError,
    decoded,
    misfit,
    number,
    optional_count,
    shown,
    unwrapped,
)
from trunkline.dialects.shape import Wish
from trunkline.errors import InvalidInputError
from trunkline.types.results import (
    Embedding,
    EmbeddingResponse,
    Items,
    RerankResponse,
    RerankResult,
)

Vector = list[float]

POOLINGS = ("mean", "cls", "none")
"""What `pooling` may be: the average of the token vectors, the first, or the vectors themselves."""

_NOT_POOLED = (
    "the model gives a vector for each token, not one for the text. Pass "
    'pooling="mean" to average them, pooling="cls" for the first, or pooling="none" for the '
    "token vectors themselves"
)


def check_vectors(parameters: dict[str, Any]) -> None:
    """Raise InvalidInputError for a `pooling` or an `encoding_format` that there is not."""
    pooling, form = parameters.get("pooling"), parameters.get("encoding_format")
    if pooling not in (None, *POOLINGS):
        raise InvalidInputError(
            f"{pooling!r} is no pooling.", hint='Give "mean", "cls" or "none", or leave it out.'
        )
    if form not in (None, "float", "base64"):
        raise InvalidInputError(
            f"{form!r} is no encoding_format.", hint='Give "float" or "base64", or leave it out.'
        )
    if pooling == "none" and form == "base64":
        raise InvalidInputError(
            'pooling="none" and encoding_format="base64" do not go together.',
            hint="base64 holds one vector for each text; leave one of the two out.",
        )


def parse_vectors(answer: Any, wish: Wish) -> EmbeddingResponse:
    """Read a vector for each text, pooled from token vectors where `pooling` says how.

    Forms on the wire: `[d]` and `[[d]]` for one text, `[[d], ...]` for several; token vectors as
    `[[[d], ...]]`, and `[[[[d], ...]], ...]` for several texts (facebook/bart-base at hf-inference).
    """
    texts = wish.inputs if isinstance(wish.inputs, list) else [wish.inputs]
    answer = unwrapped(answer, "embeddings")
    if not texts and answer == []:
        return EmbeddingResponse(data=[])
    depth = _depth(answer)
    parts = _by_text(answer, depth, len(texts))
    pooling = wish.parameters.get("pooling")
    vectors = [pooled(part, pooling) for part in parts]
    flat = [vector for part in parts for vector in (part if _is_list(part) else [part])]
    lengths = {len(vector) for vector in flat}
    if len(lengths) > 1:
        raise MisfitError(f"its vectors differ in length ({min(lengths)} to {max(lengths)})")
    if wish.parameters.get("encoding_format") == "base64":
        vectors = [packed(vector) for vector in vectors]
    return EmbeddingResponse(
        data=[Embedding(vector, place) for place, vector in enumerate(vectors)]
    )


def _depth(answer: Any) -> int:
    """Return how many lists are around a vector; a text is a vector in base64."""
    depth, inner = 0, answer
    while isinstance(inner, list) and inner and isinstance(inner[0], (list, str)):
        depth, inner = depth + 1, inner[0]
    if isinstance(inner, str) or (isinstance(inner, list) and inner):
        return depth
    raise misfit(answer, "a vector for each text")


def _by_text(answer: Any, depth: int, texts: int) -> list[Any]:
    """Return for each text its vector, or the list of its token vectors."""
    if depth == 0:
        if texts != 1:
            raise MisfitError(f"it is {shown(answer)}, where {texts} vectors are expected")
        return [_vector(answer)]
    if depth == 1:
        vectors = [_vector(item) for item in answer]
        if texts == 1 and len(vectors) > 1:
            return [vectors]
        return _counted(vectors, texts)
    if depth == 2:
        return [_tokens(item) for item in _counted(answer, texts)]
    if depth == 3:
        return [_tokens(_single(item)) for item in _counted(answer, texts)]
    raise MisfitError(
        f"its lists are nested {depth + 1} deep, where a vector for each text is expected"
    )


def _counted(items: list[Any], texts: int) -> list[Any]:
    if len(items) != texts:
        raise MisfitError(f"the vectors ({len(items)}) are not as many as the texts ({texts})")
    return items


def _single(item: Any) -> Any:
    if not isinstance(item, list) or len(item) != 1:
        raise misfit(item, "a list of one")
    return item[0]


def _tokens(item: Any) -> list[Vector]:
    if not isinstance(item, list) or not item:
        raise misfit(item, "a vector for each token")
    return [_vector(vector) for vector in item]


def _vector(item: Any) -> Vector:
    """Return a vector as finite floats."""
    if isinstance(item, str):
        return unpacked(item)
    if not isinstance(item, list) or not item:
        raise misfit(item, "a vector")
    if not set(map(type, item)) <= {float, int}:
        wrong = next(value for value in item if type(value) not in (float, int))
        raise MisfitError(f"a vector has {shown(wrong)} among its numbers")
    try:
        return list(map(float, item))
    except OverflowError as error:
        raise MisfitError("a vector's numbers are too large") from error


def unpacked(packed: str) -> Vector:
    """Return the floats of base64 text: little-endian, 32 bits each, as OpenAI has them."""
    data = decoded(packed, "a vector")
    if not data or len(data) % 4:
        raise MisfitError(f"a vector has {len(data)} bytes, which are no 32-bit floats")
    vector = list(struct.unpack(f"<{len(data) // 4}f", data))
    if not all(map(math.isfinite, vector)):
        raise MisfitError("a vector has numbers that are not finite")
    return vector


def packed(vector: Vector) -> str:
    """Return a vector as base64 text, as OpenAI has it."""
    try:
        data = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError as error:
        raise MisfitError("a vector's numbers are too large for 32-bit floats") from error
    return binascii.b2a_base64(data, newline=False).decode()


def _is_list(part: Any) -> bool:
    return isinstance(part[0], list)


def pooled(part: Any, pooling: str | None) -> Any:
    """Return a text's vector, or with "none" its token vectors."""
    if not _is_list(part):
        if pooling == "none":
            raise MisfitError("the model gives one vector for the text, and no token vectors")
        return part
    if pooling is None:
        raise MisfitError(_NOT_POOLED)
    if pooling == "none":
        return part
    if pooling == "cls":
        return part[0]
    if len(set(map(len, part))) > 1:
        raise MisfitError("its token vectors differ in length")
    return [math.fsum(column) / len(part) for column in zip(*part, strict=True)]


def parse_similarities(answer: Any, wish: Wish) -> Items[float]:
    """Read a number for each sentence; some endpoints wrap them as `{"similarities": [[...]]}`."""
    scores = unwrapped(answer, "similarities")
    if isinstance(scores, list) and len(scores) == 1 and isinstance(scores[0], list):
        scores = scores[0]
    if not isinstance(scores, list):
        raise misfit(answer, "a number for each sentence")
    asked = wish.inputs.get("sentences") if isinstance(wish.inputs, dict) else None
    if isinstance(asked, list) and len(asked) != len(scores):
        what = f"the numbers ({len(scores)}) are not as many as the sentences ({len(asked)})"
        raise MisfitError(what)
    return Items(number(score, "a similarity") for score in scores)


def parse_ranking(answer: Any, wish: Wish) -> RerankResponse:
    """Read scores for texts, best first, cut to `top_n`.

    TEI gives `[{"index", "score", "text"?}]`, endpoints wrap that as `{"scores": [...]}` or give
    plain numbers in the order of the texts; a text-classification pipeline gives a list of one
    label for each text.
    """
    texts: list[Any] = wish.inputs["texts"]
    rows = unwrapped(answer, "scores", "results")
    if not isinstance(rows, list):
        raise misfit(answer, "a score for each text")
    if rows and all(isinstance(row, list) for row in rows):
        rows = rows[0] if len(rows) == 1 else [_single(row) for row in rows]
    if len({row["label"] for row in rows if isinstance(row, dict) and "label" in row}) > 1:
        raise MisfitError("it has several labels, where a score for each text is expected")
    found = [_ranked(row, place, wish) for place, row in enumerate(rows)]
    if len({result.index for result in found}) != len(found):
        raise MisfitError("it ranks a text twice")
    if len(found) != len(texts) and not all(map(_numbered, rows)):
        raise MisfitError(f"the scores ({len(found)}) are not as many as the texts ({len(texts)})")
    found.sort(key=lambda result: -result.relevance_score)
    return RerankResponse(results=found[: wish.parameters.get("top_n")])


def _numbered(row: Any) -> bool:
    return isinstance(row, dict) and ("index" in row or "corpus_id" in row)


def _ranked(answer: Any, place: int, wish: Wish) -> RerankResult:
    row = dict(answer) if isinstance(answer, dict) else {"score": answer}
    index = optional_count(row, "corpus_id" if "corpus_id" in row else "index")
    index = place if index is None else index
    score = row.pop("relevance_score" if "relevance_score" in row else "score", None)
    texts: list[Any] = wish.inputs["texts"]
    if not 0 <= index < len(texts):
        raise MisfitError(f"it ranks text {index} of {len(texts)}, counted from 0")
    said = row.pop("text", None)
    document = {"text": texts[index] if said is None else said}
    wanted = wish.parameters.get("return_documents") is True
    return RerankResult(index, number(score, "a score"), document if wanted else None, row)

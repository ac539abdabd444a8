"""Embeddings and reranking as OpenAI and Cohere shaped them and most servers took over.

Pure: neither addresses nor credentials are known here. Images and sounds have modules of their own.
"""

from __future__ import annotations

import math
from typing import Any

from trunkline.dialects.answer_parts import MisfitError, an_object, misfit, reads
from trunkline.dialects.bodies import given, merged
from trunkline.dialects.fields import is_count, is_number, take_text
from trunkline.dialects.openai_read import read_usage
from trunkline.dialects.pipeline_vectors import check_vectors, packed, pooled, unpacked
from trunkline.dialects.shape import Body, Shape, Wish, json_body
from trunkline.errors import InvalidInputError
from trunkline.types.results import Embedding, EmbeddingResponse, RerankResponse, RerankResult


def write_embeddings(wish: Wish) -> Body:
    """Write `{"model", "input", ...}`; raises InvalidInputError where there is no input."""
    if _due(wish.inputs) == 0:
        raise InvalidInputError("There is nothing to embed.", hint="Give at least one text.")
    check_vectors(wish.parameters)
    body = {"model": wish.model, "input": wish.inputs, **given(wish.parameters, "pooling")}
    return json_body(merged(body, wish.extra_body))


def _due(inputs: Any) -> int:
    """Return how many vectors are due: a text is one input, and so is a list of tokens."""
    if not isinstance(inputs, (list, tuple)):
        return 1
    return 1 if inputs and all(type(item) is int for item in inputs) else len(inputs)


def parse_embeddings(answer: Any, wish: Wish) -> EmbeddingResponse:
    """Read `data[].embedding` in the order of the inputs, as floats or base64 as was asked."""
    body = an_object(answer, "an object with data")
    rows = _rows(body.pop("data", None), answer, "vectors")
    due = _due(wish.inputs)
    if len(rows) != due:
        raise MisfitError(f"it has {len(rows)} vectors for {due} inputs")
    asked = merged(wish.parameters, wish.extra_body)
    data = [_embedding(row, place, asked) for row, place in zip(rows, _places(rows), strict=True)]
    return EmbeddingResponse(
        data=sorted(data, key=lambda row: row.index),
        model=take_text(body, "model"),
        usage=read_usage(body.pop("usage", None)),
        object=take_text(body, "object") or "list",
        extra=body,
    )


def _rows(rows: Any, answer: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(rows, list):
        raise misfit(answer, f"an object with a list of {what}")
    return [an_object(row, f"one of the {what}") for row in rows]


def _places(rows: list[dict[str, Any]]) -> list[int]:
    """Return the place of each row's input: as it says, or where none says so, its own."""
    told = [row.pop("index", None) for row in rows]
    if all(place is None for place in told):
        return list(range(len(rows)))
    if not all(map(is_count, told)) or sorted(told) != list(range(len(rows))):
        raise MisfitError(f"its vectors have the indexes {str(told)[:80]}")
    return told


def _embedding(row: dict[str, Any], place: int, asked: dict[str, Any]) -> Embedding:
    try:
        vector = _in_form(row.pop("embedding", None), asked)
    except (MisfitError, ValueError, OverflowError) as error:
        raise MisfitError(f"vector {place} cannot be read: {error}") from error
    return Embedding(vector, place, take_text(row, "object") or "embedding", row)


def _in_form(vector: Any, asked: dict[str, Any]) -> Any:
    """Return a checked vector in the form that was asked for; raises ValueError for no vector.

    A server that does not pool (llama.cpp) gives a vector for each token: those are pooled here.
    """
    form = asked.get("encoding_format")
    if isinstance(vector, str):
        if form not in (None, "float", "base64"):
            return vector
        numbers = unpacked(vector)
        return vector if form == "base64" else numbers
    _check(vector)
    vector = pooled(vector, asked.get("pooling"))
    return packed(vector) if form == "base64" else vector


def _check(vector: Any) -> None:
    """Raise ValueError unless `vector` is a list of finite numbers, or a list of such lists."""
    if not isinstance(vector, list) or not vector:
        raise ValueError("it is no list of numbers")
    kinds = set(map(type, vector))
    if kinds == {list} and not any(item and isinstance(item[0], list) for item in vector):
        for item in vector:
            _check(item)
    elif not kinds <= {int, float} or not all(map(math.isfinite, vector)):
        raise ValueError("not all of it are finite numbers")


EMBEDDINGS = Shape(write_embeddings, reads(parse_embeddings))
"""feature-extraction at `POST embeddings`. `inputs` is a text or a list of texts."""


def write_rerank(wish: Wish) -> Body:
    """Write `{"model", "query", "documents", ...}`; raises InvalidInputError without documents."""
    texts = wish.inputs["texts"]
    if not texts:
        raise InvalidInputError("There is nothing to rank.", hint="Give at least one document.")
    body = {"model": wish.model, "query": wish.inputs["query"], "documents": texts}
    return json_body(merged({**body, **given(wish.parameters)}, wish.extra_body))


def parse_rerank(answer: Any, wish: Wish) -> RerankResponse:
    """Read `results[]`, or TEI's bare list. The best is first, whatever order the server has.

    `top_n` holds where a server overlooks it.
    """
    body: dict[str, Any] = (
        {"results": answer} if isinstance(answer, list) else an_object(answer, "an object")
    )
    rows = _rows(body.pop("results" if "results" in body else "data", None), answer, "results")
    results = [_ranked(row, len(wish.inputs["texts"])) for row in rows]
    if len({row.index for row in results}) != len(results):
        raise MisfitError("it ranks a document twice")
    results.sort(key=lambda row: -row.relevance_score)
    meta = body.pop("meta") if isinstance(body.get("meta"), dict) else None
    most = merged(wish.parameters, wish.extra_body).get("top_n")
    return RerankResponse(
        results=results[:most] if is_count(most) else results,
        id=take_text(body, "id"),
        model=take_text(body, "model"),
        meta=meta,
        extra=body,
    )


def _ranked(row: dict[str, Any], documents: int) -> RerankResult:
    index = row.pop("index", None)
    if not is_count(index) or index >= documents:
        raise MisfitError(f"a result belongs to none of the {documents} documents")
    score = row.pop("relevance_score" if "relevance_score" in row else "score", None)
    if not is_number(score):
        raise MisfitError(f"the result for document {index} has no score")
    document = row.pop("document", None)
    if document is None and isinstance(row.get("text"), str):
        document = {"text": row.pop("text")}
    return RerankResult(index, score, document, row)


RERANK = Shape(write_rerank, reads(parse_rerank))
"""text-ranking at `POST rerank`, as Cohere, Jina and vLLM serve it. `inputs` has query and texts."""

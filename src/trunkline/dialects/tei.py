"""Text Embeddings Inference's own routes: `/embed`, `/rerank`, `/predict`, `/similarity`, `/embed_sparse`.

Its parameters stand beside the inputs. Errors are read elsewhere.
"""

from __future__ import annotations

from typing import Any

from trunkline.dialects.answer_parts import (
    MisfitError,
    an_object,
    misfit,
    number,
    optional_count,
    reads,
)
from trunkline.dialects.bodies import given, merged, renamed
from trunkline.dialects.pipeline_text import parse_labels
from trunkline.dialects.pipeline_vectors import (
    check_vectors,
    parse_ranking,
    parse_similarities,
    parse_vectors,
)
from trunkline.dialects.shape import Body, Shape, Wish, json_body
from trunkline.types.results import Items


def write_embed(wish: Wish) -> Body:
    """Write texts to embed; the form of the vectors and their pooling are made here, not there."""
    check_vectors(wish.parameters)
    return _written(wish, {"inputs": wish.inputs}, "pooling", "encoding_format", "sparse")


def write_rerank(wish: Wish) -> Body:
    """Write `{"query", "texts", ...}`; `top_n` is cut here."""
    return _written(wish, dict(wish.inputs), "top_n")


def write_predict(wish: Wish) -> Body:
    """Write texts to classify; `top_k` is cut here.

    Several are lists of one: a list of two texts would be a pair.
    """
    inputs = wish.inputs
    if isinstance(inputs, list):
        inputs = [[item] if isinstance(item, str) else item for item in inputs]
    return _written(wish, {"inputs": inputs}, "top_k")


def write_similarity(wish: Wish) -> Body:
    """Write `{"inputs": {"source_sentence", "sentences"}, "parameters"}`."""
    parameters = _in_its_words(given(wish.parameters))
    body = {"inputs": wish.inputs, **({"parameters": parameters} if parameters else {})}
    return json_body(merged(body, wish.extra_body))


def _written(wish: Wish, inputs: dict[str, Any], *ours: str) -> Body:
    parameters = _in_its_words(given(wish.parameters, *ours))
    return json_body(merged({**inputs, **parameters}, wish.extra_body))


def _in_its_words(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as every version takes them; older ones know `Left` and no `left`."""
    parameters = renamed(parameters, {"return_documents": "return_text"})
    direction = parameters.get("truncation_direction")
    if isinstance(direction, str):
        parameters["truncation_direction"] = direction.capitalize()
    return parameters


def parse_best(answer: Any, wish: Wish) -> Items[Any]:
    """Read labels, the first `top_k` of them for each text."""
    found, most = parse_labels(answer, wish), wish.parameters.get("top_k")
    if any(isinstance(row, Items) for row in found):
        return Items(Items(row[:most]) for row in found)
    return Items(found[:most])


def parse_sparse(answer: Any, wish: Wish) -> Items[dict[int, float]]:
    """Read `[[{"index", "value"}]]`: for each text, the weight of each token of the vocabulary."""
    if not isinstance(answer, list):
        raise misfit(answer, "a list of weights for each text")
    rows = [answer] if answer and isinstance(answer[0], dict) else answer
    texts = len(wish.inputs) if isinstance(wish.inputs, list) else 1
    if len(rows) != texts:
        raise MisfitError(f"the lists ({len(rows)}) are not as many as the texts ({texts})")
    return Items(_weights(row) for row in rows)


def _weights(row: Any) -> dict[int, float]:
    if not isinstance(row, list):
        raise misfit(row, "a list of weights")
    weights: dict[int, float] = {}
    for item in row:
        pair = an_object(item, "an object with index and value")
        index = optional_count(pair, "index")
        if index is None:
            raise misfit(item, "an object with index and value")
        weights[index] = number(pair.get("value"), "a value")
    return weights


EMBED = Shape(write_embed, reads(parse_vectors))
"""feature-extraction at `/embed`, and at `/embed_all`, which gives a vector for each token."""
EMBED_SPARSE = Shape(write_embed, reads(parse_sparse))
"""feature-extraction at `/embed_sparse`: Items of `{index: value}`, one for each text."""
RERANK = Shape(write_rerank, reads(parse_ranking))
PREDICT = Shape(write_predict, reads(parse_best))
SIMILARITY = Shape(write_similarity, reads(parse_similarities))

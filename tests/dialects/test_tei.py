"""Text Embeddings Inference: what each of its routes is asked, and what it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.shape import Reading, Shape, Wish
from trunkline.dialects.tei import EMBED, EMBED_SPARSE, PREDICT, RERANK, SIMILARITY
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.providers.served import TEI_TASKS, TEI_TOKENS
from trunkline.types.results import Items, Label

PAIR = {"query": "q", "texts": ["a", "b", "c"]}


def written(shape: Shape, inputs: Any, extra: dict[str, Any] | None = None, **given: Any) -> Any:
    return json.loads(shape.write(Wish("", "m", inputs, given, extra or {})).data)


def read(shape: Shape, answer: Any, inputs: Any = "x", **given: Any) -> Any:
    return shape.read(Reading(json.dumps(answer).encode()), Wish("", "m", inputs, given))


@pytest.mark.parametrize(
    ("shape", "inputs", "given", "body"),
    [
        (EMBED, "a", {}, {"inputs": "a"}),
        (
            EMBED,
            ["a", "b"],
            {"normalize": False, "truncate": True, "prompt_name": "query", "dimensions": 8},
            {
                "inputs": ["a", "b"],
                "normalize": False,
                "truncate": True,
                "prompt_name": "query",
                "dimensions": 8,
            },
        ),
        (
            EMBED,
            "a",
            {"truncation_direction": "left", "encoding_format": "base64", "pooling": "mean"},
            {"inputs": "a", "truncation_direction": "Left"},
        ),
        (EMBED_SPARSE, "a", {"sparse": True, "truncate": True}, {"inputs": "a", "truncate": True}),
        (RERANK, PAIR, {"top_n": 2}, PAIR),
        (
            RERANK,
            PAIR,
            {"return_documents": True, "raw_scores": True, "truncation_direction": "Right"},
            {**PAIR, "return_text": True, "raw_scores": True, "truncation_direction": "Right"},
        ),
        (PREDICT, "a", {"raw_scores": True}, {"inputs": "a", "raw_scores": True}),
        (PREDICT, ["a", "b"], {}, {"inputs": [["a"], ["b"]]}),
        (PREDICT, [["a", "b"]], {}, {"inputs": [["a", "b"]]}),
        (
            SIMILARITY,
            {"source_sentence": "a", "sentences": ["b"]},
            {"truncate": True},
            {
                "inputs": {"source_sentence": "a", "sentences": ["b"]},
                "parameters": {"truncate": True},
            },
        ),
        (
            SIMILARITY,
            {"source_sentence": "a", "sentences": ["b"]},
            {},
            {"inputs": {"source_sentence": "a", "sentences": ["b"]}},
        ),
    ],
)
def test_a_request_is_in_its_words(shape: Shape, inputs: Any, given: dict[str, Any], body: Any):
    assert written(shape, inputs, **given) == body
    assert written(shape, inputs, {"more": 1}, **given) == {**body, "more": 1}


def test_the_callers_own_lists_are_left_alone():
    inputs = {"query": "q", "texts": ["a"]}
    written(RERANK, inputs, return_documents=True)
    assert inputs == {"query": "q", "texts": ["a"]}


def test_a_pooling_that_there_is_not_is_refused():
    with pytest.raises(InvalidInputError, match="'sum' is no pooling"):
        written(EMBED, "a", pooling="sum")


def test_vectors_come_in_openais_shape():
    result = read(EMBED, [[1.0, 2.0], [3.0, 4.0]], ["a", "b"])
    assert [(row.index, row.embedding) for row in result.data] == [(0, [1, 2]), (1, [3, 4])]
    with pytest.raises(InvalidResponseError, match="not as many as the texts"):
        read(EMBED, [[1.0, 2.0]], ["a", "b"])


def test_vectors_of_every_token_are_pooled_here():
    tokens = [[[1.0, 2.0], [3.0, 4.0]]]
    assert read(EMBED, tokens, "a", pooling="mean").vectors == [[2.0, 3.0]]
    assert TEI_TOKENS.shape is EMBED


def test_a_ranking_is_sorted_and_cut_here():
    answer = [
        {"index": 0, "score": 0.1, "text": "a"},
        {"index": 2, "score": 0.9, "text": "c"},
        {"index": 1, "score": 0.5, "text": "b"},
    ]
    best, second = read(RERANK, answer, PAIR, top_n=2, return_documents=True).results
    assert (best.index, best.relevance_score, best.document) == (2, 0.9, {"text": "c"})
    assert (second.index, second.document) == (1, {"text": "b"})
    assert [r.document for r in read(RERANK, answer, PAIR).results] == [None, None, None]


def test_predictions_are_labels_and_for_several_texts_items_of_them():
    row = {"label": "joy", "score": 0.5}
    assert read(PREDICT, [row]) == (Label("joy", 0.5),)
    assert read(PREDICT, [[row], [row, row]], ["a", "b"]) == (
        (Label("joy", 0.5),),
        (Label("joy", 0.5), Label("joy", 0.5)),
    )


def test_similarities_are_numbers():
    inputs = {"source_sentence": "a", "sentences": ["b", "c"]}
    assert read(SIMILARITY, [1.0, 0.5], inputs) == (1.0, 0.5)


def test_sparse_vectors_are_weights_by_token():
    row = [{"index": 5, "value": 0.5}, {"index": 9, "value": 1}]
    result = read(EMBED_SPARSE, [row, []], ["a", "b"])
    assert isinstance(result, Items)
    assert list(result) == [{5: 0.5, 9: 1.0}, {}]
    assert list(read(EMBED_SPARSE, [row], "a")) == list(read(EMBED_SPARSE, row, "a"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({}, "a list of weights for each text"),
        ([], r"the lists \(0\) are not as many as the texts \(1\)"),
        ([[], []], r"the lists \(2\) are not as many"),
        ([[1.0]], "where an object with index and value is expected"),
        ([["a"]], "where an object with index and value is expected"),
        ([[{"value": 1}]], "where an object with index and value is expected"),
        ([[{"index": 1}]], "a value is null"),
        ([5], "a number, where a list of weights"),
    ],
)
def test_what_is_no_sparse_vector_is_refused(answer: Any, says: str):
    with pytest.raises(InvalidResponseError, match=says):
        read(EMBED_SPARSE, answer)


def test_each_task_has_its_route():
    assert {task: route.path for task, route in TEI_TASKS.items()} == {
        "feature-extraction": "embed",
        "sentence-similarity": "similarity",
        "sparse-embedding": "embed_sparse",
        "text-classification": "predict",
        "text-ranking": "rerank",
    }
    assert TEI_TOKENS.path == "embed_all"
    assert TEI_TASKS["feature-extraction"].max_batch == 32

"""Vectors and rankings: one for each text, in every form that servers have, or refused."""

from __future__ import annotations

import json
import math
import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.pipelines import PIPELINES
from trunkline.dialects.shape import Reading, Wish
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.results import EmbeddingResponse, RerankResponse

A, B, C = [1.0, 2.0], [3.0, 4.0], [5.0, 9.0]


def packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def embed(answer: Any, inputs: Any = "x", **parameters: Any) -> EmbeddingResponse:
    reading = Reading(json.dumps(answer).encode(), "application/json")
    return PIPELINES["feature-extraction"].read(reading, Wish("", "m", inputs, parameters))


@pytest.mark.parametrize(
    ("inputs", "answer", "vectors"),
    [
        ("x", A, [A]),
        ("x", [A], [A]),
        ("x", {"embeddings": [A]}, [A]),
        ("x", [1, 2], [A]),
        ("x", packed(A), [A]),
        (["x"], A, [A]),
        (["x"], [A], [A]),
        (["x", "y"], [A, B], [A, B]),
        (["x", "y"], {"embeddings": [A, B]}, [A, B]),
        (["x", "y"], [packed(A), packed(B)], [A, B]),
        ([], [], []),
    ],
)
def test_each_text_gets_its_vector(inputs: Any, answer: Any, vectors: list[list[float]]):
    result = embed(answer, inputs)
    assert [row.embedding for row in result.data] == vectors
    assert [row.index for row in result.data] == list(range(len(vectors)))
    assert all(type(value) is float for vector in result.vectors for value in vector)
    assert (result.usage, result.model, result.object) == (None, None, "list")


TOKEN_LEVEL = [
    ("x", [A, B], [[A, B]]),
    ("x", [[A, B]], [[A, B]]),
    ("x", [[A]], [[A]]),
    ("x", [[[A, B]]], [[A, B]]),
    (["x"], [A, B, C], [[A, B, C]]),
    (["x", "y"], [[A, B], [C]], [[A, B], [C]]),
    (["x", "y"], [[[A, B]], [[C, A, B]]], [[A, B], [C, A, B]]),
]


@pytest.mark.parametrize(("inputs", "answer", "tokens"), TOKEN_LEVEL)
def test_vectors_of_tokens_are_pooled_only_as_was_asked(inputs: Any, answer: Any, tokens: Any):
    with pytest.raises(InvalidResponseError, match="a vector for each token") as caught:
        embed(answer, inputs)
    assert all(f'pooling="{name}"' in str(caught.value) for name in ("mean", "cls", "none"))
    assert [row.embedding for row in embed(answer, inputs, pooling="none").data] == tokens
    assert embed(answer, inputs, pooling="cls").vectors == [part[0] for part in tokens]
    means = [[sum(column) / len(part) for column in zip(*part, strict=True)] for part in tokens]
    assert embed(answer, inputs, pooling="mean").vectors == means


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_what_the_model_pooled_itself_stays_as_it_is(pooling: str):
    assert embed([A, B], ["x", "y"], pooling=pooling).vectors == [A, B]


def test_no_vectors_of_tokens_are_made_up():
    with pytest.raises(InvalidResponseError, match="one vector for the text, and no token vec"):
        embed([A, B], ["x", "y"], pooling="none")


@pytest.mark.parametrize(
    ("inputs", "answer", "says"),
    [
        (["x", "y"], [0.5, 0.25], "a list of 2, first a number, where 2 vectors are expected"),
        (["x", "y"], [A], r"the vectors \(1\) are not as many as the texts \(2\)"),
        (["x", "y"], [A, B, C], r"the vectors \(3\) are not as many as the texts \(2\)"),
        (["x", "y"], [[A, B]], r"the vectors \(1\) are not as many as the texts \(2\)"),
        (["x", "y"], [[[A]], [[A], [B]]], "where a list of one is expected"),
        (["x", "y"], [[A], []], "an empty list, where a vector for each token"),
        (["x", "y"], [A, [1.0]], r"differ in length \(1 to 2\)"),
        (["x", "y"], [[A, B], [[1.0]]], "a vector for each token"),
        ("x", [[A, [1.0]]], "a vector for each token"),
        ("x", [[[[A]]]], "its lists are nested 5 deep"),
        ("x", [], "an empty list, where a vector for each text is expected"),
        ("x", [[]], "a list of 1, first a list of 0, where a vector for each text"),
        ("x", {}, "an empty object, where a vector"),
        ("x", 5, "a number, where a vector"),
        ("x", [[1.0], 5], "a number, where a vector is expected"),
        ("x", [1.0, 10**400], "numbers are too large"),
        ("x", [1.0, "a"], "a vector has a text among its numbers"),
        ("x", [1.0, None], "a vector has null among its numbers"),
        ("x", [1.0, True], "a vector has true among its numbers"),
        ("x", [1.0, [2.0]], "a vector has a list of 1, first a number among"),
        ("x", [{"label": "a", "score": 1}], "a vector has an object with label, score among"),
        ("x", "no?base64", "a vector is not base64"),
        ("x", "AAA=", "a vector has 2 bytes"),
        ("x", packed([math.nan]), "not finite"),
        (["x"], [""], "a vector has 0 bytes"),
    ],
)
def test_what_is_no_vector_for_each_text_is_refused(inputs: Any, answer: Any, says: str):
    with pytest.raises(InvalidResponseError, match=says):
        embed(answer, inputs)


@pytest.mark.parametrize("pooling", ["mean", "none", "cls"])
def test_token_vectors_of_different_lengths_are_refused(pooling: str):
    with pytest.raises(InvalidResponseError, match="differ in length"):
        embed([[A, [1.0]]], "x", pooling=pooling)


@pytest.mark.parametrize("body", [b"[NaN, 1.0]", b"[1e999, 1.0]", b"[Infinity]"])
def test_numbers_that_are_not_finite_are_refused(body: bytes):
    with pytest.raises(InvalidResponseError):
        PIPELINES["feature-extraction"].read(Reading(body), Wish("", "m", "x"))


def test_base64_is_given_if_it_was_asked_for_whatever_came():
    asked = {"encoding_format": "base64"}
    for answer in ([A, B], [packed(A), packed(B)]):
        result = embed(answer, ["x", "y"], **asked)
        assert [row.embedding for row in result.data] == [packed(A), packed(B)]
        assert result.vectors == [A, B]
    assert embed([[A, B]], "x", pooling="mean", **asked).vectors == [[2.0, 3.0]]
    with pytest.raises(InvalidResponseError, match="too large for 32-bit floats"):
        embed([1e300], "x", **asked)


def test_parameters_stand_beside_the_texts_and_pooling_is_not_sent():
    parameters = {"normalize": True, "dimensions": 4, "pooling": "mean", "truncate": None}
    wish = Wish("feature-extraction", "m", ["a"], parameters, {"normalize": False, "x": 1})
    body = PIPELINES["feature-extraction"].write(wish)
    expected = {"inputs": ["a"], "normalize": False, "dimensions": 4, "x": 1}
    assert json.loads(body.data) == expected


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"pooling": "max"}, "'max' is no pooling"),
        ({"encoding_format": "int8"}, "'int8' is no encoding_format"),
        ({"pooling": "none", "encoding_format": "base64"}, "do not go together"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_sent(
    parameters: dict[str, Any], says: str
):
    with pytest.raises(InvalidInputError, match=says):
        PIPELINES["feature-extraction"].write(Wish("", "m", "a", parameters))


numbers = st.floats(-(2.0**90), 2.0**90, width=32)


@given(st.integers(1, 4).flatmap(lambda d: st.lists(st.lists(numbers, min_size=d, max_size=d))))
def test_as_many_vectors_come_out_as_texts_went_in(vectors: list[list[float]]):
    texts = ["t"] * len(vectors)
    assert embed(vectors, texts).vectors == vectors
    assert embed(vectors, texts, encoding_format="base64").vectors == vectors
    with pytest.raises(InvalidResponseError):
        embed(vectors, [*texts, "t", "t"])


TEXTS = ["a", "b", "c"]


def rank(answer: Any, texts: list[str] = TEXTS, **parameters: Any) -> RerankResponse:
    reading = Reading(json.dumps(answer).encode(), "application/json")
    inputs = {"query": "q", "texts": texts}
    return PIPELINES["text-ranking"].read(reading, Wish("text-ranking", "m", inputs, parameters))


def label(score: float, name: str = "LABEL_0") -> dict[str, Any]:
    return {"label": name, "score": score}


@pytest.mark.parametrize(
    "answer",
    [
        [
            {"index": 1, "score": 0.9},
            {"index": 2, "score": 0.5},
            {"index": 0, "score": 0.1},
        ],
        [0.1, 0.9, 0.5],
        {"scores": [0.1, 0.9, 0.5]},
        {"scores": [{"index": i, "score": s} for i, s in enumerate((0.1, 0.9, 0.5))]},
        [{"corpus_id": i, "score": s} for i, s in enumerate((0.1, 0.9, 0.5))],
        {"results": [{"index": i, "relevance_score": s} for i, s in enumerate((0.1, 0.9, 0.5))]},
        [[0.1, 0.9, 0.5]],
        [[label(0.1)], [label(0.9)], [label(0.5)]],
        [[label(0.1), label(0.9), label(0.5)]],
    ],
)
def test_texts_come_best_first_in_whatever_form_scores_came(answer: Any):
    result = rank(answer)
    assert [(r.index, r.relevance_score) for r in result.results] == [(1, 0.9), (2, 0.5), (0, 0.1)]
    assert {r.document for r in result.results} == {None}
    best = rank(answer, top_n=1, return_documents=True).results
    assert [(r.index, r.document) for r in best] == [(1, {"text": "b"})]


def test_texts_with_equal_scores_keep_their_order_and_extras_stay():
    answer = [{"index": 2, "score": 1, "x": 1}, {"index": 0, "score": 1, "text": "A"}]
    first, second = rank(answer, return_documents=True).results
    assert (first.index, first.x, first.document) == (2, 1, {"text": "c"})
    assert (second.index, second.document) == (0, {"text": "A"})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"text": "hi"}, "where a score for each text is expected"),
        ([0.5, 0.25], r"the scores \(2\) are not as many as the texts \(3\)"),
        ([{"index": 3, "score": 1}], "it ranks text 3 of 3, counted from 0"),
        ([{"index": -1, "score": 1}], "it ranks text -1 of 3"),
        ([{"index": 0.5, "score": 1}], "index is 0.5, not a whole number"),
        ([{"index": 0, "score": 1}] * 2, "it ranks a text twice"),
        ([{"index": 0}], "a score is null, not a number"),
        ([{"index": 0, "score": "one"}], "a score is a text"),
        ([[label(0.1)], [label(0.9, "LABEL_1")], [label(0.5)]], "it has several labels"),
        ([[label(0.1), label(0.9, "no")]] * 3, "where a list of one is expected"),
        (["a", "b", "c"], "a score is a text"),
    ],
)
def test_what_is_no_ranking_of_these_texts_is_refused(answer: Any, says: str):
    with pytest.raises(InvalidResponseError, match=says):
        rank(answer)


def test_a_ranking_is_asked_for_with_query_and_texts():
    inputs = {"query": "q", "texts": ["a"]}
    parameters = {"top_n": 1, "return_documents": True}
    shape = PIPELINES["text-ranking"]
    plain = shape.write(Wish("text-ranking", "m", inputs, parameters))
    assert json.loads(plain.data) == {"inputs": inputs}
    raw = shape.write(Wish("text-ranking", "m", inputs, {**parameters, "raw_scores": True}))
    assert json.loads(raw.data) == {"inputs": inputs, "parameters": {"raw_scores": True}}

"""Embeddings and reranking: each vector belongs to its text, each score to its document."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.openai_tasks import EMBEDDINGS, RERANK
from trunkline.dialects.shape import Reading, Wish
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.results import EmbeddingResponse, RerankResponse

RANKED = {"query": "q", "texts": ["a", "b", "c"]}


def wish(inputs: Any = "hello", extra: dict[str, Any] | None = None, **parameters: Any) -> Wish:
    return Wish("feature-extraction", "prov/m", inputs, parameters, extra or {})


def reading(answer: Any) -> Reading:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Reading(body, "application/json")


def embed(answer: Any, asked: Wish) -> EmbeddingResponse:
    result = EMBEDDINGS.read(reading(answer), asked)
    assert isinstance(result, EmbeddingResponse)
    return result


def rank(answer: Any, **parameters: Any) -> RerankResponse:
    result = RERANK.read(reading(answer), Wish("text-ranking", "m", RANKED, parameters))
    assert isinstance(result, RerankResponse)
    return result


def rows(*vectors: Any) -> dict[str, Any]:
    return {"data": [{"embedding": vector, "index": i} for i, vector in enumerate(vectors)]}


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def test_embeddings_are_asked_for_with_the_model_first_and_all_parameters() -> None:
    asked = wish(["a", "b"], {"user": "u"}, dimensions=64, normalize=True, truncate=None)
    body = json.loads(EMBEDDINGS.write(asked).data)
    assert list(body) == ["model", "input", "dimensions", "normalize", "user"]
    assert body == {
        "model": "prov/m",
        "input": ["a", "b"],
        "dimensions": 64,
        "normalize": True,
        "user": "u",
    }


def test_nothing_to_embed_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nothing to embed"):
        EMBEDDINGS.write(wish([]))


def test_an_answer_is_read_whole_and_undeclared_fields_are_kept() -> None:
    answer = {
        "object": "list",
        "model": "served",
        "id": "x",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1], "flags": None}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3, "estimated_cost": 0.1},
    }
    read = embed(answer, wish())
    assert read.vectors == [[0.5, 1]]
    assert (read.model, read["id"]) == ("served", "x")
    assert read.usage is not None
    assert (read.usage.prompt_tokens, read.usage.completion_tokens) == (3, None)
    assert read.usage.extra == {"estimated_cost": 0.1}
    assert read.data[0].extra == {"flags": None}


def test_what_a_server_does_not_tell_stays_unknown() -> None:
    read = embed(rows([1.0]), wish())
    assert (read.model, read.usage, read.object) == (None, None, "list")


@given(st.permutations(range(5)))
def test_vectors_come_in_the_order_of_the_input_whatever_order_they_arrive_in(
    order: list[int],
) -> None:
    answer = {"data": [{"embedding": [float(i)], "index": i} for i in order]}
    read = embed(answer, wish(list("abcde")))
    assert read.vectors == [[0.0], [1.0], [2.0], [3.0], [4.0]]
    assert [row.index for row in read.data] == [0, 1, 2, 3, 4]


def test_vectors_without_indexes_are_in_order() -> None:
    read = embed({"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]}, wish(["a", "b"]))
    assert [(row.index, row.vector) for row in read.data] == [(0, [1.0]), (1, [2.0])]


@pytest.mark.parametrize(
    ("inputs", "due"),
    [("text", 1), (["a"], 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)],
)
def test_each_input_has_to_have_its_vector(inputs: Any, due: int) -> None:
    assert len(embed(rows(*[[1.0]] * due), wish(inputs)).data) == due
    with pytest.raises(InvalidResponseError, match=f"{due + 1} vectors for {due} inputs"):
        embed(rows(*[[1.0]] * (due + 1)), wish(inputs))


@pytest.mark.parametrize("indexes", [[0, 0], [1, 2], [-1, 0], [0, None], [0, "1"], [0, 1.0]])
def test_indexes_that_do_not_fit_the_input_are_refused(indexes: list[Any]) -> None:
    answer = {"data": [{"embedding": [1.0], "index": index} for index in indexes]}
    with pytest.raises(InvalidResponseError, match="indexes"):
        embed(answer, wish(["a", "b"]))


def test_the_form_that_was_asked_for_is_the_form_that_comes() -> None:
    text = packed(0.5, -2.0)
    for answer in (rows([0.5, -2.0]), rows(text)):
        floats = embed(answer, wish())
        assert floats.data[0].embedding == [0.5, -2.0]
        assert embed(answer, wish(encoding_format="float")).data == floats.data
        assert embed(answer, wish(encoding_format="base64")).data[0].embedding == text
        assert embed(answer, wish(extra={"encoding_format": "base64"})).data[0].embedding == text
        assert embed(answer, wish(encoding_format="base64")).vectors == [[0.5, -2.0]]


def test_a_form_that_only_one_server_knows_is_kept_as_it_came() -> None:
    assert embed(rows("AAE="), wish(encoding_format="binary")).data[0].embedding == "AAE="
    assert embed(rows([1, -3]), wish(encoding_format="int8")).data[0].embedding == [1, -3]


def test_vectors_of_tokens_are_pooled_as_asked_and_never_pass_for_a_texts() -> None:
    tokens = [[0.5, 1.0], [2.0, 3.0]]
    assert embed(rows(tokens), wish(pooling="none")).data[0].embedding == tokens
    assert embed(rows(tokens), wish(pooling="mean")).data[0].embedding == [1.25, 2.0]
    assert embed(rows(tokens), wish(pooling="cls")).data[0].embedding == [0.5, 1.0]
    packed = embed(rows(tokens), wish(pooling="mean", encoding_format="base64")).data[0]
    assert packed.vector == [1.25, 2.0]
    with pytest.raises(InvalidResponseError, match='pooling="mean"'):
        embed(rows(tokens), wish())


@pytest.mark.parametrize(
    "vector",
    [
        None,
        [],
        {},
        "",
        "no base64!",
        "AAA=",
        packed(float("nan")),
        packed(1.0, float("inf")),
        [None],
        ["1"],
        [True],
        [1.0, [2.0]],
        [[1.0], []],
        [[[1.0]]],
        [10**400],
    ],
)
@pytest.mark.parametrize("form", ["float", "base64"])
def test_a_vector_that_is_none_is_refused(vector: Any, form: str) -> None:
    with pytest.raises(InvalidResponseError, match="vector 0 cannot be read") as caught:
        embed(rows(vector), wish(encoding_format=form))
    assert "embedding" in caught.value.body


def test_a_number_too_large_for_32_bits_is_refused_as_base64() -> None:
    assert embed(rows([1e300]), wish()).vectors == [[1e300]]
    with pytest.raises(InvalidResponseError, match="vector 0"):
        embed(rows([1e300]), wish(encoding_format="base64"))


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b'{"data":[{"embedding":[NaN]}]}', [], {}, {"data": {}}, {"data": [1]}, "x"],
)
def test_what_is_no_answer_with_vectors_is_refused_and_shown(answer: Any) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read") as caught:
        embed(answer, wish())
    assert caught.value.body == reading(answer).body.decode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "embedding", "index", "usage", "results", "score", "text"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, "base64"]))
def test_any_json_is_read_or_refused(answer: Any, form: str | None) -> None:
    for shape, asked in (
        (EMBEDDINGS, wish(["a"], encoding_format=form)),
        (RERANK, Wish("text-ranking", "m", RANKED)),
    ):
        try:
            result = shape.read(reading(answer), asked)
        except InvalidResponseError:
            continue
        assert isinstance(result, (EmbeddingResponse, RerankResponse))


def test_documents_are_ranked_with_the_words_of_cohere() -> None:
    asked = Wish("text-ranking", "m", RANKED, {"top_n": 2, "return_documents": True}, {"x": 1})
    assert json.loads(RERANK.write(asked).data) == {
        "model": "m",
        "query": "q",
        "documents": ["a", "b", "c"],
        "top_n": 2,
        "return_documents": True,
        "x": 1,
    }


def test_nothing_to_rank_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nothing to rank"):
        RERANK.write(Wish("text-ranking", "m", {"query": "q", "texts": []}))


def test_a_ranking_is_read_whole_with_the_best_first() -> None:
    read = rank(
        {
            "id": "r",
            "model": "m",
            "meta": {"billed_units": {"search_units": 1}},
            "usage": {"total_tokens": 9},
            "results": [
                {"index": 2, "relevance_score": -1.5, "document": {"text": "c"}},
                {"index": 0, "relevance_score": 0.9, "document": {"text": "a"}, "note": "n"},
            ],
        }
    )
    assert [(row.index, row.relevance_score) for row in read.results] == [(0, 0.9), (2, -1.5)]
    assert read.results[0].document == {"text": "a"}
    assert read.results[0].extra == {"note": "n"}
    assert (read.id, read.model) == ("r", "m")
    assert read.meta == {"billed_units": {"search_units": 1}}
    assert read.extra == {"usage": {"total_tokens": 9}}


def test_the_bare_list_of_tei_and_the_rows_of_voyage_are_read_too() -> None:
    tei = rank([{"index": 1, "score": 0.1, "text": "b"}, {"index": 0, "score": 0.2}])
    assert [row.index for row in tei.results] == [0, 1]
    assert tei.results[1].document == {"text": "b"}
    voyage = rank({"object": "list", "data": [{"index": 1, "relevance_score": 0.5}]})
    assert voyage.results[0].index == 1


def test_top_n_holds_where_a_server_overlooks_it() -> None:
    answer = [{"index": i, "score": i / 10} for i in range(3)]
    assert [row.index for row in rank(answer, top_n=2).results] == [2, 1]
    assert len(rank(answer).results) == 3


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"relevance_score": 1}, "belongs to none of the 3"),
        ({"index": 3, "relevance_score": 1}, "belongs to none of the 3"),
        ({"index": -1, "relevance_score": 1}, "belongs to none"),
        ({"index": True, "relevance_score": 1}, "belongs to none"),
        ({"index": 0}, "no score"),
        ({"index": 0, "relevance_score": None}, "no score"),
        ({"index": 0, "relevance_score": "0.5"}, "no score"),
        (7, "a number"),
    ],
)
def test_a_result_that_belongs_to_no_document_or_has_no_score_is_refused(
    row: Any, why: str
) -> None:
    with pytest.raises(InvalidResponseError, match=why):
        rank({"results": [row]})


@pytest.mark.parametrize("answer", [{}, {"results": None}, {"results": {}}, "x", 1])
def test_what_is_no_ranking_is_refused(answer: Any) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read"):
        rank(answer)


def test_a_document_ranked_twice_is_refused() -> None:
    with pytest.raises(InvalidResponseError, match="twice"):
        rank([{"index": 0, "score": 1}, {"index": 0, "score": 0.5}])

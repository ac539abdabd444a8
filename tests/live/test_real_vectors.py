"""Embeddings of a real model, all-MiniLM-L6-v2, on every way that Trunkline has to them.

The servers' routes are the sandbox's; the vectors are the model's own, and what is compared with
them was computed by the model in a process of its own, without a server.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import numpy as np
import pytest
from peers import CACHE, Peer, true_vectors

from faces import Face
from trunkline import (
    AsyncClient,
    ContextWindowExceededError,
    EmbeddingResponse,
    aembedding,
    default_async_client,
    embedding,
)
from trunkline.settings import read_settings

pytestmark = pytest.mark.live

SIZE = 384
NAME = "sentence-transformers/all-MiniLM-L6-v2"
LOVELY = "The weather is lovely today."
SUNNY = "It's so sunny outside!"
STADIUM = "He drove to the stadium."
ODD = ["Ελλάδα, 日本, ไทย", "🦆", "a\x00b\r\n\tc", " ", 'Dubious \\u0000 "quotes"']
THREE = [LOVELY, SUNNY, STADIUM]
MANY = [
    f"{size} {colour} {thing}"
    for size in ("one", "two", "ten", "no", "some")
    for colour in ("red", "blue", "pale", "dark")
    for thing in ("cats", "houses", "ideas", "letters in the drawer of the desk", "oceans")
]
LONG = "The stadium was full of people, and the match went on and on. " * 100
NEAR = [
    ("A man is playing a guitar.", "Someone plays an instrument."),
    ("How do I reset my password?", "I forgot my login and need a new one."),
    ("The cat sits on the mat.", "A kitten is resting on a rug."),
]
FAR = [
    ("A man is playing a guitar.", "The central bank raised interest rates."),
    ("How do I reset my password?", "The cat sits on the mat."),
    ("The cat sits on the mat.", "Parliament passed the budget."),
]
PAIRS = [text for pair in (*NEAR, *FAR) for text in pair]


class Place(msgspec.Struct, frozen=True):
    """The embedder, and what its model really gives."""

    peer: Peer
    vectors: dict[str, Any]

    @property
    def settings(self) -> Any:
        """What makes this place Hugging Face's router and Hub."""
        there = {"TRUNKLINE_ROUTER": f"{self.peer.origin}/v1", "HF_ENDPOINT": self.peer.origin}
        return read_settings(there)

    def of(self, *texts: str) -> Any:
        """Return the true vectors of texts."""
        return np.stack([self.vectors[text] for text in texts])

    def cosine(self, one: str, other: str) -> float:
        """Return the true cosine between two texts: the vectors have length 1."""
        return float(self.vectors[one] @ self.vectors[other])


@pytest.fixture(scope="module")
def place(embedder: Peer) -> Place:
    texts = list(dict.fromkeys([*THREE, *ODD, *MANY, *PAIRS, LONG]))
    found = np.array(true_vectors(CACHE, texts), dtype=np.float32)
    return Place(embedder, dict(zip(texts, found, strict=True)))


def same(found: Any, true: Any) -> bool:
    """Tell whether vectors are equal but for the rounding of 32-bit sums in another order."""
    found = np.array(found, dtype=np.float32)
    return found.shape == true.shape and np.allclose(found, true, rtol=0, atol=1e-6)


@pytest.fixture
def ask(face: Face, place: Place) -> Any:
    """Embed at the server itself, by TEI's routes, with either client."""
    client = face.client(place.peer.base_url, settings=place.settings)

    def embed(texts: Any, **more: Any) -> EmbeddingResponse:
        found: EmbeddingResponse = face.run(client.embedding(place.peer.model, texts, **more))
        return found

    return embed


def test_the_model_is_the_real_one(ask: Any) -> None:
    # the numbers in sentence-transformers' README, for these three sentences and this model
    found = ask(THREE).numpy()
    assert np.round(found @ found.T, 4).tolist() == pytest.approx(
        np.array([[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]), abs=2e-4
    )


WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "the server says that it is TEI": (NAME, {"api_base": "/tei"}),
    "TEI, said by the caller": (NAME, {"api_base": "/tei", "engine": "tei"}),
    "TEI, said by the address": (NAME, {"api_base": "/tei/embed"}),
    "OpenAI's form, said by the caller": (NAME, {"api_base": "/tei", "engine": "openai"}),
    "OpenAI's form, said by the address": (NAME, {"api_base": "/tei/v1"}),
    "a dedicated endpoint": (
        NAME,
        {"api_base": "/endpoint/feature-extraction", "engine": "pipeline"},
    ),
    "hf-inference": (f"huggingface/hf-inference/{NAME}", {}),
    "the Hub's own choice": (NAME, {}),
    "Scaleway": ("huggingface/scaleway/Qwen/Qwen3-Embedding-8B", {}),
    "DeepInfra": ("huggingface/deepinfra/Qwen/Qwen3-Embedding-8B", {}),
    "Together": ("huggingface/together/intfloat/multilingual-e5-large-instruct", {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_brings_the_models_own_vectors(face: Face, place: Place, way: str) -> None:
    model, options = WAYS[way]
    if "api_base" in options:
        options = {**options, "api_base": place.peer.origin + options["api_base"]}
    client = face.client(token="hf_live", settings=place.settings)
    texts = [*THREE, *(text for text in ODD if text.strip())]
    found = face.run(client.embedding(model, texts, **options))
    assert [len(vector) for vector in found.vectors] == [SIZE] * len(texts)
    assert same(found.vectors, place.of(*texts))
    assert [row.index for row in found.data] == list(range(len(texts)))
    assert found.receipt is not None
    assert [attempt.status for attempt in found.receipt.attempts] == [200]
    alone = face.run(client.embedding(model, SUNNY, **options))
    assert same(alone.vectors, place.of(SUNNY))


def test_texts_that_mean_the_same_are_near_and_others_are_far(ask: Any) -> None:
    found = dict(zip(PAIRS, ask(PAIRS).numpy(), strict=True))
    near = [float(found[one] @ found[other]) for one, other in NEAR]
    far = [float(found[one] @ found[other]) for one, other in FAR]
    assert min(near) > 0.5
    assert max(far) < 0.2


def test_an_array_has_the_true_numbers_and_length_one(ask: Any, place: Place) -> None:
    found = ask(THREE).numpy()
    assert found.dtype == np.float32
    assert found.shape == (3, SIZE)
    assert same(found, place.of(*THREE))
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("engine", ["tei", "openai"])
def test_base64_is_the_same_numbers(ask: Any, place: Place, engine: str) -> None:
    floats = ask(THREE, engine=engine)
    packed = ask(THREE, engine=engine, encoding_format="base64")
    assert all(isinstance(row.embedding, str) for row in packed.data)
    # the model's numbers have 32 bits, so that nothing is lost on either way
    assert np.array_equal(packed.numpy(), floats.numpy())
    assert packed.vectors == floats.vectors
    assert same(packed.vectors, place.of(*THREE))


def test_fewer_dimensions_are_the_first_ones_at_length_one(ask: Any, place: Place) -> None:
    first = place.of(*THREE)[:, :64]
    found = ask(THREE, dimensions=64)
    assert same(found.vectors, first / np.linalg.norm(first, axis=1, keepdims=True))


def test_more_texts_than_the_server_takes_at_once_are_as_one_by_one(
    face: Face, ask: Any, place: Place
) -> None:
    found = ask(MANY)
    assert len(MANY) == 100
    assert same(found.vectors, place.of(*MANY))
    assert [row.index for row in found.data] == list(range(100))
    assert found.receipt is not None
    # the server says that it takes 32
    assert [attempt.status for attempt in found.receipt.attempts] == [200] * 4
    alone = [ask(text).vectors[0] for text in MANY[30:35]]
    assert same(found.vectors[30:35], np.array(alone, dtype=np.float32))


def test_what_is_too_long_is_refused_and_cut_where_that_is_asked_for(
    ask: Any, place: Place
) -> None:
    with pytest.raises(
        ContextWindowExceededError, match="must have less than 512 tokens"
    ) as caught:
        ask(LONG)
    assert caught.value.status == 413
    assert len(caught.value.attempts) == 1
    cut = ask(LONG, truncate=True)
    assert same(cut.vectors, place.of(LONG))
    # the model sees no further than its 256 tokens, so that another end changes nothing
    assert same(ask(LONG + "Then it rained.", truncate=True).vectors, place.of(LONG))


def test_similarities_are_the_cosines(face: Face, place: Place) -> None:
    client = face.client(token="hf_live", settings=place.settings)
    true = [place.cosine(LOVELY, other) for other in THREE]
    for model, options in (
        (NAME, {"api_base": place.peer.base_url}),
        (f"huggingface/hf-inference/{NAME}", {}),
    ):
        found = face.run(client.sentence_similarity(model, LOVELY, THREE, **options))
        assert list(found) == pytest.approx(true, abs=1e-5)
        assert found.receipt is not None


@pytest.mark.parametrize("engine", ["tei", "huggingface/hf-inference/BAAI/bge-reranker-v2-m3"])
def test_the_ranking_is_that_of_the_cosines(face: Face, place: Place, engine: str) -> None:
    query = "How do I reset my password?"
    documents = list(dict.fromkeys([*PAIRS, *THREE]))
    order = sorted(range(len(documents)), key=lambda i: -place.cosine(query, documents[i]))
    client = face.client(token="hf_live", settings=place.settings)
    served = engine == "tei"
    options = {"api_base": place.peer.base_url} if served else {}
    model = NAME if served else engine
    ranked = face.run(client.rerank(model, query, documents, **options)).results
    assert [row.index for row in ranked] == order
    assert documents[ranked[0].index] == query
    assert documents[ranked[1].index] == "I forgot my login and need a new one."
    scores = [row.relevance_score for row in ranked]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.99
    assert scores[-1] < 0.1
    best = face.run(
        client.rerank(model, query, documents, top_n=2, return_documents=True, **options)
    ).results
    assert [row.document for row in best] == [{"text": documents[i]} for i in order[:2]]


def test_labels_that_the_model_has_never_seen_are_found_by_meaning(
    face: Face, place: Place
) -> None:
    client = face.client(token="hf_live", settings=place.settings)
    found = face.run(
        client.zero_shot_classification(
            "huggingface/hf-inference/facebook/bart-large-mnli",
            "The striker scored twice in the second half.",
            ["cooking", "football", "banking"],
        )
    )
    assert found[0].label == "football"
    assert sum(label.score for label in found) == pytest.approx(1)


def test_eight_at_once_each_get_their_own_vectors(
    fresh_defaults: None, bare_environment: None, place: Place
) -> None:
    portions = [MANY[start : start + 10] for start in range(0, 80, 10)]

    async def story() -> list[EmbeddingResponse]:
        try:
            return await asyncio.gather(
                *(aembedding(NAME, texts, api_base=place.peer.base_url) for texts in portions)
            )
        finally:
            await default_async_client().close()

    for texts, found in zip(portions, asyncio.run(story()), strict=True):
        assert same(found.vectors, place.of(*texts))
    assert same(embedding(NAME, SUNNY, api_base=place.peer.base_url).vectors, place.of(SUNNY))


def test_a_call_that_is_cancelled_leaves_its_client_good(place: Place) -> None:
    async def story() -> EmbeddingResponse:
        async with AsyncClient(api_base=place.peer.base_url) as client:
            task = asyncio.create_task(client.embedding(NAME, MANY))
            await asyncio.sleep(0)  # it has begun
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await client.embedding(NAME, THREE)

    assert same(asyncio.run(story()).vectors, place.of(*THREE))

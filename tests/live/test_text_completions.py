"""A prompt continued by real servers, whole: `transformers serve` and llama.cpp's; and its vectors.

llama.cpp's server is asked for embeddings of a model that was made to write: it gives a vector for
each token, as no other server here does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from peers import Peer

from faces import Face
from trunkline import (
    ContextWindowExceededError,
    EmbeddingResponse,
    InvalidResponseError,
    ModelNotSupportedError,
    NotFoundError,
    TextCompletion,
    UnsupportedParamsError,
    atext_completion,
    default_async_client,
    text_completion,
)

pytestmark = pytest.mark.live

PROMPT = "hello world, how"
PRINTABLE = {str(token): -100 for token in (*range(32), *range(127, 262))}
"""llama.cpp's model writes bytes; these are the ones that are no printable ASCII."""


@pytest.fixture(params=["transformers", "llama"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Either server."""
    found: Peer = request.getfixturevalue(request.param)
    return found


def ask(face: Face, peer: Peer, prompt: str = PROMPT, **more: Any) -> TextCompletion:
    """Continue a prompt greedily, with either client."""
    given: dict[str, Any] = {"max_tokens": 12, "temperature": 0, **more}
    if peer.name == "llama":
        given["extra_body"] = {"logit_bias": PRINTABLE, **given.get("extra_body", {})}
    client = face.client(peer.base_url)
    found: TextCompletion = face.run(client.text_completion(peer.model, prompt, **given))
    return found


def test_a_prompt_is_continued_with_usage_and_a_receipt(face: Face, peer: Peer) -> None:
    found = ask(face, peer)
    assert isinstance(found, TextCompletion)
    assert found.text
    assert found.object == "text_completion"
    (choice,) = found.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "length", None)
    assert found.model is not None
    assert found.model.startswith(peer.model)
    assert found.id
    assert found.usage is not None
    assert found.usage.completion_tokens == 12
    assert found.usage.prompt_tokens
    assert found.receipt is not None
    assert found.receipt.tokens.source == "provider"
    assert found.receipt.tokens.output == 12
    assert [attempt.status for attempt in found.receipt.attempts] == [200]


def test_what_is_continued_is_the_prompt_as_it_is(face: Face, peer: Peer) -> None:
    found = ask(face, peer)
    assert ask(face, peer).text == found.text
    assert ask(face, peer, prompt="42 × 17\n\t=").text != found.text
    longer = ask(face, peer, max_tokens=24)
    assert longer.text.startswith(found.text.rstrip("\ufffd"))
    assert longer.usage is not None
    assert longer.usage.completion_tokens == 24


def test_an_ending_of_ones_own_stops_it(face: Face, peer: Peer) -> None:
    whole = ask(face, peer, max_tokens=24).text
    letter = next(letter for letter in whole[1:] if letter.isascii() and letter.isprintable())
    for stop in (letter, [letter, "never to be seen"]):
        found = ask(face, peer, max_tokens=24, stop=stop)
        assert found.choices[0].finish_reason == "stop"
        # transformers leaves the ending in, OpenAI and llama.cpp do not
        assert found.text.removesuffix(letter) == whole[: whole.index(letter)]


def test_the_one_line_faces_reach_it_four_at_once(
    fresh_defaults: None, bare_environment: None, peer: Peer
) -> None:
    given: dict[str, Any] = {"api_base": peer.base_url, "max_tokens": 8, "temperature": 0}
    if peer.name == "llama":
        given["extra_body"] = {"logit_bias": PRINTABLE}
    prompts = ["red", "green", "blue", "white as snow"]

    async def together() -> list[TextCompletion]:
        try:
            calls = (atext_completion(peer.model, prompt, **given) for prompt in prompts)
            return await asyncio.gather(*calls)
        finally:
            await default_async_client().close()

    texts = [found.text for found in asyncio.run(together())]
    assert texts == [text_completion(peer.model, prompt, **given).text for prompt in prompts]
    assert len(set(texts)) > 1


def test_llama_cpp_gives_the_prompt_back_and_two_choices_would_be_one(
    face: Face, llama: Peer
) -> None:
    found = ask(face, llama, echo=True, n=2)
    assert found.text.startswith(PROMPT)
    assert len(found.choices) == 1  # it overlooks n, and none is made up


def test_llama_cpp_tells_log_probabilities_for_as_many_as_were_asked(
    face: Face, llama: Peer
) -> None:
    found = ask(face, llama, logprobs=2)
    logprobs = found.choices[0].logprobs
    assert len(logprobs["tokens"]) == len(logprobs["token_logprobs"])
    assert all(value < 0 for value in logprobs["token_logprobs"])


def test_a_prompt_beyond_the_context_is_that_error(face: Face, llama: Peer) -> None:
    with pytest.raises(ContextWindowExceededError, match="maximum context length is 2048") as told:
        ask(face, llama, prompt="x " * 3000)
    assert told.value.status == 400
    assert len(told.value.attempts) == 1


def test_transformers_puts_a_suffix_behind_the_text(face: Face, transformers: Peer) -> None:
    found = ask(face, transformers, suffix=" -- the end")
    assert found.text == ask(face, transformers).text + " -- the end"


def test_a_field_or_a_model_that_transformers_does_not_know_is_named(
    face: Face, transformers: Peer
) -> None:
    with pytest.raises(UnsupportedParamsError, match=r"Unexpected fields.*top_k") as caught:
        ask(face, transformers, top_k=3)
    assert caught.value.status == 422
    client = face.client(transformers.base_url)
    with pytest.raises(ModelNotSupportedError, match="requested 'no/such'"):
        face.run(client.text_completion("no/such", PROMPT))


def test_llama_cpp_gives_a_vector_for_each_token(face: Face, llama: Peer) -> None:
    client = face.client(llama.base_url)

    def vectors(texts: Any) -> list[Any]:
        found: EmbeddingResponse = face.run(client.embedding(llama.model, texts, pooling="none"))
        assert found.model == llama.model
        assert [row.index for row in found.data] == list(range(len(found.data)))
        assert found.usage is not None
        assert found.receipt is not None
        assert found.receipt.tokens.input == found.usage.prompt_tokens
        return [np.array(row.embedding) for row in found.data]

    # its tokens are letters, and each sees only those before it: what both begin with is the same
    (short,), (long,) = vectors("hello"), vectors(["hello world"])
    assert (short.shape, long.shape) == ((5, 64), (11, 64))
    assert np.allclose(short, long[:5], atol=1e-4)
    assert not np.allclose(short[4], long[10], atol=1e-2)
    # of several texts its first is right; the others it cuts out of its memory in the wrong place
    first, second = vectors(["hello", "hello world"])
    assert np.allclose(first, short, atol=1e-4)
    assert second.shape == long.shape
    mean: EmbeddingResponse = face.run(client.embedding(llama.model, "hello", pooling="mean"))
    assert np.allclose(mean.data[0].embedding, short.mean(axis=0), atol=1e-4)
    with pytest.raises(InvalidResponseError, match="pooling"):  # a token's vector is not a text's
        face.run(client.embedding(llama.model, "hello"))


def test_texts_stream_from_both_servers(face: Face, transformers: Peer, llama: Peer) -> None:
    for peer in (transformers, llama):
        client = face.client(peer.base_url)
        whole = face.run(client.text_completion(peer.model, PROMPT, max_tokens=8, temperature=0.0))
        stream = face.opened(
            client.text_completion(peer.model, PROMPT, max_tokens=8, temperature=0.0, stream=True)
        )
        streamed = face.run(stream.collect())
        # half a character at the end is shown whole and held back in a stream
        assert streamed.text.rstrip("\ufffd") == whole.text.rstrip("\ufffd")
        assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason
        assert streamed.receipt is not None
        assert streamed.receipt.time_to_first_token is not None


def test_transformers_serves_no_embeddings_and_says_so(face: Face, transformers: Peer) -> None:
    client = face.client(transformers.base_url)
    with pytest.raises(NotFoundError) as caught:
        face.run(client.embedding(transformers.model, "hello"))
    assert caught.value.status == 404
    assert len(caught.value.attempts) == 1

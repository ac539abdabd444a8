"""OpenAI's embeddings and text completions in the server's role."""

from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse

from trunkline.dialects.completions import COMPLETIONS, parse_completion
from trunkline.dialects.openai_tasks import EMBEDDINGS, parse_embeddings
from trunkline.dialects.openai_tasks_server import (
    DONE_EVENT,
    CompletionsRequest,
    EmbeddingsRequest,
    RequestError,
    completion_text_body,
    embeddings_body,
    read_completions,
    read_embeddings,
    text_chunk_event,
    text_usage_event,
)
from trunkline.dialects.shape import Wish
from trunkline.dialects.text_streams import CompletionReader
from trunkline.errors import InvalidResponseError
from trunkline.tasks.text import text_completion
from trunkline.types.results import Embedding, EmbeddingResponse, TextChoice, TextCompletion
from trunkline.types.usage import Usage

USAGE = Usage(prompt_tokens=5, total_tokens=5)


def embeddings(**more: Any) -> EmbeddingsRequest:
    return read_embeddings(msgspec.json.encode({"model": "org/m", "input": "Hello", **more}))


def completions(**more: Any) -> CompletionsRequest:
    return read_completions(msgspec.json.encode({"model": "org/m", "prompt": "Once", **more}))


def test_a_request_for_vectors_is_read() -> None:
    assert embeddings() == EmbeddingsRequest("org/m", "Hello")
    assert embeddings(
        input=["a", "b"], encoding_format="base64", dimensions=8, user="u", made_up=[1], other=None
    ) == EmbeddingsRequest("org/m", ["a", "b"], "base64", 8, "u", {"made_up": [1]})


@pytest.mark.parametrize(
    ("more", "param", "said"),
    [
        ({"model": None}, "model", "model parameter"),
        ({"input": None}, "input", "not empty"),
        ({"input": ""}, "input", "not empty"),
        ({"input": []}, "input", "not empty"),
        ({"input": 5}, "input", "must be text"),
        ({"input": {"text": "a"}}, "input", "must be text"),
        ({"input": ["a", ""]}, "input[1]", "not empty"),
        ({"input": ["a", 5]}, "input[1]", "must be text"),
        ({"input": [[1], ["a"]]}, "input[0]", "must be text"),
        ({"input": [1, 2, 3]}, "input", "tokens.*send the text"),
        ({"input": [[1, 2], [3]]}, "input", "tokens.*send the text"),
        ({"encoding_format": "int8"}, "encoding_format", "'float' or 'base64'"),
        ({"encoding_format": []}, "encoding_format", "'float' or 'base64'"),
        ({"dimensions": 0}, "dimensions", "from 1 up"),
        ({"dimensions": True}, "dimensions", "whole number"),
        ({"user": 5}, "user", "text"),
    ],
)
def test_a_wrong_request_for_vectors_is_refused_by_its_parameter(
    more: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        embeddings(**more)
    assert (caught.value.param, caught.value.status) == (param, 400)


def test_a_request_to_continue_a_text_is_read() -> None:
    assert completions() == CompletionsRequest("org/m", "Once")
    assert completions(prompt=["Once"]).prompt == "Once"
    assert completions(prompt="").prompt == ""
    asked = completions(
        stream=True, stream_options={"include_usage": True}, max_tokens=5, stop="x", seed=2**63,
        top_k=-1, logprobs=2, best_of=2, user="u", min_p=0.1, n=None,
    )  # fmt: skip
    assert asked.stream
    assert asked.wants_usage
    assert asked.parameters == {
        "max_tokens": 5,
        "stop": "x",
        "seed": 2**63,
        "top_k": -1,
        "logprobs": 2,
    }
    assert asked.extra == {"best_of": 2, "user": "u", "min_p": 0.1}
    assert not completions(stream=True).wants_usage


@pytest.mark.parametrize(
    ("more", "param", "said"),
    [
        ({"model": ""}, "model", "model parameter"),
        ({"prompt": None}, "prompt", "must be text"),
        ({"prompt": []}, "prompt", "must be text"),
        ({"prompt": 5}, "prompt", "must be text"),
        ({"prompt": ["a", 5]}, "prompt", "must be text"),
        ({"prompt": ["a", "b"]}, "prompt", "2 texts.*a request for each"),
        ({"prompt": [1, 2]}, "prompt", "tokens.*send the text"),
        ({"prompt": [[1, 2]]}, "prompt", "tokens.*send the text"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "only allowed"),
        ({"stream": True, "stream_options": 1}, "stream_options", "an object"),
        ({"max_tokens": -1}, "max_tokens", "from 0 up"),
        ({"max_tokens": True}, "max_tokens", "whole number"),
        ({"temperature": 2.1}, "temperature", "from 0 to 2"),
        ({"top_p": "1"}, "top_p", "from 0 to 1"),
        ({"n": 0}, "n", "from 1 to 128"),
        ({"best_of": 21}, "best_of", "from 1 to 20"),
        ({"stop": list("abcde")}, "stop", "up to four"),
        ({"logprobs": "all"}, "logprobs", "whole number"),
        ({"echo": 1}, "echo", "true or false"),
        ({"suffix": 1}, "suffix", "text"),
        ({"seed": 0.5}, "seed", "whole number"),
        ({"repetition_penalty": True}, "repetition_penalty", "a number"),
        ({"logit_bias": [1]}, "logit_bias", "an object"),
        ({"presence_penalty": 3}, "presence_penalty", "from -2 to 2"),
        ({"frequency_penalty": -3}, "frequency_penalty", "from -2 to 2"),
    ],
)
def test_a_wrong_request_to_continue_is_refused_by_its_parameter(
    more: dict[str, Any], param: str, said: str
) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        completions(**more)
    assert (caught.value.param, caught.value.status) == (param, 400)


@pytest.mark.parametrize("read", [read_embeddings, read_completions])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"model":"a","model":"b"}', "'model' is there twice"),
        (b'{"input":"\xff"}', "byte 10 is not UTF-8"),
    ],
)
def test_a_body_that_is_no_object_is_refused(read: Any, data: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read(data)


def test_every_parameter_read_is_one_that_text_completion_takes() -> None:
    given = {
        "echo": True, "frequency_penalty": 1, "logprobs": 1, "max_tokens": 1, "n": 1, "presence_penalty": 1,
        "repetition_penalty": 1.1, "seed": 1, "stop": ["a"], "suffix": "s", "temperature": 1, "top_k": 1, "top_p": 1,
    }  # fmt: skip
    asked = completions(**given)
    assert asked.parameters == given
    taken = inspect.signature(text_completion).parameters
    assert set(given) == set(taken) - {"calls", "model", "prompt", "options"}


def test_what_the_client_writes_the_server_reads() -> None:
    wish = Wish("feature-extraction", "org/m", ["a", "b"], {"dimensions": 3, "truncate": True})
    asked = read_embeddings(EMBEDDINGS.write(wish).data)
    assert asked == EmbeddingsRequest("org/m", ["a", "b"], dimensions=3, extra={"truncate": True})
    wish = Wish("text-generation", "org/m", "Once", {"max_new_tokens": 3, "stop": ["x"]})
    read = read_completions(COMPLETIONS.write(wish).data)
    assert read == CompletionsRequest("org/m", "Once", parameters={"max_tokens": 3, "stop": ["x"]})


def vectors(rows: list[Any], usage: Usage | None = USAGE) -> EmbeddingResponse:
    data = [Embedding(row, place) for place, row in enumerate(rows)]
    return EmbeddingResponse(data, "provider/name", usage)


def test_vectors_are_written_as_openais_client_declares_them() -> None:
    known = CreateEmbeddingResponse.model_validate_json(
        embeddings_body(vectors([[0.5, -1.0], [1, 2]]), "org/m", "float")
    )
    assert [row.embedding for row in known.data] == [[0.5, -1.0], [1, 2]]
    assert [row.index for row in known.data] == [0, 1]
    assert (known.model, known.usage.prompt_tokens, known.usage.total_tokens) == ("org/m", 5, 5)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_vectors_in_base64_are_little_endian_floats(vector: list[float]) -> None:
    body = json.loads(embeddings_body(vectors([vector]), "org/m", "base64"))
    packed = body["data"][0]["embedding"]
    data = msgspec.convert(packed, bytes)
    assert np.frombuffer(data, dtype="<f4").tolist() == vector
    again = vectors([packed])
    assert json.loads(embeddings_body(again, "m", "float"))["data"][0]["embedding"] == vector
    assert json.loads(embeddings_body(again, "m", "base64"))["data"][0]["embedding"] == packed


@pytest.mark.parametrize("bad", [[1e300], [[1.0], [2.0]]])
def test_a_vector_that_base64_cannot_hold_is_the_providers_fault(bad: Any) -> None:
    with pytest.raises(InvalidResponseError, match="Vector 0 cannot be written as base64"):
        embeddings_body(vectors([bad]), "org/m", "base64")


@pytest.mark.parametrize("usage", [None, Usage()])
def test_counts_that_nobody_told_are_left_out(usage: Usage | None) -> None:
    assert "usage" not in json.loads(embeddings_body(vectors([[1.0]], usage), "org/m"))
    whole = TextCompletion([TextChoice("a")], usage=usage)
    assert json.loads(completion_text_body(whole)) == {
        "object": "text_completion",
        "choices": [{"text": "a", "index": 0, "logprobs": None, "finish_reason": None}],
    }


def test_what_a_provider_told_besides_is_kept() -> None:
    told = {
        "object": "list", "model": "org/m", "usage": {"prompt_tokens": 1, "cost": 2}, "id": "e-1",
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0], "truncated": False}],
    }  # fmt: skip
    result = parse_embeddings(json.loads(json.dumps(told)), Wish("feature-extraction", "m", "a"))
    assert json.loads(embeddings_body(result, "org/m")) == told


WHOLE = {
    "id": "cmpl-1", "object": "text_completion", "created": 7, "model": "org/m",
    "choices": [
        {"text": " upon", "index": 0, "logprobs": None, "finish_reason": "length"},
        {"text": " a", "index": 1, "logprobs": {"tokens": [" a"]}, "finish_reason": "stop", "seed": 5},
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    "system_fingerprint": "fp",
}  # fmt: skip


def whole() -> TextCompletion:
    return parse_completion(json.loads(json.dumps(WHOLE)), Wish("text-generation", "m", ""))


def test_a_text_is_written_as_it_was_read_and_as_openais_client_declares_it() -> None:
    body = completion_text_body(whole())
    assert json.loads(body) == WHOLE
    known = Completion.model_validate_json(body)
    assert [choice.text for choice in known.choices] == [" upon", " a"]
    assert known.usage is not None
    assert known.usage.total_tokens == 3


def test_pieces_of_a_text_are_events_that_spell_it_out() -> None:
    first = msgspec.structs.replace(
        whole(), choices=[TextChoice(" up", 0), TextChoice(" a", 1, "stop")]
    )
    last = msgspec.structs.replace(whole(), choices=[TextChoice("on", 0, "length")])
    events = [text_chunk_event(first), text_chunk_event(last), text_usage_event(last), DONE_EVENT]
    read = [json.loads(event.removeprefix(b"data: ")) for event in events[:-1]]
    assert ["usage" in event for event in read] == [False, False, True]
    assert read[2]["choices"] == []
    assert read[2]["usage"] == WHOLE["usage"]
    # as OpenAI's client reads a stream: a piece need not have all that an answer has
    known = [Completion.construct(**event) for event in read]
    assert [[one.text for one in piece.choices] for piece in known] == [[" up", " a"], ["on"], []]
    assert Completion.model_validate(read[2]).usage is not None

    reader = CompletionReader()
    for event in events:
        reader.feed(event)
    assert reader.finished
    found = reader.whole()
    assert [(one.text, one.finish_reason) for one in found.choices] == [
        (" upon", "length"), (" a", "stop"),
    ]  # fmt: skip
    assert found.usage == whole().usage

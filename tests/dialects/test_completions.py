"""OpenAI's completions: the names that are sent, and everything that comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.completions import COMPLETIONS
from trunkline.dialects.shape import Reading, Wish
from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.results import TextCompletion


def sent(extra: dict[str, Any] | None = None, **given: Any) -> bytes:
    return COMPLETIONS.write(Wish("text-generation", "org/m", "Once", given, extra or {})).data


def read(answer: Any) -> TextCompletion:
    reading = Reading(json.dumps(answer).encode(), "application/json")
    return COMPLETIONS.read(reading, Wish("text-generation", "org/m", "Once"))


def test_the_model_comes_first_and_hugging_faces_names_become_openais():
    data = sent(max_new_tokens=5, stop_sequences=["."], top_k=3, seed=None)
    assert data.startswith(b'{"model":"org/m","prompt":"Once",')
    body = {"model": "org/m", "prompt": "Once", "max_tokens": 5, "stop": ["."], "top_k": 3}
    assert json.loads(data) == body


def test_openais_own_name_goes_before_the_other():
    body = json.loads(sent(max_tokens=7, max_new_tokens=5, stop="a", stop_sequences=["b"]))
    assert (body["max_tokens"], body["stop"]) == (7, "a")
    assert "max_new_tokens" not in body


def test_additions_go_in_last_and_deep():
    body = json.loads(sent({"options": {"b": 2}, "prompt": "Twice"}, options={"a": 1}))
    assert (body["options"], body["prompt"]) == ({"a": 1, "b": 2}, "Twice")


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(InvalidInputError, match="temperature"):
        sent(temperature=float("nan"))


def test_an_answer_keeps_all_that_it_says():
    answer = {
        "id": "c1",
        "object": "text.completion",
        "created": 1736953179,
        "model": "own/name",
        "prompt": [],
        "choices": [
            {"text": " upon", "index": 0, "finish_reason": "length", "logprobs": None, "seed": 7},
            {"text": "", "index": 1, "finish_reason": "eos"},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13},
    }
    result = read(answer)
    assert result.text == " upon"
    assert [(c.index, c.text, c.finish_reason) for c in result.choices] == [
        (0, " upon", "length"),
        (1, "", "eos"),
    ]
    assert result.choices[0].seed == 7
    assert (result.id, result.object, result.created) == ("c1", "text.completion", 1736953179)
    assert (result.model, result.prompt) == ("own/name", [])
    assert result.usage is not None
    assert result.usage.to_dict() == answer["usage"]


def test_what_is_not_told_is_not_made_up():
    result = read({"choices": [{"text": "a"}, {"text": "b", "finish_reason": None}]})
    assert [(c.index, c.finish_reason, c.logprobs) for c in result.choices] == [
        (0, None, None),
        (1, None, None),
    ]
    facts = (result.id, result.model, result.created, result.usage, result.object)
    assert facts == (None, None, None, None, "text_completion")


def test_a_pipelines_answer_is_read_at_the_route_of_completions_too():
    answer = {"generated_text": "a", "details": {"finish_reason": "length", "generated_tokens": 3}}
    for told in (answer, [answer]):
        result = read(told)
        assert (result.text, result.choices[0].finish_reason) == ("a", "length")
        assert result.usage is not None
        assert result.usage.completion_tokens == 3


def test_a_value_of_another_kind_stays_where_it_was():
    result = read({"choices": [{"text": "a", "index": "0"}], "created": 1.5, "id": 3})
    assert (result.created, result.id, result.choices[0].index) == (None, None, 0)
    assert result.extra == {"created": 1.5, "id": 3}
    assert result.choices[0].extra == {"index": "0"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([], "an empty list, where a completion with choices is expected"),
        ({}, "an empty object, where a completion"),
        ({"choices": []}, "an object with choices, where a completion"),
        ({"choices": {}}, "where a completion with choices is expected"),
        ({"choices": ["a"]}, "a text, where a choice with text is expected"),
        ({"choices": [{"text": None}]}, "choice 0 has null for a text"),
        ({"choices": [{"message": {"content": "a"}}]}, "choice 0 has a chat's message"),
        ([{"generated_text": None}], "generated_text is null, not a text"),
    ],
)
def test_what_is_no_completion_is_refused_and_kept(answer: Any, says: str):
    with pytest.raises(InvalidResponseError, match=says) as caught:
        read(answer)
    assert caught.value.body == json.dumps(answer)

"""Text Generation Inference's `/generate`, and the same form as pipelines have it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.dialects.shape import Reading, Wish
from trunkline.dialects.tgi import GENERATE, PROMPT
from trunkline.errors import InvalidResponseError
from trunkline.types.results import TextCompletion

TOKENS = [{"id": 5, "text": " a", "logprob": -0.5, "special": False}]


def details(**fields: Any) -> dict[str, Any]:
    return {"finish_reason": "length", "generated_tokens": 1, "seed": None, **fields}


def read(answer: Any, **headers: str) -> TextCompletion:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reading = Reading(json.dumps(answer).encode(), "application/json", named)
    return GENERATE.read(reading, Wish("text-generation", "m", "x"))


def written(shape: Any, extra: dict[str, Any] | None = None, **given: Any) -> Any:
    return json.loads(shape.write(Wish("text-generation", "m", "x", given, extra or {})).data)


def test_details_are_asked_for_since_they_tell_why_it_ended():
    assert written(GENERATE) == {"inputs": "x", "parameters": {"details": True}}
    body = written(GENERATE, max_new_tokens=5, stop_sequences=["a"], echo=True, seed=None)
    parameters = {"details": True, "max_new_tokens": 5, "stop": ["a"], "return_full_text": True}
    assert body == {"inputs": "x", "parameters": parameters}
    assert written(GENERATE, details=False)["parameters"] == {"details": False}
    more = written(GENERATE, {"parameters": {"top_n_tokens": 2}, "stream": False})
    assert more["parameters"] == {"details": True, "top_n_tokens": 2}
    assert more["stream"] is False


def test_a_pipeline_is_not_asked_for_details_it_would_refuse():
    assert written(PROMPT) == {"inputs": "x"}
    assert written(PROMPT, max_tokens=5) == {"inputs": "x", "parameters": {"max_new_tokens": 5}}


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("something_new", "something_new"),
        (None, None),
        (5, None),
    ],
)
def test_a_finish_reason_comes_from_the_details_alone(told: Any, finish: str | None):
    answer = {"generated_text": "a", "details": details(finish_reason=told)}
    (choice,) = read(answer).choices
    assert (choice.text, choice.finish_reason) == ("a", finish)
    assert choice.details == details(finish_reason=told)


@pytest.mark.parametrize(
    "answer", [{"generated_text": "a"}, [{"generated_text": "a"}], [[{"generated_text": "a"}]]]
)
def test_without_details_nothing_is_known_but_the_text(answer: Any):
    result = read(answer)
    assert result.text == "a"
    assert result.choices[0].finish_reason is None
    assert (result.usage, result.id, result.model, result.created) == (None, None, None, None)


@pytest.mark.parametrize(
    ("told", "headers", "counts"),
    [
        (details(prefill=TOKENS * 3), {}, (3, 1)),
        (details(prefill=[]), {}, (None, 1)),
        (details(prefill=None, generated_tokens=None), {}, None),
        (details(prefill=[{"id": 0, "text": "<pad>"}]), {}, (None, 1)),
        (details(prefill=[{"id": 0, "text": "<pad>"}]), {"x_prompt_tokens": "7"}, (7, 1)),
        (None, {"x_prompt_tokens": "7", "x_generated_tokens": "2"}, (7, 2)),
        (None, {"x_prompt_tokens": "many"}, None),
        (details(generated_tokens=0), {}, (None, 0)),
    ],
)
def test_counts_are_those_that_were_told(told: Any, headers: dict[str, str], counts: Any):
    usage = read({"generated_text": "a", "details": told}, **headers).usage
    assert (usage and (usage.prompt_tokens, usage.completion_tokens)) == counts
    assert usage is None or usage.total_tokens is None


def test_several_texts_are_several_choices():
    rows = [
        {"generated_text": "a", "details": details(generated_tokens=2)},
        {"generated_text": "b", "details": details(generated_tokens=3, finish_reason="eos_token")},
    ]
    result = read(rows)
    assert [(c.index, c.text, c.finish_reason) for c in result.choices] == [
        (0, "a", "length"),
        (1, "b", "stop"),
    ]
    assert result.usage is not None
    assert result.usage.completion_tokens == 5


def test_unknown_fields_stay():
    (choice,) = read([{"generated_text": "a", "warnings": ["w"]}]).choices
    assert choice.warnings == ["w"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([], "an empty list, where an object with generated_text is expected"),
        ([[]], "where an object with generated_text is expected"),
        ({"choices": []}, "an object with choices, where"),
        ({"generated_text": None}, "generated_text is null, not a text"),
        ({"generated_text": "a", "details": "b"}, "details is a text, not an object"),
        (
            {"generated_text": "a", "details": details(generated_tokens="three")},
            "generated_tokens is a text, not a number",
        ),
        ("a", "it is a text"),
    ],
)
def test_what_is_no_continuation_is_refused(answer: Any, says: str):
    with pytest.raises(InvalidResponseError, match=says):
        read(answer)

"""Keywords of a chat: names, kinds and finite numbers, checked before anything is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trunkline.errors import InvalidInputError, UnknownParameterError
from trunkline.parameters import (
    ALL_NAMES,
    BODY_NAMES,
    OPTION_NAMES,
    check_parameters,
    headers_from,
    timeouts_from,
    unknown_parameter,
)
from trunkline.types import Timeouts

GOOD: dict[str, Any] = {
    "audio": {"voice": "x"},
    "api_base": "https://h",
    "api_key": "k",
    "bill_to": "org",
    "deadline": 1,
    "direct": True,
    "drop_params": True,
    "extra_body": {"x": 1},
    "extra_headers": {"x": "y"},
    "frequency_penalty": -1.5,
    "function_call": "auto",
    "functions": [],
    "logit_bias": {"50": 1},
    "logprobs": True,
    "max_completion_tokens": 1,
    "max_retries": 0,
    "max_tokens": 1,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": False,
    "prediction": {"type": "content"},
    "presence_penalty": 2,
    "prompt_cache_key": "k",
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "route": "fastest",
    "safety_identifier": "s",
    "seed": -1,
    "service_tier": "auto",
    "session_id": "s",
    "stop": ["a"],
    "store": False,
    "stream_options": {"include_usage": True},
    "temperature": 0,
    "think_tags": True,
    "timeout": 5,
    "token": "hf_x",
    "tool_choice": "auto",
    "tool_prompt": "p",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 0.5,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}


def test_every_parameter_is_taken_with_a_good_value_and_with_none() -> None:
    assert set(GOOD) == ALL_NAMES
    assert ALL_NAMES == BODY_NAMES | OPTION_NAMES
    assert not BODY_NAMES & OPTION_NAMES
    check_parameters(GOOD)
    check_parameters(dict.fromkeys(GOOD))
    check_parameters({})


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("tool", "tools"),
        ("Temperature", "temperature"),
        ("response_formt", "response_format"),
        ("bill_too", "bill_to"),
    ],
)
def test_an_unknown_keyword_gets_the_nearest_that_exists(name: str, near: str) -> None:
    with pytest.raises(UnknownParameterError) as caught:
        check_parameters({name: 1})
    assert caught.value.message == f"There is no parameter {name!r}. Did you mean {near!r}?"
    assert f"extra_body={{{name!r}: ...}}" in (caught.value.hint or "")
    assert isinstance(caught.value, TypeError)


def test_a_keyword_like_no_other_is_only_said_to_be_unknown() -> None:
    assert unknown_parameter("zzzz", ALL_NAMES).message == "There is no parameter 'zzzz'."


NUMBERS = ["temperature", "top_p", "frequency_penalty", "presence_penalty", "deadline"]
INTEGERS = ["max_tokens", "max_completion_tokens", "n", "seed", "top_logprobs", "max_retries"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_has_to_be_finite(name: str, value: float) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{name} is -?(nan|inf); a finite number"):
        check_parameters({name: value})


@pytest.mark.parametrize(
    ("names", "values", "kind"),
    [
        (NUMBERS, ["0.5", True, [1], {}], "a number"),
        (INTEGERS, ["5", 1.5, 1.0, True, [1]], "an integer"),
        (["logprobs", "direct", "store", "think_tags"], [1, 0, "true"], "true or false"),
        (["extra_body", "extra_headers", "response_format", "logit_bias"], [[], "x", 1], "a mapping"),
        (["api_base", "bill_to", "session_id", "reasoning_effort"], [1, b"x", ["x"], True], "a string"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_by_name(
    names: list[str], values: list[Any], kind: str
) -> None:
    for name in names:
        for value in values:
            with pytest.raises(InvalidInputError, match=rf"^{name} is .*; {kind} is expected"):
                check_parameters({name: value})


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("max_tokens", 0, 1),
        ("max_completion_tokens", -1, 1),
        ("n", 0, 1),
        ("top_logprobs", -1, 0),
        ("max_retries", -1, 0),
        ("temperature", -0.1, 0),
        ("top_p", -1, 0),
    ],
)
def test_a_number_below_sense_is_refused(name: str, value: float, least: int) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} is {value}; at least {least}"):
        check_parameters({name: value})


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_parameters({"temperature": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_a_number_of_seconds_limits_a_whole_attempt() -> None:
    default = Timeouts()
    assert timeouts_from(None, default) is default
    given = Timeouts(connect=1.0)
    assert timeouts_from(given, default) is given
    assert timeouts_from(3, default) == Timeouts(connect=3, total=3, idle=3)
    assert timeouts_from(100.5, default) == Timeouts(total=100.5)
    assert timeouts_from(math.inf, default).total == math.inf


@pytest.mark.parametrize("value", [0, -1, math.nan, True, "5", [5], (1, 2)])
def test_a_timeout_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="timeout is"):
        timeouts_from(value, Timeouts())


def test_extra_headers_go_by_lower_case_names() -> None:
    assert headers_from(None) == {}
    assert headers_from({"X-Mine": "a", "user-agent": "b"}) == {"x-mine": "a", "user-agent": "b"}


@pytest.mark.parametrize(
    "headers",
    [{"x": 1}, {1: "x"}, {"x": None}, {"x": "a\r\nx-evil: 1"}, {"x\n": "a"}, {"x y": "a"},
     {"x": "caf\u00e9"}, {"x": " a"}, {"": "a"}, {"Host": "evil"}, {"Content-Length": "5"},
     {"transfer-encoding": "chunked"}, {"Connection": "close"}],
)  # fmt: skip
def test_an_unsafe_header_is_refused(headers: Any) -> None:
    with pytest.raises(InvalidInputError):
        headers_from(headers)

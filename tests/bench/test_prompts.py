"""Prompts read from files, and those that come with the package."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.bench.canaries import built_in, canaries, needle
from trunkline.bench.prompts import Expect, prompt_of, read_prompts
from trunkline.errors import InvalidInputError


def test_a_text_file_has_a_prompt_a_line() -> None:
    found = read_prompts(b"\xef\xbb\xbfName a river.\r\n\n  Name a lake.  \n", "p.txt")
    assert [(p.name, p.messages[0]["content"]) for p in found] == [
        ("line 1", "Name a river."),
        ("line 3", "Name a lake."),
    ]
    assert found[0].counts == 0.5


def test_an_object_a_line_may_have_all_that_a_chat_has() -> None:
    data = b"""{"prompt": "6 * 7?", "expect": "42", "name": "sum"}

{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}
{"prompt": "Weather in Oslo?", "tools": [{"type": "function", "function": {"name": "w"}}], \
"tool_choice": "required", "expect": {"tool": "w", "arguments": {"city": "Oslo"}}}
{"prompt": "Fill in.", "response_format": {"type": "json_object"}, "expect": {"json": {"a": 1}}}
"""
    found = read_prompts(data, "P.JSONL")
    assert [p.name for p in found] == ["sum", "line 3", "line 4", "line 5"]
    assert [p.expect and p.expect.kind for p in found] == ["contains", None, "tool", "json"]
    assert found[1].text == "Hi"
    assert found[2].tool_choice == "required"
    assert str(found[2].expect) == 'a call of w({"city":"Oslo"})'
    assert found[3].response_format == {"type": "json_object"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "no object"),
        ("{}", "either `prompt` or `messages`"),
        ('{"prompt": "a", "messages": []}', "either `prompt` or `messages`"),
        ('{"prompt": ""}', "`prompt` is no text"),
        ('{"prompt": 1}', "`prompt` is no text"),
        ('{"messages": []}', "empty"),
        ('{"messages": [{"role": "king", "content": "x"}]}', "king"),
        ('{"promt": "a"}', "no field 'promt'"),
        ('{"prompt": "a", "tools": {}}', "`tools`"),
        ('{"prompt": "a", "response_format": "json"}', "`response_format`"),
        ('{"prompt": "a", "name": 7}', "`name`"),
        ('{"prompt": "a", "expect": 7}', "`expect`"),
        ('{"prompt": "a", "expect": {"equals": "x", "contains": "y"}}', "one of contains"),
        ('{"prompt": "a", "expect": {"equals": "x", "arguments": {}}}', "one of contains"),
        ('{"prompt": "a", "expect": {"equals": 7}}', r"`expect\.equals`"),
        ('{"prompt": "a", "expect": {"tool": "t", "arguments": []}}', r"`expect\.arguments`"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_its_number(line: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"p\.jsonl, line 3: .*{said}"):
        read_prompts(f'{{"prompt": "good"}}\n\n{line}\n'.encode(), "p.jsonl")


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"a\n\xff\n", "p.txt", r"p\.txt, line 2: it is not UTF-8"),
        (b"\n \n", "p.txt", "no prompt"),
        (b"a", "p.csv", r"neither \.txt nor \.jsonl"),
        (b'{"prompt": "a", "name": "x"}\n{"prompt": "b", "name": "x"}', "p.jsonl", "two prompts"),
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes, name: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        read_prompts(data, name)


@settings(max_examples=often(30))
@given(st.binary(max_size=200), st.sampled_from(["p.txt", "p.jsonl"]))
def test_any_bytes_are_prompts_or_refused(data: bytes, name: str) -> None:
    try:
        assert read_prompts(data, name)
    except InvalidInputError as error:
        assert name in error.message


def test_an_expectation_that_is_a_text_is_contained() -> None:
    assert prompt_of({"prompt": "a", "expect": "b"}, "n").expect == Expect("contains", "b")


def test_the_canaries_look_at_each_thing_that_breaks() -> None:
    names = [prompt.name for prompt in canaries()]
    assert {"arithmetic", "format", "copy", "system", "turns", "tool", "json"} <= set(names)
    assert len(set(names)) == len(names)
    assert all(prompt.looks_at for prompt in built_in())
    weights = {prompt.name: prompt.counts for prompt in built_in()}
    assert {n for n, w in weights.items() if w == 1.0} == {
        "system",
        "turns",
        "tool",
        "json",
        "needle",
    }


@pytest.mark.parametrize("tokens", [1, 100, 4_000, 50_000])
def test_the_needle_is_near_the_beginning_of_a_text_as_long_as_asked(tokens: int) -> None:
    prompt = needle(tokens)
    text = prompt.messages[0]["content"]
    assert prompt.expect is not None
    assert text.count(prompt.expect.value) == 1
    assert abs(len(text) - 4 * tokens) < 300
    assert text.index(prompt.expect.value) < len(text) * 0.1 + 200


def test_without_a_context_there_is_no_needle() -> None:
    assert [p.name for p in built_in(0)] == [p.name for p in canaries()]

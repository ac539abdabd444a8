"""Results as values: attributes and keys, undeclared fields, plain dumps, short reprs."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest

from trunkline.dialects.openai_chat import read_answer
from trunkline.types import (
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionCall,
    FunctionDelta,
    Message,
    Receipt,
    Secret,
    TokenCount,
    ToolCall,
    ToolCallDelta,
    Usage,
)

WIRE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1750000000,
    "model": "org/m",
    "system_fingerprint": None,
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello.",
                "reasoning": "Greet.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}", "strict": True},
                        "extra_content": {"google": 1},
                    }
                ],
                "refusal": None,
                "annotations": [],
            },
            "finish_reason": "tool_calls",
            "logprobs": None,
            "seed": 7,
        }
    ],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
        "estimated_cost": 0.25,
    },
    "sla_metrics": {"ttft": 12},
}


def completion(**more: object) -> Completion:
    return read_answer(json.dumps({**WIRE, **more}).encode())


def test_fields_read_as_attributes_and_as_keys() -> None:
    answer = completion()
    assert answer.choices[0].message.content == "Hello."
    assert answer["choices"][0]["message"]["content"] == "Hello."
    assert answer.usage is not None
    assert answer["usage"]["total_tokens"] == answer.usage.total_tokens == 5


def test_fields_that_nobody_declared_are_kept_on_every_level() -> None:
    answer = completion()
    choice = answer.choices[0]
    assert answer.sla_metrics == {"ttft": 12}
    assert choice.seed == 7
    assert choice.message.annotations == []
    assert answer.tool_calls[0].extra_content == {"google": 1}
    assert answer.tool_calls[0].function["strict"] is True
    assert answer["usage"]["estimated_cost"] == 0.25


def test_an_absent_field_says_its_name() -> None:
    answer = completion()
    with pytest.raises(AttributeError, match="this Completion has no field 'nothing'"):
        _ = answer.nothing
    with pytest.raises(KeyError, match="nothing"):
        _ = answer["nothing"]
    assert answer.get("nothing") is None
    assert answer.get("nothing", 1) == 1
    assert answer.get("model") == "org/m"
    assert not hasattr(answer, "__wrapped__")


def test_a_result_lists_its_fields_as_a_mapping_does() -> None:
    answer = completion()
    assert "sla_metrics" in answer
    assert "usage" in answer
    assert "nothing" not in answer
    assert 5 not in answer
    assert list(answer) == answer.keys()
    assert "receipt" not in answer.keys()  # noqa: SIM118
    assert dict(answer)["model"] == "org/m"


def test_a_dump_is_what_stood_on_the_wire() -> None:
    assert completion().model_dump() == WIRE


def test_a_dump_without_none_leaves_out_what_was_not_told() -> None:
    dumped = completion().to_dict()
    assert "system_fingerprint" not in dumped
    assert "refusal" not in dumped["choices"][0]["message"]
    assert dumped["choices"][0]["message"]["annotations"] == []


def test_a_dump_as_json_reads_back() -> None:
    answer = completion()
    assert json.loads(answer.model_dump_json()) == WIRE
    assert json.loads(answer.model_dump_json(exclude_none=True)) == answer.to_dict()
    assert '\n  "id": "c1"' in answer.model_dump_json(indent=2)


def test_a_field_named_as_a_method_of_ours_does_no_harm() -> None:
    answer = completion(model_dump=1, keys=2, text=3, extra={"a": 4}, receipt=5)
    dumped = answer.model_dump()
    assert (dumped["model_dump"], dumped["keys"], dumped["text"]) == (1, 2, 3)
    assert (dumped["extra"], dumped["receipt"]) == ({"a": 4}, 5)
    assert json.loads(answer.model_dump_json())["keys"] == 2
    assert answer.receipt is None


@pytest.mark.parametrize(
    "carry", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_results_can_be_copied_and_pickled(carry: object) -> None:
    answer = completion()
    again = carry(answer)  # type: ignore[operator]
    assert again == answer
    assert again.sla_metrics == {"ttft": 12}


def test_results_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        completion().id = "other"  # type: ignore[misc]


def test_shortcuts_read_the_first_choice() -> None:
    answer = completion()
    assert answer.text == "Hello."
    assert answer.reasoning == "Greet."
    assert answer.choices[0].message.reasoning_content == "Greet."
    assert [call.function.name for call in answer.tool_calls] == ["f"]


def test_shortcuts_of_an_answer_without_choices_are_empty() -> None:
    nothing = Completion(None, None, [])
    assert (nothing.text, nothing.reasoning, nothing.tool_calls) == ("", None, [])
    assert Chunk(None, None, []).text == ""
    assert Chunk(None, None, [ChunkChoice(1, Delta(content="x"))]).text == ""
    assert Chunk(None, None, [ChunkChoice(0, Delta(content="x"))]).text == "x"
    assert Delta(reasoning="r").reasoning_content == "r"


def test_usage_finds_details_where_providers_put_them() -> None:
    told = completion().usage
    assert told is not None
    assert (told.cached_tokens, told.reasoning_tokens) == (1, 2)
    aside = Usage(extra={"cached_tokens": 4, "reasoning_tokens": 5})
    assert (aside.cached_tokens, aside.reasoning_tokens) == (4, 5)
    assert (Usage().cached_tokens, Usage().reasoning_tokens) == (None, None)


RECEIPT = Receipt("groq", "org/m", "r-1", (), None, 1.25, TokenCount(3, 2, "provider"))
LONG = "many words and " * 40


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Usage(3, 2, 5), "Usage(prompt=3, completion=2, total=5)"),
        (Message(content="Hi"), "Message(assistant: 'Hi')"),
        (Message(content="Hi", reasoning="Hm"), "Message(assistant: 'Hi', reasoning='Hm')"),
        (
            Message(tool_calls=[ToolCall("c1", FunctionCall("f", '{"a":1}'))]),
            """Message(assistant: tool_calls=[ToolCall(f('{"a":1}'), id=c1)])""",
        ),
        (Chunk(None, None, []), "Chunk()"),
        (Chunk(None, None, [ChunkChoice(0, Delta(), "stop")]), "Chunk(finish=stop)"),
        (Chunk(None, None, [], usage=Usage(1, 2, 3)), f"Chunk({Usage(1, 2, 3)!r})"),
        (
            Chunk(None, None, [ChunkChoice(1, Delta(content="a", reasoning="b"), "stop")]),
            "Chunk([1] 'a', [1] reasoning='b', [1] finish=stop)",
        ),
        (
            RECEIPT,
            "Receipt(groq, 0 attempts, 1.250s, 3+2 tokens (provider), request r-1)",
        ),
        (
            msgspec.structs.replace(RECEIPT, call_id="call_1"),
            "Receipt(groq, 0 attempts, 1.250s, 3+2 tokens (provider), request r-1, "
            "logged as call_1)",
        ),
        (
            msgspec.structs.replace(RECEIPT, provider=None, time_to_first_token=0.5),
            (
                "Receipt(unknown provider, 0 attempts, first 0.500s, 1.250s, "
                "3+2 tokens (provider), request r-1)"
            ),
        ),
        (
            Completion(None, "m", []),
            "Completion(no choices, model=m, None, None)",
        ),
        (Secret("hf_abcdefghijklmnop", "the file x"), "Secret(****mnop from the file x)"),
        (Secret("short", "the argument token="), "Secret(**** from the argument token=)"),
    ],
)
def test_a_repr_says_the_essential(value: object, shown: str) -> None:
    assert repr(value) == shown


def test_a_repr_stays_short_whatever_the_model_wrote() -> None:
    call = ToolCallDelta(0, "c", FunctionDelta("f", "{}"))
    assert len(repr(Message(content=LONG, reasoning=LONG))) < 150
    assert len(repr(Chunk(None, None, [ChunkChoice(0, Delta(LONG, LONG, None, [call]))]))) < 300
    assert len(repr(ToolCall("c", FunctionCall("f", LONG)))) < 100
    assert "finish=tool_calls" in repr(completion())


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("hf_abcdefghijklmnop", "the argument token=")
    assert "abcdefgh" not in f"{secret} {secret!r} {secret.masked}"
    assert secret.is_hugging_face
    assert not Secret("gsk_abcdefghijklmnop", "x").is_hugging_face


def test_a_secret_is_masked_wherever_it_stands_in_a_value() -> None:
    secret = Secret("abcdefghijklmnop", "a test")
    told = {"error": ["no abcdefghijklmnop here", 7, None], "abcdefghijklmnop": True}
    assert secret.masked_in(told) == {"error": ["no ****mnop here", 7, None], "****mnop": True}
    assert Secret("key", "a test").masked_in("a key in a text") == "a key in a text"

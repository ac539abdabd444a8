"""A caller's messages: ready for the wire, or refused by place before anything is sent."""

from __future__ import annotations

import base64
from collections import UserDict
from typing import Any

import pytest

from trunkline.dialects.messages import ROLES, prepare_messages
from trunkline.dialects.openai_chat import chat_body
from trunkline.errors import InvalidInputError
from trunkline.model_id import parse
from trunkline.types import Chat, FunctionCall, Message, ToolCall
from trunkline.wire import strict_json

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CALL = ToolCall("a", FunctionCall("f", '{"x":1}'))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "messages is empty"),
        (iter(()), "messages is empty"),
        ("hello", "messages is a str, not a list"),
        (b"hello", "messages is a bytes, not a list"),
        (user("hi"), "messages is a dict, not a list"),
        (None, "messages is a NoneType, not a list"),
        (5, "messages is a int, not a list"),
        (["hello"], r"messages\[0\] is a str, not a message"),
        ([user("hi"), None], r"messages\[1\] is a NoneType, not a message"),
        ([{"content": "hi"}], r"messages\[0\] has the role None"),
        ([{"role": "bot", "content": "hi"}], r"messages\[0\] has the role 'bot'"),
        ([{"role": "User", "content": "hi"}], "has the role 'User'"),
        ([{"role": ["user"], "content": "hi"}], r"has the role \['user'\]"),
        ([{"role": "user"}], r"messages\[0\] \(user\) has no content"),
        ([{"role": "tool", "tool_call_id": "a"}], r"\(tool\) has no content"),
        ([user(None)], r"\(user\) has None for content"),
        ([{"role": "system", "content": None}], r"\(system\) has None for content"),
        ([{"role": "tool", "content": "4"}], "a tool's result without tool_call_id"),
        ([{"role": "tool", "content": "4", "tool_call_id": 4}], "without tool_call_id"),
        ([{"role": "tool", "content": [{"type": "text", "text": "4"}]}], "without tool_call_id"),
        ([user(5)], r"messages\[0\].content is a int; text or a list of parts"),
        ([user(b"hi")], r"messages\[0\].content is a bytes"),
        ([user({"type": "text"})], r"messages\[0\].content is a dict"),
        ([user([])], r"messages\[0\].content is an empty list"),
        ([user(["hi"])], r"messages\[0\].content\[0\] is no content part"),
        ([user([{"text": "hi"}])], r"content\[0\] is no content part"),
        ([user([{"type": 5}])], r"content\[0\] is no content part"),
        ([user([{"type": "text"}])], r"content\[0\] is a text part without text"),
        ([user([{"type": "text", "text": None}])], "a text part without text"),
        ([user([{"type": "image_url"}])], r"content\[0\] is an image part without a URL"),
        ([user([{"type": "image_url", "image_url": {}}])], "an image part without a URL"),
        ([user([{"type": "image_url", "image_url": {"url": "ftp://x/y.png"}}])],
         r"messages\[0\].content\[0\]: "),
        ([user([{"type": "image_url", "image_url": "/no/such/cat.png"}])], "cat.png"),
    ],
)  # fmt: skip
def test_what_no_provider_could_take_is_refused_by_its_place(messages: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        prepare_messages(messages)


@pytest.mark.parametrize("role", sorted(ROLES - {"tool"}))
def test_every_role_is_taken(role: str) -> None:
    message = {"role": role, "content": "hi", "name": "n"}
    assert prepare_messages([message]) == [message]


@pytest.mark.parametrize(
    "message",
    [
        user(""),
        {"role": "tool", "tool_call_id": "a", "content": "4"},
        {"role": "tool", "tool_call_id": "a", "content": None},
        {"role": "assistant", "content": None, "tool_calls": [CALL.model_dump()]},
        {"role": "assistant", "tool_calls": [CALL.model_dump()]},
        user([{"type": "text", "text": "hi"}]),
        user([{"type": "input_audio", "input_audio": {"data": "..."}}]),
        user([{"type": "image_url", "image_url": {"url": "https://h/cat.png", "detail": "low"}}]),
    ],
)
def test_wire_messages_go_out_as_they_are(message: dict[str, Any]) -> None:
    assert prepare_messages([message]) == [message]


def test_messages_may_come_from_any_iterable_of_mappings() -> None:
    given = (UserDict(user("hi")) for _ in range(2))
    assert prepare_messages(given) == [user("hi")] * 2  # type: ignore[arg-type]
    parts = ({"type": "text", "text": t} for t in "ab")
    assert prepare_messages([user(parts)])[0]["content"][1] == {"type": "text", "text": "b"}
    mapping = UserDict({"type": "text", "text": "a"})
    assert prepare_messages([user([mapping])])[0]["content"] == [{"type": "text", "text": "a"}]


def test_an_image_becomes_a_url_on_the_way_and_the_callers_message_stays() -> None:
    for source in (PNG, {"url": PNG, "detail": "low"}):
        message = user([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": source}])
        sent = prepare_messages([message])[0]["content"][1]
        assert sent["image_url"]["url"].startswith("data:image/png;base64,")
        assert message["content"][1]["image_url"] is source
    assert sent["image_url"]["detail"] == "low"


def test_an_earlier_answer_is_written_back_without_its_reasoning() -> None:
    said = Message(content="Hi", reasoning="Hm", extra={"annotations": []})
    assert prepare_messages([said]) == [{"role": "assistant", "content": "Hi"}]
    assert prepare_messages([Message()]) == [{"role": "assistant", "content": ""}]
    refused = Message(content=None, refusal="No.")
    assert prepare_messages([refused])[0] == {"role": "assistant", "content": "", "refusal": "No."}


def test_tool_calls_of_an_earlier_answer_are_written_back_in_both_forms() -> None:
    wire = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    as_message = prepare_messages([Message(content=None, tool_calls=[CALL])])[0]
    as_dict = prepare_messages([{"role": "assistant", "content": None, "tool_calls": [CALL, wire]}])
    assert as_message["tool_calls"] == [wire]
    assert "content" not in as_message
    assert as_dict[0]["tool_calls"] == [wire, wire]
    assert b"extra" not in strict_json.encode(as_dict)


def test_another_clients_message_object_is_taken() -> None:
    class Theirs:
        def model_dump(self) -> dict[str, Any]:
            return {"role": "assistant", "content": "Hi", "refusal": None, "audio": None}

    assert prepare_messages([Theirs()]) == [{"role": "assistant", "content": "Hi"}]  # type: ignore[list-item]


def chat(**fields: Any) -> Chat:
    return Chat(parse("org/m"), [user("hi")], **fields)


def test_a_body_begins_with_the_model() -> None:
    body = chat_body(chat(parameters={"temperature": 0.5}), "org/m:groq")
    assert strict_json.encode(body).startswith(b'{"model":"org/m:groq","messages":')
    assert body == {"model": "org/m:groq", "messages": [user("hi")], "temperature": 0.5}


def test_a_stream_asks_for_usage_unless_told_otherwise() -> None:
    assert chat_body(chat(stream=True), "m")["stream_options"] == {"include_usage": True}
    told = chat(stream=True, parameters={"stream_options": {"include_usage": False, "x": 1}})
    assert chat_body(told, "m")["stream_options"] == {"include_usage": False, "x": 1}
    assert chat_body(chat(stream=True), "m")["stream"] is True
    assert "stream" not in chat_body(chat(), "m")


def test_extra_fields_have_the_last_word() -> None:
    body = chat_body(chat(parameters={"top_k": 1, "seed": 1}, extra_body={"seed": 2, "x": {}}), "m")
    assert (body["seed"], body["x"], body["top_k"]) == (2, {}, 1)

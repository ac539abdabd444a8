"""From what a caller writes to a chat and its target; bad input ends here, before a byte is sent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from trunkline.calls import Calls, Defaults
from trunkline.errors import (
    AuthenticationError,
    InvalidInputError,
    UnknownParameterError,
    UnsupportedParamsError,
)
from trunkline.providers.spec import Target
from trunkline.settings import TokenSource, read_settings
from trunkline.types import Chat, Secret, Timeouts

HI = [{"role": "user", "content": "hi"}]
LOGIN = {"HF_TOKEN": "hf_login"}


def calls(environment: dict[str, str] | None = None, **defaults: Any) -> Calls:
    env = {"HF_TOKEN_PATH": "/no/such/file", **(LOGIN if environment is None else environment)}
    return Calls(read_settings(env), TokenSource(env), Defaults(**defaults))


def made(
    model: Any = "org/m",
    messages: Any = HI,
    *,
    of: Calls | None = None,
    stream: bool = False,
    **given: Any,
) -> tuple[Chat, Target]:
    """Return the chat and the target that a call comes to."""
    journey, target = (of or calls()).chat(model, messages, given, stream=stream)
    return journey.call, target


def test_a_call_is_made_of_its_model_messages_and_keywords() -> None:
    chat, target = made(
        "groq/org/m",
        temperature=0.5,
        seed=None,
        extra_body={"x": 1},
        extra_headers={"X-Mine": "y"},
        timeout=7,
        deadline=9,
        max_retries=0,
        think_tags=True,
        stream=True,
    )
    assert (chat.messages, chat.parameters) == (HI, {"temperature": 0.5})
    assert (chat.extra_body, chat.extra_headers) == ({"x": 1}, {"x-mine": "y"})
    assert (chat.timeouts.total, chat.deadline, chat.max_retries) == (7, 9, 0)
    assert (chat.think_tags, chat.stream) == (True, True)
    assert (target.model, target.secret) == (
        "org/m:groq",
        Secret("hf_login", "the environment variable HF_TOKEN"),
    )


def test_what_a_call_leaves_open_comes_from_the_client() -> None:
    client = calls(
        secret=Secret("hf_client", "the argument token="),
        bill_to="client-org",
        session_id="s",
        headers={"x-a": "1", "x-b": "1"},
        timeouts=Timeouts(total=5.0),
        deadline=6.0,
        max_retries=7,
    )
    chat, target = made(of=client, extra_headers={"x-b": "2"})
    assert (chat.timeouts.total, chat.deadline, chat.max_retries) == (5.0, 6.0, 7)
    assert chat.extra_headers == {"x-a": "1", "x-b": "2"}
    assert target.secret is not None
    assert target.secret.value == "hf_client"
    assert dict(target.headers) == {"x-hf-bill-to": "client-org", "x-hf-session-id": "s"}
    chat, target = made(of=client, token="hf_call", bill_to="call-org", max_retries=0, timeout=1.0)
    assert target.secret == Secret("hf_call", "the argument token=")
    assert dict(target.headers)["x-hf-bill-to"] == "call-org"
    assert (chat.timeouts.total, chat.max_retries) == (1.0, 0)


def test_who_pays_may_come_from_the_environment() -> None:
    env = {**LOGIN, "HF_BILL_TO": "env-org"}
    assert dict(made(of=calls(env))[1].headers) == {"x-hf-bill-to": "env-org"}
    assert made(of=calls(env), api_base="https://h/v1")[1].headers == ()


def test_a_credential_goes_by_two_names() -> None:
    assert made(api_key="hf_x")[1].secret == Secret("hf_x", "the argument api_key=")
    with pytest.raises(InvalidInputError, match="are the same thing"):
        made(token="hf_x", api_key="hf_x")


def test_a_server_of_ones_own_is_named_by_the_call_or_the_client() -> None:
    client = calls({}, api_base="http://127.0.0.1:1/v1")
    target = made("llama3:8b", of=client)[1]
    assert (target.via, target.model, target.secret) == ("served", "llama3:8b", None)
    other = made("llama3:8b", of=client, api_base="http://127.0.0.1:2/v1")[1]
    assert other.url.port == 2


def test_direct_may_be_set_for_the_client_or_the_call() -> None:
    client = calls(direct=True)
    assert made("groq/org/m", of=client, token="hf_x")[1].via == "direct"
    assert made("groq/org/m", of=client, token="hf_x", direct=False)[1].via == "router"


def test_the_sandbox_needs_no_token_and_gets_none() -> None:
    assert made("sandbox/demo", of=calls({}))[1].via == "sandbox"
    assert made("sandbox/demo")[1].secret is None


def test_the_router_can_be_moved() -> None:
    env = {**LOGIN, "TRUNKLINE_ROUTER": "http://127.0.0.1:8377"}
    assert str(made(of=calls(env))[1].url) == "http://127.0.0.1:8377/v1/chat/completions"


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("org/m", {}, {"max_tokens": 5}),
        ("org/m", {"max_tokens": 3}, {"max_tokens": 3}),
        ("groq/org/m", {"token": "gsk_x"}, {"max_tokens": 5}),
        ("openai/gpt", {"token": "sk-x"}, {"max_completion_tokens": 5}),
        ("m", {"api_base": "https://h"}, {"max_completion_tokens": 5}),
    ],
)
def test_a_limit_of_tokens_is_sent_under_the_name_that_is_understood(
    model: str, given: dict[str, Any], sent: dict[str, int]
) -> None:
    assert made(model, max_completion_tokens=5, **given)[0].parameters == sent


def test_tools_are_written_as_their_schemas() -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    (tool,) = made(tools=[add])[0].parameters["tools"]
    assert tool["function"]["name"] == "add"
    assert tool["function"]["description"] == "Add two numbers."
    assert "tools" not in made(tools=[])[0].parameters


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": ""}, "names no model"),
    "a provider for a model": ({"model": "huggingface/groq"}, "names no model"),
    "a model that is no text": ({"model": None}, "not a string"),
    "a list for a model": ({"model": ["org/m"]}, "not a string"),
    "no messages": ({"messages": []}, "messages is empty"),
    "text for messages": ({"messages": "hi"}, "messages is a str"),
    "a wrong role": ({"messages": [{"role": "robot", "content": "x"}]}, "role 'robot'"),
    "a role that is no text": ({"messages": [{"role": {}, "content": "x"}]}, "has the role {}"),
    "no content": ({"messages": [{"role": "user"}]}, "has no content"),
    "a tool's result without an id": (
        {"messages": [{"role": "tool", "content": "4"}]}, "tool_call_id",
    ),
    "a missing image": (
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "/no/such/cat.png"}}]}]}, "cat.png",
    ),
    "a tool without a name": (
        {"tools": [{"type": "function", "function": {"parameters": {}}}]}, "name",
    ),
    "a tool that is none": ({"tools": [5]}, "tool"),
    "NaN": ({"temperature": math.nan}, "temperature is nan"),
    "a number as text": ({"max_tokens": "5"}, "max_tokens is '5'; an integer"),
    "no time at all": ({"deadline": 0}, "deadline is 0"),
    "negative time": ({"timeout": -1}, "timeout is -1"),
    "an address that is none": ({"api_base": "localhost:8000"}, "does not begin with http"),
    "another scheme": ({"api_base": "sandbox://x"}, "does not begin with http"),
    "a header that breaks out": ({"extra_headers": {"x": "a\r\nb: c"}}, "line breaks"),
    "who pays breaks out": ({"bill_to": "org\r\nx: y"}, "x-hf-bill-to"),
    "a session breaks out": ({"session_id": "a\nb"}, "x-hf-session-id"),
    "a key for no provider": ({"token": "gsk_x"}, "is not a Hugging Face token"),
    "a token that is no text": ({"token": 5}, "is a int"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_a_clear_error_before_anything_is_sent(
    given: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        made(**given)


@pytest.mark.parametrize("token", ["hf_x\n", "", "hf_\nx", "hf x", " hf_x"])
def test_a_bad_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(AuthenticationError, match="token=") as caught:
        made(token=token)
    assert "hf_" not in str(caught.value)


def test_an_unknown_keyword_is_refused_unless_it_is_in_the_extra_body() -> None:
    with pytest.raises(UnknownParameterError, match="'top_k'"):
        made(top_k=5)
    assert made(extra_body={"top_k": 5})[0].extra_body == {"top_k": 5}


def test_without_a_token_the_error_says_how_to_give_one() -> None:
    with pytest.raises(AuthenticationError, match="No Hugging Face token"):
        made(of=calls({}))


def test_a_token_that_was_refused_is_looked_up_again_unless_it_was_passed_in(
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text("hf_old", encoding="utf-8")
    client = calls({"HF_TOKEN_PATH": str(file)})
    used = made(of=client)[1].secret
    assert used is not None
    file.write_text("hf_new", encoding="utf-8")
    renewed = client.renew(used)
    assert renewed is not None
    assert renewed.value == "hf_new"
    assert client.renew(Secret("hf_x", "the argument token=")) is None


def test_names_of_models_are_asked_at_the_hub_with_the_login() -> None:
    client = calls({**LOGIN, "HF_ENDPOINT": "http://127.0.0.1:8377"})
    assert client.maps is client.maps
    journey, _ = client.chat("groq/org/m", HI, {"token": "gsk_own"}, stream=False)
    request = client.maps.request("org/m", journey.hub_secret(Secret("gsk_own", "the argument")))
    assert request.url.port == 8377
    assert dict(request.headers)["authorization"] == "Bearer hf_login"


def test_the_callers_own_values_are_left_as_they_are() -> None:
    extra = {"x": {"y": 1}}
    messages = [{"role": "user", "content": "hi"}]
    made(messages=messages, extra_body=extra)
    assert (messages, extra) == ([{"role": "user", "content": "hi"}], {"x": {"y": 1}})


def test_what_a_provider_does_not_take_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UnsupportedParamsError, match="Cerebras does not take store") as caught:
        made("cerebras/org/m", store=True)
    assert caught.value.hint is not None
    assert "drop_params=True" in caught.value.hint
    assert made("groq/org/m", store=True)[0].parameters == {"store": True}


def test_what_a_provider_does_not_take_is_dropped_where_that_is_asked_for() -> None:
    chat, _ = made("cerebras/org/m", store=True, seed=1, drop_params=True)
    assert chat.parameters == {"seed": 1}

"""OpenAI's Python client, unchanged, asking a gateway for responses: made by the target, and of chats."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from gateways import rows
from openai.types.responses import Response, ResponseFunctionToolCall
from pydantic import BaseModel
from questions import DATA_URL, LLAMA, SAID, VISION
from running import Gateway

from trunkline.sandbox import SandboxServer

NATIVE = LLAMA
"""Hugging Face's router makes responses itself."""
CHATTED = "emulator/sandbox/demo"
"""This upstream is asked by chats."""
BOTH = pytest.mark.parametrize("model", [NATIVE, CHATTED], ids=["native", "chatted"])
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Tell the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
Soon = Callable[[Callable[[], object]], bool]


class Report(BaseModel):
    sky: str
    degrees: int
    windy: bool


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[openai.OpenAI]:
    made = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


def create(client: openai.OpenAI, **more: Any) -> Any:
    return client.responses.create(**{"input": SAID, **more})


def text_of(events: Any) -> str:
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


@BOTH
def test_a_response_is_found_in_the_ledger_by_its_request_id(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    raw = client.responses.with_raw_response.create(model=model, input=SAID)
    answer = raw.parse()
    assert answer.output_text.startswith(f'[simulated] You said: "{SAID}"')
    assert (answer.status, answer.model, answer.object) == ("completed", model, "response")
    row = gateway.entry(raw.headers["x-request-id"])
    usage = answer.usage
    assert usage is not None
    assert (row["endpoint"], row["outcome"], row["token_source"]) == ("responses", "ok", "provider")
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert float(row["cost"]) > 0


def test_each_model_is_asked_in_the_way_that_its_upstream_has(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    create(client, model=NATIVE, metadata={"a": "b"}, store=True)
    sent = behind.requests[-1]
    assert sent.path == "/v1/responses"
    assert sent.json == {
        "input": SAID, "model": NATIVE, "metadata": {"a": "b"}, "store": True, "stream": False,
    }  # fmt: skip
    answer = create(
        client, model=CHATTED, metadata={"a": "b"}, store=True, instructions="Be short."
    )
    sent = behind.requests[-1]
    assert sent.path == "/v1/chat/completions"
    assert sent.json == {
        "model": "sandbox/demo",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": SAID}],
    }
    assert (answer.metadata, answer.instructions) == ({"a": "b"}, "Be short.")
    assert answer.to_dict()["store"] is False


@BOTH
def test_an_answer_is_what_the_clients_strict_types_want(
    gateway: Gateway, key: str, model: str
) -> None:
    base = f"{gateway.url}/v1"
    strict = openai.OpenAI(base_url=base, api_key=key, _strict_response_validation=True)
    with strict as client:
        for asked in (
            {},
            {"tools": [WEATHER], "tool_choice": "required"},
            {"max_output_tokens": 3},
        ):
            whole = create(client, model=model, **asked)
            assert isinstance(whole, Response)
            events = list(create(client, model=model, stream=True, **asked))
            assert events[-1].response.output_text == whole.output_text
            assert [event.sequence_number for event in events] == list(range(len(events)))


@BOTH
def test_a_stream_says_what_the_whole_answer_says(
    client: openai.OpenAI, gateway: Gateway, model: str
) -> None:
    whole = create(client, model=model)
    raw = client.responses.with_raw_response.create(model=model, input=SAID, stream=True)
    events = list(raw.parse())
    assert text_of(events) == whole.output_text
    assert events[0].type == "response.created"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == whole.output_text
    assert last.response.usage == whole.usage
    row = gateway.entry(raw.headers["x-request-id"])
    assert (row["stream"], row["outcome"], row["token_source"]) == (True, "ok", "provider")
    assert row["output_tokens"] == last.response.usage.output_tokens


@BOTH
def test_a_whole_loop_of_tools_whole_and_streamed(client: openai.OpenAI, model: str) -> None:
    for streamed in (False, True):
        asked: list[Any] = [{"role": "user", "content": SAID}]
        first = _answer(client, streamed, model=model, input=asked, tools=[WEATHER])
        (call,) = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
        assert json.loads(call.arguments) == {"city": "Paris"}
        told = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
        asked += [*first.output, told]
        last = _answer(client, streamed, model=model, input=asked, tools=[WEATHER])
        assert "get_weather answered: 18 degrees." in last.output_text


def _answer(client: openai.OpenAI, streamed: bool, **asked: Any) -> Any:
    if not streamed:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        return stream.get_final_response()


@BOTH
def test_several_calls_at_once_come_whole_and_streamed(client: openai.OpenAI, model: str) -> None:
    asked: Any = {
        "model": model,
        "input": "Weather in Paris, Rome and Oslo?",
        "tools": [WEATHER, {**WEATHER, "name": "get_time"}],
        "tool_choice": "required",
        "parallel_tool_calls": True,
    }
    found = [
        [(c.name, c.arguments) for c in _answer(client, way, **asked).output]
        for way in (False, True)
    ]
    assert len(found[0]) > 1
    assert found[0] == found[1]


@BOTH
def test_answers_fit_a_schema_and_are_parsed_into_models(client: openai.OpenAI, model: str) -> None:
    found = client.responses.parse(model=model, input=SAID, text_format=Report).output_parsed
    assert isinstance(found, Report)
    with client.responses.stream(model=model, input=SAID, text_format=Report) as stream:
        streamed = stream.get_final_response().output_parsed
    assert streamed == found


@BOTH
def test_a_cut_answer_is_incomplete_and_says_why(client: openai.OpenAI, model: str) -> None:
    answer = create(client, model=model, max_output_tokens=3)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    last = list(create(client, model=model, max_output_tokens=3, stream=True))[-1]
    assert last.type == "response.incomplete"


def test_images_thoughts_and_sampling_reach_a_chat(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    shown: Any = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
            ],
        }
    ]
    assert "You showed me" in create(client, model=f"emulator/{VISION}", input=shown).output_text
    create(client, model=CHATTED, reasoning={"effort": "high"}, temperature=0.5, user="u")
    sent = behind.requests[-1].json
    assert (sent["reasoning_effort"], sent["temperature"], sent["user"]) == ("high", 0.5, "u")


def test_what_a_model_thinks_is_an_item_of_its_own_and_may_be_sent_back(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    for streamed in (False, True):
        asked: Any = {"model": CHATTED, "input": SAID, "reasoning": {"effort": "high"}}
        answer = _answer(client, streamed, **asked)
        thought, said = answer.output
        assert (thought.type, said.type) == ("reasoning", "message")
        assert thought.content[0].text
        again: Any = [
            {"role": "user", "content": SAID},
            *answer.output,
            {"role": "user", "content": "Go on."},
        ]
        create(client, model=CHATTED, input=again)
        roles = [message["role"] for message in behind.requests[-1].json["messages"]]
        assert roles == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id"),
        ({"truncation": "auto"}, "truncation"),
        ({"background": True}, "background"),
        ({"input": []}, "input"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"extra_body": {"api_base": "http://127.0.0.1:9"}}, "api_base"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_named_and_nothing_is_sent(
    client: openai.OpenAI, behind: SandboxServer, asked: dict[str, Any], param: str
) -> None:
    before = len(behind.requests)
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, model=CHATTED, **asked)
    assert caught.value.param == param
    assert len(behind.requests) == before


def test_what_a_target_makes_itself_is_its_own_affair(
    client: openai.OpenAI, behind: SandboxServer
) -> None:
    tool: Any = {"type": "mcp", "server_label": "x", "server_url": "https://example.org/mcp"}
    with pytest.raises(openai.BadRequestError):
        create(client, model=NATIVE, tools=[tool])
    assert behind.requests[-1].json["tools"] == [tool]
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, model=NATIVE, background=True)
    assert caught.value.param == "background"


def test_a_key_that_is_not_for_responses_gets_none(gateway: Gateway) -> None:
    for endpoint, allowed in (("responses", True), ("chat", False)):
        secret = gateway.new_key(scope={"endpoints": [endpoint]})
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret) as client:
            if allowed:
                assert create(client, model=NATIVE).output_text
                continue
            with pytest.raises(openai.PermissionDeniedError) as caught:
                create(client, model=NATIVE)
            assert "not for responses" in caught.value.message


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("400", openai.BadRequestError, None),
        ("401", openai.InternalServerError, "upstream_credential_refused"),
        ("429-int", openai.RateLimitError, "upstream_rate_limited"),
        ("500", openai.InternalServerError, None),
        ("503", openai.InternalServerError, None),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_errors_before_an_answer_are_the_clients_own(
    client: openai.OpenAI,
    fault: str,
    kind: type[openai.APIStatusError],
    code: str | None,
    streamed: bool,
) -> None:
    with pytest.raises(kind) as caught:
        create(client, model=f"emulator/resp/fault-{fault}", stream=streamed)
    assert caught.value.request_id
    assert code is None or caught.value.code == code


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [("truncated", "upstream_truncated", "truncated"), ("error-mid-stream", None, "failed")],
)
def test_a_stream_of_a_chat_that_breaks_raises_and_is_settled_by_what_came(
    client: openai.OpenAI, gateway: Gateway, fault: str, code: str | None, outcome: str
) -> None:
    model = f"emulator/resp-mid/fault-{fault}"
    heard: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        heard.extend(event.type for event in create(client, model=model, stream=True))
    assert "response.output_text.delta" in heard
    assert heard[-1] != "response.completed"
    assert code is None or caught.value.code == code
    (row,) = rows(gateway, model, 1)
    assert (row["outcome"], row["status"]) == (outcome, 200)
    assert row["output_tokens"] > 0


def test_a_client_that_leaves_a_stream_leaves_its_upstream(
    client: openai.OpenAI, gateway: Gateway, behind: SandboxServer, soon: Soon
) -> None:
    model = "emulator/resp-gone/fault-stall;seconds=30"
    with create(client, model=model, stream=True) as stream:
        assert next(event for event in stream if event.type == "response.output_text.delta")
    left = [one for one in behind.requests if one.method == "POST" and "resp-gone" in str(one.json)]
    assert soon(lambda: left[-1].hung_up)
    (row,) = rows(gateway, model, 1)
    assert (row["status"], row["outcome"]) == (499, "cancelled")
    assert row["output_tokens"] > 0


@BOTH
def test_the_async_client_asks_eight_times_at_once(gateway: Gateway, key: str, model: str) -> None:
    async def story() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key) as client:

            async def one(number: int) -> str:
                stream = await client.responses.create(
                    model=model, input=f"Number {number}", stream=True
                )
                return text_of([event async for event in stream])

            return await asyncio.gather(*map(one, range(8)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text

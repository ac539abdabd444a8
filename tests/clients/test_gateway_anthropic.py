"""Anthropic's Python client, unchanged, against a gateway: what it asks, and what it is told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from pydantic import BaseModel
from questions import LLAMA, PNG, REPORT, SAID, SEEN, VISION
from running import Gateway

from trunkline import Client
from trunkline.sandbox import SandboxServer

MESSAGES: Any = [{"role": "user", "content": SAID}]
PLAIN = "emulator/sandbox/demo"
TOOLS: Any = [
    {
        "name": "get_weather",
        "description": "Tell the weather.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    }
]
THINKING: Any = {"type": "enabled", "budget_tokens": 8000}


@pytest.fixture(scope="module")
def client(gateway: Gateway, key: str) -> Iterator[anthropic.Anthropic]:
    made = anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=10)
    with made:
        yield made


def create(client: anthropic.Anthropic, **more: Any) -> Any:
    asked: Any = {"model": LLAMA, "messages": MESSAGES, "max_tokens": 200, **more}
    return client.messages.create(**asked)


def stream(client: anthropic.Anthropic, **more: Any) -> Any:
    asked: Any = {"model": PLAIN, "messages": MESSAGES, "max_tokens": 200, **more}
    return client.messages.stream(**asked)


def told(message: Any) -> dict[str, Any]:
    """Return what an answer says, without what each answer has of its own."""
    found: dict[str, Any] = message.to_dict()
    del found["id"]
    found.pop("stop_details", None)
    for block in found["content"]:
        block.pop("parsed_output", None)
    return found


def test_a_message_is_found_in_the_ledger_by_its_id_with_the_counts_that_it_tells(
    client: anthropic.Anthropic, gateway: Gateway
) -> None:
    raw = client.messages.with_raw_response.create(
        model=f"{LLAMA}:together", messages=MESSAGES, max_tokens=200
    )
    message = raw.parse()
    assert message.content[0].type == "text"
    assert message.content[0].text.startswith(f'[simulated] You said: "{SAID}"')
    assert (message.model, message.role) == (f"{LLAMA}:together", "assistant")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert raw.request_id == raw.headers["x-request-id"]
    assert message.id == f"msg_{str(raw.request_id).removeprefix('req_')}"
    row = gateway.entry(raw.request_id or "")
    assert (row["endpoint"], row["provider"]) == ("messages", "together")
    assert row["input_tokens"] == message.usage.input_tokens
    assert row["output_tokens"] == message.usage.output_tokens
    assert float(row["cost"]) > 0


ASKED: dict[str, dict[str, Any]] = {
    "text": {},
    "a router's model": {"model": LLAMA},
    "a system prompt": {"system": [{"type": "text", "text": "Be brief."}]},
    "a tool": {"tools": TOOLS, "tool_choice": {"type": "any"}},
    "thought": {"thinking": THINKING},
    "thought and a tool": {"thinking": THINKING, "tools": TOOLS, "tool_choice": {"type": "any"}},
    "a cut": {"max_tokens": 3},
    "a stop": {"stop_sequences": ["weather"]},
    "hidden thought": {"thinking": {**THINKING, "display": "omitted"}},
    "a form": {"output_config": {"format": {"type": "json_schema", "schema": REPORT}}},
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_a_streamed_message_adds_up_to_the_whole_one(
    client: anthropic.Anthropic, asked: dict[str, Any]
) -> None:
    whole = create(client, **{"model": PLAIN, **asked})
    with stream(client, **asked) as events:
        said = "".join(events.text_stream)
        grown = events.get_final_message()
    assert told(grown) == told(whole)
    assert said == "".join(b.text for b in whole.content if b.type == "text")


def test_why_a_message_ended_is_told(client: anthropic.Anthropic) -> None:
    cut = create(client, model=PLAIN, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    stopped = create(client, model=PLAIN, stop_sequences=["rain", "weather"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "weather")
    called = create(client, model=PLAIN, tools=TOOLS, tool_choice={"type": "any"})
    assert called.stop_reason == "tool_use"


def test_what_was_thought_comes_first_and_goes_back_unharmed(client: anthropic.Anthropic) -> None:
    first = create(client, model=PLAIN, thinking=THINKING)
    assert [block.type for block in first.content] == ["thinking", "text"]
    assert "medium effort" in first.content[0].thinking
    history = [*MESSAGES, {"role": "assistant", "content": first.content}, *MESSAGES]
    assert create(client, model=PLAIN, messages=history).stop_reason == "end_turn"
    hidden = create(client, model=PLAIN, thinking={**THINKING, "display": "omitted"})
    assert [block.type for block in hidden.content] == ["text"]


def test_a_tool_is_called_and_its_result_answered(
    client: anthropic.Anthropic, behind: SandboxServer
) -> None:
    first = create(client, tools=TOOLS, tool_choice={"type": "tool", "name": "get_weather"})
    (use,) = [block for block in first.content if block.type == "tool_use"]
    assert use.input["city"] == "Paris"
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"}
    history = [
        *MESSAGES,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = create(client, messages=history, tools=TOOLS)
    assert "get_weather answered: 18 degrees." in second.content[0].text
    sent = behind.requests[-1].json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]


def test_its_own_loop_runs_tools_until_the_answer(client: anthropic.Anthropic) -> None:
    heard: list[str] = []

    @beta_tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        heard.append(city)
        return "18 degrees"

    for streamed in (False, True):
        runner: Any = client.beta.messages.tool_runner(
            model=PLAIN, max_tokens=200, messages=MESSAGES, tools=[get_weather], stream=streamed
        )
        *_, last = runner
        message = last.get_final_message() if streamed else last
        assert "get_weather answered: 18 degrees." in message.content[0].text
    assert heard == ["Paris", "Paris"]


@pytest.mark.parametrize(
    "fault",
    [
        "tools-in-turn",
        "tools-backwards",
        "tools-no-index",
        "tools-same-index",
        "tools-repeated-id",
        "tools-empty-id",
        "tools-whole",
        "tools-object",
        "tools-single",
    ],
)
def test_several_calls_come_one_after_the_other_however_they_were_sent(
    client: anthropic.Anthropic, fault: str
) -> None:
    model = f"emulator/sandbox/fault-{fault}"
    begun: list[int] = []
    ended: list[int] = []
    with stream(client, model=model, tools=TOOLS) as events:
        for event in events:
            if event.type == "content_block_start":
                assert len(begun) == len(ended)
                begun.append(event.index)
            elif event.type == "content_block_stop":
                ended.append(event.index)
        message = events.get_final_message()
    assert begun == ended == list(range(len(message.content)))
    uses = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert {(use.id, use.input["city"]) for use in uses} == {
        ("call_a", "Paris"),
        ("call_b", "Tokyo"),
    }


def test_images_are_shown_whole_and_by_url(client: anthropic.Anthropic) -> None:
    data = base64.b64encode(PNG).decode()
    packed = {"type": "base64", "media_type": "image/png", "data": data}
    shown = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": packed},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}},
    ]
    message = create(client, model=VISION, messages=[{"role": "user", "content": shown}])
    assert SEEN in message.content[0].text


class Report(BaseModel):
    sky: str
    degrees: int
    windy: bool


def test_a_typed_answer_is_read_by_its_own_helper(client: anthropic.Anthropic) -> None:
    message = client.messages.parse(
        model=PLAIN, max_tokens=200, messages=MESSAGES, output_format=Report
    )
    assert isinstance(message.parsed_output, Report)


def test_counts_are_estimates_that_cost_nothing(
    client: anthropic.Anthropic, gateway: Gateway, behind: SandboxServer
) -> None:
    model = "emulator/counted"
    short = client.messages.count_tokens(model=model, messages=MESSAGES)
    long: Any = [{"role": "user", "content": SAID * 100}]
    more = client.messages.count_tokens(model=model, messages=long, system="Be brief.")
    assert 0 < short.input_tokens < more.input_tokens
    assert short.to_dict()["estimated"] is True
    assert len(SAID) * 100 / 4 <= more.input_tokens < len(SAID) * 100 / 3
    with pytest.raises(anthropic.BadRequestError, match=r"tools\.0"):
        client.messages.count_tokens(
            model=model, messages=MESSAGES, tools=[{"type": "bash_20250124", "name": "bash"}]
        )
    later = client.messages.with_raw_response.create(model=PLAIN, messages=MESSAGES, max_tokens=5)
    assert gateway.entry(later.request_id or "")["endpoint"] == "messages"
    assert model not in [row["model"] for row in gateway.ledger()]
    asked = [one.json["model"] for one in behind.requests if one.method == "POST"]
    assert "counted" not in asked


def test_models_are_listed_and_one_is_found_by_its_name(client: anthropic.Anthropic) -> None:
    names = [model.id for model in client.models.list(limit=5)]
    assert LLAMA in names
    assert len(set(names)) == len(names)
    one = client.models.retrieve(LLAMA)
    assert (one.id, one.type, one.display_name) == (LLAMA, "model", LLAMA)
    assert one.created_at.year >= 1970


def test_what_claude_code_sends_is_taken(
    client: anthropic.Anthropic, behind: SandboxServer, gateway: Gateway, key: str
) -> None:
    cached = {"type": "ephemeral", "ttl": "1h"}
    asked = {
        "model": PLAIN,
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "You are a tool for code."},
            {"type": "text", "text": "Be brief.", "cache_control": cached},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>Today.</system-reminder>"},
                    {"type": "text", "text": SAID, "cache_control": cached},
                ],
            }
        ],
        "tools": [{**TOOLS[0], "name": f"Tool{n}"} for n in range(30)],
        "metadata": {"user_id": "user_" + "0" * 64 + "_account__session_" + "1" * 36},
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "temperature": 1,
    }
    status, headers, raw = gateway.ask(
        "POST",
        "/v1/messages?beta=true",
        asked,
        key,
        anthropic_version="2023-06-01",
        anthropic_beta="claude-code-20250219,interleaved-thinking-2025-05-14",
    )
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    names = [line[7:] for line in raw.decode().splitlines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-2:] == ["message_delta", "message_stop"]
    sent = behind.requests[-1].json
    assert sent["messages"][0]["content"] == "You are a tool for code.\n\nBe brief."
    assert len(sent["user"]) == 64
    assert sent["reasoning_effort"] == "medium"
    assert sent.keys() == {
        "model", "max_tokens", "messages", "tools", "user", "reasoning_effort", "temperature",
        "stream", "stream_options",
    }  # fmt: skip


def test_the_async_client_streams_eight_at_once(gateway: Gateway, key: str) -> None:
    async def story() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=gateway.url, auth_token=key) as client:

            async def one(number: int) -> str:
                asked: Any = [{"role": "user", "content": f"Number {number}"}]
                async with client.messages.stream(
                    model=LLAMA, messages=asked, max_tokens=100
                ) as events:
                    return await events.get_final_text()

            return await asyncio.gather(*map(one, range(8)))

    for number, text in enumerate(asyncio.run(story())):
        assert f'"Number {number}"' in text


def test_every_line_of_a_stream_is_one_that_the_api_has(gateway: Gateway, key: str) -> None:
    asked = {"model": PLAIN, "max_tokens": 50, "messages": MESSAGES, "stream": True}
    _, headers, raw = gateway.ask("POST", "/v1/messages", asked, key)
    assert headers["request-id"] == headers["x-request-id"]
    for block in raw.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        assert json.loads(data.removeprefix("data: "))["type"] == name.removeprefix("event: ")


def test_our_own_client_asks_for_messages_at_a_gateway(gateway: Gateway, key: str) -> None:
    asked: Any = {"max_tokens": 200, "api_base": f"{gateway.url}/v1", "token": key}
    with Client() as client:
        whole = client.messages("openai/emulator/sandbox/demo", MESSAGES, **asked)
        with client.messages(
            "openai/emulator/sandbox/demo", MESSAGES, stream=True, **asked
        ) as events:
            said = "".join(events.text)
    assert whole.text == said
    assert events.whole.stop_reason == whole.stop_reason == "end_turn"
    assert events.whole.usage == whole.usage

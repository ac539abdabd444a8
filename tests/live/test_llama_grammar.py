"""Tool calls and typed answers that llama.cpp's grammars make real, from a model that is random.

Every string in a schema is one of a few, or has a pattern: the grammar of a free string lets a
random model write for ever.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from peers import Peer
from pydantic import BaseModel, Field

from trunkline import AsyncClient, Client, ToolRun, arun_tools, run_tools
from trunkline.structured import response_format_for

pytestmark = pytest.mark.live

HELLO: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
PRINTABLE = {str(token): -100 for token in (*range(32), *range(127, 256))}
Unit = Literal["celsius", "fahrenheit"]
FORCED: Any = {"type": "function", "function": {"name": "get_weather"}}


def get_weather(unit: Unit, detailed: bool) -> dict[str, Any]:
    """Tell the weather in Paris.

    Args:
        unit: What to measure in.
        detailed: Whether to tell more.
    """
    return {"degrees": 18, "unit": unit, "detailed": detailed}


async def get_weather_soon(unit: Unit) -> str:
    """Tell the weather in Paris, later."""
    await asyncio.sleep(0)
    return f"18 degrees {unit}"


class Report(msgspec.Struct):
    sky: Literal["clear", "cloudy", "grey"]
    windy: bool
    unit: Unit
    station: Annotated[str, msgspec.Meta(pattern="^[A-C]{2}$")]


class Day(BaseModel):
    name: Literal["monday", "tuesday"]
    holiday: bool


class Week(BaseModel):
    days: Annotated[list[Day], Field(min_length=1, max_length=2)]
    done: bool


def by_grammar(kind: Any) -> dict[str, Any]:
    """Return the format in the only form that this server takes: the schema beside its type."""
    schema = response_format_for(kind)["json_schema"]["schema"]
    return {"type": "json_object", "schema": schema}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_forced_call_names_its_tool_once_and_fits_its_schema(
    client: Client, llama: Peer, streamed: bool
) -> None:
    given: Any = {"tools": [get_weather], "tool_choice": FORCED, "max_tokens": 128}
    given["api_base"] = llama.base_url
    if streamed:
        answer = client.stream(llama.model, HELLO, **given).collect()
    else:
        answer = client.chat(llama.model, HELLO, **given)
    (call,) = answer.tool_calls
    assert call.function.name == "get_weather"  # this server repeats it in every chunk
    assert call.id
    arguments = json.loads(call.function.arguments)
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert isinstance(arguments["detailed"], bool)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_tools_result_goes_back_and_the_model_answers_in_words(
    client: Client, llama: Peer
) -> None:
    run = run_tools(
        llama.model,
        HELLO,
        [get_weather],
        client=client,
        api_base=llama.base_url,
        tool_choice=FORCED,
        max_tokens=128,
        logit_bias=PRINTABLE,
    )
    (call,) = run.calls
    assert call.error is None
    assert call.result["degrees"] == 18
    roles = [message["role"] for message in run.messages]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert len(run.completions) == 2
    first, last = (answer.usage for answer in run.completions)
    assert first is not None
    assert last is not None
    assert (last.prompt_tokens or 0) > (first.prompt_tokens or 0)  # the result has reached it


def test_the_loop_awaits_async_tools(llama: Peer) -> None:
    async def story() -> ToolRun:
        async with AsyncClient(api_base=llama.base_url) as client:
            return await arun_tools(
                llama.model,
                HELLO,
                [get_weather_soon],
                client=client,
                tool_choice={"type": "function", "function": {"name": "get_weather_soon"}},
                max_tokens=128,
                logit_bias=PRINTABLE,
            )

    (call,) = asyncio.run(story()).calls
    assert call.error is None
    assert call.content.startswith("18 degrees ")


@pytest.mark.parametrize("kind", [Report, Week], ids=["struct", "pydantic"])
def test_an_answer_written_by_the_types_grammar_is_read_as_the_type(
    client: Client, llama: Peer, kind: Any
) -> None:
    found = client.chat(
        llama.model,
        HELLO,
        api_base=llama.base_url,
        response_model=kind,
        extra_body={"response_format": by_grammar(kind)},
        max_tokens=256,
    )
    assert isinstance(found, kind)


def test_an_async_answer_is_read_as_the_type(llama: Peer) -> None:
    async def story() -> Report:
        async with AsyncClient(api_base=llama.base_url) as client:
            return await client.chat(
                llama.model,
                HELLO,
                response_model=Report,
                extra_body={"response_format": by_grammar(Report)},
                max_tokens=256,
            )

    assert asyncio.run(story()).sky in ("clear", "cloudy", "grey")


def test_a_streamed_answer_by_grammar_is_whole_json(client: Client, llama: Peer) -> None:
    answer = client.stream(
        llama.model,
        HELLO,
        api_base=llama.base_url,
        response_format=by_grammar(Report),
        max_tokens=256,
    ).collect()
    assert msgspec.json.decode(answer.text, type=Report).unit in ("celsius", "fahrenheit")
    assert answer.choices[0].finish_reason == "stop"

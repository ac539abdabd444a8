"""Providers with a fault of their own, and answers that are whole but not those of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trunkline.sandbox import Pause, Reply, Sandbox
from trunkline.sandbox.fault import UnknownFaultError

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}
Ask = Callable[[Sandbox], Any]


def said(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    message: dict[str, Any] = msgspec.json.decode(reply.body)["choices"][0]["message"]
    return message


def streamed(reply: Reply) -> str:
    events = [p[6:] for p in reply.steps if isinstance(p, bytes) and p[6:7] == b"{"]
    chunks = [msgspec.json.decode(event) for event in events]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


def test_at_temperature_0_every_provider_answers_alike(asker: Any) -> None:
    greedy = {
        said(asker.chat(f"{LLAMA}:{name}", temperature=0))["content"]
        for name in ("novita", "deepinfra", "cerebras", "featherless-ai")
    }
    assert len(greedy) == 1
    warm = {said(asker.chat(f"{LLAMA}:{name}"))["content"] for name in ("novita", "cerebras")}
    assert len(warm) == 2


def test_a_provider_can_have_a_fault_of_its_own(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"novita": "drift-words", "cerebras": "503"}))
    good = said(asker.chat(f"{LLAMA}:deepinfra", temperature=0))["content"]
    odd = said(asker.chat(f"{LLAMA}:novita", temperature=0))["content"]
    assert good.startswith("[simulated]")
    assert odd != good
    assert len(odd) == len(good)
    assert asker.chat(f"{LLAMA}:cerebras").status == 503
    assert asker.get("/v1/models").status == 200


def test_the_fault_is_that_of_the_provider_whom_the_router_chose(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"cerebras": "503"}))
    assert asker.chat(f"{LLAMA}:fastest").status == 503
    assert asker.chat(f"{LLAMA}:cheapest").status == 200
    own = {"model": "llama3.1-8b", "messages": [{"role": "user", "content": "Hello"}]}
    assert asker.post("/cerebras/v1/chat/completions", own).status == 503


def test_a_providers_fault_can_pass(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"novita": "503;times=2"}))
    assert [asker.chat(f"{LLAMA}:novita").status for _ in range(4)] == [503, 503, 200, 503]


@pytest.mark.parametrize("told", ["no-such", "job-failed"])
def test_a_fault_that_no_provider_can_have_is_refused(told: str) -> None:
    with pytest.raises(UnknownFaultError, match=told):
        Sandbox(at={"novita": told})


def test_a_slow_provider_waits_before_its_head(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"novita": "slow;seconds=0.5"}))
    assert asker.chat(f"{LLAMA}:novita").before == (Pause(0.5),)


def test_streamed_and_whole_drift_is_the_same(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"novita": "drift-json"}))
    asked = {"temperature": 0, "response_format": FORM}
    good = said(asker.chat(f"{LLAMA}:deepinfra", **asked))["content"]
    whole = said(asker.chat(f"{LLAMA}:novita", **asked))["content"]
    assert whole == "Sure! Here is the JSON: " + good
    assert streamed(asker.chat(f"{LLAMA}:novita", stream=True, **asked)) == whole
    plain = said(asker.chat(f"{LLAMA}:novita", temperature=0))["content"]
    assert plain.startswith("[simulated]")


def test_a_call_of_a_tool_is_spelt_out(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"novita": "drift-tools"}))
    asked = {"said": "What is the weather in Oslo?", "tools": [TOOL], "temperature": 0}
    good = said(asker.chat(f"{LLAMA}:deepinfra", **asked))["tool_calls"][0]["function"]
    odd = said(asker.chat(f"{LLAMA}:novita", **asked))
    assert "tool_calls" not in odd
    assert odd["content"] == f"get_weather{good['arguments']}"
    assert streamed(asker.chat(f"{LLAMA}:novita", stream=True, **asked)) == odd["content"]


def test_a_short_context_shows_where_the_request_is_long(ask_with: Ask) -> None:
    asker = ask_with(Sandbox(at={"novita": "drift-context"}))

    def answers(text: str) -> set[str]:
        asked = (asker.chat(f"{LLAMA}:{p}", text, temperature=0) for p in ("cerebras", "novita"))
        return {said(reply)["content"] for reply in asked}

    assert len(answers("Hello")) == 1
    assert len(answers("Hello " * 500)) == 2

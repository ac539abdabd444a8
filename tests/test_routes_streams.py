"""Streams on routes that break after their first token, awaited calls, cancellation and deadlines."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from routed_side import ASK, MODEL, Serve, chats, sandboxed, steps, whole
from trunkline import AsyncClient, Client, errors
from trunkline.types import Completion, Timeouts

__all__ = ["sandboxed"]


def streamed(client: Client, on_cut: str, **more: Any) -> tuple[str, Completion]:
    route = {"places": ["together", "groq"], "on_cut": on_cut, **more}
    with client.stream(MODEL, ASK, route=route, temperature=0) as stream:
        text = "".join(stream.text)
    return text, stream.completion


def test_a_cut_stream_is_an_error_unless_the_route_says_otherwise(sandboxed: Serve):
    with (
        sandboxed({"together": "cut"}) as (client, _),
        pytest.raises(errors.StreamTruncated) as caught,
    ):
        streamed(client, "error")
    assert caught.value.partial.choices[0].message.content


@pytest.mark.parametrize("fault", ["cut", "reset", "error-mid-stream", "broken-json", "truncated"])
def test_a_cut_stream_is_begun_anew_and_delivered_on_where_it_begins_alike(
    sandboxed: Serve, fault: str
):
    with sandboxed() as (client, _):
        good, _ = streamed(client, "error")
    with sandboxed({"together": fault}) as (client, _):
        text, completion = streamed(client, "restart")
    assert text == good == completion.choices[0].message.content
    assert completion.receipt is not None
    assert steps(completion.receipt)[-1] == ("groq", "restart", None)
    assert completion.receipt.attempts[0].tokens is not None
    assert completion.receipt.route is not None
    assert "once more" in completion.receipt.route.notes[0]


def test_an_answer_that_begins_otherwise_is_not_delivered_on(sandboxed: Serve):
    with sandboxed({"together": "cut", "groq": "drift-words"}) as (client, _):
        got: list[str] = []
        route = {"places": ["together", "groq"], "on_cut": "restart"}
        stream = client.stream(MODEL, ASK, route=route, temperature=0)
        with pytest.raises(errors.StreamTruncated) as caught:
            got.extend(stream.text)
    assert caught.value.partial.choices[0].message.content == "".join(got)
    assert "begins otherwise" in (caught.value.hint or "")
    assert {a.provider for a in caught.value.attempts} == {"together", "groq"}


def test_a_cut_stream_is_continued_where_a_place_is_known_to_go_on(sandboxed: Serve):
    with sandboxed({"together": "cut"}) as (client, server):
        text, completion = streamed(client, "continue", takes_prefix=["groq"])
        last = json.loads(
            [s for s in server.requests if s.path.endswith("/chat/completions")][-1].body
        )
    assert last["messages"][-1]["role"] == "assistant"
    begun = last["messages"][-1]["content"]
    assert text.startswith(begun)
    assert completion.choices[0].message.content == text
    assert completion.usage is None, "nobody counted the whole"
    assert completion.receipt is not None
    assert completion.receipt.tokens.source == "estimated"
    assert steps(completion.receipt)[-1] == ("groq", "continue", None)


def test_where_no_place_goes_on_from_a_beginning_the_whole_is_asked_for(sandboxed: Serve):
    with sandboxed({"together": "cut"}) as (client, _):
        _, completion = streamed(client, "continue")
    assert completion.receipt is not None
    assert steps(completion.receipt)[-1] == ("groq", "restart", None)


def test_a_place_that_refuses_a_beginning_is_asked_for_the_whole(sandboxed: Serve):
    with (
        sandboxed({"together": "cut"}) as (client, _),
        pytest.raises(errors.StreamTruncated) as caught,
    ):
        streamed(client, "continue", takes_prefix=["groq"], deny=["groq"])
    assert caught.value.hint


def test_what_is_held_is_not_delivered_before_its_time_and_fails_over_unseen(sandboxed: Serve):
    with sandboxed({"together": "cut"}) as (client, _):
        _, completion = streamed(client, "hold")
        assert completion.receipt is not None
        assert steps(completion.receipt)[-1] == ("groq", "failover", None)
    with sandboxed({"together": "cut"}) as (client, _), pytest.raises(errors.StreamTruncated):
        streamed(client, "hold", hold_tokens=2)
    with sandboxed() as (client, _):
        text, _ = streamed(client, "hold", hold_seconds=0.05)
        assert text


def test_tool_calls_that_were_delivered_are_not_begun_anew(sandboxed: Serve):
    tool = {
        "type": "function",
        "function": {
            "name": "find",
            "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
        },
    }
    with sandboxed({"together": "tools-cut"}) as (client, server):
        route = {"places": ["together", "groq"], "on_cut": "restart"}
        with pytest.raises(errors.StreamTruncated):
            client.stream(MODEL, ASK, route=route, tools=[tool], tool_choice="required").collect()
        assert chats(server)["groq"] == 0


# awaiting


def test_awaited_calls_do_the_same(sandboxed: Serve):
    async def work() -> None:
        async with AsyncClient() as client:
            answer = await client.chat(MODEL, ASK, route=["together", "groq"], temperature=0)
            assert steps(answer.receipt)[-1] == ("groq", "failover", None)
            route = {"places": ["together", "groq"], "on_cut": "restart"}
            async with client.stream(MODEL, ASK, route=route, temperature=0) as stream:
                text = "".join([piece async for piece in stream.text])
            assert stream.completion.choices[0].message.content == text
            assert steps(stream.completion.receipt)[-1] == ("groq", "restart", None)

    with sandboxed({"together": "cut"}):
        asyncio.run(work())


def test_a_cancelled_call_leaves_its_place_as_it_was(sandboxed: Serve):
    async def work() -> None:
        async with AsyncClient() as client:
            route = {"places": ["together", "groq"], "first_token_seconds": 30}
            call = asyncio.create_task(client.chat(MODEL, ASK, route=route))
            while not [s for s in server.requests if s.path.endswith("completions")]:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    with sandboxed({"together": "stall-head"}) as (_, server):
        asyncio.run(work())


@pytest.mark.slow
def test_a_deadline_holds_for_all_places_together(sandboxed: Serve):
    route = {"places": ["together", "groq"], "first_token_seconds": 0.2}
    silent = sandboxed({"together": "stall-head", "groq": "stall-head"})
    with silent as (client, _), pytest.raises(errors.DeadlineExceeded):
        whole(client, route, deadline=0.5)


# what is left of one that nobody could go on with


@pytest.mark.parametrize("on_cut", ["restart", "continue"])
def test_an_error_after_a_cut_that_nobody_could_mend_has_what_was_delivered(
    sandboxed: Serve, on_cut: str
):
    got: list[str] = []
    with sandboxed({"together": "cut", "groq": "503"}) as (client, _):
        route = {"places": ["together", "groq"], "on_cut": on_cut, "takes_prefix": ["groq"]}
        stream = client.stream(MODEL, ASK, route=route, temperature=0)
        with pytest.raises(errors.StreamTruncated) as caught:
            got.extend(stream.text)
    assert caught.value.partial is not None
    assert caught.value.partial.choices[0].message.content == "".join(got)
    assert {a.provider for a in caught.value.attempts} == {"together", "groq"}


def test_an_awaited_one_has_it_too(sandboxed: Serve):
    async def work() -> None:
        got: list[str] = []
        async with AsyncClient() as client:
            route = {"places": ["together", "groq"], "on_cut": "restart"}
            stream = client.stream(MODEL, ASK, route=route, temperature=0)
            with pytest.raises(errors.StreamTruncated) as caught:
                async for piece in stream.text:
                    got.append(piece)  # noqa: PERF401 - what came before the error counts
        assert caught.value.partial is not None
        assert caught.value.partial.choices[0].message.content == "".join(got)

    with sandboxed({"together": "cut", "groq": "503"}):
        asyncio.run(work())


def test_a_whole_answer_may_take_no_longer_than_an_attempts_limit(sandboxed: Serve):
    with sandboxed({"together": "stall"}) as (client, _):
        answer = whole(client, ["together", "groq"], timeout=Timeouts(total=0.6))
    assert answer.receipt is not None
    assert steps(answer.receipt) == [
        ("together", "first", "Timeout"),
        ("groq", "failover", None),
    ]


def test_wrong_limits_are_refused_before_anything_is_sent(sandboxed: Serve):
    with sandboxed() as (client, server):
        with pytest.raises(errors.InvalidInputError):
            client.chat(MODEL, ASK, route="fastest", timeout=-1)
        with pytest.raises(errors.InvalidInputError):
            client.chat(MODEL, ASK, route="fastest", deadline=0)
        assert not server.requests


@pytest.mark.parametrize("places", [["together"], ["together", "groq"]])
def test_a_deadline_that_passes_in_the_middle_of_a_whole_answer_is_said_to_be_one(
    sandboxed: Serve, places: list[str]
):
    with sandboxed({"together": "stall"}) as (client, server):
        with pytest.raises(errors.DeadlineExceeded) as caught:
            whole(client, places, deadline=1.6)
        assert chats(server) == {"together": 1}
    assert [a.error for a in caught.value.attempts] == ["DeadlineExceeded"]
    assert caught.value.route is not None


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_a_stream_that_is_left_while_another_place_is_asked_is_over_at_once(
    sandboxed: Serve, how: str
):
    async def work() -> None:
        async with AsyncClient() as client:
            route = {"places": ["together", "groq"], "on_cut": "restart", "first_token_seconds": 99}
            stream = client.stream(MODEL, ASK, route=route, temperature=0)

            async def read() -> None:
                async for _ in stream:
                    pass

            reading = asyncio.create_task(read())
            while not chats(server)["groq"]:
                await asyncio.sleep(0.01)
            if how == "closed":
                await stream.close()
            else:
                reading.cancel()
            with pytest.raises((errors.StreamTruncated, asyncio.CancelledError)) as caught:
                await asyncio.wait_for(reading, 30)
            assert isinstance(caught.value, errors.StreamTruncated) is (how == "closed")
            await stream.close()
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    with sandboxed({"together": "cut", "groq": "stall-head"}) as (_, server):
        asyncio.run(work())
        left = [s for s in server.requests if b":groq" in s.body]
        while any(s.hung_up is None for s in left):
            time.sleep(0.01)

"""The tool loop, blocking and awaiting, against a model that follows a script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

from trunkline.errors import InvalidInputError, RateLimitError, ToolRoundsExceeded
from trunkline.tool_loop import CallMade, ToolRun, arun_tools, run_tools
from trunkline.types import Choice, Completion, FunctionCall, Message, ToolCall

ASKED = [{"role": "user", "content": "Go."}]


def calling(*calls: tuple[str, str]) -> Completion:
    """Return an answer that calls tools: names and arguments."""
    made = [ToolCall(f"id{i}", FunctionCall(name, text)) for i, (name, text) in enumerate(calls)]
    message = Message(tool_calls=made, reasoning="hm")
    return Completion("c", "m", [Choice(0, message, "tool_calls")])


def saying(text: str) -> Completion:
    return Completion("c", "m", [Choice(0, Message(content=text), "stop")])


class Script:
    """A client whose model answers as written; it keeps what it was asked."""

    def __init__(self, *answers: Completion | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def chat(self, model: str, messages: Any, **parameters: Any) -> Completion:
        self.asked.append({"model": model, "messages": messages, **parameters})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class AsyncScript(Script):
    async def chat(self, model: str, messages: Any, **parameters: Any) -> Completion:  # type: ignore[override]  # the awaiting twin
        await asyncio.sleep(0)
        return super().chat(model, messages, **parameters)


Runner = Callable[..., ToolRun]


def blocking(answers: Sequence[Any], tools: Any, **more: Any) -> tuple[ToolRun, Script]:
    client = Script(*answers)
    return run_tools("m", ASKED, tools, client=client, **more), client


def awaiting(answers: Sequence[Any], tools: Any, **more: Any) -> tuple[ToolRun, Script]:
    client = AsyncScript(*answers)
    return asyncio.run(arun_tools("m", ASKED, tools, client=client, **more)), client


both = pytest.mark.parametrize("run", [blocking, awaiting])


def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


def told(run: ToolRun) -> list[str]:
    return [message["content"] for message in run.messages if message["role"] == "tool"]


@both
def test_an_answer_without_calls_ends_at_once(run: Any) -> None:
    done, client = run([saying("Hi.")], [add], temperature=0.5)
    assert done.text == "Hi."
    assert done.messages == [*ASKED, {"role": "assistant", "content": "Hi."}]
    assert done.calls == ()
    assert client.asked[0]["temperature"] == 0.5
    assert client.asked[0]["tools"][0]["function"]["name"] == "add"


@both
def test_calls_are_made_and_told_to_the_model(run: Any) -> None:
    answers = [calling(("add", '{"a": 1}'), ("add", '{"a": 2, "b": 3}')), saying("2 and 5.")]
    done, client = run(answers, [add])
    assert done.completions == tuple(answers)
    assert done.completion is answers[1]
    assert [(c.id, c.name, c.arguments, c.result, c.error) for c in done.calls] == [
        ("id0", "add", {"a": 1}, 2, None),
        ("id1", "add", {"a": 2, "b": 3}, 5, None),
    ]
    asked = client.asked[1]["messages"]
    assert asked == done.messages[:-1]
    assert asked[1]["role"] == "assistant"
    assert "reasoning" not in asked[1]
    assert [call["id"] for call in asked[1]["tool_calls"]] == ["id0", "id1"]
    assert asked[2:] == [
        {"role": "tool", "tool_call_id": "id0", "content": "2"},
        {"role": "tool", "tool_call_id": "id1", "content": "5"},
    ]


@both
def test_a_run_goes_on_from_the_messages_of_another(run: Any) -> None:
    done, _ = run([calling(("add", '{"a": 1}')), saying("2.")], [add])
    client = Script(saying("Bye."))
    more = [*done.messages, {"role": "user", "content": "Thanks."}]
    again = run_tools("m", more, [add], client=client)
    assert len(again.messages) == len(done.messages) + 2


@dataclass
class Point:
    x: int


class Box(pydantic.BaseModel):
    size: int


class Tag(msgspec.Struct):
    name: str


RESULTS = [
    ("text", "text"),
    ("", ""),
    (None, "null"),
    ({"a": [1, 2.5, True]}, '{"a":[1,2.5,true]}'),
    (Point(1), '{"x":1}'),
    ([Box(size=2)], '[{"size":2}]'),
    (Tag("é"), '{"name":"é"}'),
    (object(), '{"error":"TypeError: a object cannot be written as JSON"}'),
]


@both
@pytest.mark.parametrize(("result", "content"), RESULTS, ids=[row[1] for row in RESULTS])
def test_results_become_text(run: Any, result: Any, content: str) -> None:
    def give() -> Any:
        return result

    done, _ = run([calling(("give", "{}")), saying(".")], [give])
    assert told(done) == [content]


def move(to: Point, box: Box | None = None) -> str:
    assert isinstance(to, Point)
    return f"{to.x} {box.size if box else '-'}"


def fail(why: str) -> None:
    raise LookupError(why)


def stop() -> None:
    raise StopIteration


GIVEN_BACK = [
    ("nothing", "{}", "there is no tool 'nothing'; there are add, move, fail, stop"),
    ("add", '{"a": "x"}', "the arguments do not fit: Expected `int`, got `str` - at `$.a`"),
    ("add", '{"a": 1', "the arguments do not fit: Input data was truncated"),
    ("add", "[1]", "the arguments do not fit: Expected `object`, got `array`"),
    ("add", '{"c": 1}', "the arguments do not fit: there is no argument 'c'; those that exist"),
    ("move", '{"to": {"x": 1}, "box": {}}', "size: Field required - at `$.box`"),
    ("fail", '{"why": "gone"}', "LookupError: gone"),
    ("stop", "", "StopIteration: "),
]


@both
@pytest.mark.parametrize(("name", "text", "says"), GIVEN_BACK)
def test_what_goes_wrong_is_told_to_the_model(run: Any, name: str, text: str, says: str) -> None:
    done, client = run([calling((name, text)), saying("Sorry.")], [add, move, fail, stop])
    (call,) = done.calls
    assert says in (call.error or "")
    assert msgspec.json.decode(call.content) == {"error": call.error}
    assert "Traceback" not in call.content
    sent = client.asked[1]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert isinstance(msgspec.json.decode(sent), dict)  # servers parse it and fail on others


@both
@pytest.mark.parametrize("text", ["", " ", "null", "{}"])
def test_no_arguments_can_be_written_in_several_ways(run: Any, text: str) -> None:
    def now() -> str:
        return "noon"

    done, _ = run([calling(("now", text)), saying(".")], [now])
    assert told(done) == ["noon"]


@both
def test_a_model_that_never_answers_is_stopped(run: Any) -> None:
    with pytest.raises(ToolRoundsExceeded) as caught:
        run([calling(("add", '{"a": 1}'))] * 2, [add], max_rounds=2)
    assert [m["role"] for m in caught.value.messages] == [
        *("user", "assistant", "tool", "assistant", "tool")
    ]
    assert len(caught.value.completions) == 2
    assert "max_rounds" in str(caught.value)


@both
def test_a_forced_tool_choice_holds_for_one_round(run: Any) -> None:
    answers = [calling(("add", '{"a": 1}')), saying(".")]
    _, client = run(answers, [add], tool_choice="required")
    assert [asked["tool_choice"] for asked in client.asked] == ["required", "auto"]


@both
def test_each_call_is_reported_when_it_is_done(run: Any) -> None:
    seen: list[CallMade] = []
    answers = [calling(("add", '{"a": 1}'), ("nothing", "{}")), saying(".")]
    done, _ = run(answers, [add], on_call=seen.append)
    assert sorted(seen, key=lambda call: call.id) == list(done.calls)


@both
def test_an_error_of_the_call_itself_is_raised(run: Any) -> None:
    with pytest.raises(RateLimitError):
        run([calling(("add", '{"a": 1}')), RateLimitError("Slow down.")], [add])


async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x


BAD: list[tuple[Any, dict[str, Any], str]] = [
    ([], {}, "tools is empty"),
    ([{"type": "function"}], {}, "tools[0] is a dict"),
    ([add, add], {}, "Two tools"),
    ([lambda: 1], {}, "no name"),
    ([add], {"max_rounds": 0}, "max_rounds"),
    ([add], {"stream": True}, "stream"),
    ([add], {"response_model": Point}, "response_model"),
]


@both
@pytest.mark.parametrize(("tools", "more", "says"), BAD, ids=[row[2] for row in BAD])
def test_bad_input_is_refused_before_anything_is_asked(
    run: Any, tools: Any, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        run([], tools, **more)
    assert says in caught.value.message


def test_an_async_function_needs_the_awaiting_loop() -> None:
    with pytest.raises(InvalidInputError, match="later is an async function"):
        blocking([], [later])
    done, _ = awaiting([calling(("later", '{"x": 3}')), saying(".")], [later])
    assert told(done) == ["3"]


def test_an_async_function_that_raises_is_told_to_the_model() -> None:
    async def broken() -> None:
        raise ValueError("no")

    done, _ = awaiting([calling(("broken", "{}")), saying(".")], [broken])
    assert told(done) == ['{"error":"ValueError: no"}']


def test_awaited_calls_of_a_round_run_at_the_same_time() -> None:
    meeting = asyncio.Barrier(2)
    threads = threading.Barrier(2)

    async def meet(x: int) -> int:
        await meeting.wait()
        return x

    def gather(x: int) -> int:
        threads.wait(timeout=10)
        return x

    both_kinds = [(name, f'{{"x": {x}}}') for name in ("meet", "gather") for x in (1, 2)]
    done, _ = awaiting([calling(*both_kinds), saying(".")], [meet, gather])
    assert told(done) == ["1", "2", "1", "2"]


def test_blocking_calls_stay_in_the_callers_thread() -> None:
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    done, _ = blocking([calling(("where", "{}"), ("where", "{}")), saying(".")], [where])
    assert told(done) == ["true", "true"]

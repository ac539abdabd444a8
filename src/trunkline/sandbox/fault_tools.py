"""Faults of tool calls (F12): fragments that come in odd forms and orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.dialects.openai_server import DONE_EVENT
from trunkline.sandbox.fault import Case, Fault, event_of
from trunkline.sandbox.reply import Reply
from trunkline.wire import strict_json

_Call = dict[str, Any]
_ARGUMENTS = ({"city": "Paris"}, {"city": "Tokyo"})
_IDS = ("call_a", "call_b")


def _names(case: Case) -> tuple[str, str]:
    """Return the names of two tools, from the request where it has some."""
    tools = case.asked.get("tools")
    told = [
        tool["function"]["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    ]
    names = [name for name in told if isinstance(name, str)] or ["get_weather"]
    return names[0], names[-1]


def _fragments(case: Case) -> list[list[_Call]]:
    """Return two calls in three fragments each, in OpenAI's form: what the faults distort."""
    calls = []
    for index, name in enumerate(_names(case)):
        text = strict_json.encode(_ARGUMENTS[index]).decode()
        first: _Call = {"index": index, "id": _IDS[index], "type": "function"}
        calls.append(
            [
                {**first, "function": {"name": name, "arguments": ""}},
                {"index": index, "function": {"arguments": text[:5]}},
                {"index": index, "function": {"arguments": text[5:]}},
            ]
        )
    return calls


def _whole(case: Case, *, decoded: bool = False) -> list[_Call]:
    return [
        {
            "id": _IDS[index],
            "type": "function",
            "function": {
                "name": name,
                "arguments": _ARGUMENTS[index]
                if decoded
                else strict_json.encode(_ARGUMENTS[index]).decode(),
            },
        }
        for index, name in enumerate(_names(case))
    ]


def _streamed(write: Callable[[Case], list[Any]], *, decoded: bool = False) -> Any:
    """Return a fault whose chunks carry what `write` gives, one `tool_calls` after the other."""

    def how(case: Case) -> Reply:
        if not case.chats:
            return case.good
        body = strict_json.decode(case.pieces[0][6:] if case.streamed else case.pieces[0])
        if not case.streamed:
            message = {"role": "assistant", "content": None}
            calls = {"tool_calls": _whole(case, decoded=decoded)}
            choice = {"index": 0, "message": {**message, **calls}, "finish_reason": "tool_calls"}
            return case.reply([strict_json.encode({**body, "choices": [choice]})])
        deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant"}, None)]
        deltas += [({"tool_calls": calls}, None) for calls in write(case)]
        deltas.append(({}, "tool_calls"))
        events = [
            event_of({**body, "choices": [{"index": 0, "delta": d, "finish_reason": end}]})
            for d, end in deltas
        ]
        return case.reply([*events, DONE_EVENT])

    return how


def _in_turn(case: Case) -> list[Any]:
    one, two = _fragments(case)
    return [[fragment] for pair in zip(one, two, strict=True) for fragment in pair]


def _backwards(case: Case) -> list[Any]:
    one, two = _fragments(case)
    return [[fragment] for fragment in (*two, *one)]


def _no_index(case: Case) -> list[Any]:
    parts = [fragment for call in _fragments(case) for fragment in call]
    return [[{k: v for k, v in part.items() if k != "index"}] for part in parts]


def _same_index(case: Case) -> list[Any]:
    return [[{**part, "index": 0}] for call in _fragments(case) for part in call]


def _repeated_id(case: Case) -> list[Any]:
    calls = _fragments(case)
    return [[{**part, "id": _IDS[i]}] for i, call in enumerate(calls) for part in call]


def _empty_id(case: Case) -> list[Any]:
    parts = [fragment for call in _fragments(case) for fragment in call]
    return [[{"id": "", **part, "function": {"name": None, **part["function"]}}] for part in parts]


def _one_id(case: Case) -> list[Any]:
    parts = [fragment for call in _fragments(case) for fragment in call]
    return [[{**part, "id": _IDS[0]} if "id" in part else part] for part in parts]


def _cut_call(case: Case) -> Reply:
    """End in the middle of a call's arguments: no finish reason, no [DONE]."""
    if not case.streamed or not case.chats:
        return case.good
    body = strict_json.decode(case.pieces[0][6:])
    events = [
        event_of({**body, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for delta in (
            {"role": "assistant"},
            *({"tool_calls": [f]} for f in _fragments(case)[0][:2]),
        )
    ]
    return case.reply(events)


def _orphan(_: Case) -> list[Any]:
    return [[{"function": {"arguments": '{"city"'}}]]


def _single_object(case: Case) -> list[Any]:
    return [{"index": i, **call} for i, call in enumerate(_whole(case))]


TOOLS: tuple[Fault, ...] = (
    Fault("tools-in-turn", "F12", "fragments of two calls in turn", _streamed(_in_turn)),
    Fault("tools-backwards", "F12", "the second call before the first", _streamed(_backwards)),
    Fault("tools-no-index", "F12", "fragments without an index", _streamed(_no_index)),
    Fault("tools-same-index", "F12", "two calls, both with index 0", _streamed(_same_index)),
    Fault("tools-repeated-id", "F12", "the id on every fragment", _streamed(_repeated_id)),
    Fault("tools-empty-id", "F12", "empty ids and names on fragments", _streamed(_empty_id)),
    Fault("tools-whole", "F12", "whole calls in one delta, without an index (Ollama)",
          _streamed(lambda case: [_whole(case)])),
    Fault("tools-object", "F12", "arguments as an object (old TGI)",
          _streamed(lambda case: [_whole(case, decoded=True)], decoded=True)),
    Fault("tools-single", "F12", "`tool_calls` is one object, no list", _streamed(_single_object)),
    Fault("tools-one-id", "F12", "two calls with one id", _streamed(_one_id)),
    Fault("tools-cut", "F12", "ends in the middle of a call's arguments", _cut_call),
    Fault("tools-orphan", "F12", "a fragment that belongs to no call", _streamed(_orphan)),
)  # fmt: skip

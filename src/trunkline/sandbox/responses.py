"""`/v1/responses`: OpenAI's newer form of a chat, translated to a chat and back, as responses.js does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.dialects.openai_server import RequestError, error_body, read_chat
from trunkline.sandbox.accounts import refusal
from trunkline.sandbox.answers import CREATED, answer, tokens
from trunkline.sandbox.fault import event_of
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.router import find_offer, particular_refusal
from trunkline.sandbox.visit import Visit
from trunkline.types import Completion, ToolCall
from trunkline.wire import strict_json

_SAME = ("metadata", "parallel_tool_calls", "temperature", "top_p", "user")
_PARTS = {"input_text": "text", "output_text": "text", "text": "text"}
_ENDS = {"length": "incomplete"}
_Item = dict[str, Any]


def respond(visit: Visit, _: dict[str, str]) -> Reply:
    """Answer a request for a response, whole or in events."""
    if not visit.inside:
        if "authorization" not in visit.head.headers:
            return json_reply(401, {"success": False, "error": "Unauthorized"})
        refused = refusal(visit.head.headers, visit.orgs)
        if refused:
            return refused
    try:
        chat = read_chat(strict_json.encode(_as_chat(visit.asked)))
        offer = find_offer(chat.model.name, inside=visit.inside)
        found = particular_refusal(chat, offer.provider)
        if found:
            return found
        whole = answer(chat, visit.seed, offer.own_name)
    except RequestError as wrong:
        return json_reply(wrong.status, wrong.body())
    named = ("x-inference-provider", offer.provider)
    items = list(_items(whole))
    if not visit.asked.get("stream"):
        return json_reply(200, _response(visit.asked, whole, items, _status(whole)), named)
    events = [{**e, "sequence_number": i} for i, e in enumerate(_events(visit.asked, whole, items))]
    headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), named)
    return Reply(200, headers, tuple(map(event_of, events)), "chunked")


def _as_chat(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the chat that a request stands for; raises RefusedError for what is none."""
    for name in ("previous_response_id", "conversation"):
        if asked.get(name):
            raise _wrong(f"'{name}' is not supported: nothing is stored.", name)
    chat: dict[str, Any] = {"model": asked.get("model"), "messages": _messages(asked)}
    chat |= {name: asked[name] for name in _SAME if asked.get(name) is not None}
    if asked.get("max_output_tokens") is not None:
        chat["max_tokens"] = asked["max_output_tokens"]
    effort = (asked.get("reasoning") or {}).get("effort")
    if effort:
        chat["reasoning_effort"] = effort
    form = (asked.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        named = {k: form[k] for k in ("name", "schema", "strict") if k in form}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}
    elif form.get("type") == "json_object":
        chat["response_format"] = {"type": "json_object"}
    tools = [_tool(tool) for tool in asked.get("tools") or ()]
    if tools:
        chat["tools"] = tools
        chat["tool_choice"] = _choice(asked.get("tool_choice"))
    return chat


def _messages(asked: dict[str, Any]) -> list[dict[str, Any]]:
    given = asked.get("input")
    rows = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(rows, list) or not rows:
        raise _wrong("'input' must be text or a list with at least one item.", "input")
    start = (
        [{"role": "system", "content": asked["instructions"]}] if asked.get("instructions") else []
    )
    return start + [message for row in rows for message in _message(row)]


def _message(row: Any) -> list[dict[str, Any]]:
    kind = row.get("type", "message") if isinstance(row, dict) else None
    if kind == "message":
        return [{"role": row.get("role"), "content": _content(row.get("content"))}]
    if kind == "function_call":
        function = {"name": row.get("name"), "arguments": row.get("arguments")}
        call = {"id": row.get("call_id"), "type": "function", "function": function}
        return [{"role": "assistant", "content": None, "tool_calls": [call]}]
    if kind == "function_call_output":
        told = {"role": "tool", "tool_call_id": row.get("call_id")}
        return [{**told, "content": _content(row.get("output"))}]
    if kind == "reasoning":
        return []
    raise _wrong(f"'input' has an item of type {kind!r}, which is not supported.", "input")


def _content(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [_part(part) for part in value]


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _PARTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image":
        return {"type": "image_url", "image_url": {"url": part.get("image_url")}}
    raise _wrong(f"A part of type {kind!r} is not supported.", "input")


def _tool(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise _wrong("The sandbox knows tools of type 'function' only.", "tools")
    function = {
        k: v for k, v in tool.items() if k in ("name", "description", "parameters", "strict")
    }
    return {"type": "function", "function": function}


def _choice(value: Any) -> Any:
    if isinstance(value, dict):
        return {"type": "function", "function": {"name": value.get("name")}}
    return value or "auto"


def _wrong(message: str, param: str) -> RefusedError:
    return RefusedError(400, error_body(message, param=param))


def _status(whole: Completion) -> str:
    return _ENDS.get(whole.choices[0].finish_reason or "", "completed")


def mark_of(whole: Completion) -> str:
    """Return the digits in an answer's id."""
    return (whole.id or "").removeprefix("chatcmpl-")


def _items(whole: Completion) -> Iterator[_Item]:
    """Return what a response puts out: thoughts, a message, calls."""
    message, mark = whole.choices[0].message, mark_of(whole)
    status = _status(whole)
    if message.reasoning:
        part = {"type": "reasoning_text", "text": message.reasoning}
        told = {"id": f"rs_{mark}", "type": "reasoning", "summary": [], "content": [part]}
        yield {**told, "status": status}
    if message.content is not None:
        said: _Item = {"type": "output_text", "text": message.content, "annotations": []}
        told = {"id": f"msg_{mark}", "type": "message", "role": "assistant"}
        yield {**told, "content": [said], "status": status}
    for index, call in enumerate(message.tool_calls or ()):
        yield _called(call, f"fc_{mark}{index}", status)


def _called(call: ToolCall, item_id: str, status: str) -> _Item:
    told = {"id": item_id, "type": "function_call", "call_id": call.id, "status": status}
    return {**told, "name": call.function.name, "arguments": call.function.arguments}


def _response(
    asked: dict[str, Any], whole: Completion, items: list[_Item], status: str
) -> dict[str, Any]:
    usage = whole.usage
    cut = status == "incomplete"
    ended = status in ("completed", "incomplete")
    thought = ((usage and usage.completion_tokens_details) or {}).get("reasoning_tokens", 0)
    spent = usage and {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": usage.total_tokens,
    }
    return {
        "id": f"resp_{mark_of(whole)}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata"),
        "model": asked["model"],
        "output": items if ended else [],
        "parallel_tool_calls": bool(asked.get("parallel_tool_calls")),
        "temperature": asked.get("temperature", 1),
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools") or [],
        "top_p": asked.get("top_p", 1),
        "usage": spent if ended else None,
    }


def _events(asked: dict[str, Any], whole: Completion, items: list[_Item]) -> Iterator[_Item]:
    for name in ("created", "in_progress"):
        response = _response(asked, whole, [], "in_progress")
        yield {"type": f"response.{name}", "response": response}
    for index, item in enumerate(items):
        yield from _item_events(index, item)
    status = _status(whole)
    yield {"type": f"response.{status}", "response": _response(asked, whole, items, status)}


def _item_events(index: int, item: _Item) -> Iterator[_Item]:
    call = item["type"] == "function_call"
    place = {"item_id": item["id"], "output_index": index}
    empty: _Item = {"arguments": ""} if call else {"content": []}
    opened = {**item, "status": "in_progress", **empty}
    yield {"type": "response.output_item.added", "output_index": index, "item": opened}
    yield from _call_events(item, place) if call else _part_events(item, place)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _call_events(item: _Item, place: _Item) -> Iterator[_Item]:
    name = "response.function_call_arguments"
    for token in tokens(item["arguments"]):
        yield {"type": f"{name}.delta", **place, "delta": token}
    yield {"type": f"{name}.done", **place, "arguments": item["arguments"], "name": item["name"]}


def _part_events(item: _Item, place: _Item) -> Iterator[_Item]:
    (part,) = item["content"]
    at = {**place, "content_index": 0}
    name = f"response.{part['type']}"
    logprobs: _Item = {"logprobs": []} if part["type"] == "output_text" else {}
    yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
    for token in tokens(part["text"]):
        yield {"type": f"{name}.delta", **at, "delta": token, **logprobs}
    yield {"type": f"{name}.done", **at, "text": part["text"], **logprobs}
    yield {"type": "response.content_part.done", **at, "part": part}

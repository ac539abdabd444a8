"""`/v1/messages`: Anthropic's form of a chat, translated to a chat and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.dialects.openai_server import RequestError, read_chat
from trunkline.sandbox.accounts import refusal
from trunkline.sandbox.answers import answer, tokens
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.responses import mark_of
from trunkline.sandbox.router import find_offer, particular_refusal
from trunkline.sandbox.visit import Visit
from trunkline.types import Chat, Completion
from trunkline.wire import strict_json

_SAME = ("temperature", "top_p")
_ENDS = {"length": "max_tokens", "stop": "end_turn", "tool_calls": "tool_use"}
_CHOICES = {"any": "required", "auto": "auto", "none": "none"}
_Block = dict[str, Any]


def respond(visit: Visit, _: dict[str, str]) -> Reply:
    """Answer a request for a message, whole or in events."""
    refused = None if visit.inside else refusal(visit.head.headers, visit.orgs)
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
    if not visit.asked.get("stream"):
        return json_reply(200, _message(chat, whole), named)
    steps = tuple(_event(event) for event in _events(_message(chat, whole)))
    headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), named)
    return Reply(200, headers, steps, "chunked")


def _as_chat(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the chat that a request stands for; raises RefusedError for what is none."""
    if not isinstance(asked.get("max_tokens"), int):
        raise _wrong("max_tokens: Field required")
    rows = asked.get("messages")
    if not isinstance(rows, list) or not rows:
        raise _wrong("messages: at least one message is required")
    system = _text(asked.get("system")) if asked.get("system") else ""
    start = [{"role": "system", "content": system}] if system else []
    messages = start + [message for row in rows for message in _translated(row)]
    chat = {"model": asked.get("model"), "messages": messages, "max_tokens": asked["max_tokens"]}
    chat |= {name: asked[name] for name in _SAME if asked.get(name) is not None}
    if asked.get("stop_sequences"):
        chat["stop"] = asked["stop_sequences"]
    if (asked.get("thinking") or {}).get("type") == "enabled":
        chat["reasoning_effort"] = "medium"
    tools = [_tool(tool) for tool in asked.get("tools") or ()]
    if tools:
        chat["tools"] = tools
        chat["tool_choice"] = _choice(asked.get("tool_choice") or {"type": "auto"})
    return chat


def _translated(row: Any) -> Iterator[dict[str, Any]]:
    role = row.get("role") if isinstance(row, dict) else None
    if role not in ("user", "assistant"):
        raise _wrong("messages: the role must be 'user' or 'assistant'")
    content = row.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise _wrong("messages: content must be text or a list of blocks")
    for block in blocks:
        if block.get("type") == "tool_result":
            told = {"role": "tool", "tool_call_id": block.get("tool_use_id")}
            yield {**told, "content": _text(block.get("content") or "")}
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    parts = [_part(b) for b in blocks if b.get("type") in ("text", "image")]
    known = ("image", "redacted_thinking", "text", "thinking", "tool_result", "tool_use")
    unknown = next((b.get("type") for b in blocks if b.get("type") not in known), None)
    if unknown is not None:
        raise _wrong(f"messages: a block of type {unknown!r} is not supported")
    if calls:
        text = "".join(part.get("text", "") for part in parts)
        yield {"role": role, "content": text or None, "tool_calls": calls}
    elif parts:
        yield {"role": role, "content": parts}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    rows = value if isinstance(value, list) else []
    return "\n".join(str(row.get("text", "")) for row in rows if isinstance(row, dict))


def _call(block: _Block) -> dict[str, Any]:
    arguments = strict_json.encode(block.get("input") or {}).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _part(block: _Block) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": block.get("text")}
    source = block.get("source") or {}
    data = f"data:{source.get('media_type')};base64,{source.get('data')}"
    url = source.get("url") if source.get("type") == "url" else data
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, dict) or "input_schema" not in tool:
        raise _wrong("tools: input_schema: Field required")
    function = {"name": tool.get("name"), "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _choice(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "tool":
        return {"type": "function", "function": {"name": value.get("name")}}
    if kind not in _CHOICES:
        raise _wrong("tool_choice: the type must be auto, any, tool or none")
    return _CHOICES[kind]


def _wrong(message: str) -> RefusedError:
    error = {"type": "invalid_request_error", "message": message}
    return RefusedError(400, {"type": "error", "error": error})


def _message(chat: Chat, whole: Completion) -> dict[str, Any]:
    choice, usage = whole.choices[0], whole.usage
    stopped = choice.extra.get("stop_reason")
    end = "stop_sequence" if stopped else _ENDS.get(choice.finish_reason or "", "end_turn")
    return {
        "id": f"msg_{mark_of(whole)}",
        "type": "message",
        "role": "assistant",
        "model": chat.model.name,
        "content": list(_blocks(whole)),
        "stop_reason": end,
        "stop_sequence": stopped,
        "usage": {
            "input_tokens": usage and usage.prompt_tokens,
            "output_tokens": usage and usage.completion_tokens,
        },
    }


def _blocks(whole: Completion) -> Iterator[_Block]:
    message = whole.choices[0].message
    if message.reasoning:
        yield {"type": "thinking", "thinking": message.reasoning, "signature": ""}
    if message.content:
        yield {"type": "text", "text": message.content}
    for call in message.tool_calls or ():
        try:
            given = strict_json.decode(call.function.arguments.encode())
        except strict_json.JsonError:  # cut by max_tokens
            given = {}
        yield {"type": "tool_use", "id": call.id, "name": call.function.name, "input": given}


_DELTAS = {
    "text": ("text_delta", "text", ""),
    "thinking": ("thinking_delta", "thinking", ""),
    "tool_use": ("input_json_delta", "partial_json", {}),
}
"""A block's kind: its deltas' type, the field that they add to, and that field when it begins."""


def _events(message: dict[str, Any]) -> Iterator[_Block]:
    usage = {**message["usage"], "output_tokens": 1}
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        kind, field, empty = _DELTAS[block["type"]]
        own = "input" if block["type"] == "tool_use" else field
        opened = {**block, own: empty}
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        if index == 0:
            yield {"type": "ping"}
        said = (
            block[own] if isinstance(block[own], str) else strict_json.encode(block[own]).decode()
        )
        for token in tokens(said):
            delta = {"type": kind, field: token}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    spent = {"output_tokens": message["usage"]["output_tokens"]}
    yield {"type": "message_delta", "delta": ended, "usage": spent}
    yield {"type": "message_stop"}


def _event(event: _Block) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), strict_json.encode(event))

"""Requests for messages as tests put them together, and the chats that they become."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from trunkline.dialects.anthropic_server import RequestError, read_request

USER = {"role": "user", "content": "Hi"}
TEXT = {"type": "text", "text": "a"}
TOOL = {"name": "f", "description": "Does.", "input_schema": {"type": "object"}}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}, "description": "Does."},
}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "18"}
CACHED = {"type": "ephemeral"}
REMINDER = {"type": "text", "text": "<system-reminder>\na\n</system-reminder>"}


def body(**more: Any) -> dict[str, Any]:
    return {"model": "org/name:groq", "max_tokens": 9, "messages": [USER], **more}


def chat_of(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(read_request(json.dumps(body(**more)).encode()).chat)
    return told


def turns(*messages: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = chat_of(messages=list(messages))["messages"]
    return told


def refused(**more: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        chat_of(**more)
    return caught.value

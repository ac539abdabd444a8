"""Chats as they are streamed and as they come whole, for what tells them in another API."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

USAGE = {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<"), min_size=1, max_size=8)


def chunk(finish: str | None = None, logprobs: Any = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    if logprobs is not None:
        choice["logprobs"] = logprobs
    return {"id": "c1", "object": "chat.completion.chunk", "created": 5, "choices": [choice]}


def call(index: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    """Return a chunk with a fragment of a call; `id` and `name` come with the first."""
    function = {k: v for k, v in {"name": more.pop("name", None)}.items() if v}
    piece = {"index": index, **more, "function": {**function, "arguments": arguments}}
    return chunk(tool_calls=[piece])


def usage(**more: Any) -> dict[str, Any]:
    """Return a chunk with usage and no choice."""
    return {"id": "c1", "choices": [], "usage": {**USAGE, **more}}


def sse(*chunks: dict[str, Any]) -> bytes:
    """Return chunks as events, without the mark of the end."""
    return b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)


def whole(finish: str = "stop", told: Any = USAGE, logprobs: Any = None, **message: Any) -> bytes:
    """Return a chat's answer that comes whole."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    if logprobs is not None:
        choice["logprobs"] = logprobs
    body = {"id": "c1", "object": "chat.completion", "choices": [choice], "usage": told}
    return json.dumps(body).encode()


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[dict[str, Any]], bytes]:
    """A chat as chunks, and the same chat as it comes whole."""
    name = draw(st.sampled_from(["reasoning", "reasoning_content", "reasoning_text"]))
    thoughts, words = draw(st.lists(WORDS, max_size=3)), draw(st.lists(WORDS, max_size=4))
    refusals = draw(st.lists(WORDS, max_size=1))
    calls = draw(st.lists(st.lists(WORDS, min_size=1, max_size=3), max_size=3))
    finish = draw(st.sampled_from(["stop", "length", "content_filter", "tool_calls"]))
    chunks = [chunk(role="assistant", content="")] if draw(st.booleans()) else []
    chunks += [chunk(**{name: piece}) for piece in thoughts]
    chunks += [chunk(content=piece) for piece in words]
    chunks += [chunk(refusal=piece) for piece in refusals]
    fragments: list[list[dict[str, Any]]] = []
    for index, pieces in enumerate(calls):
        first = call(index, id=f"call_{index}x", type="function", name=f"f{index}")
        fragments.append([first, *[call(index, piece) for piece in pieces]])
    if fragments and draw(st.booleans()):  # fragments of calls at once may come by turns
        turns = max(map(len, fragments))
        chunks += [f[turn] for turn in range(turns) for f in fragments if turn < len(f)]
    else:
        chunks += [piece for fragment in fragments for piece in fragment]
    chunks += [chunk(finish), usage()]
    message: dict[str, Any] = {"content": "".join(words) or None}
    if thoughts:
        message[name] = "".join(thoughts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{index}x",
                "type": "function",
                "function": {"name": f"f{index}", "arguments": "".join(pieces)},
            }
            for index, pieces in enumerate(calls)
        ]
    return chunks, whole(finish, **message)

"""Streams in every form that servers send them, as hypothesis draws them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

USAGE = {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
CALL = {
    "index": 0,
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}


def choice(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    """One chunk with one choice."""
    choices = [{"index": index, "delta": delta, "finish_reason": finish}]
    return {"id": "c1", "model": "org/m", "choices": choices}


def usage_frame(**more: Any) -> dict[str, Any]:
    """A frame with usage and no choice."""
    return {"id": "c1", "choices": [], "usage": {**USAGE, **more}}


@st.composite
def chunks(draw: st.DrawFn) -> dict[str, Any]:
    """A chunk that says something, or hardly anything."""
    text, index = draw(TEXT), draw(st.sampled_from([0, 0, 0, 0, 1]))
    names = ["content", "reasoning", "reasoning_content", "reasoning_text", "refusal"]
    return draw(
        st.sampled_from(
            [
                *[choice(index=index, **{name: text}) for name in names],
                choice(content=text),
                choice(role="assistant", content=""),
                choice(),
                choice(content=None, tool_calls=[CALL]),
                choice(content=[{"type": "text", "text": text}]),
                choice(content=[{"type": "thinking", "thinking": text}]),
                choice(finish="stop", index=index),
                choice(finish="length", content=text),
                {**choice(content=text), "usage": None, "error": None},
                {
                    **choice(content=text),
                    "usage": usage_frame(completion_tokens=len(text))["usage"],
                },
                {"choices": [*choice("stop")["choices"], *choice("stop", 1)["choices"]]},
                usage_frame(),
                usage_frame(prompt_tokens=7.0, completion_tokens=-1),
                usage_frame(prompt_tokens_details={"cached_tokens": 5}),
                {"usage": USAGE},
                {"choices": [], "x_groq": {"usage": USAGE}},
                {},
                {"choices": [], "error": {}},
                {"choices": None},
            ]
        )
    )


BROKEN = [
    b'{"choices": [',
    b'{"choices": [{"delta": {"content": 5}}], nothing',
    b"none",
    b"[]",
    b'{"choices": [5]}',
    b'{"choices": [{"delta": {"content": 5}}]}',
    b"{" * 2000,
]
ERRORS = [
    {"error": {"message": "Slow down.", "code": 429}},
    {"error": {"code": 503}},
    {"error": {"type": "overloaded_error"}},
    {"error": "No.", "error_type": "generation"},
    {"object": "error", "message": "Bad.", "code": 400},
    {"detail": "Broken."},
    {"choices": [], "error": {"message": "Oh.", "code": 402}},
    {"choices": 5, "error": {"message": "Oh.", "code": 404}},
]
DAMAGED = [
    b'{"choices":[{"index":0,"delta":{"content":"h\xffi"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":NaN,"finish_reason":5}]}',
]


@st.composite
def events(draw: st.DrawFn, kinds: tuple[str, ...] = ("chunk",)) -> list[bytes]:
    """The lines of one event."""
    kind = draw(st.sampled_from(kinds))
    if kind == "error":
        data = _written(draw, draw(st.sampled_from(ERRORS)))
    elif kind == "named error":
        body = draw(st.sampled_from([*ERRORS, {"message": "No.", "code": 429}]))
        return [b"event: error", *_data_lines(draw, _written(draw, body))]
    elif kind == "broken":
        return _data_lines(draw, draw(st.sampled_from(BROKEN)))
    elif kind == "damaged":
        return _data_lines(draw, draw(st.sampled_from(DAMAGED)))
    else:
        data = _written(draw, draw(chunks()))
    lines = _data_lines(draw, data)
    extra = st.sampled_from([b": ping", b":", b"id: 7", b"retry: 10", b"event: message", b"odd"])
    for line in draw(st.lists(extra, max_size=2)):
        lines.insert(draw(st.integers(0, len(lines))), line)
    return lines


def _written(draw: st.DrawFn, body: Any) -> bytes:
    indent = draw(st.sampled_from([None, None, None, 1]))
    return json.dumps(body, indent=indent, ensure_ascii=draw(st.booleans())).encode()


def _data_lines(draw: st.DrawFn, data: bytes) -> list[bytes]:
    start = draw(st.sampled_from([b"data: ", b"data: ", b"data:", b"data:  "]))
    return [start + line for line in data.split(b"\n")]


COMMENTS = [[b": ping"], [b":", b": a"], [b"id: 1"], [b"retry: 5"], [b"event: x"], [b"data:"], []]
ENDS = [[b"data: [DONE]"], [b"data:[DONE]"], [b"data: [DONE] "], [b"event: end", b"data: [DONE]"]]


@st.composite
def streams(draw: st.DrawFn, rare: tuple[str, ...] = ()) -> bytes:
    """A stream's bytes, which may be cut anywhere; `rare` adds kinds of events to the usual."""
    usual = ("chunk",) * (8 if rare else 1)
    event = events((*usual, *rare)) | st.sampled_from(COMMENTS)
    blocks = draw(st.lists(event, max_size=8))
    if draw(st.booleans()):
        blocks.append([b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'])
    if draw(st.booleans()):
        blocks.append(draw(st.sampled_from(ENDS)))
        blocks += draw(st.lists(event, max_size=2))
    ends = draw(st.sampled_from([[b"\n"], [b"\n"], [b"\r\n"], [b"\r"], [b"\n", b"\r\n", b"\r"]]))
    stream = b"\xef\xbb\xbf" if draw(st.sampled_from([False, False, True])) else b""
    for block in blocks:
        for line in [*block, b""]:
            stream += line + draw(st.sampled_from(ends))
    if draw(st.sampled_from([False, False, True])):
        stream = stream[: draw(st.integers(0, len(stream)))]
    return stream

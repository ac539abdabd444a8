"""The bytes that all gateways carry: the question, the answer, the events. No I/O."""

from __future__ import annotations

import json

MODEL = "bench/small"
"""What the upstream's model is called."""
CONTENT = "The capital of France is Paris."
PRICES = {"input": "0.60", "output": "0.80"}
"""US dollars for a million tokens."""
MEGABYTE = 1_000_000

_STAMP = {"id": "chatcmpl-5f2c9a7e41d84b0c", "created": 1_790_000_000, "model": MODEL}
_USAGE = {
    "prompt_tokens": 24,
    "completion_tokens": 8,
    "total_tokens": 32,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}


def question(model: str, *, stream: bool = False, prompt: str | None = None) -> bytes:
    """Return a chat request's body, of about 200 bytes unless a prompt is given."""
    body: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer briefly and truthfully."},
            {"role": "user", "content": prompt or "What is the capital of France?"},
        ],
        "max_tokens": 64,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def long_question(model: str) -> bytes:
    """Return a chat request with a prompt of a megabyte: words, line ends, some that JSON escapes."""
    line = 'It was the best of times, it was the "worst" of times,\n'
    return question(model, prompt=line * (MEGABYTE // (len(json.dumps(line)) - 2) + 1))


def answer() -> bytes:
    """Return the upstream's one answer, about 700 bytes."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": CONTENT,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "tool_calls": None,
        "reasoning_content": None,
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    body = {
        **_STAMP,
        "object": "chat.completion",
        "service_tier": "default",
        "system_fingerprint": "fp_3eed281ddb",
        "choices": [choice],
        "usage": _USAGE,
        "metadata": {},
    }
    return json.dumps(body).encode()


def event(number: int, total: int) -> bytes:
    """Return one of a stream's `total` content events; the first names the role, as models do."""
    delta = {"content": f" word{number}"}
    if number == 0:
        delta["role"] = "assistant"
    return _event(
        [{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}]
        if number < total - 1
        else [{"index": 0, "delta": delta, "finish_reason": "stop", "logprobs": None}]
    )


def last_events() -> list[bytes]:
    """Return what ends a stream: usage, and the mark."""
    return [_event([], usage=_USAGE), b"data: [DONE]\n\n"]


def _event(choices: list[object], **more: object) -> bytes:
    body = {**_STAMP, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def is_right(body: bytes) -> bool:
    """Tell whether an answer is the upstream's, whatever a gateway put around it."""
    try:
        decoded = json.loads(body)
        return bool(decoded["choices"][0]["message"]["content"] == CONTENT)
    except (ValueError, KeyError, IndexError, TypeError):
        return False


def is_whole(body: bytes, total: int) -> bool:
    """Tell whether a stream's body has every content event once, in order, and its end."""
    pieces = [
        line[5:].strip()
        for line in body.replace(b"\r\n", b"\n").split(b"\n")
        if line.startswith(b"data:")
    ]
    if not pieces or pieces[-1] != b"[DONE]":
        return False
    words = [_word(piece) for piece in pieces[:-1]]
    return "".join(words) == "".join(f" word{number}" for number in range(total))


def _word(piece: bytes) -> str:
    choices = json.loads(piece).get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""

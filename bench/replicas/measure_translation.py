"""What one event of a chat's stream costs to be told in another API: CPU, in microseconds.

    python bench/replicas/measure_translation.py

Each event is read by the tap first, as a gateway does; the line `tap alone` is what a relayed chat pays.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from trunkline.dialects.anthropic_answer import Told
from trunkline.dialects.anthropic_stream import MessageWriter
from trunkline.dialects.responses_answer import Envelope
from trunkline.dialects.responses_stream import ResponseStream
from trunkline.gateway.messages_tap import MessageTap
from trunkline.gateway.responses_tap import ResponseTap
from trunkline.gateway.tap import StreamTap

EVENTS = 20_000
RUNS = 7
_WORDS = ("The", " quick", " brown", " fox", ' "jumps"', " över", " the", " lazy", " dog", ".\n")


def _event(**delta: Any) -> bytes:
    body = {
        "id": "chatcmpl-8f1c2d",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "meta-llama/Llama-3.3-70B-Instruct",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
    }
    return b"data: %b\n\n" % json.dumps(body, separators=(",", ":")).encode()


def _call(arguments: str, **more: Any) -> bytes:
    function = {"arguments": arguments, **({"name": "write"} if more else {})}
    return _event(tool_calls=[{"index": 0, **more, "function": function}])


def _texts() -> list[bytes]:
    said = [_event(content=_WORDS[n % len(_WORDS)]) for n in range(EVENTS)]
    return [_event(role="assistant", content=""), *said]


def _thoughts() -> list[bytes]:
    return [_event(reasoning_content=_WORDS[n % len(_WORDS)]) for n in range(EVENTS)]


def _arguments() -> list[bytes]:
    said = [_call(_WORDS[n % len(_WORDS)].replace('"', "")) for n in range(EVENTS)]
    return [_call('{"text":"', id="call_1", type="function"), *said]


def _tap() -> Callable[[bytes], bytes]:
    return StreamTap().feed


def _messages() -> Callable[[bytes], bytes]:
    tap = StreamTap()
    writer = MessageWriter(Told("msg_1", "meta-llama/Llama-3.3-70B-Instruct"))
    feed, write = tap.feed, writer.events
    return lambda data: write(feed(data))


def _made_messages() -> list[bytes]:
    """Return the events of a message that an upstream makes itself."""
    writer = MessageWriter(Told("msg_1", "meta-llama/Llama-3.3-70B-Instruct"))
    return [writer.events(event) for event in _texts()[1:]]


def _responses() -> Callable[[bytes], bytes]:
    tap = StreamTap()
    stream = ResponseStream(Envelope("1a225b09d8bc7c7300000003", 1_760_000_000, {}))
    feed, write = tap.feed, stream.feed
    return lambda data: write(feed(data))


def _made() -> list[bytes]:
    """Return the events of a response that an upstream makes itself."""
    stream = ResponseStream(Envelope("1a225b09d8bc7c7300000003", 1_760_000_000, {}))
    return [stream.feed(event) for event in _texts()[1:]]


ROWS: dict[str, tuple[Callable[[], Callable[[bytes], bytes]], Callable[[], list[bytes]]]] = {
    "text, tap alone": (_tap, _texts),
    "text, messages": (_messages, _texts),
    "thinking, messages": (_messages, _thoughts),
    "arguments of a tool, messages": (_messages, _arguments),
    "text, messages' own tap": (lambda: MessageTap().feed, _made_messages),
    "text, responses": (_responses, _texts),
    "thinking, responses": (_responses, _thoughts),
    "arguments of a tool, responses": (_responses, _arguments),
    "text, responses' own tap": (lambda: ResponseTap().feed, _made),
}
"""What is measured: who takes the events, and what they say."""


def _cost(take: Callable[[bytes], bytes], events: list[bytes]) -> float:
    begun = time.process_time()
    for event in events:
        take(event)
    return (time.process_time() - begun) / len(events) * 1e6


def measure() -> dict[str, float]:
    """Return microseconds of CPU an event, the least of several runs."""
    found: dict[str, float] = {}
    for name, (maker, events) in ROWS.items():
        stream = events()
        found[name] = round(min(_cost(maker(), stream) for _ in range(RUNS)), 2)
    return found


if __name__ == "__main__":
    sys.stdout.writelines(f"{name:32}{cost:8.2f} us\n" for name, cost in measure().items())

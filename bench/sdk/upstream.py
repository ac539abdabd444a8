"""The server that every client is measured against: a fixed answer, plain or streamed.

It runs in a process of its own, so that its time is not the client's. Prints its port.
"""

from __future__ import annotations

import asyncio
import json

import httptools

CHUNKS = 100
"""Content chunks of a streamed answer."""

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The capital of France is Paris."},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22},
    }
).encode()


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}],
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_USAGE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "bench",
        "choices": [],
        "usage": {"prompt_tokens": 14, "completion_tokens": CHUNKS, "total_tokens": 14 + CHUNKS},
    }
).encode()
_EVENTS = [
    _event({"role": "assistant", "content": ""}),
    *[_event({"content": f" word{i}"}) for i in range(CHUNKS)],
    _event({}, "stop"),
    b"data: " + _USAGE + b"\n\n",
    b"data: [DONE]\n\n",
]
_PLAIN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-1\r\n"
    b"x-inference-provider: bench\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-1\r\n"
    b"x-inference-provider: bench\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM_BODY = [_chunked(event) for event in _EVENTS]


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.body = b""
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        streamed = b'"stream":true' in self.body.replace(b" ", b"")
        self.body = b""
        self.parser = httptools.HttpRequestParser(self)
        assert isinstance(self.transport, asyncio.Transport)
        if streamed:
            # each event on its own, as models send them; the kernel may still join some
            self.transport.write(_STREAM_HEAD)
            for piece in _STREAM_BODY:
                self.transport.write(piece)
            self.transport.write(b"0\r\n\r\n")
        else:
            self.transport.write(_PLAIN)


async def main() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""The server that every client is measured against: a fixed answer, plain or streamed.

It runs in a process of its own, so that its time is not the client's, and prints its port. Three
paths besides chat serve the measures: `/silent` never answers, `/head` answers with a head only,
`/drip` streams for ever; `/closed` tells how long ago (s, the machine's monotonic clock) the last
of their callers hung up, and `/hub-requests` how often the Hub's paths were asked.
"""

from __future__ import annotations

import asyncio
import json
import time

import httptools

CHUNKS = 100
"""Content chunks of a streamed answer."""

_STAMP = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "bench"}
_USAGE = {"prompt_tokens": 14, "completion_tokens": CHUNKS, "total_tokens": 14 + CHUNKS}
_ANSWER = {
    **_STAMP,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The capital of France is Paris."},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": _USAGE,
}


def _event(choices: list[object], **more: object) -> bytes:
    body = {**_STAMP, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _choice(delta: dict[str, str], finish: str | None = None) -> object:
    return {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _plain(body: object) -> bytes:
    data = json.dumps(body).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req-1\r\n"
        b"x-inference-provider: bench\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)
    )


_EVENTS = [
    _event([_choice({"role": "assistant", "content": ""})]),
    *[_event([_choice({"content": f" word{i}"})]) for i in range(CHUNKS)],
    _event([_choice({}, "stop")]),
    _event([], usage=_USAGE),
    b"data: [DONE]\n\n",
]
_CHAT = _plain(_ANSWER)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-1\r\n"
    b"x-inference-provider: bench\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM_BODY = [_chunked(event) for event in _EVENTS]


_VECTORS = _plain(
    {
        "object": "list",
        "model": "bench",
        "data": [
            {"object": "embedding", "index": i, "embedding": [j / 977 for j in range(384)]}
            for i in range(8)
        ],
        "usage": {"prompt_tokens": 80, "total_tokens": 80},
    }
)
"""Eight vectors of 384 numbers, whoever asks."""


class Server(asyncio.Protocol):
    """One connection."""

    closed_at = 0.0
    hub_requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.watched = False
        self.dripping: asyncio.TimerHandle | None = None
        self._begin()

    def _begin(self) -> None:
        self.url = b""
        self.body = b""
        self.parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.dripping:
            self.dripping.cancel()
        if self.watched:
            Server.closed_at = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        url, body = self.url, self.body
        self._begin()
        if url.startswith(b"/closed"):
            self.transport.write(_plain({"closed_at": Server.closed_at}))
        elif url.startswith(b"/hub-requests"):
            self.transport.write(_plain({"count": Server.hub_requests}))
        elif url.startswith((b"/api/", b"/v1/models")):
            Server.hub_requests += 1
            row = {"providerId": "bench", "status": "live", "task": "feature-extraction"}
            self.transport.write(_plain({"inferenceProviderMapping": {"together": row}}))
        elif url.endswith(b"/embeddings"):
            self.transport.write(_VECTORS)
        elif url.startswith((b"/silent", b"/head", b"/drip")):
            self._linger(url)
        elif b'"stream":true' in body.replace(b" ", b""):
            # each event by itself, as models send them; the kernel may still join some
            self.transport.write(_STREAM_HEAD)
            for piece in _STREAM_BODY:
                self.transport.write(piece)
            self.transport.write(b"0\r\n\r\n")
        else:
            self.transport.write(_CHAT)

    def _linger(self, url: bytes) -> None:
        self.watched = True
        if not url.startswith(b"/silent"):
            self.transport.write(_STREAM_HEAD)
        if url.startswith(b"/drip"):
            self._drip()

    def _drip(self) -> None:
        self.transport.write(_STREAM_BODY[1])
        self.dripping = asyncio.get_running_loop().call_later(0.02, self._drip)


async def main() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

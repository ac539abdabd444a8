"""One measurement of one library, in a process of its own: prints a number.

Usage: client.py LIBRARY MEASURE BASE_URL. CPU is this process's own time (user and system) divided
by the calls, or by the chunks that reached the caller, after a warm-up.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
IN_FLIGHT = 64
SYNC_CALLS = {"trunkline": 4000, "bare": 8000}
ASYNC_CALLS = {"trunkline": 12800}
EMBEDDINGS = {"trunkline": 2000}
TEXTS = [f"This is sentence number {i}, neither long nor short." for i in range(8)]
LOGGED = 2000
"""Calls of which the log's part is measured, with it and without it in turn."""
STREAMS = {"trunkline": 150}


def sync_chat(library: str, base: str) -> Callable[[bool], Any]:
    """Return a function that makes one blocking call, streamed or not."""
    if library == "trunkline":
        from trunkline import Client

        client = Client(token="k", api_base=base)
        return lambda stream: (client.stream if stream else client.chat)("bench", MESSAGES)
    if library == "openai":
        from openai import OpenAI

        openai_client = OpenAI(api_key="k", base_url=base)
        return lambda stream: openai_client.chat.completions.create(
            model="bench", messages=MESSAGES, stream=stream
        )
    if library == "huggingface_hub":
        from huggingface_hub import InferenceClient

        hub_client = InferenceClient(base_url=base, api_key="k")
        return lambda stream: hub_client.chat_completion(MESSAGES, stream=stream)
    if library == "litellm":
        import litellm

        return lambda stream: litellm.completion(
            model="openai/bench", messages=MESSAGES, stream=stream, api_base=base, api_key="k"
        )
    return bare_chat(base)


def bare_chat(base: str) -> Callable[[bool], Any]:
    """Return the floor: one socket, llhttp and msgspec, no features."""
    import socket

    import httptools
    import msgspec

    host, port = base.removeprefix("http://").partition("/")[0].split(":")
    sock = socket.create_connection((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    class Reader:
        def __init__(self) -> None:
            self.body = b""
            self.complete = False

        def on_body(self, data: bytes) -> None:
            self.body += data

        def on_message_complete(self) -> None:
            self.complete = True

    def call(stream: bool) -> Any:
        body = msgspec.json.encode({"model": "bench", "messages": MESSAGES, "stream": stream})
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        reader = Reader()
        parser = httptools.HttpResponseParser(reader)
        while not reader.complete:
            parser.feed_data(sock.recv(65536))
        return msgspec.json.decode(reader.body)

    return call


def async_chat(library: str, base: str) -> Callable[[bool], Awaitable[Any]]:
    """Return a function that makes one awaited call, streamed or not."""
    if library == "trunkline":
        from trunkline import AsyncClient

        client = AsyncClient(token="k", api_base=base)

        async def call(stream: bool) -> Any:
            if stream:
                return await client.stream("bench", MESSAGES)
            return await client.chat("bench", MESSAGES)

        return call
    if library == "openai":
        from openai import AsyncOpenAI

        openai_client = AsyncOpenAI(api_key="k", base_url=base)
        return lambda stream: openai_client.chat.completions.create(
            model="bench", messages=MESSAGES, stream=stream
        )
    if library == "huggingface_hub":
        from huggingface_hub import AsyncInferenceClient

        hub_client = AsyncInferenceClient(base_url=base, api_key="k")
        return lambda stream: hub_client.chat_completion(MESSAGES, stream=stream)
    import litellm

    return lambda stream: litellm.acompletion(
        model="openai/bench", messages=MESSAGES, stream=stream, api_base=base, api_key="k"
    )


def drain(stream: Iterable[Any]) -> int:
    return sum(1 for _ in stream)


async def adrain(stream: AsyncIterable[Any]) -> int:
    return sum([1 async for _ in stream])


def cpu_sync(library: str, base: str) -> float:
    chat = sync_chat(library, base)
    for _ in range(30):
        chat(False)
    calls = SYNC_CALLS.get(library, 300)
    before = time.process_time()
    for _ in range(calls):
        chat(False)
    return (time.process_time() - before) / calls * 1e6


def cpu_stream(library: str, base: str) -> float:
    chat = sync_chat(library, base)
    drain(chat(True))
    before, chunks = time.process_time(), 0
    for _ in range(STREAMS.get(library, 15)):
        chunks += drain(chat(True))
    return (time.process_time() - before) / chunks * 1e6


def sync_embedding(library: str, base: str) -> Callable[[], Any]:
    """Return a function that has eight texts embedded."""
    if library == "trunkline":
        from trunkline import Client

        client = Client(token="k", api_base=base)
        return lambda: client.embedding("bench", TEXTS)
    if library == "openai":
        from openai import OpenAI

        openai_client = OpenAI(api_key="k", base_url=base)
        return lambda: openai_client.embeddings.create(
            model="bench", input=TEXTS, encoding_format="float"
        )
    if library != "litellm":
        sys.exit(f"{library} has no call of this form")
    import litellm

    return lambda: litellm.embedding(
        model="openai/bench", input=TEXTS, api_base=base, api_key="k", encoding_format="float"
    )


def cpu_embedding(library: str, base: str) -> float:
    embed = sync_embedding(library, base)
    for _ in range(30):
        embed()
    calls = EMBEDDINGS.get(library, 300)
    before = time.process_time()
    for _ in range(calls):
        embed()
    return (time.process_time() - before) / calls * 1e6


def cpu_of_log(library: str, base: str, clock: Callable[[], float]) -> float:
    """Return what the local log adds to a sync call, by the CPU that `clock` counts."""
    if library != "trunkline":
        sys.exit(f"{library} has no local log")
    import tempfile
    from pathlib import Path

    from trunkline import Client

    def measured(log: Path | bool) -> float:
        with Client(token="k", api_base=base, log=log) as client:
            for _ in range(30):
                client.chat("bench", MESSAGES)
            time.sleep(0.2)  # prices are read once
            before = clock()
            for _ in range(LOGGED):
                client.chat("bench", MESSAGES)
            client.close()  # writes what waits
            return (clock() - before) / LOGGED * 1e6

    with tempfile.TemporaryDirectory() as folder:
        rounds = [measured(Path(folder) / "calls.db") - measured(False) for _ in range(3)]
    return sorted(rounds)[1]


async def cpu_async(library: str, base: str) -> float:
    chat = async_chat(library, base)

    async def worker(calls: int) -> None:
        for _ in range(calls):
            await chat(False)

    await asyncio.gather(*[worker(2) for _ in range(IN_FLIGHT)])
    each = ASYNC_CALLS.get(library, 640) // IN_FLIGHT
    before = time.process_time()
    await asyncio.gather(*[worker(each) for _ in range(IN_FLIGHT)])
    return (time.process_time() - before) / (each * IN_FLIGHT) * 1e6


async def cpu_async_stream(library: str, base: str) -> float:
    chat = async_chat(library, base)
    await adrain(await chat(True))
    before, chunks = time.process_time(), 0
    for _ in range(STREAMS.get(library, 15)):
        chunks += await adrain(await chat(True))
    return (time.process_time() - before) / chunks * 1e6


async def cancel(library: str, base: str, phase: str) -> float:
    """Return the worst of 20: ms from cancelling a call to its server seeing the hang-up."""
    root = base.removesuffix("/v1")
    chat = async_chat(library, f"{root}/{phase}/v1")
    worst = 0.0
    for _ in range(20):
        task = asyncio.ensure_future(_read(chat, stream=phase != "silent"))
        await asyncio.sleep(0.1)
        task.cancel()
        cancelled = time.monotonic()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.15)
        closed = json.load(urllib.request.urlopen(f"{root}/closed", timeout=5))["closed_at"]
        worst = max(worst, closed - cancelled if closed > cancelled else float("inf"))
    return worst * 1000


async def _read(chat: Callable[[bool], Awaitable[Any]], *, stream: bool) -> None:
    answer = await chat(stream)
    async for _ in answer:
        pass


def hub_requests(base: str, *, embeddings: bool = False) -> float:
    """Return Hub requests a call, in steady state (Trunkline, HF token, router and Hub moved)."""
    from trunkline import Client
    from trunkline.settings import read_settings

    root = base.removesuffix("/v1")
    settings = read_settings({"TRUNKLINE_ROUTER": root, "HF_ENDPOINT": root})
    with Client(token="hf_bench", settings=settings) as client:
        for _ in range(50):
            if embeddings:
                client.embedding("huggingface/together/BAAI/bge-m3", TEXTS)
            else:
                client.chat("huggingface/together/deepseek-ai/DeepSeek-R1", MESSAGES)
    return json.load(urllib.request.urlopen(f"{root}/hub-requests", timeout=5))["count"] / 50


def main() -> None:
    library, measure, base = sys.argv[1:]
    if measure == "sync":
        print(cpu_sync(library, base))
    elif measure == "log":
        print(cpu_of_log(library, base, time.process_time))
    elif measure == "log-thread":
        print(cpu_of_log(library, base, time.thread_time))
    elif measure == "embedding":
        print(cpu_embedding(library, base))
    elif measure == "hub-requests-embedding":
        print(hub_requests(base, embeddings=True))
    elif measure == "stream":
        print(cpu_stream(library, base))
    elif measure == "async":
        print(asyncio.run(cpu_async(library, base)))
    elif measure == "async-stream":
        print(asyncio.run(cpu_async_stream(library, base)))
    elif measure.startswith("cancel-"):
        print(asyncio.run(cancel(library, base, measure.removeprefix("cancel-"))))
    else:
        print(hub_requests(base))


if __name__ == "__main__":
    main()

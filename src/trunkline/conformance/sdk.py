"""The wall against the SDK itself, in this process: `Client` in threads, `AsyncClient` in the loop."""

from __future__ import annotations

import asyncio
import importlib
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypedDict

from trunkline.client import AsyncClient, Client
from trunkline.conformance.calls import (
    BEHIND,
    PLAIN_CALLS,
    Call,
    Result,
    messages,
    parameters,
    result_of,
)
from trunkline.conformance.judge import Verdict, judge
from trunkline.conformance.outcome import Called, Outcome, Said, Told
from trunkline.conformance.upstream import Upstream
from trunkline.errors import APIError, StreamTruncated, Timeout
from trunkline.settings import Settings, read_settings
from trunkline.types import Completion, Timeouts

_KEY = "hf_conformance_of_the_sdk"
_AT_ONCE = 8
_LOADED_LATER = ("trunkline.tools", "trunkline.transport.aio", "trunkline.transport.blocking")
"""What clients load when they first need it: here many would at once, in threads."""

Ask = Callable[[Call, str], Awaitable[Completion]]
Note = Callable[[Result], None]


class ClientSettings(TypedDict):
    """What a client is made with."""

    api_base: str
    timeout: Timeouts
    deadline: float
    max_retries: int
    settings: Settings


async def run_sdk(calls: Sequence[Call], limit: float, note: Note = lambda _: None) -> list[Result]:
    """Make every call with both clients, each call within `limit` seconds."""
    for name in _LOADED_LATER:
        importlib.import_module(name)
    runs = (_run(name, calls, limit, note) for name in ("Client", "AsyncClient"))
    return [result for results in await asyncio.gather(*runs) for result in results]


async def _run(name: str, calls: Sequence[Call], limit: float, note: Note) -> list[Result]:
    """Make every call with the client of that name, some at once."""
    turn = asyncio.Semaphore(_AT_ONCE)
    client = _blocking if name == "Client" else _awaiting
    async with Upstream() as upstream, client(upstream, limit) as ask:

        async def one(call: Call) -> Result:
            async with turn:
                result = await _result(name, upstream, ask, call, limit)
            note(result)
            return result

        return list(await asyncio.gather(*(one(call) for call in calls)))


def _settings(upstream: Upstream, limit: float) -> ClientSettings:
    """Return what both clients are made with: limits on silence well within the call's own."""
    part = limit * 0.4
    return {
        "api_base": upstream.url,
        "timeout": Timeouts(connect=part, total=part, idle=part, quiet=part, stream=limit * 0.6),
        "deadline": limit * 0.8,
        "max_retries": 1,
        "settings": read_settings({}),
    }


@asynccontextmanager
async def _blocking(upstream: Upstream, limit: float) -> AsyncGenerator[Ask]:
    with (
        ThreadPoolExecutor(_AT_ONCE) as threads,
        Client(_KEY, **_settings(upstream, limit)) as client,
    ):

        def ask(call: Call, mark: str) -> Completion:
            told = parameters(call.shape, tools=bool(call.row.calls))
            if call.shape == "whole":
                whole: Completion = client.chat(call.model, messages(mark), **told)
                return whole
            with client.stream(call.model, messages(mark), **told) as stream:
                return stream.collect()

        def in_thread(call: Call, mark: str) -> Awaitable[Completion]:
            return asyncio.get_running_loop().run_in_executor(threads, ask, call, mark)

        yield in_thread


@asynccontextmanager
async def _awaiting(upstream: Upstream, limit: float) -> AsyncGenerator[Ask]:
    async with AsyncClient(_KEY, **_settings(upstream, limit)) as client:

        async def ask(call: Call, mark: str) -> Completion:
            told = parameters(call.shape, tools=bool(call.row.calls))
            if call.shape == "whole":
                whole: Completion = await client.chat(call.model, messages(mark), **told)
                return whole
            async with client.stream(call.model, messages(mark), **told) as stream:
                return await stream.collect()

        yield ask


async def _result(name: str, upstream: Upstream, ask: Ask, call: Call, limit: float) -> Result:
    started = time.monotonic()
    verdict, asked = await _verdict(upstream, ask, call, limit)
    behind = PLAIN_CALLS[call.shape]
    for _ in range(BEHIND if call.row.then and verdict.name in ("pass", "safe error") else 0):
        after, _ = await _verdict(upstream, ask, behind, limit)
        if after.name != "pass":
            verdict = Verdict("wrong", f"the call right behind it: {after.why}", expected=False)
    return result_of(name, call, verdict, asked, time.monotonic() - started)


async def _verdict(upstream: Upstream, ask: Ask, call: Call, limit: float) -> tuple[Verdict, int]:
    mark = secrets.token_hex(4)
    outcome = await _outcome(ask, call, mark, limit)
    truth = upstream.truth(mark, call.model, call.fault)
    return judge(call.row, call.shape, truth, outcome), truth.asked


async def _outcome(ask: Ask, call: Call, mark: str, limit: float) -> Outcome:
    try:
        completion = await asyncio.wait_for(ask(call, mark), limit)
    except TimeoutError:
        return Outcome("limit")
    except APIError as error:
        return outcome_of(error)
    except Exception as error:  # what is no error of ours is a crash: the judge says so
        return Outcome("garbage", garbage=f"{type(error).__name__}, which is no APIError: {error}")
    return Outcome("finished", said_by(completion))


def said_by(completion: Completion) -> Said:
    """Return what a completion says."""
    choice = completion.choices[0]
    usage = completion.usage
    tokens = usage and (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    calls = tuple(
        Called(call.id, call.function.name, call.function.arguments)
        for call in choice.message.tool_calls or ()
    )
    known = tokens if tokens and any(n is not None for n in tokens) else None
    return Said(choice.message.content or "", calls, choice.finish_reason, known, chunks=1)


def outcome_of(error: APIError) -> Outcome:
    """Return an error as a client of HTTP would have been told of it."""
    status = error.status
    if status is None or status < 400:  # no answer, or one that is neither answer nor error
        status = 408 if isinstance(error, Timeout) else 502
    broken = isinstance(error, StreamTruncated)
    told = Told(status, error.message, error.retry_after, in_stream=broken)
    said = Said(error.text) if isinstance(error, StreamTruncated) else Said()
    return Outcome("error", said, told, raw=f"{error}\n{error!r}".encode())

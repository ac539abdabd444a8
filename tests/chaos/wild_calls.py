"""Calls of every kind through a bad network, and the judgement of how each of them ended."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import msgspec

from trunkline import APIError, AsyncClient, Client, StreamTruncated
from trunkline.types import Completion

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
SCHNELL = "huggingface/hf-inference/black-forest-labs/FLUX.1-schnell"
SMALL = "huggingface/hf-inference/BAAI/bge-small-en-v1.5"
VIDEO = "huggingface/fal-ai/Wan-AI/Wan2.1-T2V-14B"
GRACE = 15.0
"""Seconds past its deadline after which a call hangs, on a machine that is busy with others."""
PROMPTS = 12


def asked(number: int) -> list[dict[str, Any]]:
    """Return messages whose answer, which repeats them, has characters of several bytes."""
    return [{"role": "user", "content": f"Grüße №{number % PROMPTS}: 世界 🌍, say hello."}]


Ask = Callable[..., Any]
"""Asks with a client, for a number; a result, or what is awaited for it."""
KINDS: dict[str, tuple[Ask, Any]] = {
    "chat": (
        lambda c, n, model=LLAMA, **o: c.chat(model, asked(n), **o),
        lambda found: found.text,
    ),
    "stream": (lambda c, n, model=LLAMA, **o: c.stream(model, asked(n), **o), None),
    "embedding": (
        lambda c, n, **o: c.embedding(SMALL, [f"a cat {n % PROMPTS}"], **o),
        lambda found: found.vectors,
    ),
    "image": (
        lambda c, n, **o: c.image_generation(SCHNELL, f"a horse {n % PROMPTS}", size="96x64", **o),
        lambda found: found.image.content,
    ),
    "video": (
        lambda c, n, **o: c.text_to_video(VIDEO, f"a dog {n % PROMPTS}", **o),
        lambda found: found.content,
    ),
    "job": (
        lambda c, n, **o: c.text_to_video(VIDEO, f"a dog {n % PROMPTS}", download=False, **o),
        lambda found: found.url.rpartition("/")[2],  # its server has another address each time
    ),
}
"""How each kind of call is made, and what of its result has to be what the sandbox said."""


class Ended(msgspec.Struct):
    """How one call ended."""

    kind: str
    number: int
    seconds: float
    value: Any = None
    error: APIError | None = None
    pieces: str = ""
    """The text that a stream brought, piece by piece."""
    attempts: int = 0
    """Those of a chat, as its receipt or its error has them."""

    @property
    def name(self) -> str:
        """What to count it as."""
        return type(self.error).__name__ if self.error else "right"


class Oracle:
    """What the sandbox says to each call, asked without anything in between."""

    said: ClassVar[dict[tuple[str, int], Any]] = {}
    """What every sandbox of one seed says alike."""

    def __init__(self, direct: Callable[[], Client]) -> None:
        self._direct = direct

    def right(self, kind: str, number: int) -> Any:
        """Return the right answer."""
        key = kind, number % PROMPTS
        if key not in self.said:
            with self._direct() as client:
                ended = call(client, *key)
            assert ended.error is None, ended.error
            self.said[key] = ended.value
        return self.said[key]

    def judge(
        self,
        ended: Ended,
        deadline: float,
        retries: int,
        *,
        altered: bool = False,
        in_band: bool = False,
    ) -> None:
        """Fail the test where a call ended otherwise than promised.

        `altered` texts may be wrong; `in_band`: a server between may tell a stream's end as an error in it.
        """
        assert ended.seconds < deadline + GRACE, ended
        error = ended.error
        if error is not None:
            assert str(error)
            assert len(error.attempts) <= 1 + retries or error.job is not None, error.attempts
        if altered:
            return
        right = self.right(ended.kind, ended.number)
        if error is None:
            assert ended.value == right, ended
        elif ended.kind == "stream":
            assert right.startswith(ended.pieces), ended
            if ended.pieces and not in_band:
                assert isinstance(error, StreamTruncated), repr(error)
            if isinstance(error, StreamTruncated):
                assert isinstance(error.partial, Completion)
                assert error.text == (error.partial.text or "")
                assert error.text.startswith(ended.pieces)
                assert right.startswith(error.text), ended


# one call


def call(client: Client, kind: str, number: int, **options: Any) -> Ended:
    """Call, blocking."""
    ask, essence = KINDS[kind]
    began = time.monotonic()
    ended = Ended(kind, number, 0)
    try:
        result = ask(client, number, **options)
        if kind == "stream":
            with result as stream:
                for text in stream.text:
                    ended.pieces += text
                ended.value = stream.completion.text
        else:
            ended.value = essence(result)
            ended.attempts = _attempts(result)
    except APIError as error:
        ended.error, ended.attempts = error, len(error.attempts)
    ended.seconds = time.monotonic() - began
    return ended


async def call_async(client: AsyncClient, kind: str, number: int, **options: Any) -> Ended:
    """Call, awaiting."""
    ask, essence = KINDS[kind]
    began = time.monotonic()
    ended = Ended(kind, number, 0)
    try:
        result = ask(client, number, **options)
        if kind == "stream":
            async with result as stream:
                async for text in stream.text:
                    ended.pieces += text
                ended.value = stream.completion.text
        else:
            assert inspect.isawaitable(result)
            found = await result
            ended.value = essence(found)
            ended.attempts = _attempts(found)
    except APIError as error:
        ended.error, ended.attempts = error, len(error.attempts)
    ended.seconds = time.monotonic() - began
    return ended


def _attempts(result: Any) -> int:
    receipt = getattr(result, "receipt", None)
    return len(receipt.attempts) if receipt is not None else 0


# many calls


def many(
    client: Client, kinds: Sequence[str], count: int, *, at_once: int, **options: Any
) -> list[Ended]:
    """Make `count` calls, `at_once` at the same time, each in a thread."""
    one = partial(call, client, **options)
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, [kinds[n % len(kinds)] for n in range(count)], range(count)))


async def many_async(
    client: AsyncClient, kinds: Sequence[str], count: int, *, at_once: int, **options: Any
) -> list[Ended]:
    """Make `count` calls, `at_once` at the same time, each in a task."""
    free = asyncio.Semaphore(at_once)

    async def one(number: int) -> Ended:
        async with free:
            return await call_async(client, kinds[number % len(kinds)], number, **options)

    return await asyncio.gather(*(one(number) for number in range(count)))


def told(ends: Iterable[Ended]) -> Counter[str]:
    """Count how calls ended."""
    return Counter(ended.name for ended in ends)

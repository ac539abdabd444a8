"""Streamed answers as the caller holds them: iterate, collect, or leave early and hang up."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import TracebackType
from typing import Self

from trunkline.errors import APIConnectionError, APIError, StreamTruncated
from trunkline.routing.flow import Opened
from trunkline.transport.seam import AsyncExchange, Exchange
from trunkline.types import Chunk, Completion, Receipt, Usage

_PARTING = 0.1
"""Seconds that a server has, after `[DONE]`, to end its response so that the connection can stay."""


class _Progress:
    """What both streams know of the one that they read. No I/O."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.reader = opened.reader
        self.last_event = opened.reply.ended
        self.completion: Completion | None = None

    def until(self) -> float:
        """Return the moment at which waiting for more becomes too long."""
        opened = self.opened
        timeouts = opened.chat.timeouts
        deadline = opened.chat.deadline
        return min(
            time.monotonic() + timeouts.idle,
            self.last_event + timeouts.quiet,
            opened.reply.started + timeouts.stream,
            float("inf") if deadline is None else opened.began + deadline,
        )

    def arrived(self, data: bytes) -> list[Chunk]:
        """Return the chunks that `data` completes; none at all is the end."""
        if not data:
            return self.reader.finish()
        chunks = self.reader.feed(data)
        if chunks:
            self.last_event = time.monotonic()
        return chunks

    def settle(self) -> None:
        """Make the completion, or raise what ended the stream."""
        ended = time.monotonic()
        failure = self.reader.failure
        if failure is None:
            self.completion = self.opened.completion(ended)
            return
        if isinstance(failure, StreamTruncated):
            failure.partial = self.opened.completion(ended, failure)
        raise self.opened.explain(failure, ended) from failure.__cause__

    def so_far(self) -> Completion:
        """Return the whole if the stream has ended, else what has come of it."""
        return self.completion or self.opened.completion(time.monotonic())

    def usage(self) -> Usage | None:
        return self.reader.fold.usage


class Stream:
    """A streamed answer, read by iterating. A context manager: leaving it hangs up at once.

    After the end, `completion` is the whole answer with its receipt. A stream that ends before
    its answer did raises StreamTruncated; an error of the provider raises its class.
    """

    def __init__(self, opened: Opened) -> None:
        """Begin with the chunks that opening has already read."""
        self._progress = _Progress(opened)
        self._exchange: Exchange = opened.reply.exchange
        self._chunks = self._read()

    def __iter__(self) -> Iterator[Chunk]:
        """Iterate the chunks as they arrive."""
        return self._chunks

    def __next__(self) -> Chunk:
        """Return the next chunk."""
        return next(self._chunks)

    def __enter__(self) -> Self:
        """Return the stream itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up if the stream has not ended."""
        self.close()

    @property
    def text(self) -> Iterator[str]:
        """The content of the first choice alone, piece by piece."""
        return (chunk.text for chunk in self if chunk.text)

    def collect(self) -> Completion:
        """Read to the end and return the whole answer; raises as iterating does."""
        for _ in self._chunks:
            pass
        return self._progress.so_far()

    @property
    def completion(self) -> Completion:
        """The whole answer once the stream has ended; before that, what has come of it."""
        return self._progress.so_far()

    @property
    def usage(self) -> Usage | None:
        """Token counts, once the provider has sent them."""
        return self._progress.usage()

    @property
    def receipt(self) -> Receipt | None:
        """What happened, up to now."""
        return self._progress.so_far().receipt

    def close(self) -> None:
        """Stop: the provider's connection is closed at once. Harmless after the end."""
        self._exchange.close()
        try:
            self._chunks.close()
        except ValueError:
            pass  # another thread is reading; the hang-up wakes it

    def __del__(self) -> None:
        """Hang up when nobody holds the stream any more."""
        self._exchange.close()

    def _read(self) -> Generator[Chunk]:
        progress, exchange = self._progress, self._exchange
        chunks = progress.opened.reply.chunks
        try:
            while True:
                yield from chunks
                if progress.reader.done:
                    break
                try:
                    chunks = progress.arrived(exchange.read(progress.until()))
                except APIConnectionError as cut:
                    chunks = progress.reader.finish(cut)
            if progress.reader.said_done:
                self._let_end()
            progress.settle()
        finally:
            exchange.close()

    def _let_end(self) -> None:
        until = time.monotonic() + _PARTING
        try:
            while self._exchange.read(until):
                pass
        except APIError:
            pass  # the answer is whole; only the connection is lost


class AsyncStream:
    """A streamed answer, read with `async for`. It opens when it is first used or awaited.

    `async with` hangs up on leaving. Ends and errors are as in Stream.
    """

    def __init__(self, open_stream: Callable[[], Awaitable[Opened]]) -> None:
        """Take what opens it; nothing is sent yet."""
        self._open_stream = open_stream
        self._progress: _Progress | None = None
        self._exchange: AsyncExchange | None = None
        self._chunks = self._read()

    def __await__(self) -> Generator[object, None, Self]:
        """Open the stream: errors of opening it are raised here."""
        return self.__aenter__().__await__()

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Iterate the chunks as they arrive."""
        return self._chunks

    async def __anext__(self) -> Chunk:
        """Return the next chunk."""
        return await anext(self._chunks)

    async def __aenter__(self) -> Self:
        """Open the stream and return it."""
        await self._opened()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up if the stream has not ended."""
        await self.close()

    @property
    async def text(self) -> AsyncIterator[str]:
        """The content of the first choice alone, piece by piece."""
        async for chunk in self._chunks:
            if chunk.text:
                yield chunk.text

    async def collect(self) -> Completion:
        """Read to the end and return the whole answer; raises as iterating does."""
        async for _ in self._chunks:
            pass
        return self.completion

    @property
    def completion(self) -> Completion:
        """The whole answer once the stream has ended; before that, what has come of it."""
        if self._progress is None:
            return Completion(None, None, [])
        return self._progress.so_far()

    @property
    def usage(self) -> Usage | None:
        """Token counts, once the provider has sent them."""
        return self._progress.usage() if self._progress else None

    @property
    def receipt(self) -> Receipt | None:
        """What happened, up to now."""
        return self.completion.receipt

    async def close(self) -> None:
        """Stop: the provider's connection is closed at once. Harmless after the end."""
        if self._exchange is not None:
            self._exchange.close()
        try:
            await self._chunks.aclose()
        except RuntimeError:
            pass  # another task is reading; the hang-up wakes it

    aclose = close

    def __del__(self) -> None:
        """Hang up when nobody holds the stream any more."""
        if self._exchange is not None:
            self._exchange.close()

    async def _opened(self) -> tuple[_Progress, AsyncExchange]:
        if self._progress is None or self._exchange is None:
            opened = await self._open_stream()
            self._progress = _Progress(opened)
            self._exchange = opened.reply.exchange
        return self._progress, self._exchange

    async def _read(self) -> AsyncGenerator[Chunk]:
        progress, exchange = await self._opened()
        chunks = progress.opened.reply.chunks
        try:
            while True:
                for chunk in chunks:
                    yield chunk
                if progress.reader.done:
                    break
                try:
                    chunks = progress.arrived(await exchange.read(progress.until()))
                except APIConnectionError as cut:
                    chunks = progress.reader.finish(cut)
            if progress.reader.said_done:
                await self._let_end(exchange)
            progress.settle()
        finally:
            exchange.close()

    async def _let_end(self, exchange: AsyncExchange) -> None:
        until = time.monotonic() + _PARTING
        try:
            while await exchange.read(until):
                pass
        except APIError:
            pass  # the answer is whole; only the connection is lost

"""Streamed answers as the caller holds them: iterate, collect, or leave early and hang up."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import TracebackType
from typing import Self

from trunkline.errors import (
    APIConnectionError,
    APIError,
    DeadlineExceeded,
    StreamTruncated,
    Timeout,
)
from trunkline.routing.flow import Opened
from trunkline.transport.seam import AsyncExchange, Exchange
from trunkline.types import Chunk, Completion, Receipt, Usage

_PARTING = 0.1
"""Seconds that a server has, after `[DONE]`, to end its response so that the connection can stay."""
_EARLY = 0.01
"""Seconds by which a loop's alarm may come too soon."""


class _Progress:
    """What both streams know of the one that they read. No I/O."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.reader = opened.reader
        self.last_event = opened.reply.ended
        self.ended: float | None = None
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

    def cut_off(self, cut: APIConnectionError) -> list[Chunk]:
        """Return the last chunks of a stream whose connection broke, or was too slow."""
        if isinstance(cut, Timeout):
            cut = self._passed(time.monotonic() + _EARLY) or cut
        return self.reader.finish(cut)

    def _passed(self, now: float) -> Timeout | None:
        """Return which limit of the stream as a whole has passed, if one has."""
        opened = self.opened
        timeouts = opened.chat.timeouts
        if opened.chat.deadline is not None and now >= opened.began + opened.chat.deadline:
            return DeadlineExceeded("The call's deadline passed.")
        if now >= self.last_event + timeouts.quiet:
            return Timeout(f"No event came for {timeouts.quiet:g} s, only keep-alives.")
        if now >= opened.reply.started + timeouts.stream:
            return Timeout(f"It lasted longer than {timeouts.stream:g} s.")
        return None

    def left(self) -> None:
        """Note when the stream ended, or was left."""
        if self.ended is None:
            self.ended = time.monotonic()

    def settle(self) -> None:
        """Make the completion, or raise what ended the stream."""
        self.left()
        failure = self.reader.failure
        completion = self.so_far()
        if failure is None:
            self.completion = completion
            return
        if isinstance(failure, StreamTruncated):
            failure.partial = completion
        ended = self.ended or time.monotonic()
        raise self.opened.explain(failure, ended) from failure.__cause__

    def whole(self) -> Completion:
        """Return the whole answer; raises what ended the stream before it was one."""
        if self.completion is None:
            self.reader.finish(APIConnectionError("It was closed before its end."))
            self.settle()
        return self.so_far()

    def so_far(self) -> Completion:
        """Return the whole if the stream has ended, else what has come of it."""
        ended = self.ended or time.monotonic()
        return self.completion or self.opened.completion(ended, self.reader.failure)

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
        self._chunks = _read(self._progress, self._exchange)

    def __iter__(self) -> Self:
        """Iterate the chunks as they arrive; a loop that is left early drops the stream."""
        return self

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
        return self._progress.whole()

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
        self._progress.left()
        try:
            self._chunks.close()
        except ValueError:
            pass  # another thread is reading; the hang-up wakes it

    def __del__(self) -> None:
        """Hang up when nobody holds the stream any more."""
        self._exchange.close()


def _read(progress: _Progress, exchange: Exchange) -> Generator[Chunk]:
    """Yield chunks. It does not know its Stream, so that one which nobody holds goes at once."""
    chunks = progress.opened.reply.chunks
    try:
        while True:
            yield from chunks
            if progress.reader.done:
                break
            try:
                chunks = progress.arrived(exchange.read(progress.until()))
            except APIConnectionError as cut:
                chunks = progress.cut_off(cut)
        if progress.reader.said_done:
            _let_end(exchange)
        progress.settle()
    finally:
        exchange.close()


def _let_end(exchange: Exchange) -> None:
    until = time.monotonic() + _PARTING
    try:
        while exchange.read(until):
            pass
    except APIError:
        pass  # the answer is whole; only the connection is lost


class _Opening:
    """A stream that opens when it is first needed."""

    def __init__(self, open_stream: Callable[[], Awaitable[Opened]]) -> None:
        self._open_stream = open_stream
        self.progress: _Progress | None = None
        self.exchange: AsyncExchange | None = None

    async def done(self) -> tuple[_Progress, AsyncExchange]:
        progress, exchange = self.progress, self.exchange
        if progress is None or exchange is None:
            opened = await self._open_stream()
            progress = self.progress = _Progress(opened)
            exchange = self.exchange = opened.reply.exchange
        return progress, exchange

    def hang_up(self) -> None:
        if self.exchange is not None:
            self.exchange.close()


class AsyncStream:
    """A streamed answer, read with `async for`. It opens when it is first used or awaited.

    `async with` hangs up on leaving. Ends and errors are as in Stream.
    """

    def __init__(self, open_stream: Callable[[], Awaitable[Opened]]) -> None:
        """Take what opens it; nothing is sent yet."""
        self._opening = _Opening(open_stream)
        self._chunks = _read_async(self._opening)

    def __await__(self) -> Generator[object, None, Self]:
        """Open the stream: errors of opening it are raised here."""
        return self.__aenter__().__await__()

    def __aiter__(self) -> Self:
        """Iterate the chunks as they arrive; a loop that is left early drops the stream."""
        return self

    def __anext__(self) -> Awaitable[Chunk]:
        """Return the next chunk."""
        return anext(self._chunks)

    async def __aenter__(self) -> Self:
        """Open the stream and return it."""
        await self._opening.done()
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
        async for chunk in self:
            if chunk.text:
                yield chunk.text

    async def collect(self) -> Completion:
        """Read to the end and return the whole answer; raises as iterating does."""
        async for _ in self._chunks:
            pass
        progress, _exchange = await self._opening.done()
        return progress.whole()

    @property
    def completion(self) -> Completion:
        """The whole answer once the stream has ended; before that, what has come of it."""
        progress = self._opening.progress
        return progress.so_far() if progress else Completion(None, None, [])

    @property
    def usage(self) -> Usage | None:
        """Token counts, once the provider has sent them."""
        progress = self._opening.progress
        return progress.usage() if progress else None

    @property
    def receipt(self) -> Receipt | None:
        """What happened, up to now."""
        return self.completion.receipt

    async def close(self) -> None:
        """Stop: the provider's connection is closed at once. Harmless after the end."""
        self._opening.hang_up()
        if self._opening.progress is not None:
            self._opening.progress.left()
        try:
            await self._chunks.aclose()
        except RuntimeError:
            pass  # another task is reading; the hang-up wakes it

    aclose = close

    def __del__(self) -> None:
        """Hang up when nobody holds the stream any more."""
        self._opening.hang_up()


async def _read_async(opening: _Opening) -> AsyncGenerator[Chunk]:
    """Yield chunks, as `_read` does."""
    progress, exchange = await opening.done()
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
                chunks = progress.cut_off(cut)
        if progress.reader.said_done:
            await _let_end_async(exchange)
        progress.settle()
    finally:
        exchange.close()


async def _let_end_async(exchange: AsyncExchange) -> None:
    until = time.monotonic() + _PARTING
    try:
        while await exchange.read(until):
            pass
    except APIError:
        pass  # the answer is whole; only the connection is lost

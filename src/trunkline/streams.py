"""Streamed answers as the caller holds them: iterate, collect, or leave early and hang up."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, Self

from trunkline.errors import APIConnectionError, APIError
from trunkline.lines import Line, Run, RunAsync
from trunkline.progress import Ending, EventT, Open, Progress, WholeT
from trunkline.routing.flow import Opened
from trunkline.transport.seam import AsyncExchange, Exchange
from trunkline.types import Chunk, Completion, Receipt, Usage

_PARTING = 0.1
"""Seconds that a server has, after `[DONE]`, to end its response so that the connection can stay."""


class EventStream(Generic[EventT, WholeT]):
    """A streamed answer, read by iterating. A context manager: leaving it hangs up at once.

    After the end, `whole` is the whole answer with its receipt. A stream that ends before its
    answer did raises StreamTruncated; an error of the provider raises its class. Both have what
    came before them in `partial`.
    """

    def __init__(
        self,
        opened: Open[EventT, WholeT],
        ending: Ending | None = None,
        run: Run[EventT, WholeT] | None = None,
    ) -> None:
        """Begin with the events that opening has already read; `run` is for streams on routes."""
        self._progress: Progress[EventT, WholeT] = Progress(opened, ending)
        self._line: Line[EventT, WholeT] = Line(opened.reply.exchange, run)
        self._events = _read(self._progress, self._line)

    def __iter__(self) -> Self:
        """Iterate the events as they arrive; a loop that is left early drops the stream."""
        return self

    def __next__(self) -> EventT:
        """Return the next event."""
        return next(self._events)

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
        """The text of the (first) answer alone, piece by piece."""
        text_of = self._progress.opened.text_of
        return (text for event in self if (text := text_of(event)))

    def collect(self) -> WholeT:
        """Read to the end and return the whole answer; raises as iterating does."""
        for _ in self._events:
            pass
        return self._progress.whole()

    @property
    def whole(self) -> WholeT:
        """The whole answer once the stream has ended; before that, what has come of it."""
        return self._progress.so_far()

    @property
    def usage(self) -> Any:
        """Token counts as the whole has them, once the provider has sent them."""
        return self._progress.opened.usage

    @property
    def receipt(self) -> Receipt | None:
        """What happened, up to now."""
        receipt: Receipt | None = getattr(self._progress.so_far(), "receipt", None)
        return receipt

    def close(self) -> None:
        """Stop: the provider's connection is closed at once. Harmless after the end."""
        self._line.hang_up()
        self._progress.left()
        self._progress.dropped()
        try:
            self._events.close()
        except ValueError:
            pass  # another thread is reading; the hang-up wakes it

    def __del__(self) -> None:
        """Hang up when nobody holds the stream any more."""
        line: Line[EventT, WholeT] | None = getattr(self, "_line", None)
        if line is not None:
            line.hang_up()
            self._progress.dropped()


class Stream(EventStream[Chunk, Completion]):
    """A streamed chat: its chunks, and its `completion` after the end."""

    def __init__(
        self,
        opened: Opened,
        ending: Ending | None = None,
        run: Run[Chunk, Completion] | None = None,
    ) -> None:
        """Begin with the chunks that opening has already read; `run` is for streams on routes."""
        super().__init__(opened, ending, run)

    @property
    def completion(self) -> Completion:
        """The whole answer once the stream has ended; before that, what has come of it."""
        return self._progress.so_far()

    @property
    def usage(self) -> Usage | None:
        """Token counts, once the provider has sent them."""
        usage: Usage | None = self._progress.opened.usage
        return usage


def _read(
    progress: Progress[EventT, WholeT], line: Line[EventT, WholeT]
) -> Generator[EventT, None, None]:
    """Yield events. It does not know its stream, so that one which nobody holds goes at once."""
    events = progress.waiting
    try:
        while True:
            yield from events
            if progress.reader.done:
                if not line.mended(progress):
                    break
                events = progress.waiting
                continue
            try:
                events = progress.arrived(line.exchange.read(progress.until()))
            except APIConnectionError as cut:
                events = progress.cut_off(cut)
        if progress.reader.failure is None:
            yield from progress.let_go()
        if progress.reader.said_done:
            _let_end(line.exchange)
        progress.settle()
    finally:
        line.exchange.close()


def _let_end(exchange: Exchange) -> None:
    until = time.monotonic() + _PARTING
    try:
        while exchange.read(until):
            pass
    except APIError:
        pass  # the answer is whole; only the connection is lost


class _Opening(Generic[EventT, WholeT]):
    """A stream that opens when it is first needed."""

    def __init__(
        self,
        open_stream: Callable[[], Awaitable[Open[EventT, WholeT]]],
        ending: Ending | None,
        run: RunAsync[EventT, WholeT] | None,
    ) -> None:
        self._open_stream = open_stream
        self._ending = ending
        self._run = run
        self._left = False
        self._mending: Any = None
        self.progress: Progress[EventT, WholeT] | None = None
        self.exchange: AsyncExchange | None = None

    async def done(self) -> tuple[Progress[EventT, WholeT], AsyncExchange]:
        progress, exchange = self.progress, self.exchange
        if progress is None or exchange is None:
            opened = await self._open_stream()
            progress = self.progress = Progress(opened, self._ending)
            exchange = self.exchange = opened.reply.exchange
        return progress, exchange

    async def mended(self, progress: Progress[EventT, WholeT]) -> AsyncExchange | None:
        """Go on with another exchange, if there is a way to; raises APIError."""
        flow = None if self._run is None or self._left else progress.mending()
        if flow is None or self._run is None:
            return None
        self.hang_up()
        self._left = False
        try:
            opened = await self._until_left(self._run(flow))
        except APIError as error:
            progress.broken(error)
            raise
        if opened is None:
            return None
        exchange: AsyncExchange = opened.reply.exchange
        self.exchange = exchange
        if self._left:
            exchange.close()
        progress.mended(opened)
        return exchange

    async def _until_left(
        self, opens: Awaitable[Open[EventT, WholeT]]
    ) -> Open[EventT, WholeT] | None:
        """Wait for another stream; None where another task has closed this one meanwhile."""
        import asyncio  # loaded already: this is called within a loop

        self._mending = asyncio.ensure_future(opens)
        try:
            opened: Open[EventT, WholeT] = await self._mending
            return opened
        except asyncio.CancelledError:
            if not self._left:
                raise
            return None
        finally:
            self._mending = None

    def hang_up(self) -> None:
        self._left = True
        if self._mending is not None:
            self._mending.cancel()
        if self.exchange is not None:
            self.exchange.close()

    def drop(self) -> None:
        self.hang_up()
        if self.progress is not None:
            self.progress.dropped()


class AsyncEventStream(Generic[EventT, WholeT]):
    """A streamed answer, read with `async for`. It opens when it is first used or awaited.

    `async with` hangs up on leaving. Ends and errors are as in EventStream.
    """

    def __init__(
        self,
        open_stream: Callable[[], Awaitable[Open[EventT, WholeT]]],
        empty: WholeT,
        ending: Ending | None = None,
        run: RunAsync[EventT, WholeT] | None = None,
    ) -> None:
        """Take what opens it, on routes `run` anew, and what the whole is until then; nothing is sent."""
        self._opening: _Opening[EventT, WholeT] = _Opening(open_stream, ending, run)
        self._empty = empty
        self._events = _read_async(self._opening)

    def __await__(self) -> Generator[object, None, Self]:
        """Open the stream: errors of opening it are raised here."""
        return self.__aenter__().__await__()

    def __aiter__(self) -> Self:
        """Iterate the events as they arrive; a loop that is left early drops the stream."""
        return self

    def __anext__(self) -> Awaitable[EventT]:
        """Return the next event."""
        return anext(self._events)

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
        """The text of the (first) answer alone, piece by piece."""
        progress, _exchange = await self._opening.done()
        text_of = progress.opened.text_of
        async for event in self:
            text = text_of(event)
            if text:
                yield text

    async def collect(self) -> WholeT:
        """Read to the end and return the whole answer; raises as iterating does."""
        async for _ in self._events:
            pass
        progress, _exchange = await self._opening.done()
        return progress.whole()

    @property
    def whole(self) -> WholeT:
        """The whole answer once the stream has ended; before that, what has come of it."""
        progress = self._opening.progress
        return progress.so_far() if progress else self._empty

    @property
    def usage(self) -> Any:
        """Token counts as the whole has them, once the provider has sent them."""
        progress = self._opening.progress
        return progress.opened.usage if progress else None

    @property
    def receipt(self) -> Receipt | None:
        """What happened, up to now."""
        receipt: Receipt | None = getattr(self.whole, "receipt", None)
        return receipt

    async def close(self) -> None:
        """Stop: the provider's connection is closed at once. Harmless after the end."""
        self._opening.hang_up()
        if self._opening.progress is not None:
            self._opening.progress.left()
        self._opening.drop()
        try:
            await self._events.aclose()
        except RuntimeError:
            pass  # another task is reading; the hang-up wakes it

    aclose = close

    def __del__(self) -> None:
        """Hang up when nobody holds the stream any more."""
        self._opening.drop()


class AsyncStream(AsyncEventStream[Chunk, Completion]):
    """A streamed chat, awaiting: its chunks, and its `completion` after the end."""

    def __init__(
        self,
        open_stream: Callable[[], Awaitable[Opened]],
        ending: Ending | None = None,
        run: RunAsync[Chunk, Completion] | None = None,
    ) -> None:
        """Take what opens it; nothing is sent yet. `run` is for streams on routes."""
        super().__init__(open_stream, Completion(None, None, []), ending, run)

    @property
    def completion(self) -> Completion:
        """The whole answer once the stream has ended; before that, what has come of it."""
        return self.whole

    @property
    def usage(self) -> Usage | None:
        """Token counts, once the provider has sent them."""
        progress = self._opening.progress
        usage: Usage | None = progress.opened.usage if progress else None
        return usage


async def _read_async(opening: _Opening[EventT, WholeT]) -> AsyncGenerator[EventT, None]:
    """Yield events, as `_read` does."""
    progress, exchange = await opening.done()
    events = progress.waiting
    try:
        while True:
            for event in events:
                yield event
            if progress.reader.done:
                another = await opening.mended(progress)
                if another is None:
                    break
                exchange, events = another, progress.waiting
                continue
            try:
                events = progress.arrived(await exchange.read(progress.until()))
            except APIConnectionError as cut:
                events = progress.cut_off(cut)
        if progress.reader.failure is None:
            for event in progress.let_go():
                yield event
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

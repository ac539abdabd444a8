"""A few connections to PostgreSQL on an event loop of their own thread, lent to blocking callers.

Whatever a server does, a caller is answered in time: a connection that is late is cut, not waited for.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar
from weakref import WeakSet

import asyncpg
import msgspec

from trunkline.store.postgres_errors import (
    TROUBLE,
    explained,
    is_broken,
    is_passing,
    unanswered,
)
from trunkline.store.seam import StoreError

T = TypeVar("T")
Work = Callable[[Any], Awaitable[T]]
"""What is done with a connection; more than once, where others were in its way."""
_TURNS = 5
"""How often a transaction is begun anew that others were in the way of."""
_CUT_SECONDS = 1.0
"""For work to notice that its connection was cut."""


class PoolOptions(msgspec.Struct, frozen=True):
    """How many connections, and how long to wait for what."""

    connections: int = 5
    connect_seconds: float = 5.0
    statement_seconds: float = 10.0
    """For all statements of one operation together."""


class PostgresPool:
    """Lends connections to one database. Usable from any number of threads; opens nothing yet."""

    def __init__(self, url: str, password: str | None, place: str, options: PoolOptions) -> None:
        self.place = place
        self._url = url
        self._password = password
        self._options = options
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        # Of the loop's thread alone:
        self._idle: list[Any] = []
        self._lent: set[Any] = set()
        self._prepared: WeakSet[Any] = WeakSet()
        self._places: asyncio.Semaphore | None = None

    def run(
        self,
        work: Work[T],
        *,
        writing: bool = False,
        before: Work[None] | None = None,
        seconds: float | None = None,
    ) -> T:
        """Do work with a connection, `writing` within a transaction: all of it happens, or nothing.

        `before` is done once for each connection that comes to such work. Raises StoreError, at the
        latest after `seconds`, and then it may have happened all the same.
        """
        most = self._options.statement_seconds if seconds is None else seconds

        async def all_of_it(connection: Any) -> T:
            if before is not None and connection not in self._prepared:
                await before(connection)
                self._prepared.add(connection)
            return await (transacted(connection, work) if writing else work(connection))

        return self._started(self._serve(all_of_it, most)).result()

    def close(self) -> None:
        """Cut every connection and end the thread; harmless when closed."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._closed, self._loop, self._thread = True, None, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _started(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:
            if self._closed:
                coroutine.close()
                raise StoreError(f"The store {self.place} was closed; open a new one.")
            if self._loop is None:
                self._loop = _new_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="trunkline-postgres", daemon=True
                )
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _serve(self, work: Work[T], seconds: float) -> T:
        if self._places is None:
            self._places = asyncio.Semaphore(self._options.connections)
        try:
            async with asyncio.timeout(self._options.statement_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise StoreError(
                f"The store {self.place}: all {self._options.connections} connections are busy; look "
                "what holds the database, or raise store.connections."
            ) from error
        try:
            return await self._with_connection(work, seconds)
        except TROUBLE as error:
            raise explained(error, self.place) from error
        finally:
            self._places.release()

    async def _with_connection(self, work: Work[T], seconds: float) -> T:
        connection = await self._take()
        self._lent.add(connection)
        task = asyncio.ensure_future(work(connection))
        try:
            await asyncio.wait({task}, timeout=seconds)
            if not task.done():
                await _cut(connection, task)
                raise unanswered(self.place)
            result = task.result()
        except BaseException as error:
            if is_broken(error) or isinstance(error, asyncio.CancelledError):
                await _cut(connection, task)
                self._forget_idle()  # they lead to the same server as this one
            raise
        finally:
            self._lent.discard(connection)
            if not connection.is_closed():
                self._idle.append(connection)
        return result

    def _forget_idle(self) -> None:
        while self._idle:
            self._idle.pop().terminate()

    async def _take(self) -> Any:
        while self._idle:
            # The last one used has its statements prepared.
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        async with asyncio.timeout(self._options.connect_seconds):
            connection = await self._open()
            try:
                await self._prepare(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _open(self) -> Any:
        try:
            return await asyncpg.connect(
                self._url, password=self._password, max_cached_statement_lifetime=0
            )
        except ValueError as error:
            # What the driver says of a URL may repeat it.
            raise StoreError(
                f"The store {self.place} cannot be reached: its URL cannot be used "
                f"({type(error).__name__}); look at store.url, character by character."
            ) from None

    async def _prepare(self, connection: Any) -> None:
        milliseconds = int(self._options.statement_seconds * 1000)
        # A process that stands still in a transaction must not hold up all others.
        await connection.execute(
            f"SET application_name = 'trunkline'; SET statement_timeout = {milliseconds}; "
            f"SET idle_in_transaction_session_timeout = {milliseconds}; "
            "SET default_transaction_isolation = 'read committed'; SET jit = off"
        )
        encoding = connection.get_settings().server_encoding
        if encoding != "UTF8":
            raise StoreError(
                f"The store {self.place} keeps text as {encoding}, which cannot hold every text; make "
                "a database with the encoding UTF8."
            )

    async def _end(self) -> None:
        self._forget_idle()
        for connection in self._lent:
            connection.terminate()
        await asyncio.sleep(0)
        mine = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not mine]
        if left:
            await asyncio.wait(left, timeout=_CUT_SECONDS)


def _new_loop() -> asyncio.AbstractEventLoop:
    # A gateway has it, and it takes a fifth less for the same; to load it would slow all else down.
    uvloop: Any = sys.modules.get("uvloop")
    loop: asyncio.AbstractEventLoop = (uvloop or asyncio).new_event_loop()
    return loop


async def transacted(connection: Any, work: Work[T]) -> T:
    """Do work in a transaction, and again where others were in its way."""
    for turn in range(_TURNS):
        await connection.execute("BEGIN")
        try:
            result = await work(connection)
            await connection.execute("COMMIT")
        except BaseException as error:
            if connection.is_closed() or is_broken(error):
                raise
            await connection.execute("ROLLBACK")
            if not is_passing(error) or turn == _TURNS - 1:
                raise
        else:
            return result
    raise AssertionError  # the last turn returned or raised


async def _cut(connection: Any, task: asyncio.Future[Any]) -> None:
    """End a connection without asking the server, and what was done with it."""
    connection.terminate()
    await asyncio.wait({task}, timeout=_CUT_SECONDS)
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()  # it was cut: what it says of that is of no interest

"""The asynchronous transport: asyncio protocols and a pool for each event loop.

A cancelled call leaves no connection behind: the socket is closed in the same loop iteration.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakKeyDictionary

from trunkline.errors import APIConnectionError, Timeout
from trunkline.transport.aio_connection import Connection, Place
from trunkline.transport.aio_reach import reach
from trunkline.transport.proxy import Proxies, Proxy, check_tunnel, write_connect, write_through
from trunkline.transport.public import check_peer
from trunkline.transport.tls import client_context
from trunkline.transport.trouble import closed_early, hung_up, trouble
from trunkline.types import Timeouts
from trunkline.wire.http1_read import HttpError, HttpLimits, ResponseReader
from trunkline.wire.message import HttpRequest, ResponseHead, Url

_READ = 64 * 1024


class AioExchange:
    """One request on one connection, its response's head read."""

    __slots__ = (
        "_closed",
        "_connection",
        "_pool",
        "_reader",
        "_url",
        "head",
        "started",
    )

    def __init__(
        self,
        pool: _Pool,
        connection: Connection,
        reader: ResponseReader,
        url: Url,
        head: ResponseHead,
        started: float,
    ) -> None:
        """Belongs to `pool`, which takes the connection back."""
        self.head = head
        self.started = started
        self._pool = pool
        self._connection = connection
        self._reader = reader
        self._url = url
        self._closed = False

    async def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.AsyncExchange."""
        reader = self._reader
        connection = self._connection
        try:
            while True:
                if not reader.complete and time.monotonic() >= until:
                    raise TimeoutError  # else a peer that never pauses would never be late
                data = reader.take()
                connection.taken()
                if data or reader.complete:
                    return data
                if connection.failure is not None:
                    raise connection.failure
                if connection.closed:
                    raise closed_early(self._url, "body", received=True)
                await connection.wait(until)
        except (OSError, HttpError, APIConnectionError) as error:
            if not self._pool.holds(connection):
                raise hung_up(self._url, received=True) from error
            if isinstance(error, APIConnectionError):
                raise
            raise trouble(error, self._url, "body", received=True) from error

    def close(self) -> None:
        """Give the connection back if the response is complete, else hang up at once."""
        if self._closed:
            return
        self._closed = True
        reader, connection = self._reader, self._connection
        reusable = reader.complete and reader.keep_alive and connection.sent
        self._pool.release(connection, reusable=reusable)


class _Pool:
    """The connections of one event loop."""

    def __init__(self, idle_seconds: float, max_idle: int) -> None:
        self._idle: dict[Place, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._farewell: AsyncGenerator[None] | None = None
        self._arriving = memoryview(bytearray(_READ))

    def connection(self, url: Url) -> Connection:
        """Return a new connection for the event loop to connect."""
        return Connection((url.scheme, url.host, url.port), self._arriving)

    async def begin(self) -> None:
        """Have the loop close these connections when it shuts down, as asyncio.run() does."""
        self._farewell = self._close_with_loop()
        await anext(self._farewell)

    async def _close_with_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self.close()
            self._farewell = None  # it knows the loop, which should be free to go

    def take(self, place: Place) -> Connection | None:
        waiting = self._idle.get(place)
        while waiting:
            connection = waiting.pop()
            fresh = connection.idle_since >= time.monotonic() - self._idle_seconds
            if fresh and not connection.closed:
                self._busy.add(connection)
                return connection
            connection.hang_up()
        return None

    def adopt(self, connection: Connection) -> None:
        self._busy.add(connection)

    def release(self, connection: Connection, *, reusable: bool) -> bool:
        """Take a connection back from an exchange that is over; False if it was closed before."""
        if connection not in self._busy:
            return False
        self._busy.discard(connection)
        waiting = self._idle.setdefault(connection.place, [])
        if reusable and not connection.closed and len(waiting) < self._max_idle:
            connection.rest()
            waiting.append(connection)
        else:
            connection.hang_up()
        return True

    def holds(self, connection: Connection) -> bool:
        """Tell whether an exchange still has `connection`: nobody has closed it from this side."""
        return connection in self._busy

    def close(self) -> None:
        idle, self._idle = self._idle, {}
        busy, self._busy = self._busy, set()
        for connection in (*busy, *(c for waiting in idle.values() for c in waiting)):
            connection.hang_up()


class AioTransport:
    """asyncio protocols behind a pool for each loop; usable from any number of loops."""

    def __init__(
        self,
        *,
        proxies: Proxies | None = None,
        ca_file: str | None = None,
        limits: HttpLimits | None = None,
        idle_seconds: float = 55.0,
        max_idle: int = 256,
    ) -> None:
        """Keep up to `max_idle` connections a server for `idle_seconds`; opens nothing yet."""
        self._proxies = proxies or Proxies()
        self._ca_file = ca_file
        self._limits = limits or HttpLimits()
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()

    async def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> AioExchange:
        """Send `request` and wait for the response's head; raises as seam.AsyncTransport."""
        url = request.url
        pool = await self._pool()
        proxy = self._proxies.choose(url)
        data = write_through(request, proxy)
        connection = None if request.once else pool.take((url.scheme, url.host, url.port))
        if connection is not None:
            try:
                return await self._exchange(pool, connection, data, request, until)
            except APIConnectionError as error:
                if error.received or error.should_retry is False or isinstance(error, Timeout):
                    raise
                # it had died while idle: once more, on a new one
        connection = await self._connect(pool, request, proxy, timeouts, until)
        pool.adopt(connection)
        return await self._exchange(pool, connection, data, request, until)

    async def dial(
        self, protocol: asyncio.Protocol, url: Url, timeouts: Timeouts, until: float
    ) -> None:
        """Connect to `url`'s server, and let `protocol` have the connection: it is no longer ours.

        Raises Timeout or APIConnectionError.
        """
        pool = await self._pool()
        asked = HttpRequest("GET", url, ())
        connection = await self._connect(pool, asked, self._proxies.choose(url), timeouts, until)
        connection.hand_over(protocol)

    async def _pool(self) -> _Pool:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = _Pool(self._idle_seconds, self._max_idle)
            await pool.begin()
        return pool

    def close(self) -> None:
        """Close every connection of every loop; calls in flight end with APIConnectionError."""
        for loop, pool in list(self._pools.items()):
            if loop.is_closed():
                continue
            if loop.is_running() and loop is not _running_loop():
                loop.call_soon_threadsafe(pool.close)
            else:
                pool.close()

    async def _exchange(
        self,
        pool: _Pool,
        connection: Connection,
        data: tuple[bytes, ...],
        request: HttpRequest,
        until: float,
    ) -> AioExchange:
        started = time.monotonic()
        url = request.url
        reader = ResponseReader(self._limits.allowing(request.limit))
        try:
            if request.public and self._proxies.choose(url) is None:
                check_peer(request, connection.peer)
            connection.send(reader, *data)
            while reader.head is None:
                if connection.failure is not None:
                    raise connection.failure
                if connection.closed:
                    raise closed_early(url, "head", received=connection.received)
                await connection.wait(until)
        except BaseException as error:
            received = connection.received
            ours = pool.release(connection, reusable=False)
            if not ours and isinstance(error, Exception):
                raise hung_up(url, received=received) from error
            if isinstance(error, (OSError, HttpError)):
                raise trouble(error, url, "head", received=received) from error
            raise
        return AioExchange(pool, connection, reader, url, reader.head, started)

    async def _connect(
        self,
        pool: _Pool,
        request: HttpRequest,
        proxy: Proxy | None,
        timeouts: Timeouts,
        until: float,
    ) -> Connection:
        """Open a connection; TCP may take `timeouts.connect`, and TLS the same again."""
        loop, url = asyncio.get_running_loop(), request.url
        context = client_context(self._ca_file) if url.scheme == "https" else None
        span = min(timeouts.connect * (2 if context else 1), until - time.monotonic())
        try:
            async with asyncio.timeout(span):
                if proxy is not None:
                    return await self._connect_through(pool, url, proxy, context)
                host = await _public_address(request) if request.public else url.host
                _, connection = await loop.create_connection(
                    lambda: pool.connection(url), **await _place(host, url.port)
                )
                if context is not None:
                    await _secure(connection, context, url)
                return connection
        except (OSError, HttpError, UnicodeError) as error:
            raise trouble(error, url, "connect") from error

    async def _connect_through(
        self, pool: _Pool, url: Url, proxy: Proxy, context: ssl.SSLContext | None
    ) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: pool.connection(url), proxy.host, proxy.port
            )
        except OSError as error:
            raise trouble(error, proxy.url, "connect") from error
        if context is None:
            return connection
        try:
            reader = ResponseReader()
            connection.send(reader, write_connect(url, proxy))
            while not check_tunnel(reader, proxy):
                if connection.closed:
                    raise connection.failure or ConnectionResetError
                await connection.wait(time.monotonic() + 3600)  # the caller's timeout ends it
            connection.rest()
        except BaseException:
            connection.hang_up()
            raise
        await _secure(connection, context, url)
        return connection


async def _place(host: str, port: int) -> dict[str, Any]:
    """Return where to connect to, as create_connection wants it: a name's addresses are tried here."""
    is_address = ":" in host or host.rpartition(".")[2].isdigit()
    return {"host": host, "port": port} if is_address else {"sock": await reach(host, port)}


async def _public_address(request: HttpRequest) -> str:
    """Return an address of the server, once all that its name has are seen to be public.

    It is what is connected to: the name is not asked for again. Raises InvalidResponseError.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        request.url.host, request.url.port, type=socket.SOCK_STREAM
    )
    for *_, address in found:
        check_peer(request, address)
    return str(found[0][4][0])


async def _secure(connection: Connection, context: ssl.SSLContext, url: Url) -> None:
    """Begin TLS on an open connection.

    Not left to create_connection: cancelled at the wrong moment, asyncio goes on with the handshake
    and keeps the socket for a minute.
    """
    try:
        await connection.start_tls(asyncio.get_running_loop(), context, url.host)
    except BaseException:
        connection.hang_up()
        raise


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

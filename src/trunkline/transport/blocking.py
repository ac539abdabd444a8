"""The blocking transport: plain sockets, a pool, no thread and no event loop.

Safe to use from several threads, and after a fork: a child never touches its parent's connections.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections import deque
from typing import Any

from trunkline.errors import APIConnectionError, Timeout
from trunkline.transport.proxy import Proxies, Proxy, check_tunnel, write_connect, write_through
from trunkline.transport.public import check_peer
from trunkline.transport.tls import client_context
from trunkline.transport.trouble import closed_early, hung_up, trouble
from trunkline.types import Timeouts
from trunkline.wire.http1_read import HttpError, HttpLimits, ResponseReader
from trunkline.wire.message import HttpRequest, ResponseHead, Url

_READ = 64 * 1024
_SLACK = 0.25
"""Seconds that a wait may be too long, since setting a socket's limit costs a system call."""
_Place = tuple[str, str, int]


class _Connection:
    """One socket, and how long a wait it is set to."""

    __slots__ = ("_limit", "idle_since", "place", "sock")

    def __init__(self, sock: socket.socket, place: _Place) -> None:
        self.sock = sock
        self.place = place
        self.idle_since = 0.0
        self._limit = 0.0

    def allow(self, until: float) -> None:
        """Let the next operation last until `until`; raises TimeoutError if that has passed."""
        left = _left(until)
        if not 0 <= self._limit - left <= min(_SLACK, 0.1 * left):
            self.sock.settimeout(left)
            self._limit = left

    def usable(self) -> bool:
        """Tell whether an idle connection is still open: the peer has sent nothing, nor an end.

        Over TLS something may wait that is no answer; a dead one is then found by using it.
        """
        return isinstance(self.sock, ssl.SSLSocket) or not _readable(self.sock)

    def __del__(self) -> None:
        """Close what nobody can use any more, as when a client is dropped unclosed."""
        self.sock.close()

    def drop(self) -> None:
        """Close without a word to the peer, who may be another process's still."""
        self.sock.close()

    def hang_up(self) -> None:
        """Close at once; whoever is blocked on it in another thread wakes up."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was closed already
        self.sock.close()


class _Asking:
    """A request whose response's head is waited for."""

    __slots__ = ("connection", "given_up")

    def __init__(self) -> None:
        self.connection: _Connection | None = None
        self.given_up = False


class BlockingExchange:
    """One request on one connection, its response's head read."""

    __slots__ = (
        "_closed",
        "_connection",
        "_reader",
        "_transport",
        "_url",
        "head",
        "started",
    )

    def __init__(
        self,
        transport: BlockingTransport,
        connection: _Connection,
        reader: ResponseReader,
        url: Url,
        head: ResponseHead,
        started: float,
    ) -> None:
        """Belongs to `transport`, which made it."""
        self.head = head
        self.started = started
        self._transport = transport
        self._connection = connection
        self._reader = reader
        self._url = url
        self._closed = False

    def read(self, until: float) -> bytes:
        """Return the next bytes of the body, empty at its end; raises as seam.Exchange."""
        reader = self._reader
        try:
            while True:
                data = reader.take()
                if data or reader.complete:
                    return data
                self._connection.allow(until)
                received = self._connection.sock.recv(_READ)
                if received:
                    reader.feed(received)
                elif not reader.end_of_input():
                    raise closed_early(self._url, "body", received=True)
        except (OSError, HttpError, APIConnectionError) as error:
            if not self._transport.holds(self._connection):
                raise hung_up(self._url, received=True) from error
            if isinstance(error, APIConnectionError):
                raise
            raise trouble(error, self._url, "body", received=True) from error

    def close(self) -> None:
        """Give the connection back if the response is complete, else hang up at once."""
        if self._closed:
            return
        self._closed = True
        reader = self._reader
        self._transport.release(self._connection, reusable=reader.complete and reader.keep_alive)


class BlockingTransport:
    """Plain sockets behind a pool of idle connections."""

    def __init__(
        self,
        *,
        proxies: Proxies | None = None,
        ca_file: str | None = None,
        limits: HttpLimits | None = None,
        idle_seconds: float = 55.0,
        max_idle: int = 64,
    ) -> None:
        """Keep up to `max_idle` connections a server for `idle_seconds`; opens nothing yet."""
        self._proxies = proxies or Proxies()
        self._ca_file = ca_file
        self._limits = limits or HttpLimits()
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._idle: dict[_Place, deque[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._asking: dict[int, _Asking] = {}
        """By the identity of requests, which nobody else has while they are waited for."""
        self._process = os.getpid()

    def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> BlockingExchange:
        """Send `request` and wait for the response's head; raises as seam.Transport."""
        self._asking[id(request)] = _Asking()
        try:
            return self._opened(request, timeouts, until)
        finally:
            del self._asking[id(request)]

    def abandon(self, request: HttpRequest) -> None:
        """Give up what another thread opens with this very `request`: it ends as if hung up."""
        asking = self._asking.get(id(request))
        if asking is None:
            return
        asking.given_up = (
            True  # before the look at its connection, which is set before it looks here
        )
        connection = asking.connection
        if connection is not None and connection in self._busy:
            self._busy.discard(connection)
            connection.hang_up()

    def _opened(self, request: HttpRequest, timeouts: Timeouts, until: float) -> BlockingExchange:
        url = request.url
        proxy = self._proxies.choose(url)
        data = write_through(request, proxy)
        connection = None if request.once else self._take((url.scheme, url.host, url.port))
        if connection is not None:
            try:
                return self._exchange(connection, data, request, until)
            except APIConnectionError as error:
                if error.received or error.should_retry is False or isinstance(error, Timeout):
                    raise
                if self._asking[id(request)].given_up:
                    raise
                # it had died while idle: once more, on a new one
        fresh = self._connect(request, proxy, timeouts, until)
        return self._exchange(fresh, data, request, until)

    def close(self) -> None:
        """Close every connection; calls in other threads end with APIConnectionError."""
        self._forget_parent()
        idle, busy = self._clear()
        for connection in idle:
            connection.drop()
        for connection in busy:
            connection.hang_up()

    def release(self, connection: _Connection, *, reusable: bool) -> bool:
        """Take a connection back from an exchange that is over; False if it was closed before."""
        self._forget_parent()
        if connection not in self._busy:
            return False
        self._busy.discard(connection)
        if reusable:
            self._keep(connection)
        else:
            connection.hang_up()
        return True

    def holds(self, connection: _Connection) -> bool:
        """Tell whether an exchange still has `connection`: nobody has closed it from this side."""
        return connection in self._busy

    def _keep(self, connection: _Connection) -> None:
        waiting = self._idle.setdefault(connection.place, deque())
        now = connection.idle_since = time.monotonic()
        waiting.append(connection)
        try:
            while len(waiting) > self._max_idle or waiting[0].idle_since < now - self._idle_seconds:
                waiting.popleft().drop()
        except IndexError:
            pass  # other threads took the rest

    def _take(self, place: _Place) -> _Connection | None:
        self._forget_parent()
        waiting = self._idle.get(place)
        oldest = time.monotonic() - self._idle_seconds
        while waiting:
            try:
                connection = waiting.pop()
            except IndexError:  # another thread took the last one
                return None
            if connection.idle_since >= oldest and connection.usable():
                self._busy.add(connection)
                return connection
            connection.drop()
        return None

    def _forget_parent(self) -> None:
        """In a forked child, drop the parent's connections: its copies of them close, no more."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        idle, busy = self._clear()
        for connection in (*idle, *busy):
            connection.drop()

    def _clear(self) -> tuple[list[_Connection], set[_Connection]]:
        idle, self._idle = self._idle, {}
        busy, self._busy = self._busy, set()
        return [connection for waiting in idle.values() for connection in waiting], busy

    def _exchange(
        self,
        connection: _Connection,
        data: tuple[bytes, ...],
        request: HttpRequest,
        until: float,
    ) -> BlockingExchange:
        started = time.monotonic()
        url = request.url
        reader = ResponseReader(self._limits.allowing(request.limit))
        received = False
        self._asking[id(request)].connection = connection
        try:
            if self._asking[id(request)].given_up:
                raise hung_up(url, received=False)
            if request.public and self._proxies.choose(url) is None:
                check_peer(request, connection.sock.getpeername())
            self._send(connection, data, until)
            while reader.head is None:
                connection.allow(until)
                arrived = connection.sock.recv(_READ)
                if not arrived:
                    raise closed_early(url, "head", received=received)
                received = True
                reader.feed(arrived)
        except BaseException as error:
            ours = self.release(connection, reusable=False)
            if not ours and isinstance(error, Exception):
                raise hung_up(url, received=received) from error
            if isinstance(error, (OSError, HttpError)):
                raise trouble(error, url, "head", received=received) from error
            raise
        return BlockingExchange(self, connection, reader, url, reader.head, started)

    @staticmethod
    def _send(connection: _Connection, data: tuple[bytes, ...], until: float) -> None:
        try:
            for piece in data:
                connection.allow(until)
                connection.sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server may refuse a large body with an answer; reading tells

    def _connect(
        self, request: HttpRequest, proxy: Proxy | None, timeouts: Timeouts, until: float
    ) -> _Connection:
        url = request.url
        connected_by = min(until, time.monotonic() + timeouts.connect)
        address = (proxy.host, proxy.port) if proxy else (url.host, url.port)
        context = client_context(self._ca_file) if url.scheme == "https" else None
        sock: socket.socket | None = None
        try:
            sock = _dial(address, connected_by, request if request.public and not proxy else None)
            if proxy and context:
                _tunnel(sock, url, proxy, connected_by)
            if context:
                sock.settimeout(_left(min(until, time.monotonic() + timeouts.connect)))
                sock = context.wrap_socket(
                    sock, server_hostname=url.host, do_handshake_on_connect=False
                )
                sock.do_handshake()  # here, so that Ctrl-C within it finds the socket to close
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, (OSError, HttpError, UnicodeError)):
                there = proxy.url if proxy and sock is None else url
                raise trouble(error, there, "connect") from error
            raise
        connection = _Connection(sock, (url.scheme, url.host, url.port))
        self._busy.add(connection)
        return connection


def _dial(
    address: tuple[str, int], until: float, public: HttpRequest | None = None
) -> socket.socket:
    """Connect to a host, trying its addresses in turn, each with its share of the time left.

    For a request that wants a `public` server all of them are looked at before.
    """
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    if public is not None:
        for *_, where in found:
            check_peer(public, where)
    for rest in range(len(found), 1, -1):
        try:
            return _reach(found[-rest], _left(until) / rest)
        except OSError:
            pass  # the last one's error is the one to tell
    return _reach(found[-1], _left(until))


def _reach(found: tuple[Any, ...], seconds: float) -> socket.socket:
    family, kind, protocol, _, address = found
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _tunnel(sock: socket.socket, url: Url, proxy: Proxy, until: float) -> None:
    sock.settimeout(_left(until))
    sock.sendall(write_connect(url, proxy))
    reader = ResponseReader()
    while not check_tunnel(reader, proxy):
        sock.settimeout(_left(until))
        arrived = sock.recv(1)  # not a byte more than the proxy's answer: TLS follows
        if not arrived:
            raise ConnectionResetError
        reader.feed(arrived)


def _readable(sock: socket.socket) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])  # Windows, where numbers do not run out


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left

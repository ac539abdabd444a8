"""PostgreSQL and Redis as the measures start them: the tests' own servers, on the load's core, with a disk."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from machine import cpu_seconds
from processes import LOAD_CORE, CannotRunError

from servers import PostgresServer, RedisServer, Server, Unavailable

S = TypeVar("S", bound=Server)


def _pinned(command: list[str]) -> list[str]:
    return ["taskset", "-c", str(LOAD_CORE), *command]


class BenchPostgres(PostgresServer):
    """One that keeps what it has committed over a loss of power, as one in use does."""

    def command(self) -> list[str]:
        return _pinned(super().command())

    def start(self, *options: str) -> None:
        super().start("--fsync=on", "--full_page_writes=on", "--shared_buffers=128MB", *options)

    def transactions(self, url: str) -> int:
        """Return how many transactions a database has seen."""
        text = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"
        (row,) = self.execute(text, url.rpartition("/")[2])
        return int(str(row[0]))


class BenchRedis(RedisServer):
    """Shares limits out."""

    def command(self) -> list[str]:
        return _pinned(super().command())

    def scripts(self) -> int:
        """Return how many scripts it was asked to run: the round trips of leases."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as connection:
            connection.sendall(b"INFO commandstats\r\n")
            reader = connection.makefile("rb")
            size = int(reader.readline()[1:])
            told = reader.read(size).decode()
        return sum(map(int, re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", told)))


def spent(server: Server) -> float:
    """Return the CPU seconds of a server and all that it has started."""
    assert server.process is not None
    return cpu_seconds(server.process.pid)


@contextmanager
def serving(kind: type[S]) -> Iterator[S]:
    """Have a server while the block runs."""
    try:
        server = kind()
    except Unavailable as reason:
        raise CannotRunError(str(reason)) from reason
    try:
        server.start()
        yield server
    finally:
        server.close()

"""A PostgreSQL and a Redis of the tests' own, on private ports and in folders that go with them.

Each is started by the first test of a session that wants it, and can be stopped, frozen and killed.
Where they are not installed `Unavailable` says why; `scripts/servers` installs them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

PATIENCE = 60.0
"""Seconds in which a server has to start, or to end."""
_TURNS = 5
_LAUNCHER = ThreadPoolExecutor(1)
"""Its thread lives as long as the tests: a server ends with the thread that started it."""
USER = "trunkline"
PASSWORD = "open sesame: p@ss/word%"
"""With all that has to be written otherwise in a URL."""
PASSWORD_IN_URL = "open%20sesame%3A%20p%40ss%2Fword%25"


class Unavailable(RuntimeError):
    """A server cannot run on this machine; the message is the reason to skip."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One process that serves from a folder of its own, on one port whenever it is started."""

    user = ""
    """Who runs it where the tests run as root: not every server does as root."""
    quick = signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"trunkline-{type(self).__name__.lower()}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log = (self.folder / "log").open("ab")
        if os.geteuid() == 0 and self.user:
            shutil.chown(self.folder, self.user)

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        for _ in range(_TURNS if self.process is None else 1):
            self._launch(options)
            if self._wait(self.answers, "answer", alive=True):
                return
            self.port = free_port()  # another process may have been quicker to take it
        raise RuntimeError(f"{type(self).__name__} does not start:\n{self._said()}")

    def _launch(self, options: tuple[str, ...]) -> None:
        self.process = _LAUNCHER.submit(
            subprocess.Popen,
            [*self._as_user(), *self.command(), *options],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self.folder,
        ).result()

    def stop(self) -> None:
        """End it in order; whoever is connected is cut off."""
        self._end(self.quick)

    def kill(self) -> None:
        """End it at once: it has no time for anything."""
        self._end(signal.SIGKILL)

    def restart(self, *options: str) -> None:
        self.stop()
        self.start(*options)

    def freeze(self) -> None:
        """Stop it in the middle of what it does: it holds its connections and does not answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):  # a child may have ended meanwhile
                os.kill(pid, which)

    def processes(self) -> list[int]:
        """The server's own process and its children."""
        if self.process is None or self.process.poll() is not None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, children.split())]

    def close(self) -> None:
        self.thaw()
        self.stop()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> None:
        """Run a command as the server's user."""
        done = subprocess.run(
            [*self._as_user(), *command], capture_output=True, text=True, cwd=self.folder
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr}")

    def _as_user(self) -> list[str]:
        # Whatever becomes of the tests, the server ends with them.
        dying = ["setpriv", "--pdeathsig", self.quick.name.removeprefix("SIG")]
        if os.geteuid() != 0 or not self.user:
            return dying
        return [*dying, "--reuid", self.user, "--regid", self.user, "--clear-groups"]

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        children = self.processes()[1:]
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
        self._wait(lambda: not any(map(_runs, children)), "end")

    def _wait(self, done: Callable[[], bool], what: str, *, alive: bool = False) -> bool:
        """Wait until something is so; with `alive`, tells whether it became so before it died."""
        until = time.monotonic() + PATIENCE
        while not done():
            if alive and self.process.poll() is not None:
                return False
            if time.monotonic() > until:
                raise RuntimeError(f"{type(self).__name__} did not {what}:\n{self._said()}")
            time.sleep(0.01)
        return True

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state != "Z"


class PostgresServer(Server):
    """A cluster whose superuser is USER, by password; nothing of it is kept over a loss of power."""

    quick = signal.SIGINT  # PostgreSQL's "fast": does not wait for clients to leave

    def __init__(self) -> None:
        self.programs = _programs()
        self.user = _first_user("postgres", "nobody")
        super().__init__()
        self._numbers = itertools.count(1)
        data, secret = self.folder / "data", self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run(
            *(str(self.programs / "initdb"), "--no-sync", "--auth=scram-sha-256"),
            *(f"--pwfile={secret}", f"--username={USER}", "--encoding=UTF8", "--locale=C"),
            str(data),
        )

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "100",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        return [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *settings]

    def answers(self) -> bool:
        try:
            ((data,),) = self.execute("SHOW data_directory", timeout=5.0)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        return data == str(self.folder / "data")

    def url(self, database: str = "postgres", *, password: str = PASSWORD_IN_URL) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def execute(
        self, text: str, *values: object, url: str = "", timeout: float = PATIENCE
    ) -> list[tuple[object, ...]]:
        """Run a statement on a connection of its own, and return its rows."""

        async def run() -> list[tuple[object, ...]]:
            connection = await asyncpg.connect(url or self.url(), timeout=timeout)
            try:
                return [tuple(row) for row in await connection.fetch(text, *values)]
            finally:
                await connection.close()

        with asyncio.Runner() as runner:
            return runner.run(run())


class RedisServer(Server):
    """A Redis without a disk."""

    def __init__(self) -> None:
        self.program = shutil.which("redis-server") or shutil.which("valkey-server")
        if self.program is None:
            raise Unavailable("no redis-server here; scripts/servers installs it")
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            *(self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir"),
            *(str(self.folder), "--save", "", "--appendonly", "no"),
        ]

    def answers(self) -> bool:
        return str(self.folder).encode() in self._lines(b"CONFIG GET dir", 5)

    def ask(self, command: bytes) -> bytes:
        """Send an inline command and return the first line of its answer; empty where none came."""
        return self._lines(command, 1)[0]

    def _lines(self, command: bytes, count: int) -> list[bytes]:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as connection:
                connection.sendall(command + b"\r\n")
                answer = connection.makefile("rb")
                return [answer.readline().strip() for _ in range(count)]
        except OSError:
            return [b""] * count

    def flush(self) -> None:
        assert self.ask(b"FLUSHALL") == b"+OK"


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs; Debian has them outside the PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    for found in sorted(versions, key=lambda path: path.parent.parent.name, reverse=True):
        return found.parent
    initdb = shutil.which("initdb")
    if initdb is None:
        raise Unavailable("no PostgreSQL server here; scripts/servers installs it")
    return Path(initdb).resolve().parent


def _first_user(*names: str) -> str:
    import pwd  # not on every system

    known = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in names if name in known), "")


def started(kind: type[Server]) -> Server:
    """Start a server; a test that wants one where there is none is skipped, and says why."""
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv here, with which servers are started")
    try:
        server = kind()
    except Unavailable as reason:
        pytest.skip(str(reason))
    server.start()
    return server

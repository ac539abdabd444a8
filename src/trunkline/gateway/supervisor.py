"""The process above several workers: starts them, replaces those that died, rolls and ends them.

It has no event loop, serves nothing and reads no request. The listening sockets are its own, one a
slot, and stay open however workers come and go: of what has connected nothing is lost. It never
accepts; a slot without a worker is another worker's to accept from meanwhile.
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from trunkline.gateway.config import Config
from trunkline.gateway.config_changes import changes, for_restart
from trunkline.gateway.config_file import Loaded
from trunkline.gateway.control import Accept, Drain, Hurry, Ready, Reload
from trunkline.gateway.crew import Crew, Member
from trunkline.gateway.journal_folders import take_whole
from trunkline.gateway.slots import Slots
from trunkline.gateway.stores import store_place

_GRACE = 20.0
"""Seconds beyond the drain that a worker has to write its books, before it is killed."""
_YOUNG = 10.0
"""Seconds: a worker that dies younger has failed to start, and the next one waits a while."""
_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next start, after so many failures in a row."""
_WHERE = ("store.path", "store.url", "store.journal")
"""Settings of which half of the workers cannot have another value than the rest."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)
_log = logging.getLogger(__name__)
Welcome = Callable[[str, Ready], None]


class Restarts:
    """When the workers that died are to be started again: at once, or later where they die young."""

    def __init__(self) -> None:
        """Nobody has died."""
        self.due: dict[int, float] = {}
        """By slot, monotonic."""
        self._failures: dict[int, int] = {}

    def died(self, slot: int, began: float, now: float) -> None:
        """Note that a worker has died."""
        failures = self._failures.get(slot, 0) + 1 if now - began < _YOUNG else 0
        self._failures[slot] = failures
        self.due[slot] = now + _PAUSES[min(failures, len(_PAUSES) - 1)]

    def take(self, now: float) -> list[int]:
        """Return the slots whose time has come, each once."""
        ready = [slot for slot, due in self.due.items() if due <= now]
        for slot in ready:
            del self.due[slot]
        return ready


class Supervisor:
    """Runs workers until it is told to stop."""

    def __init__(
        self,
        loaded: Loaded,
        read: Callable[[], Loaded],
        command: Sequence[str],
        welcome: Welcome,
        *,
        lock: int = -1,
        grace: float = _GRACE,
    ) -> None:
        """Start nothing yet; raises OSError where the address is taken.

        `read` reads the configuration again; `command` with a Place behind it starts a worker, to
        which `lock` is left too, and which has `grace` seconds beyond the drain; `welcome` is told the URL and what the first worker found.
        """
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(command, self._selector, lock)
        self._loaded = loaded
        self._read = read
        self._welcome = welcome
        self._slots = Slots(loaded.config.listen)
        self._count = loaded.config.listen.workers
        self._serving = False
        """Whether the first worker has been ready."""
        self._failed: int | None = None
        """What to exit with, as the first start failed."""
        self._stopping = False
        self._restarts = Restarts()
        self._grace = grace
        self._rolling: list[int] = []
        """Slots whose workers are still to be replaced."""
        self._unfinished = False
        """Whether some worker may still be by a former configuration."""
        self._rolled: Member | None = None
        """The new one that is about to take a slot over."""

    def run(self) -> int:
        """Serve until the end; returns what to exit with."""
        with self._crew, _signals() as signals:
            self._selector.register(signals, selectors.EVENT_READ)
            self._start(0)
            while self._crew.members or self._restarts.due:
                for key, _ in self._selector.select(self._patience()):
                    if key.data is None:
                        for number in signals.recv(256):
                            self._signalled(number)
                    else:
                        self._heard(key.data)
                self._look_at_workers()
        self._slots.close()
        return self._failed or 0

    # what happens

    def _signalled(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop()
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR2:
            self._roll()

    def _heard(self, member: Member) -> None:
        for message in member.channel.read():
            if isinstance(message, Ready):
                self._ready(member, message)
        if member.channel.closed:
            self._crew.silence(member)  # it is about to end, which SIGCHLD tells

    def _ready(self, member: Member, ready: Ready) -> None:
        member.boot = ready.boot
        if self._stopping:
            return
        member.state = "serving"
        if not self._serving:
            self._serving = True
            self._assign()
            self._welcome(self._slots.url, ready)
            for slot in range(1, self._count):
                self._start(slot)
            return
        self._assign()
        if self._rolled is member:
            self._rolled = None
            self._let_go(self._crew.of(member.slot, but=member))

    def _look_at_workers(self) -> None:
        for member in self._crew.ended():
            self._ended(member)
        now = time.monotonic()
        for member in self._crew.members:
            if member.kill_at is not None and member.kill_at < now:
                _log.error("a worker did not end in time", extra={"of": member.slot})
                member.process.kill()
                member.kill_at = None
        for slot in self._restarts.take(now):
            self._start(slot)

    def _ended(self, member: Member) -> None:
        code = member.process.returncode
        extra = {"of": member.slot, "code": code, "pid": member.process.pid}
        if member.state == "draining" or self._stopping:
            if code:
                _log.warning("a worker ended with an error", extra=extra)
            if not self._stopping:
                self._next_roll()
            return
        if not self._serving:
            self._failed = code if code > 0 else 1
            return
        if self._rolled is member:
            self._rolled = None
            self._rolling.clear()
            self._assign()
            _log.error("a new worker did not start: the others go on as before", extra=extra)
            return
        _log.error("a worker died, and is started again", extra=extra)
        self._restarts.died(member.slot, member.began, time.monotonic())
        self._assign()

    def _patience(self) -> float | None:
        """Return for how long nothing is to be done."""
        kills = [m.kill_at for m in self._crew.members if m.kill_at is not None]
        times = [*self._restarts.due.values(), *kills]
        return max(min(times) - time.monotonic(), 0.0) if times else None

    # what is done

    def _start(self, slot: int) -> Member:
        return self._crew.start(slot, self._slots.current, sole=not self._serving)

    def _assign(self) -> None:
        """Have every socket that listens accepted from: by its own worker, or by another."""
        serving = self._crew.serving()
        accepting: dict[int, list[int]] = {member.process.pid: [] for member in serving}
        for member in serving:
            member.sockets.served.add(member.slot)
        for sockets in self._slots.all():
            users = [member for member in serving if member.sockets is sockets]
            for slot in sockets.served:
                able = [m for m in users if m.slot == slot] or [m for m in users if slot < m.known]
                if able:
                    accepting[able[slot % len(able)].process.pid].append(slot)
        for member in serving:
            slots = tuple(accepting[member.process.pid])
            member.channel.send(Accept(slots, tuple(range(self._count))))
        self._slots.forget(member.sockets for member in self._crew.members)

    def _stop(self) -> None:
        """Have all workers end; the second time, at once."""
        if self._stopping:
            for member in self._crew.members:
                member.channel.send(Hurry())
            return
        self._stopping = True
        self._restarts.due.clear()
        for member in self._crew.members:
            self._drain(member, handed_on=False)

    def _drain(self, member: Member, *, handed_on: bool) -> None:
        if member.state == "starting":
            member.process.terminate()
        member.state = "draining"
        member.channel.send(Drain(handed_on))
        member.kill_at = time.monotonic() + self._loaded.config.edge.drain_seconds + self._grace

    def _reload(self) -> None:
        """Read the configuration: workers read it too, or are replaced where they have to be."""
        try:
            loaded = self._read()
        except Exception as error:
            _log.error("the configuration was not reloaded", extra={"reason": str(error)})
            return
        changed = changes(self._loaded, loaded)
        if elsewhere := [name for name in changed if name in _WHERE]:
            _log.error(
                "the store cannot be another while workers serve: stop the gateway and start it again",
                extra={"changed": elsewhere},
            )
            return
        restart = for_restart(changed)
        if not (restart or self._unfinished):
            self._loaded = loaded
            for member in self._crew.members:
                member.channel.send(Reload())
            return
        try:
            self._slots.change(loaded.config.listen)
        except OSError as error:
            _log.error("the new address cannot be listened on", extra={"reason": str(error)})
            return
        self._loaded = loaded
        _log.info("workers are replaced one by one", extra={"changed": list(restart)})
        self._roll()

    def _roll(self) -> None:
        """Replace all workers one by one."""
        if self._stopping or not self._serving:
            return
        self._unfinished = True
        idle = not (self._rolling or self._rolled)
        self._rolling = list(range(max(self._count, self._loaded.config.listen.workers)))
        if idle:
            self._next_roll()

    def _next_roll(self) -> None:
        if self._rolled is not None or any(m.state == "draining" for m in self._crew.members):
            return
        if not self._rolling:
            self._unfinished = False
            return
        slot = self._rolling.pop(0)
        self._restarts.due.pop(slot, None)
        wanted = self._loaded.config.listen.workers
        if slot < wanted:
            self._count = max(self._count, slot + 1)
            self._rolled = self._start(slot)
            return
        self._count = wanted
        self._let_go(self._crew.of(slot))

    def _let_go(self, leaving: list[Member]) -> None:
        for member in leaving:
            self._drain(member, handed_on=member.sockets is self._slots.current)
        self._assign()
        if not leaving:
            self._next_roll()


@contextmanager
def _signals() -> Generator[socket.socket]:
    """Have the numbers of signals come out of a socket while the block runs."""
    out, into = socket.socketpair()
    into.setblocking(False)
    with out, into:
        before = signal.set_wakeup_fd(into.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        try:
            yield out
        finally:
            signal.set_wakeup_fd(before)


@contextmanager
def lock_of(config: Config, environment: Mapping[str, str]) -> Generator[int]:
    """Hold the lock that keeps another gateway from a SQLite file; raises ConfigurationError.

    Yields its descriptor: workers that outlive the supervisor keep it. A database needs none.
    """
    at = store_place(config, environment)
    if at.url is not None:
        yield -1
        return
    lock = take_whole(at.journal)
    try:
        yield lock.fileno()
    finally:
        lock.release()

"""The workers of a supervisor as processes: started, listened to, and looked at when they end."""

from __future__ import annotations

import selectors
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from trunkline.gateway.control import Channel, Place
from trunkline.gateway.slots import Sockets
from trunkline.gateway.tally_sums import keep_numbers_of

_LONGEST_FOLDER = 60


class Member(msgspec.Struct, eq=False):
    """One worker."""

    slot: int
    process: subprocess.Popen[bytes]
    channel: Channel
    sockets: Sockets
    known: int
    """Slots whose sockets it was given."""
    began: float
    """Monotonic."""
    state: Literal["starting", "serving", "draining"] = "starting"
    boot: str = ""
    kill_at: float | None = None
    """Monotonic time at which it has to have ended."""


class Crew:
    """All of them. Use it as a context manager, which removes their private folder."""

    def __init__(self, command: Sequence[str], selector: selectors.BaseSelector, lock: int) -> None:
        """Start nobody; `command`, with a Place behind it, starts a worker.

        `lock` is the descriptor of a lock that lives as long as any worker does, or -1.
        """
        self.members: list[Member] = []
        self._command = command
        self._selector = selector
        self._lock = lock
        # A socket's path has to be short.
        usual = len(tempfile.gettempdir()) <= _LONGEST_FOLDER
        self._folder = tempfile.TemporaryDirectory(
            prefix="trunkline-",
            dir=None if usual else "/tmp",  # noqa: S108 - a folder of its own
        )

    def __enter__(self) -> Self:
        """Have a private folder."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nobody behind."""
        for member in self.members:
            member.process.kill()
            member.process.wait()
        self._folder.cleanup()

    def start(self, slot: int, sockets: Sockets, *, sole: bool) -> Member:
        """Start a worker."""
        ours, theirs = socket.socketpair()
        given = sockets.descriptors()
        place = Place(slot, theirs.fileno(), given, self._folder.name, sole)
        passed = [theirs.fileno(), *(number for slot in given for number in slot)]
        if self._lock >= 0:
            passed.append(self._lock)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - the program itself
                [*self._command, msgspec.json.encode(place).decode()],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                process_group=0,  # Ctrl-C is the supervisor's to hear
            )
        member = Member(slot, process, Channel(ours), sockets, len(given), time.monotonic())
        self.members.append(member)
        self._selector.register(member.channel, selectors.EVENT_READ, member)
        return member

    def silence(self, member: Member) -> None:
        """Listen no more to a worker that has closed its end."""
        if member.channel.fileno() >= 0:
            self._selector.unregister(member.channel)
            member.channel.close()

    def ended(self) -> Iterator[Member]:
        """Yield those that have ended, each once."""
        for member in list(self.members):
            if member.process.poll() is not None:
                self.members.remove(member)
                self.silence(member)
                keep_numbers_of(Path(self._folder.name), member.boot)
                yield member

    def serving(self) -> list[Member]:
        """Return those that serve."""
        return [member for member in self.members if member.state == "serving"]

    def of(self, slot: int, *, but: Member | None = None) -> list[Member]:
        """Return those of a slot that are not about to end."""
        return [
            member
            for member in self.members
            if member.slot == slot and member is not but and member.state != "draining"
        ]

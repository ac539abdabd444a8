"""Processes that are pinned to a core, waited for, and stopped, whatever happens meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

GATEWAY_CORE = 1
LOAD_CORE = 0


class CannotRunError(Exception):
    """Something did not install, start or answer, and this says why."""


def free_port() -> int:
    """Return a port below those that the kernel gives to clients, which the load would collide with."""
    first = random.randrange(12_000, 30_000)  # noqa: S311 - not a secret
    for port in range(first, first + 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # taken: the next one
            return port
    raise CannotRunError(f"no free port between {first} and {first + 500}")


def _environment() -> dict[str, str]:
    """Return this process's environment, in which Python keeps what it compiled, as installed."""
    left_out = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in left_out}


class Processes:
    """All that a measurement started; leaving the block stops it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[str]] = []
        self._logs: dict[int, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in reversed(self._running.copy()):
            self.stop(process)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        core: int | None,
        env: Mapping[str, str] | None = None,
        piped: bool = False,
    ) -> subprocess.Popen[str]:
        """Start a command on one core, or on any, in a process group of its own, its output in a log.

        `piped` keeps standard output for the caller.
        """
        pinned = core is not None and (os.cpu_count() or 1) > core
        pin = ["taskset", "-c", str(core)] if pinned else []
        log = self.folder / f"{name}-{len(self._logs)}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*pin, *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                text=True,
                env={**_environment(), **(env or {})},
                cwd=self.folder,
                start_new_session=True,
            )
        self._running.append(process)
        self._logs[process.pid] = log
        return process

    def start_script(
        self, script: str, *arguments: object, core: int = LOAD_CORE
    ) -> subprocess.Popen[str]:
        """Start one of this folder's programs, whose standard output is read line by line."""
        path = str(Path(__file__).parent / script)
        argv = [sys.executable, path, *map(str, arguments)]
        return self.start(path.rpartition("/")[2], argv, core=core, piped=True)

    def stop(self, process: subprocess.Popen[str], seconds: float = 10.0) -> None:
        """Ask a process to end; after `seconds`, end it and all of its group."""
        try:
            if process.poll() is None:
                process.terminate()
                process.wait(seconds)
        except subprocess.TimeoutExpired:
            name = self._logs[process.pid].stem
            print(f"{name}: killed, SIGTERM did not end it", file=sys.stderr)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # the whole group has ended
            process.wait()
            if process.stdout:
                process.stdout.close()
            self._running.remove(process)

    def start_plan(self, script: str, plan: Mapping[str, object]) -> subprocess.Popen[str]:
        """Start one of this folder's programs with a plan in a file.

        It has keys, and everybody may read a command line.
        """
        path = self.folder / f"plan-{len(self._logs)}.json"
        path.write_text(json.dumps(plan))
        return self.start_script(script, path)

    def line(self, process: subprocess.Popen[str]) -> str:
        """Wait for the next line of a program's standard output."""
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise CannotRunError(f"ended with {process.wait()}: {self.said(process)}")
        return line

    def said(self, process: subprocess.Popen[str], lines: int = 6) -> str:
        """Return the end of a process's log."""
        text = self._logs[process.pid].read_text(errors="replace")
        return "\n".join(text.strip().splitlines()[-lines:])

    def wait_until(
        self, process: subprocess.Popen[str], true: Callable[[], bool], seconds: float
    ) -> None:
        """Ask again and again until it is true; raise CannotRunError if the process ends or time is over."""
        until = time.monotonic() + seconds
        while not true():
            if process.poll() is not None:
                raise CannotRunError(f"ended with {process.returncode}: {self.said(process)}")
            if time.monotonic() > until:
                raise CannotRunError(f"not ready after {seconds:.0f} s: {self.said(process)}")
            time.sleep(0.005)

    def wait_ready(
        self, process: subprocess.Popen[str], port: int, path: str, seconds: float = 60.0
    ) -> None:
        """Wait until GET `path` is answered with 200."""
        self.wait_until(process, lambda: answers(port, path), seconds)


def answers(port: int, path: str) -> bool:
    """Tell whether GET `path` is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def need(*programs: str) -> None:
    """Raise CannotRunError for a program that is not there, saying how it is installed on Debian."""
    packages = {"nginx": "nginx-light", "taskset": "util-linux", "npm": "npm"}
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        names = " ".join(packages.get(program, program) for program in missing)
        raise CannotRunError(f"missing: {', '.join(missing)}; apt install {names}")

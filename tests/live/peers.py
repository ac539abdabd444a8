"""Real servers that run offline: transformers' and llama.cpp's with tiny random models, and a
real embedding model behind the sandbox.

They live in a cache outside the repository. `python tests/live/peers.py install` puts them there;
no test installs anything: one that meets `PeerUnavailable` skips, with its message as the reason.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes import EMBEDDER, HERE, PEERS, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from recipes import Recipe, Venv

READY_WITHIN = 120.0
STOP_WITHIN = 5.0
LOG_TAIL = 30

# A server sees these variables of ours and no others: llama.cpp's reads its settings from
# unprefixed names (API_KEY, MODEL, PORT), and nobody's token belongs in a peer.
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class PeerUnavailable(RuntimeError):
    """The peer cannot run on this machine as it stands; the message is the reason to skip."""


class PeerFailed(RuntimeError):
    """An install or a start went wrong; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server: tasks are called at `base_url`, `model` is what a request must name."""

    name: str
    origin: str
    base_url: str
    model: str


CACHE = Path(os.environ.get("TRUNKLINE_PEERS_CACHE") or "~/.cache/trunkline-peers").expanduser()
"""Where the peers live. Read once, since a test may hide the environment."""


# Installing


def install(recipe: Recipe, cache: Path) -> Path:
    """Install a peer and its model, once; returns the virtual environment.

    Raises PeerUnavailable where a package or a script cannot be had.
    """
    cache = cache.resolve()
    with _locked(cache / f"{recipe.venv.name}.lock"):
        _install(recipe, cache, _log(cache, f"install-{recipe.name}"))
    return _venv(recipe, cache)


def _install(recipe: Recipe, cache: Path, log: Path) -> None:
    if recipe.script is not None and not recipe.script.is_file():
        message = f"no {recipe.script.name} in ../shared/peers to make its model with"
        raise PeerUnavailable(message)
    venv, folder = _venv(recipe, cache), _folder(recipe, cache)
    if not _venv_is_whole(recipe, cache):
        _redo(venv, _venv_key(recipe, venv), lambda: _build_venv(recipe.venv, venv, log))
    key = _model_key(recipe)
    if _stamp(folder) != key:
        make = [_fill(part, recipe, cache) for part in recipe.make]
        _redo(folder, key, lambda: _run(make, log, {"HF_HUB_OFFLINE": "1"}))


def _model_key(recipe: Recipe) -> str:
    """Name what makes the model, and the Python that packages beside it are for."""
    script = b"" if recipe.script is None else recipe.script.read_bytes()
    made = "\0".join([str(sys.implementation.cache_tag), *recipe.make])
    return hashlib.sha256(made.encode() + script).hexdigest()


def _build_venv(wanted: Venv, venv: Path, log: Path) -> None:
    _run((sys.executable, "-m", "venv", str(venv)), log)
    for packages in wanted.pins:
        _run(
            (str(venv / "bin" / "python"), "-m", "pip", "install", *packages), log, wanted.build_env
        )


def _redo(folder: Path, key: str, build: Callable[[], None]) -> None:
    """Build `folder` from nothing; the stamp comes last, so half a folder has none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build()
    (folder / "stamp").write_text(key, encoding="utf-8")


def _stamp(folder: Path) -> str | None:
    try:
        return (folder / "stamp").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _venv_key(recipe: Recipe, venv: Path) -> str:
    """Name the pins and the place: a virtual environment that was moved no longer runs."""
    return "\n".join([str(venv), *(" ".join(packages) for packages in recipe.venv.pins)])


def _venv_is_whole(recipe: Recipe, cache: Path) -> bool:
    venv = _venv(recipe, cache)
    # The interpreter is a link, and false once the Python it was made with has gone.
    return _stamp(venv) == _venv_key(recipe, venv) and (venv / "bin" / "python").exists()


def _venv(recipe: Recipe, cache: Path) -> Path:
    return cache / recipe.venv.name


def _folder(recipe: Recipe, cache: Path) -> Path:
    return cache / f"{recipe.name}-model"


def _reason(recipe: Recipe, cache: Path) -> Path:
    """Where it is written why a peer could not be installed."""
    return cache / f"{recipe.name}.reason"


def _log(cache: Path, name: str) -> Path:
    log = cache / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    return log


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One install at a time; a second run waits here and then finds the work done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], log: Path, extra: Mapping[str, str] | None = None) -> None:
    environment = {**os.environ, **(extra or {})}
    environment.pop("PYTHONPATH", None)
    with log.open("ab") as out:
        code = subprocess.run(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        ).returncode
    if code:
        if "pip" in command:
            asked = " ".join(command[command.index("pip") :])
            message = f"`{asked}` failed, see {log}"
            raise PeerUnavailable(message)
        message = f"{' '.join(command)} ended with {code}\n{_tail(log)}"
        raise PeerFailed(message)


# Serving


@contextmanager
def served(recipe: Recipe, cache: Path) -> Iterator[Peer]:
    """Run a peer on a free loopback port, from ready to be called until stopped."""
    cache = cache.resolve()
    _check_installed(recipe, cache)
    port = _free_port()
    origin = f"http://127.0.0.1:{port}"
    log = _log(cache, f"{recipe.name}-{port}")
    process = _start(recipe, cache, port, log)
    try:
        _wait_until_ready(process, origin + recipe.ready, log)
        model = _fill(recipe.alias, recipe, cache)
        yield Peer(recipe.name, origin, origin + recipe.base, model)
    finally:
        _stop(process)


def _check_installed(recipe: Recipe, cache: Path) -> None:
    if _venv_is_whole(recipe, cache) and _stamp(_folder(recipe, cache)):
        return
    try:
        why = _reason(recipe, cache).read_text(encoding="utf-8")
    except FileNotFoundError:
        why = "run `python tests/live/peers.py install`"
    message = f"{recipe.name} is not installed: {why}"
    raise PeerUnavailable(message)


def true_vectors(cache: Path, texts: Sequence[str]) -> list[list[float]]:
    """Return what the embedder's model gives for texts, without a server in between."""
    cache = cache.resolve()
    _check_installed(EMBEDDER, cache)
    command = ("{venv}/bin/python", "{here}/embedder.py", "vectors", "{model}")
    done = subprocess.run(
        [_fill(part, EMBEDDER, cache) for part in command],
        input=json.dumps(list(texts)),
        capture_output=True,
        encoding="utf-8",
        env=_environment(EMBEDDER, cache),
        check=False,
    )
    if done.returncode:
        raise PeerFailed(done.stderr[-2000:])
    found: list[list[float]] = json.loads(done.stdout)
    return found


def _start(recipe: Recipe, cache: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    # Without this folder `transformers serve` answers 500 to GET /v1/models.
    (cache / "hf-home" / "hub").mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [_fill(part, recipe, cache, port) for part in recipe.command],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(recipe, cache),
            cwd=cache,
            start_new_session=True,
        )


def _environment(recipe: Recipe, cache: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    own = {name: _fill(value, recipe, cache) for name, value in recipe.serve_env.items()}
    return {**passed, **own}


def _fill(text: str, recipe: Recipe, cache: Path, port: int = 0) -> str:
    folder = _folder(recipe, cache)
    return text.format(
        cache=cache,
        folder=folder,
        here=HERE,
        model=folder / recipe.model,
        port=port,
        script=recipe.script,
        sources=SOURCES,
        venv=_venv(recipe, cache),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN
    while time.monotonic() < give_up:
        if process.poll() is not None:
            message = f"the server ended with {process.returncode} while starting\n{_tail(log)}"
            raise PeerFailed(message)
        with suppress(OSError):  # refused while it starts; an HTTP error status is an OSError too
            _http(url, timeout=5)
            return
        time.sleep(0.1)
    message = f"{url} did not answer within {READY_WITHIN:.0f} s\n{_tail(log)}"
    raise PeerFailed(message)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole process group to end, then make it."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, wish)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN)
            return


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([f"--- {log}", *lines[-LOG_TAIL:]])


def _http(url: str, body: object = None, timeout: float = 60) -> bytes:
    """GET, or POST when there is a body; past every proxy, since a peer is on loopback."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - our own loopback address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as reply:
        answer: bytes = reply.read()
    return answer


# The command line


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _install_one(recipe: Recipe, cache: Path) -> None:
    began = time.monotonic()
    reason = _reason(recipe, cache)
    reason.unlink(missing_ok=True)
    try:
        _check_not_given_up(recipe, cache)
        venv = install(recipe, cache)
    except PeerUnavailable as why:
        reason.write_text(str(why), encoding="utf-8")
        _say(f"{recipe.name}: not installed, its tests will skip: {why}")
    else:
        _say(f"{recipe.name}: installed in {venv} ({time.monotonic() - began:.1f} s)")


def _check_not_given_up(recipe: Recipe, cache: Path) -> None:
    """Spare a peer the wait for packages that one before it, in the same place, could not have."""
    for other in PEERS[: PEERS.index(recipe)]:
        tried = other.script is None or other.script.is_file()
        if tried and other.venv == recipe.venv and not _venv_is_whole(other, cache):
            raise PeerUnavailable(_reason(other, cache).read_text(encoding="utf-8"))


def _check_one(recipe: Recipe, cache: Path) -> None:
    began = time.monotonic()
    with served(recipe, cache) as peer:
        ready = f"{peer.name}: ready in {time.monotonic() - began:.1f} s"
        if recipe.probe is None:
            _say(ready)
        else:
            path, body = recipe.probe
            answer = _http(peer.base_url + path, {"model": peer.model, **body})
            _say(f"{ready}, said {answer[:300]!r}")


def main() -> int:
    """Install every peer, or start each and call it once."""
    parser = argparse.ArgumentParser(description="The live peers of Trunkline's tests.")
    parser.add_argument("action", choices=["install", "check"])
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    options = parser.parse_args()
    act = {"install": _install_one, "check": _check_one}[options.action]
    failed = 0
    for recipe in PEERS:
        try:
            act(recipe, options.cache)
        except (PeerUnavailable, PeerFailed, OSError) as error:
            sys.stderr.write(f"{recipe.name}: {error}\n")
            failed = 1
    return failed


if __name__ == "__main__":
    raise SystemExit(main())

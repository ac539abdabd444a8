"""Two real servers that run offline, with tiny random models: transformers' and llama.cpp's.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "peers"
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
    """A running server: `base_url` ends in `/v1`, `model` is what a request must name."""

    name: str
    base_url: str
    model: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one peer is installed, given a model and started; braces are filled in by `_fill`."""

    name: str
    pins: tuple[tuple[str, ...], ...]  # one `pip install` each, in this order
    script: str
    model: str
    command: tuple[str, ...]
    ready: str
    alias: str
    build_env: Mapping[str, str] = field(default_factory=dict)
    serve_env: Mapping[str, str] = field(default_factory=dict)


TRANSFORMERS = Recipe(
    name="transformers",
    pins=(("torch==2.13.0",), ("transformers[serving]==5.23.0",)),
    script="mktiny.py",
    model="tiny-llama",
    command=(
        *("{venv}/bin/transformers", "serve", "{model}"),
        *("--host", "127.0.0.1", "--port", "{port}", "--device", "cpu"),
    ),
    ready="/health",
    alias="{model}",  # the server is pinned to the path and refuses every other name
    serve_env={"HF_HOME": "{cache}/hf-home", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
)
LLAMA = Recipe(
    name="llama",
    pins=(("llama-cpp-python[server]==0.3.36", "gguf==0.19.0"),),
    script="mkgguf.py",
    model="tiny.gguf",
    command=(
        *("{venv}/bin/python", "-m", "llama_cpp.server", "--model", "{model}"),
        *("--host", "127.0.0.1", "--port", "{port}"),
        *("--n_ctx", "2048", "--n_threads", "1", "--model_alias", "tiny"),
    ),
    ready="/v1/models",
    alias="tiny",
    build_env={
        "CMAKE_BUILD_PARALLEL_LEVEL": "2",
        "CMAKE_ARGS": "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF"
        " -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF",
    },
)


def default_cache() -> Path:
    """Where the peers live: `TRUNKLINE_PEERS_CACHE`, else a folder in the user's cache."""
    return Path(os.environ.get("TRUNKLINE_PEERS_CACHE") or "~/.cache/trunkline-peers").expanduser()


# Installing


def install_transformers(cache: Path) -> Path:
    """Install `transformers serve` and its model, once; returns the virtual environment."""
    return _install(TRANSFORMERS, cache.resolve())


def install_llama(cache: Path) -> Path:
    """Compile llama.cpp's server and write its model, once; returns the virtual environment."""
    return _install(LLAMA, cache.resolve())


def _install(recipe: Recipe, cache: Path) -> Path:
    script = _script(recipe)
    with _locked(cache / f"{recipe.name}.lock"):
        log = _log(cache, f"install-{recipe.name}")
        venv, model = _venv(recipe, cache), _model(recipe, cache)
        if not _venv_is_whole(recipe, cache):
            _redo(venv, _venv_key(recipe, venv), lambda: _build_venv(recipe, venv, log))
        key = hashlib.sha256(script.read_bytes()).hexdigest()
        if _stamp(model.parent) != key:
            python = str(venv / "bin" / "python")
            make = (python, str(script), str(model))
            _redo(model.parent, key, lambda: _run(make, log, {"HF_HUB_OFFLINE": "1"}))
    return venv


def _script(recipe: Recipe) -> Path:
    script = SCRIPTS / recipe.script
    if not script.is_file():
        message = f"no ../shared/peers/{recipe.script}, which writes the model of {recipe.name}"
        raise PeerUnavailable(message)
    return script


def _build_venv(recipe: Recipe, venv: Path, log: Path) -> None:
    _run((sys.executable, "-m", "venv", str(venv)), log)
    for packages in recipe.pins:
        _run((str(venv / "bin" / "pip"), "install", *packages), log, recipe.build_env)


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
    return "\n".join([str(venv), *(" ".join(packages) for packages in recipe.pins)])


def _venv_is_whole(recipe: Recipe, cache: Path) -> bool:
    venv = _venv(recipe, cache)
    # The interpreter is a link, and false once the Python it was made with has gone.
    return _stamp(venv) == _venv_key(recipe, venv) and (venv / "bin" / "python").exists()


def _venv(recipe: Recipe, cache: Path) -> Path:
    return cache / recipe.name


def _model(recipe: Recipe, cache: Path) -> Path:
    return cache / f"{recipe.name}-model" / recipe.model


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


def _run(command: tuple[str, ...], log: Path, extra: Mapping[str, str] | None = None) -> None:
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
        message = f"{' '.join(command)} ended with {code}\n{_tail(log)}"
        raise PeerFailed(message)


# Serving


@contextmanager
def transformers_server(cache: Path) -> Iterator[Peer]:
    """Run `transformers serve` on a free loopback port, from ready to be called until stopped."""
    with _served(TRANSFORMERS, cache.resolve()) as peer:
        yield peer


@contextmanager
def llama_server(cache: Path) -> Iterator[Peer]:
    """Run llama.cpp's server on a free loopback port, from ready to be called until stopped."""
    with _served(LLAMA, cache.resolve()) as peer:
        yield peer


@contextmanager
def _served(recipe: Recipe, cache: Path) -> Iterator[Peer]:
    if not (_venv_is_whole(recipe, cache) and _stamp(_model(recipe, cache).parent)):
        message = f"{recipe.name} is not installed: run `python tests/live/peers.py install`"
        raise PeerUnavailable(message)
    port = _free_port()
    origin = f"http://127.0.0.1:{port}"
    log = _log(cache, f"{recipe.name}-{port}")
    process = _start(recipe, cache, port, log)
    try:
        _wait_until_ready(process, origin + recipe.ready, log)
        yield Peer(recipe.name, f"{origin}/v1", _fill(recipe.alias, recipe, cache, port))
    finally:
        _stop(process)


def _start(recipe: Recipe, cache: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    # Without this folder `transformers serve` answers 500 to GET /v1/models.
    (cache / "hf-home" / "hub").mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    for name, value in recipe.serve_env.items():
        environment[name] = _fill(value, recipe, cache, port)
    with log.open("ab") as out:
        return subprocess.Popen(
            [_fill(part, recipe, cache, port) for part in recipe.command],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=cache,
            start_new_session=True,
        )


def _fill(text: str, recipe: Recipe, cache: Path, port: int) -> str:
    venv, model = _venv(recipe, cache), _model(recipe, cache)
    return text.format(cache=cache, venv=venv, model=model, port=port)


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


def _install_all(cache: Path) -> None:
    for install in (install_transformers, install_llama):
        began = time.monotonic()
        venv = install(cache)
        _say(f"{venv.name}: installed in {venv} ({time.monotonic() - began:.1f} s)")


def _check_all(cache: Path) -> None:
    for server in (transformers_server, llama_server):
        began = time.monotonic()
        with server(cache) as peer:
            ready = time.monotonic() - began
            messages = [{"role": "user", "content": "hello"}]
            body = {"model": peer.model, "messages": messages, "max_tokens": 8}
            answer = json.loads(_http(f"{peer.base_url}/chat/completions", body))
            text, count = answer["choices"][0]["message"]["content"], answer["usage"]
            _say(f"{peer.name}: ready in {ready:.1f} s, said {text!r}, {count}")


def main() -> int:
    """Install both peers, or start each and call it once."""
    parser = argparse.ArgumentParser(description="The live peers of Trunkline's tests.")
    parser.add_argument("action", choices=["install", "check"])
    parser.add_argument("--cache", type=Path, default=default_cache(), help="default: %(default)s")
    options = parser.parse_args()
    try:
        {"install": _install_all, "check": _check_all}[options.action](options.cache)
    except (PeerUnavailable, PeerFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

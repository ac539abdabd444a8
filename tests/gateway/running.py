"""A real gateway in a process of its own, and the little that tests need to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ADMIN_KEY = "tl-Vq3xW8nJ5rT2yB7mK4pL9sD6fG1hZ0cXvQwErTyUiOp"
CHAT = {
    "model": "meta-llama/Llama-3.3-70B-Instruct",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 50,
}


_URL = re.compile(r'"(postgresql://[^"]+)"')


class Gateway:
    """A process that serves; start it with `running`."""

    def __init__(
        self, folder: Path, config: str, environment: Mapping[str, str], *options: str
    ) -> None:
        self.folder = folder
        self.config = folder / "trunkline.toml"
        self.config.write_text(config)
        self.url_of_store = (_URL.findall(config) or [""])[0]
        """The database, where the configuration names one."""
        self.store = folder / "gateway.db"
        self.log = folder / "gateway.log"
        self.admin_key = ADMIN_KEY
        self.port = 0
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRUNKLINE_"))},
            "HOME": str(folder),
            "TRUNKLINE_ADMIN_KEY": ADMIN_KEY,
            **environment,
        }
        self._options = options
        self.process: subprocess.Popen[bytes] = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process, on the same port again if it had one, and wait until it is ready."""
        command = [str(Path(sys.executable).with_name("trunkline")), "serve"]
        command += ["--config", str(self.config), "--port", str(self.port), *self._options]
        if not self.url_of_store:
            command += ["--store", str(self.store)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, cwd=self.folder
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            said = re.findall(r"serves on (https?://\S+:(\d+))", self.log.read_text())
            if said and self.process.poll() is None and self._answers(int(said[-1][1])):
                self.port = int(said[-1][1])
                return self.process
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the gateway did not start:\n{self.log.read_text()}")

    def _answers(self, port: int) -> bool:
        try:
            return request("127.0.0.1", port, "GET", "/health/live")[0] == 200
        except OSError:
            return False

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and decoded body; names of headers with `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        return request("127.0.0.1", self.port, method, path, body, sent)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the admin API as an admin and return the body; anything but 2xx fails the test."""
        status, _, told = self.ask(method, f"/admin{path}", body, self.admin_key)
        assert 200 <= status < 300, (status, told)
        return told

    def new_key(self, **wish: Any) -> str:
        """Make a key as `wish` says (`budgets`, `limits`, `scope`, `team`, ...); returns its secret."""
        made = self.admin("POST", "/keys", {"name": "test", **wish})
        secret: str = made["secret"]
        return secret

    def ledger(self, count: int | None = None) -> list[dict[str, Any]]:
        """Return the newest ledger entries; waits until there are `count`, all of them ended."""
        until = time.monotonic() + 10
        while True:
            rows: list[dict[str, Any]] = self.admin("GET", "/entries?limit=200")["data"]
            ended = [row for row in rows if row["state"] != "open"]
            if count is None or len(ended) >= count or time.monotonic() > until:
                return ended
            time.sleep(0.05)

    def entry(self, request_id: str) -> dict[str, Any]:
        """Return a call's entry, once it is in the ledger and has ended."""
        until = time.monotonic() + 10
        while True:
            status, _, row = self.ask("GET", f"/admin/entries/{request_id}", key=self.admin_key)
            if status == 200 and row["state"] != "open":
                return dict(row)
            assert time.monotonic() < until, f"{request_id} is not settled: {row}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to end, wait, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def kill(self) -> None:
        """Kill it at once."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@contextmanager
def running(
    folder: Path,
    config: str = "",
    environment: Mapping[str, str] | None = None,
    *options: str,
) -> Iterator[Gateway]:
    """Run a gateway while the block runs."""
    gateway = Gateway(folder, config, environment or {}, *options)
    try:
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.process.terminate()
            try:
                gateway.process.wait(15)
            except subprocess.TimeoutExpired:
                gateway.kill()


def request(
    host: str,
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, str], Any]:
    """Return status, headers by lower-case name, and the body, decoded where it is JSON."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        sent = (
            {"content-type": "application/json", **(headers or {})} if data is not None else headers
        )
        connection.request(method, path, data, dict(sent or {}))
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    told = {name.lower(): value for name, value in answer.getheaders()}
    if told.get("content-type", "").startswith("application/json") and raw:
        return answer.status, told, json.loads(raw)
    return answer.status, told, raw


def host_of(url: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80

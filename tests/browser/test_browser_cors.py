"""A real browser, Chromium without a screen, that asks the gateway from pages of other sites."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from running import Gateway, running

from trunkline.sandbox.server import SandboxServer, serve_in_thread

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
SCRIPT = """<script type="module">
const {url, key, admin} = WISH;
const chat = (more) => ({model: "meta-llama/Llama-3.3-70B-Instruct", messages: [{role: "user", content: "Hello."}],
                         max_tokens: 5, ...more});
const ask = async (path, key, body) => {
  try {
    const answer = await fetch(url + path, {
      method: body ? "POST" : "GET",
      headers: {authorization: `Bearer ${key}`, "x-stainless-os": "browser",
                ...(body ? {"content-type": "application/json"} : {})},
      body: body && JSON.stringify(body)});
    const text = await answer.text();
    return {status: answer.status, id: answer.headers.get("x-request-id"),
            left: answer.headers.get("x-ratelimit-remaining-requests"),
            date: answer.headers.get("date"), text: text.slice(0, 5000)};
  } catch (error) { return {failed: error.name}; }
};
await fetch("/told", {method: "POST", body: JSON.stringify({
  chat: await ask("/v1/chat/completions", key, chat()),
  stream: await ask("/v1/chat/completions", key, chat({stream: true})),
  stranger: await ask("/v1/chat/completions", "tl-nobody", chat()),
  models: await ask("/v1/models", key),
  admin: await ask("/admin/keys", admin),
  health: await ask("/health/live", key),
})});
</script>"""


class Site:
    """A site with one page, which asks the gateway and tells what it could read."""

    def __init__(self) -> None:
        self.page = b""
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(site.page)

            def do_POST(self) -> None:
                site.told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.answer(b"")

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *told: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://localhost:{self.server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()


def visit(site: Site, gateway: Gateway, key: str, folder: Path) -> dict[str, Any]:
    """Open the site's page in a browser and return what its script could read."""
    wish = {"url": gateway.url, "key": key, "admin": gateway.admin_key}
    site.page = SCRIPT.replace("WISH", json.dumps(wish)).encode()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    options += ["--no-first-run", "--disable-background-networking", "--no-proxy-server"]
    command = [str(CHROMIUM), *options, f"--user-data-dir={folder}", "--remote-debugging-port=0"]
    with (folder / "log").open("wb") as log:
        browser = subprocess.Popen([*command, site.origin], stdout=log, stderr=log)
        try:
            return site.told.get(timeout=90)
        finally:
            browser.terminate()
            browser.wait(20)


@pytest.fixture(scope="module")
def sandbox_server() -> Iterator[SandboxServer]:
    with serve_in_thread() as server:
        yield server


@pytest.mark.timeout(200)
def test_only_pages_of_listed_sites_may_ask_and_only_what_callers_keys_open(
    tmp_path: Path, sandbox_server: SandboxServer
):
    listed, stranger = Site(), Site()
    config = f'unlisted_models = "pass"\ncors.origins = ["{listed.origin}"]\n'
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        listed.serving(),
        stranger.serving(),
        running(tmp_path, config, sandbox_server.environment) as gateway,
    ):
        key = gateway.new_key(limits={"requests_per_minute": 100})
        told = visit(listed, gateway, key, tmp_path / "one")
        refused = visit(stranger, gateway, key, tmp_path / "two")

    for name in ("chat", "stream", "models"):
        assert told[name]["status"] == 200, told[name]
        assert told[name]["id"].startswith("req_")
        assert told[name]["date"] is None  # what is not exposed cannot be read
    assert json.loads(told["chat"]["text"])["object"] == "chat.completion"
    assert told["chat"]["left"] == "99"
    assert told["stream"]["text"].endswith("data: [DONE]\n\n")
    assert told["stranger"]["status"] == 401
    assert json.loads(told["stranger"]["text"])["error"]["code"] == "invalid_api_key"
    assert told["admin"] == told["health"] == {"failed": "TypeError"}
    assert set(map(str, refused.values())) == {"{'failed': 'TypeError'}"}

"""curl against the sandbox: what anyone types first."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from questions import DEMO, LLAMA, MESSAGES

from trunkline.sandbox import SandboxServer

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found")


def curl(url: str, *options: str, **body: object) -> str:
    """Return what curl prints; with a body it is a POST."""
    sent = ("-H", "Content-Type: application/json", "-d", json.dumps(body)) if body else ()
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *options, *sent, url],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


TOKEN = ("-H", "Authorization: Bearer hf_good")


def test_curl_chats_and_streams_events_up_to_done(server: SandboxServer) -> None:
    url = f"{server.url}/v1/chat/completions"
    whole = json.loads(curl(url, *TOKEN, model=DEMO, messages=MESSAGES))
    said = whole["choices"][0]["message"]["content"]
    assert said.startswith("[simulated]")
    told = curl(url, "-N", "-i", *TOKEN, model=DEMO, messages=MESSAGES, stream=True)
    head, _, body = told.partition("\n\n")
    assert "content-type: text/event-stream" in head.lower()
    assert "x-inference-provider: " in head.lower()
    events = [event.removeprefix("data: ") for event in body.strip().split("\n\n")]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == said


def test_curl_lists_models_and_is_told_what_is_wrong(server: SandboxServer) -> None:
    listed = json.loads(curl(f"{server.url}/v1/models"))
    assert LLAMA in [model["id"] for model in listed["data"]]
    status = ("-w", "\n%{http_code}")
    told = curl(f"{server.url}/v1/chat/completions", *status, model=LLAMA, messages=MESSAGES)
    assert told.splitlines() == ['{"error":"Invalid username or password."}', "401"]
    assert curl(f"{server.url}/no/such", *status).endswith("404")


def test_curl_waits_for_leave_to_send_a_large_body(server: SandboxServer) -> None:
    large = [{"role": "user", "content": "word " * 300_000}]
    expecting = (*TOKEN, "-H", "Expect: 100-continue", "--data-binary", "@-")
    run = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", *expecting, f"{server.url}/v1/chat/completions"],
        input=json.dumps({"model": LLAMA, "messages": large}),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["choices"][0]["message"]["content"].startswith("[simulated]")

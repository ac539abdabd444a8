"""What a call costs that found no free connection, and what a reload says it cannot change."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

from running import CHAT, running

from trunkline.sandbox.server import SandboxServer

CONFIG = """
[upstreams.small]
base_url = "{router}"
key_env = "SMALL_KEY"
connections = 1
prices."*" = {{ input = 1, output = 1 }}
"""


def test_a_call_that_found_no_free_connection_is_refused_and_charged_nothing(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    router = sandbox_server.environment["TRUNKLINE_ROUTER"]
    environment = {**sandbox_server.environment, "SMALL_KEY": "hf_small"}
    with running(tmp_path, CONFIG.format(router=router), environment) as gateway:
        key = gateway.new_key()
        waiting = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        stalled = {**CHAT, "model": "small/org/fault-stall-head"}
        waiting.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(stalled),
            {"authorization": f"Bearer {key}"},
        )
        until = time.monotonic() + 10
        while gateway.admin("GET", "/status")["in_flight"] == 0:
            assert time.monotonic() < until
            time.sleep(0.02)
        wish = {**CHAT, "model": "small/sandbox/demo"}
        status, headers, body = gateway.ask("POST", "/v1/chat/completions", wish, key)
        assert (status, body["error"]["code"]) == (503, "upstream_busy")
        row = gateway.entry(headers["x-request-id"])
        assert (row["outcome"], row["attempts"], row["charged"]) == ("refused", 0, "0")
        assert row["reserved"] != "0"
        waiting.close()


def test_a_reload_names_the_settings_that_wait_for_a_restart(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        gateway.config.write_text("[edge]\nbody_bytes = 1000\nidle_seconds = 5\n")
        told = gateway.admin("POST", "/reload")
        assert told["changed"] == ["edge.body_bytes", "edge.idle_seconds"]
        assert told["restart"] == ["edge.body_bytes"]

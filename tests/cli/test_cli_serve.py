"""`trunkline serve` as a new user meets it: an empty folder, a home without anything, real processes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from terminals import PATIENCE, PROGRAM, Run

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
SECRET = re.compile(r"tl-[\w-]{40,}")

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found")


class Served:
    """A gateway as it runs in somebody's shell."""

    def __init__(self, env: dict[str, str], folder: Path, *options: str) -> None:
        self.out = folder / "serve.out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--port", "0", *options],
                env=env, cwd=folder, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.url = self._said(r"serves on (\S+) ")

    def _said(self, pattern: str) -> str:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(pattern, self.text)
            if found:
                return found[1]
            time.sleep(0.02)
        raise AssertionError(f"it did not serve:\n{self.text}")

    @property
    def text(self) -> str:
        """All that it has printed."""
        return self.out.read_text()

    def stop(self) -> int:
        """Press Ctrl-C, as a shell would, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture
def serve(routed: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Run `trunkline serve` in the empty folder that is also the home."""
    started: list[Served] = []

    def start(*options: str, env: dict[str, str] = routed) -> Served:
        started.append(Served(env, tmp_path, *options))
        return started[-1]

    yield start
    for served in started:
        served.stop()


def curl(url: str, key: str, body: dict[str, Any] | None = None, *options: str) -> tuple[int, Any]:
    """Return status and decoded body."""
    sent = ("-H", "Content-Type: application/json", "-d", json.dumps(body)) if body else ()
    command = ("curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", "--max-time", "20")
    done = subprocess.run(
        [*command, *options, "-H", f"Authorization: Bearer {key}", *sent, url],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(told)


def soon(is_true: Callable[[], bool]) -> bool:
    """Tell whether something becomes true within two seconds, as the documentation has it."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        if is_true():
            return True
        time.sleep(0.05)
    return is_true()


CHAT = {"model": LLAMA, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}


@needs_curl
def test_a_new_user_serves_makes_a_key_chats_and_sees_what_it_cost(
    run: Run, routed: dict[str, str], serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve()
    shown = SECRET.findall(served.text)
    assert len(shown) == 1
    assert "shown this once" in served.text
    made = run("keys", "create", "--name", "me", env=routed)
    key = made.stdout.strip()
    assert SECRET.fullmatch(key)
    assert soon(lambda: curl(f"{served.url}/v1/models", key)[0] == 200)
    status, answer = curl(f"{served.url}/v1/chat/completions", key, CHAT)
    assert status == 200
    assert answer["choices"][0]["message"]["content"].startswith("[simulated]")
    assert soon(lambda: '"calls": 1' in run("spend", "--json", env=routed).stdout)
    (spent,) = json.loads(run("spend", "--by", "key,model", "--json", env=routed).stdout)["data"]
    assert spent["model"] == LLAMA
    assert spent["output_tokens"] == answer["usage"]["completion_tokens"]
    assert float(spent["cost"]) > 0
    assert served.stop() == 0
    assert "Stopped." in served.text
    assert key not in served.text
    kept = [path for path in (tmp_path / ".local").rglob("*") if path.is_file()]
    assert kept
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in kept} == {0}
    for path in kept:
        assert key.encode() not in path.read_bytes()
        assert shown[0].encode() not in path.read_bytes()


@needs_curl
def test_a_second_start_shows_no_admin_key_and_knows_the_keys_of_the_first(
    run: Run, routed: dict[str, str], serve: Callable[..., Served]
) -> None:
    first = serve()
    (admin,) = SECRET.findall(first.text)
    key = run("keys", "create", "--quiet", env=routed).stdout.strip()
    first.stop()
    second = serve()
    assert not SECRET.findall(second.text)
    assert curl(f"{second.url}/v1/models", key)[0] == 200
    assert curl(f"{second.url}/admin/keys", admin)[0] == 200
    assert curl(f"{second.url}/admin/keys", key)[0] == 403


@pytest.mark.slow
@needs_curl
def test_a_rotated_key_overlaps_and_a_revoked_one_is_refused_within_two_seconds(
    run: Run, routed: dict[str, str], serve: Callable[..., Served]
) -> None:
    served = serve()
    made = json.loads(run("keys", "create", "--name", "app", "--json", env=routed).stdout)
    key_id, old = made["key"]["id"], made["secret"]

    def status(secret: str) -> int:
        return curl(f"{served.url}/v1/chat/completions", secret, CHAT)[0]

    assert soon(lambda: status(old) == 200)
    new = run("keys", "rotate", key_id, "--overlap", "1h", "--quiet", env=routed).stdout.strip()
    assert new != old
    assert soon(lambda: status(new) == 200)
    assert status(old) == 200
    newest = run("keys", "rotate", key_id, "--quiet", env=routed).stdout.strip()
    assert soon(lambda: status(newest) == 200)
    assert status(new) == 401
    assert run("keys", "revoke", key_id, env=routed).returncode == 0
    assert soon(lambda: status(newest) == 401)
    status_code, told = curl(f"{served.url}/v1/chat/completions", newest, CHAT)
    assert (status_code, told["error"]["code"]) == (401, "invalid_api_key")


@needs_curl
def test_a_budget_of_the_command_line_is_kept_by_the_running_gateway(
    run: Run, routed: dict[str, str], serve: Callable[..., Served]
) -> None:
    served = serve()
    key = run("keys", "create", "--budget", "0.000001/day", "-q", env=routed).stdout.strip()
    url = f"{served.url}/v1/chat/completions"
    assert soon(lambda: curl(f"{served.url}/v1/models", key)[0] == 200)
    status, told = curl(url, key, CHAT)
    assert (status, told["error"]["code"]) == (402, "budget_exceeded")


@needs_curl
def test_it_serves_over_tls_with_a_certificate_of_the_operators(
    run: Run, routed: dict[str, str], serve: Callable[..., Served], tmp_path: Path
) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for blob in made.cert_chain_pems:
        blob.write_to_path(str(tmp_path / "chain.pem"), append=True)
    (tmp_path / "trunkline.toml").write_text(
        '[listen]\ntls_certificate = "chain.pem"\ntls_key = "key.pem"\n'
    )
    served = serve()
    assert served.url.startswith("https://127.0.0.1:")
    key = run("keys", "create", "--quiet", env=routed).stdout.strip()
    known = ("--cacert", str(tmp_path / "ca.pem"))
    assert soon(lambda: curl(f"{served.url}/v1/models", key, None, *known)[0] == 200)
    status, answer = curl(f"{served.url}/v1/chat/completions", key, CHAT, *known)
    assert status == 200
    assert answer["choices"]


def test_a_second_gateway_on_the_same_store_or_port_says_what_to_do(
    run: Run, routed: dict[str, str], serve: Callable[..., Served]
) -> None:
    served = serve()
    again = run("serve", "--port", "0", env=routed)
    assert again.returncode != 0
    assert "--store" in again.stderr
    port = served.url.rpartition(":")[2]
    taken = run("serve", "--port", port, "--store", "other.db", env=routed)
    assert taken.returncode != 0
    assert "--port" in taken.stderr


def test_without_a_token_for_the_router_it_does_not_serve_and_says_how_to_get_one(
    run: Run, env: dict[str, str], tmp_path: Path
) -> None:
    done = run("serve", "--port", "0", env=env)
    assert done.returncode != 0
    assert "hf auth login" in done.stderr
    assert not list(tmp_path.rglob("gateway.db"))


def test_the_configuration_is_checked_and_shown_before_it_serves(
    run: Run, routed: dict[str, str], serve: Callable[..., Served], tmp_path: Path
) -> None:
    fine = run("config", "check", env=routed)
    assert fine.returncode == 0
    assert "No trunkline.toml here" in fine.stdout
    (tmp_path / "trunkline.toml").write_text(
        '[upstreams.vllm]\nbase_ul = "http://127.0.0.1:8000"\n'
    )
    wrong = run("config", "check", env=routed)
    assert wrong.returncode != 0
    assert "base_url" in wrong.stdout + wrong.stderr
    assert run("serve", "--port", "0", env=routed).returncode != 0
    (tmp_path / "trunkline.toml").write_text("[edge]\nidle_seconds = 30\n")
    shown = run("config", "show", "--origin", env=routed)
    assert re.search(r"edge\.idle_seconds = 30.*trunkline\.toml", shown.stdout)
    assert serve().url

"""`trunkline models`, `doctor` and `sandbox` from the outside."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import PATIENCE, PROGRAM, Open, Run

from trunkline.cli.checks import (
    account_checks,
    lacks_permission,
    log_check,
    proxy_check,
    token_check,
)
from trunkline.sandbox import SandboxServer
from trunkline.settings import read_settings

SECRET = "hf_secret_of_the_test"


def _closed_port() -> str:
    """Return a loopback address where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


# models


def test_models_are_lines_with_tabs_where_there_is_no_terminal(
    run: Run, routed: dict[str, str]
) -> None:
    done = run("models", "llama instruct", env=routed)
    head, *lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert head[:2] == ["model", "provider"]
    assert {len(line) for line in lines} == {len(head)}
    rows = {(line[0], line[1]): line[2:] for line in lines}
    llama = "meta-llama/Llama-3.3-70B-Instruct"
    assert rows[llama, "groq"] == ["131072", "0.59", "0.79", "yes", "120", "320"]
    assert rows[llama, "scaleway"][1] == "0.93"  # 0.9299999999999999 on the wire
    assert (llama, "ovhcloud") not in rows  # not live
    assert rows["meta-llama/Llama-3.1-8B-Instruct", "featherless-ai"][1:4] == ["-", "-", "-"]


def test_models_need_no_token_and_send_no_strangers(
    run: Run, routed: dict[str, str], server: SandboxServer
) -> None:
    for token, sent in (("", False), ("sk-some-providers-key", False), (SECRET, True)):
        assert run("models", env={**routed, "HF_TOKEN": token}).returncode == 0
        assert ("authorization" in server.requests[-1].headers) is sent


def test_models_can_be_narrowed(run: Run, routed: dict[str, str]) -> None:
    done = run("models", "--provider", "together", "--tools", "--limit", "2", "--json", env=routed)
    found = json.loads(done.stdout)
    assert len(found) == 2
    offers = [offer for model in found for offer in model["providers"]]
    assert {offer["provider"] for offer in offers} == {"together"}
    assert all(offer["supports_tools"] for offer in offers)


def test_models_in_json_are_null_where_unknown(run: Run, routed: dict[str, str]) -> None:
    [model] = json.loads(run("models", "SmolLM3", "--json", env=routed).stdout)
    [offer] = model["providers"]
    assert offer["pricing"] == {"input": None, "output": None}
    assert offer["context_length"] is None
    assert offer["throughput"] == 45


def test_offers_that_are_not_live_show_when_asked_for(run: Run, routed: dict[str, str]) -> None:
    assert "ovhcloud (error)" in run("models", "Llama-3.3", "--all", env=routed).stdout


def test_no_model_and_a_provider_misspelt_say_so(run: Run, routed: dict[str, str]) -> None:
    done = run("models", "--provider", "togther", env=routed)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Did you mean --provider together?" in done.stderr


def test_models_at_a_terminal_are_a_table(terminal: Open, routed: dict[str, str]) -> None:
    shown = terminal("models", "Qwen2.5", env=routed)
    assert shown.end() == 0
    shown.expect("provider        context")
    shown.expect("Qwen/Qwen2.5-72B-Instruct\n")
    assert shown.text.count("Qwen/Qwen2.5-72B-Instruct") == 1
    assert "sambanova" in shown.text
    assert "novita" in shown.text


def test_a_router_that_does_not_answer_is_one_message(run: Run, env: dict[str, str]) -> None:
    done = run("models", env={**env, "TRUNKLINE_ROUTER": _closed_port()})
    assert done.returncode == 1
    assert "refused the connection" in done.stderr


# doctor


def test_doctor_is_content_with_what_works(run: Run, routed: dict[str, str]) -> None:
    done = run("doctor", env={**routed, "HF_BILL_TO": "sandbox-org"})
    assert done.returncode == 0, done.stdout
    for said in (
        "****test from the environment variable HF_TOKEN", "models live", "sandbox-user",
        "fineGrained (token 'sandbox')", "sandbox-org from the environment variable HF_BILL_TO",
    ):  # fmt: skip
        assert said in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_doctor_in_json_says_the_same(run: Run, routed: dict[str, str]) -> None:
    done = run("doctor", "--json", env=routed)
    told = json.loads(done.stdout)
    assert told["ok"] is True
    names = [check["name"] for check in told["checks"]]
    assert names[:4] == ["trunkline", "Python", "httptools", "msgspec"]
    assert {"token", "router", "Hub", "user", "role", "bill to", "proxy"} <= set(names)


@pytest.mark.parametrize(
    ("token", "failing", "hint"),
    [
        ("hf_with space_in_it_99", "token", "Copy it again"),
        ("hf_invalid_token_1234", "account", "make a new one"),
        ("hf_nopermission_token_1234", "role", "Make calls to Inference Providers"),
    ],
)
def test_doctor_says_what_to_do_about_a_token(
    token: str, failing: str, hint: str, run: Run, routed: dict[str, str]
) -> None:
    done = run("doctor", "--json", env={**routed, "HF_TOKEN": token})
    assert done.returncode == 1
    failed = [c for c in json.loads(done.stdout)["checks"] if c["status"] == "failed"]
    assert [check["name"] for check in failed] == [failing]
    assert hint in failed[0]["hint"]
    assert token not in done.stdout + done.stderr


def test_doctor_misses_a_token_only_where_calls_do(run: Run, routed: dict[str, str]) -> None:
    del routed["HF_TOKEN"]
    assert "none needed by a router on this machine" in run("doctor", env=routed).stdout
    secret, check = token_check(read_settings({}), {"HF_HOME": "/nowhere"})
    assert (secret, check.status) == (None, "failed")
    assert "hf auth login" in (check.hint or "")


def test_doctor_wonders_about_a_token_of_another_form(run: Run, routed: dict[str, str]) -> None:
    done = run("doctor", "--json", env={**routed, "HF_TOKEN": "api_org_of_the_test"})
    assert _statuses(done.stdout)["token"] == "warning"
    assert "api_org_of_the_test" not in done.stdout


def test_doctor_finds_the_token_of_a_login(
    run: Run, routed: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / ".cache" / "huggingface" / "token"
    path.parent.mkdir(parents=True)
    path.write_text(f"{SECRET}\n")
    del routed["HF_TOKEN"]
    done = run("doctor", env=routed)
    assert done.returncode == 0
    assert f"****test from the file {path}" in done.stdout


def test_doctor_without_a_router_fails_and_without_a_hub_warns(
    run: Run, routed: dict[str, str]
) -> None:
    nobody = _closed_port()
    done = run("doctor", "--json", env={**routed, "TRUNKLINE_ROUTER": nobody})
    assert done.returncode == 1
    assert _statuses(done.stdout)["router"] == "failed"
    done = run("doctor", "--json", env={**routed, "HF_ENDPOINT": nobody})
    assert done.returncode == 0
    assert _statuses(done.stdout)["Hub"] == "warning"


def test_doctor_says_which_variable_is_wrong(run: Run, routed: dict[str, str]) -> None:
    done = run("doctor", env={**routed, "HF_ENDPOINT": "huggingface.co"})
    assert done.returncode == 1
    assert "HF_ENDPOINT" in done.stdout


def test_doctor_warns_of_a_payer_who_is_a_stranger(run: Run, routed: dict[str, str]) -> None:
    done = run("doctor", "--json", env={**routed, "HF_BILL_TO": "stranger"})
    assert done.returncode == 0
    assert _statuses(done.stdout)["bill to"] == "warning"


def test_a_proxys_password_is_never_shown(run: Run, routed: dict[str, str]) -> None:
    proxied = {**routed, "HTTP_PROXY": "http://user:geheim@127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    done = run("doctor", env=proxied)
    assert "none for the router, by NO_PROXY" in done.stdout
    settings = read_settings({"HTTPS_PROXY": "http://user:geheim@proxy:3128"})
    check = proxy_check(settings.proxies, settings.router_url)
    assert check.says == "proxy:3128 for the router"


def test_whoami_is_read_whatever_it_leaves_out() -> None:
    assert [check.status for check in account_checks({})] == ["ok", "ok"]
    odd = {"name": 7, "orgs": [None, {"name": 5}], "auth": {"accessToken": {"role": None}}}
    assert [check.status for check in account_checks(odd)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("token", "lacking"),
    [
        ({"role": "write"}, False),
        ({"role": "fineGrained"}, False),  # not told
        ({"role": "fineGrained", "fineGrained": {"global": [], "scoped": []}}, True),
        ({"role": "fineGrained", "fineGrained": {"global": ["inference.serverless.write"]}}, False),
    ],
)
def test_a_permission_is_missed_only_where_it_is_known_to_lack(
    token: dict[str, object], lacking: bool
) -> None:
    assert lacks_permission(token) is lacking


def _statuses(stdout: str) -> dict[str, str]:
    return {check["name"]: check["status"] for check in json.loads(stdout)["checks"]}


# sandbox


@pytest.fixture
def served(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`trunkline sandbox` on a free port."""
    started = subprocess.Popen(
        [PROGRAM, "sandbox", "--port", "0"], env=env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    yield started
    started.kill()
    started.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_until_it_is_stopped(
    served: subprocess.Popen[str], how: signal.Signals, run: Run, env: dict[str, str]
) -> None:
    assert served.stdout is not None
    lines = iter(served.stdout.readline, "")
    told = dict(
        line.strip().removeprefix("export ").split("=", 1)
        for line in (next(lines) for _ in range(5))
        if line.strip().startswith("export ")
    )
    assert set(told) == {"TRUNKLINE_ROUTER", "HF_ENDPOINT"}
    done = run("chat", "Qwen/Qwen2.5-72B-Instruct", "hi", env={**env, **told})
    assert done.stdout.startswith("[simulated]")
    served.send_signal(how)
    out, err = served.communicate(timeout=PATIENCE)
    assert (served.returncode, err) == (0, "")
    assert out.endswith("Stopped.\n")


def test_its_environment_can_be_evaluated(run: Run, env: dict[str, str]) -> None:
    lines = run("sandbox", "--env", "--port", "9123").stdout
    shell = subprocess.run(
        ["sh", "-c", f'{lines}\necho "$TRUNKLINE_ROUTER $HF_ENDPOINT ${{HF_TOKEN-none}}"'],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell.stdout.strip() == "http://127.0.0.1:9123/v1 http://127.0.0.1:9123 none"
    assert run("sandbox", "--env", "--port", "0").returncode == 2


def test_it_serves_this_machine_only(run: Run) -> None:
    done = run("sandbox", "--host", "0.0.0.0")  # noqa: S104 - what is refused
    assert done.returncode == 1
    assert "loopback only" in done.stderr


def test_a_port_that_is_taken_is_said(run: Run, server: SandboxServer) -> None:
    done = run("sandbox", "--port", str(server.port))
    assert done.returncode == 1
    assert f"Port {server.port} on 127.0.0.1 is taken" in done.stderr


def test_a_seed_that_is_no_number_is_a_wrong_use(run: Run) -> None:
    assert run("sandbox", "--seed", "x", "--env").returncode == 2


# the log


def test_whether_calls_are_logged_is_said_and_breaks_nothing(tmp_path: Path) -> None:
    off = log_check(read_settings({"HOME": str(tmp_path)}).log)
    assert (off.status, off.says) == ("ok", "calls are not logged")
    file = tmp_path / "calls.db"
    on = read_settings({"TRUNKLINE_LOG": str(file), "TRUNKLINE_LOG_CONTENT": "1"}).log
    found = log_check(on)
    assert found.status == "ok"
    assert str(file) in found.says
    assert "TRUNKLINE_LOG" in found.says
    assert "answers included" in found.says
    assert not file.exists()
    file.write_text("no database at all, though it is there " * 50)
    broken = log_check(on)
    assert broken.status == "warning"
    assert "no SQLite database" in (broken.hint or "")

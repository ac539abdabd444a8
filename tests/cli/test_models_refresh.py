"""`trunkline models refresh` and `--offline`: a list to fall back on, and how old it is."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from terminals import Open, Run

from trunkline.catalog import read_file
from trunkline.cli.models import old
from trunkline.sandbox import SandboxServer

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the program keeps its list."""
    return tmp_path / ".cache" / "trunkline" / "models.json"


def test_the_list_says_where_it_is_from_and_how_old_it_is(
    run: Run, routed: dict[str, str], server: SandboxServer
) -> None:
    done = run("models", env=routed)
    assert f"Source: router {server.url}/v1, as of 20" in done.stderr
    assert "Source:" not in done.stdout
    assert "Source:" in run("models", "--json", env=routed).stderr


def test_refresh_keeps_the_routers_list_for_when_it_is_silent(
    run: Run, routed: dict[str, str], server: SandboxServer, kept: Path
) -> None:
    done = run("models", "refresh", env=routed)
    assert done.returncode == 0, done.stderr
    assert f"from {server.url}/v1, " in done.stdout
    assert done.stdout.endswith(f"kept in {kept}.\n")
    assert kept.stat().st_mode & 0o777 == 0o600
    asked = len(server.requests)
    shown = run("models", "llama", "--offline", env=routed)
    assert len(server.requests) == asked
    assert f"Source: file {kept}, as of " in shown.stderr
    assert shown.stdout == run("models", "llama", env=routed).stdout


def test_xdg_moves_the_file(run: Run, routed: dict[str, str], tmp_path: Path) -> None:
    env = {**routed, "XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    assert run("models", "refresh", env=env).returncode == 0
    assert read_file(tmp_path / "elsewhere" / "trunkline" / "models.json") is not None


def test_without_a_kept_list_the_shipped_one_is_shown(run: Run, env: dict[str, str]) -> None:
    done = run("models", "gpt-oss-120b", "--offline", env={**env, "TRUNKLINE_ROUTER": UNREACHABLE})
    assert done.returncode == 0
    rows = {tuple(line.split("\t")[:2]) for line in done.stdout.splitlines()}
    assert ("openai/gpt-oss-120b", "groq") in rows
    assert "Source: snapshot shipped with Trunkline" in done.stderr
    assert "It does not tell which offers are live." in done.stderr
    assert "(status" not in done.stdout


def test_prices_are_numbers_in_json(run: Run, env: dict[str, str]) -> None:
    done = run("models", "gpt-oss-120b", "--offline", "--provider", "groq", "--json", env=env)
    [offer] = json.loads(done.stdout)[0]["providers"]
    assert offer["pricing"] == {"input": 0.15, "output": 0.75}
    assert offer["origin"].startswith("genai-prices ")


def test_a_file_that_is_damaged_is_as_none(run: Run, routed: dict[str, str], kept: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text("{")
    said = run("models", "--offline", env=routed).stderr
    assert "Source: snapshot" in said
    assert f"The file {kept} cannot be read" in said
    assert run("models", "refresh", env=routed).returncode == 0
    assert "Source: file" in run("models", "--offline", env=routed).stderr


def test_a_router_that_is_silent_leaves_the_kept_list_alone(
    run: Run, routed: dict[str, str], kept: Path
) -> None:
    run("models", "refresh", env=routed)
    before = kept.read_bytes()
    done = run("models", "refresh", env={**routed, "TRUNKLINE_ROUTER": UNREACHABLE})
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert kept.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_is_one_message(
    run: Run, routed: dict[str, str], kept: Path
) -> None:
    kept.parent.mkdir(parents=True, mode=0o500)
    done = run("models", "refresh", env=routed)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


def test_a_place_that_is_no_folder_is_one_message(
    run: Run, routed: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".cache").write_text("a file")
    done = run("models", "refresh", env=routed)
    assert done.returncode == 1
    assert str(tmp_path / ".cache") in done.stderr


def test_a_user_without_a_home_is_told_what_to_set(run: Run, routed: dict[str, str]) -> None:
    env = {**routed, "XDG_CACHE_HOME": "~nobody-of-this-name/cache"}
    done = run("models", "refresh", env=env)
    assert done.returncode == 1
    assert "XDG_CACHE_HOME" in done.stderr
    assert run("models", "--offline", env=env).returncode == 0


def test_refresh_has_its_own_help_and_a_model_of_that_name_can_be_looked_for(
    run: Run, routed: dict[str, str]
) -> None:
    done = run("models", "refresh", "--help")
    assert "Usage: trunkline models refresh" in done.stdout
    assert run("models", "refresh", "--tools").returncode == 2
    assert "refresh" in run("models", "--help").stdout
    assert "No model of" in run("models", "--", "refresh", env=routed).stderr


def test_the_source_shows_at_a_terminal_too(terminal: Open, routed: dict[str, str]) -> None:
    shown = terminal("models", "Qwen2.5", env=routed)
    shown.expect("Source: router")
    assert shown.end() == 0


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=1), "1 minute old"),
        (timedelta(minutes=59, seconds=59), "59 minutes old"),
        (timedelta(hours=1), "1 hour old"),
        (timedelta(hours=47), "1 day old"),
        (timedelta(days=400), "400 days old"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(age: timedelta, said: str) -> None:
    assert old(age) == said

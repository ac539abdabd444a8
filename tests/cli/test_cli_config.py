"""`trunkline config` from the outside: what it says, where, and its exit codes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from terminals import Run

TEXT = """
listen.port = 8000
[upstreams.vllm]
base_url = "http://127.0.0.1:9/v1"
key_env = "VLLM_KEY"
prices."*" = { input = 0.1, output = 0.3 }
[routes]
a.targets = [{ upstream = "vllm", model = "x" }]
b.targets = [{ upstream = "huggingface", model = "x" }]
c.targets = [{ upstream = "huggingface", model = "y" }]
"""
SECRET = "hf_secret_of_the_test"


@pytest.fixture
def logged_in(env: dict[str, str]) -> dict[str, str]:
    """An environment with both keys that the file needs."""
    return {**env, "HF_TOKEN": SECRET, "VLLM_KEY": "geheim-1234"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The configuration in the folder in which the program runs."""
    path = tmp_path / "trunkline.toml"
    path.write_text(TEXT)
    return path


def test_a_sound_file_is_one_line(run: Run, logged_in: dict[str, str], file: Path) -> None:
    done = run("config", "check", env=logged_in)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "trunkline.toml: fine. 2 upstreams, 3 routes.\n"
    named = run("config", "check", str(file), env=logged_in)
    assert named.stdout == f"{file}: fine. 2 upstreams, 3 routes.\n"


def test_no_file_at_all_is_fine(run: Run, logged_in: dict[str, str]) -> None:
    done = run("config", "check", env=logged_in)
    assert done.returncode == 0
    assert done.stdout == (
        "No trunkline.toml here, and the defaults are fine. 1 upstream, 0 routes.\n"
    )


def test_warnings_go_beside_and_do_not_fail(run: Run, env: dict[str, str], file: Path) -> None:
    done = run("config", "check", env=env)
    assert done.returncode == 0
    assert "Warning: The environment variable VLLM_KEY is not set" in done.stderr
    assert "Warning: No Hugging Face token was found" in done.stderr
    assert "Warning" not in done.stdout


def test_every_error_is_told_and_the_code_is_1(run: Run, env: dict[str, str], file: Path) -> None:
    file.write_text(f"{TEXT}\n[listen]\nprot = 1\n")
    done = run("config", "check", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "line 12: listen is there twice; the first is in line 2" in done.stderr
    file.write_text(f"listen.prot = 1\nkey = '{SECRET}'\n[edge]\nheaders = 'x'\n")
    done = run("config", "check", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The configuration has 3 errors.\n")
    for said in (
        "trunkline.toml, line 1: listen.prot is unknown. Did you mean 'port'?",
        "trunkline.toml, line 2: key would be a key in the file",
        "trunkline.toml, line 4: edge.headers must be a whole number, not text.",
    ):
        assert said in done.stderr
    assert SECRET not in done.stderr


def test_a_file_that_is_not_there_is_said(run: Run, env: dict[str, str]) -> None:
    for name in ("check", "show"):
        done = run("config", name, "no.toml", env=env)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "Error: There is no configuration file no.toml.\n"


def test_what_takes_effect_is_shown_as_toml(
    run: Run, logged_in: dict[str, str], file: Path
) -> None:
    done = run("config", "show", env={**logged_in, "TRUNKLINE_PORT": "8001"})
    assert done.returncode == 0
    shown = tomllib.loads(done.stdout)
    assert shown["listen"]["port"] == 8001
    assert shown["upstreams"]["vllm"]["prices"] == {"*": {"input": 0.1, "output": 0.3}}
    assert list(shown)[:3] == ["listen", "edge", "queue"]
    assert "# store.path is not set" in done.stdout.splitlines()


def test_origins_stand_behind_the_values(run: Run, logged_in: dict[str, str], file: Path) -> None:
    done = run("config", "show", "--origin", env={**logged_in, "TRUNKLINE_HOST": "::1"})
    lines = done.stdout.splitlines()
    assert 'listen.host = "::1"  # the environment variable TRUNKLINE_HOST' in lines
    assert "listen.port = 8000  # trunkline.toml, line 2" in lines
    assert "edge.headers = 100  # default" in lines
    assert tomllib.loads(done.stdout)["listen"]["port"] == 8000


def test_json_has_values_and_origins(run: Run, logged_in: dict[str, str], file: Path) -> None:
    told = json.loads(run("config", "show", "--json", env=logged_in).stdout)
    assert told["path"] == "trunkline.toml"
    assert told["warnings"] == []
    assert told["config"]["upstreams"]["vllm"]["prices"]["*"]["input"] == 0.1
    assert told["origins"]["listen.port"] == "trunkline.toml, line 2"


def test_no_key_is_ever_shown(run: Run, logged_in: dict[str, str], file: Path) -> None:
    for arguments in (("check",), ("show",), ("show", "--origin"), ("show", "--json")):
        done = run("config", *arguments, env=logged_in)
        assert done.returncode == 0
        assert "geheim" not in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_a_terminal_does_not_obey_a_file(run: Run, logged_in: dict[str, str], file: Path) -> None:
    file.write_text('content.redact = ["\\u001b\\\\[31mx\\u202e"]\n')
    done = run("config", "show", env=logged_in)
    assert not {"\x1b", "\u202e"} & set(done.stdout)
    assert tomllib.loads(done.stdout)["content"]["redact"] == ["\x1b\\[31mx\u202e"]

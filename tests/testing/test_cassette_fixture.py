"""The fixture, its marker and its option, as a user's own tests have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.sandbox import serve_in_thread

USERS = """
import pytest
from trunkline import completion

def ask(text):
    return completion("deepseek-ai/DeepSeek-R1", [{"role": "user", "content": text}]).text

def test_plain(trunkline_cassette):
    assert ask("one")

@pytest.mark.parametrize("word", ["a/b"])
def test_parameters(trunkline_cassette, word):
    assert ask(word)

@pytest.mark.trunkline_cassette("own/shared.json", match="lenient")
def test_shared(trunkline_cassette):
    assert ask("one") and ask("one")
    assert trunkline_cassette.all_played or trunkline_cassette.play_count == 0
"""


def run(folder: Path, environment: dict[str, str], *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_fixture_records_where_told_and_replays_without_anybody(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(USERS)
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRUNKLINE_"))}
    bare["HF_HOME"] = str(tmp_path / "nobody")
    with serve_in_thread() as server:
        there = {**bare, **server.environment, "HF_TOKEN": "hf_sandbox"}
        refused = run(tmp_path, there)
        assert "3 errors" in refused
        assert "There is no cassette" in refused
        assert not server.requests
        assert "3 passed" in run(tmp_path, there, "--trunkline-record=once")
        addresses = server.environment
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.json")) == [
        "cassettes/test_users/test_parameters[a-b].json",
        "cassettes/test_users/test_plain.json",
        "own/shared.json",
    ]
    assert "3 passed" in run(tmp_path, {**bare, **addresses})
    (tmp_path / "test_users.py").write_text(
        USERS.replace('assert ask("one")\n', "assert False\n", 1)
    )
    failed = run(tmp_path, {**bare, **addresses}, "-k", "plain")
    assert "1 failed" in failed
    assert "error" not in failed.lower().replace("assertionerror", "")
    (tmp_path / "test_users.py").write_text(USERS.replace('assert ask("one")\n', "pass\n", 1))
    assert "LeftOverError" in run(tmp_path, {**bare, **addresses}, "-k", "plain")


@pytest.mark.slow
def test_cassettes_work_where_there_is_no_pytest(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "from trunkline import completion\n"
        "from trunkline.testing import record, replay\n"
        "for use in (record, replay):\n"
        "    with use('c.json'):\n"
        "        completion('sandbox/demo', [{'role': 'user', 'content': 'x'}])\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    assert len(json.loads((tmp_path / "c.json").read_text())["interactions"]) == 1


def test_what_is_not_used_is_not_loaded() -> None:
    program = (
        "import sys, trunkline.testing\n"
        "print([m for m in sys.modules if m.startswith('trunkline.testing.')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "['trunkline.testing.plugin']", done.stderr


def test_a_name_that_is_not_there_says_so() -> None:
    import trunkline.testing

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = trunkline.testing.nothing
    assert all(hasattr(trunkline.testing, name) for name in trunkline.testing.__all__)

"""The overloads as type checkers see them: the files of tests/typing say what they should."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKED = ROOT / "tests" / "typing"


@pytest.mark.parametrize("options", [("--strict",)], ids=["mypy"])
def test_the_faces_have_the_types_that_they_promise(options) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(CHECKED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""OpenAI's Python client of the line before, unchanged: each module that asks with it, run again with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import openai_2
import pytest

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ABOUT_OTHERS = {"test_gateway_failover.py", "test_gateway_hf.py", "test_gateway_upstreams.py"}
"""Ask with the client, and test upstreams or other clients: another version tells them nothing new."""
MODULES = sorted(
    module.name
    for module in HERE.glob("test_*.py")
    if "\nimport openai\n" in module.read_text() and module.name not in ABOUT_OTHERS
)
_VERSION = "import openai; print(openai.__version__)"


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Variables under which Python finds the older client first; skips where it cannot be had."""
    try:
        folder = openai_2.installed()
    except openai_2.NoOlderClientError as reason:
        pytest.skip(str(reason))
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return {**ours, "PYTHONPATH": str(folder)}


def test_the_older_client_is_the_one_that_is_found(environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", _VERSION]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("2.")
    assert "test_gateway_responses.py" in MODULES


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", MODULES)
def test_whatever_the_newer_client_is_told_the_older_one_is_told(
    environment: dict[str, str], module: str
) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    found = subprocess.run(
        [*command, str(HERE / module)],
        env=environment,
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout[-6000:]
    assert " passed" in found.stdout

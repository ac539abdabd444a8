"""The pytest fixture, as a user's own tests have it: nothing is imported, installing is enough."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import trunkline

ASKED = [{"role": "user", "content": "Hello."}]
MODEL = "huggingface/together/deepseek-ai/DeepSeek-R1"


def test_a_call_goes_to_the_sandbox_and_is_seen_there(trunkline_sandbox) -> None:
    answer = trunkline.completion(MODEL, ASKED)
    assert answer.receipt is not None
    assert answer.receipt.provider == "together"
    (seen,) = trunkline_sandbox.requests
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.json["model"] == "deepseek-ai/DeepSeek-R1:together"


def test_the_awaited_twin_goes_there_too(trunkline_sandbox) -> None:
    assert asyncio.run(trunkline.acompletion(MODEL, ASKED)).text
    assert len(trunkline_sandbox.requests) == 1


def test_a_fault_reaches_the_program_under_test(trunkline_sandbox) -> None:
    try:
        trunkline.completion(MODEL, ASKED, extra_headers={"x-sandbox-fault": "402"}, max_retries=0)
    except trunkline.PaymentRequiredError as error:
        assert error.status == 402
    else:
        raise AssertionError("the fault did not arrive")
    assert len(trunkline_sandbox.requests) == 1


def test_afterwards_everything_is_as_it_was(tmp_path: Path) -> None:
    program = tmp_path / "test_users.py"
    program.write_text(
        "import os\n"
        "from trunkline import completion, functions\n"
        "def test_inside(trunkline_sandbox):\n"
        "    assert os.environ['TRUNKLINE_ROUTER'].startswith(trunkline_sandbox.url)\n"
        f"    assert completion({MODEL!r}, [{{'role': 'user', 'content': 'x'}}]).text\n"
        "def test_after():\n"
        "    assert 'TRUNKLINE_ROUTER' not in os.environ\n"
        "    assert functions._client is None\n"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("TRUNKLINE_ROUTER", "HF_ENDPOINT")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(program)],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr

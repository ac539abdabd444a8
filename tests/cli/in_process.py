"""The program run in the tests' own process, which is quicker than starting it."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest
from terminals import Run

from trunkline.cli.program import main


@pytest.fixture
def quick(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """Run the program, without a token, a login or anything kept."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HF_TOKEN", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TRUNKLINE_LOG"):
        monkeypatch.delenv(name, raising=False)

    def quick(*arguments: str) -> CompletedProcess[str]:
        capsys.readouterr()
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return CompletedProcess(arguments, code, out, err)

    return quick

"""The simulation of many replicas: no budget and no limit is passed, and it comes out the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RUN = ROOT / "bench" / "scale" / "run.py"
WISH = ("--rates", "600,3000", "--spreads", "8,1", "--replicas", "8", "--keys", "60")


def simulated(folder: Path) -> list[dict[str, Any]]:
    path = folder / "found.json"
    command = [sys.executable, str(RUN), *WISH, "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| requests/min | 600 | 3,000 | 600 | 3,000 |")
    found: list[dict[str, Any]] = json.loads(path.read_text())
    for each in found:
        del each["seconds to simulate"]
    return found


def test_no_budget_and_no_limit_is_passed_by_simulated_replicas(tmp_path: Path):
    found = simulated(tmp_path)
    assert found == simulated(tmp_path)
    for each in found:
        assert each["budget overshoot, $"] == 0
        assert each["calls beyond limits"] == 0
        assert each["requests"] > 400
        assert each["outcomes"]["budget_exceeded"] > 0
        assert each["outcomes"]["requests_exceeded"] > 0
        assert each["share of a short limit that was used"] > 0.9
    anywhere, few = found[1], found[3]
    assert few["waits per 1,000 requests"] < anywhere["waits per 1,000 requests"]


def test_the_page_has_the_table_that_the_simulation_writes():
    page = (ROOT / "docs" / "scale.md").read_text()
    table = page.partition("<!-- end of the table -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    names = "import json, run; print(json.dumps([name for name, _ in run.ROWS]))"
    command = [sys.executable, "-c", names]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=RUN.parent)
    assert [line.split("|")[1].strip() for line in rows] == json.loads(told.stdout)

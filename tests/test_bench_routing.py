"""The simulation of routes: the same numbers each time, few attempts where all fails, and its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
RUN = ROOT / "bench" / "routing" / "run.py"


def told(code: str) -> Any:
    """Run some of the simulation."""
    command = [sys.executable, "-c", f"import json, run; print(json.dumps({code}))"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=RUN.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_where_everything_fails_hardly_more_is_sent_than_calls_are_made() -> None:
    found = told("[[run.failing(rate, 20.0, p) for _, p in run._ALL_FAIL] for rate in (20, 50)]")
    for both in found:
        for calls, attempts in both:
            assert calls in (400, 1000)
            assert 0 < attempts < 1.2 * calls


def test_the_page_has_the_tables_that_the_simulation_writes() -> None:
    page = (ROOT / "docs" / "routing-simulation.md").read_text()
    tables = page.partition("<!-- tables: ")[2].partition("<!-- end of the tables -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in tables.splitlines() if line.startswith("| ")]  # fmt: skip
    strategies, columns, routes, rates = told(
        "[[one.name for one in run.STRATEGIES], [name.strip() for name, _ in run.COLUMNS], "
        "[name for name, _ in run._ALL_FAIL], run.RATES]"
    )
    first, second = rows[: len(strategies) + 1], rows[len(strategies) + 1 :]
    assert first[0] == ["calls are sent", *columns]
    assert [row[0] for row in first[1:]] == strategies
    assert [row[0] for row in second[1:]] == routes
    assert second[0][1:] == [f"{rate:g}" for rate in rates]
    many = [at for at, rate in enumerate(second[0]) if at and float(rate) >= 10]
    assert all(float(row[at]) < 1.2 for row in second[1:] for at in many)


ONLY = "pinned to A,pinned to C,fastest,cheapest,balanced,sticky"


@pytest.mark.slow
def test_a_day_comes_out_the_same_each_time_and_routes_serve_more_of_it(tmp_path: Path) -> None:
    command = [sys.executable, str(RUN), "--rate", "0.01", "--jobs", "2", "--only", ONLY]
    found = []
    for name in ("one.json", "two.json"):
        done = subprocess.run(
            [*command, "--json", str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("| calls are sent | succeeded |")
        found.append(json.loads((tmp_path / name).read_text()))
    assert found[0] == found[1]
    served = {one["name"]: one["succeeded"] / one["calls"] for one in found[0]["found"]}
    cost = {one["name"]: one["cost"] for one in found[0]["found"]}
    assert len({one["calls"] for one in found[0]["found"]}) == 1
    pinned = max(part for name, part in served.items() if name.startswith("pinned"))
    for name in ("fastest", "cheapest", "balanced", "sticky"):
        assert served[name] > pinned
    assert cost["cheapest"] < cost["balanced"] < cost["pinned to A"]

"""The page about the sandbox tells what is there."""

from __future__ import annotations

import inspect
from pathlib import Path

from trunkline.sandbox import FAULTS, Sandbox, Seen

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"


def table() -> str:
    """Return the table of faults as the page should have it."""
    rows = ["| fault | group | what happens |", "|---|---|---|"]
    rows += [f"| `{row.name}` | {row.row} | {row.says} |" for row in FAULTS.values()]
    return "\n".join(rows) + "\n"


def test_the_table_of_faults_is_the_one_in_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8").endswith(table())


def test_every_setting_and_every_field_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    settings = set(inspect.signature(Sandbox).parameters)
    for name in {*settings, *Seen.__struct_fields__}:
        assert f"`{name}`" in page

"""Every Python snippet of the README and the docs runs, against the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.sandbox import serve_in_thread

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ON_A_GATEWAY = {"gateway.md", "gateway-clients.md", "gateway-media.md", "admin-api.md"}
"""Run by tests/gateway, where there is one."""
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(page: Path) -> list[str]:
    return SNIPPET.findall(page.read_text())


RUN_HERE = [p for p in PAGES if snippets(p) and p.name not in ON_A_GATEWAY]


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda p: p.name)
def test_the_snippets_of_a_page_run_one_after_the_other(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n\n".join(snippets(page)))
    with serve_in_thread() as server:
        env = {**os.environ, **server.environment, "HF_TOKEN": "hf_sandbox", "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_on_a_page() -> None:
    import trunkline

    words = {word for page in PAGES for word in re.findall(r"\w+", page.read_text())}
    words |= {word.removesuffix("s") for word in words}
    twins = {f"a{name}" for name in trunkline.__all__ if name in words}
    assert [name for name in trunkline.__all__ if name not in words | twins] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert (ROOT / "README.md").read_text().count("\n") < 150


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    from trunkline import __version__

    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest and newest[1] == __version__

"""The rules of the house that are sharper than floors: who may open, wait or look around."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "trunkline"
MODULES = sorted(PACKAGE.rglob("*.py"))

OPENS = {"asyncio", "socket", "ssl", "select", "threading", "subprocess", "http", "urllib.request"}
LOWER_ROOMS = ("types", "wire", "dialects", "providers", "routing")
MAY_READ_ENVIRONMENT = ("settings.py", "cli/", "sandbox/")


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ids(paths: list[Path]) -> list[str]:
    return [place(path) for path in paths]


LOWER = [path for path in MODULES if place(path).startswith(LOWER_ROOMS)]


@pytest.mark.parametrize("path", LOWER, ids=ids(LOWER))
def test_the_lower_rooms_open_nothing_and_wait_for_nothing(path: Path) -> None:
    roots = {name for name in imports(path) if name in OPENS or name.split(".")[0] in OPENS}
    assert roots - {"http.HTTPStatus", "http"} == set()
    assert "time" not in imports(path)


DRIVERS = {"sqlite3", "asyncpg", "redis"}


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_only_the_store_imports_a_database(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert roots & DRIVERS == set() or place(path).startswith("store/")


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_only_the_settings_read_the_environment(path: Path) -> None:
    if place(path).startswith(MAY_READ_ENVIRONMENT):
        return
    text = path.read_text()
    assert "os.environ" not in text
    assert "getenv" not in text


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_nothing_is_evaluated_unpickled_or_run(path: Path) -> None:
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"eval", "exec", "compile", "__import__"} == set()
    assert imports(path) & {"pickle", "marshal", "shelve", "yaml"} == set()


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_every_module_says_what_it_is(path: Path) -> None:
    doc = ast.get_docstring(ast.parse(path.read_text()))
    assert doc is not None
    assert len(doc.splitlines()) <= 10 or place(path) == "errors.py"

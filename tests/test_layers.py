"""The rules of the house that are sharper than floors: who may open, wait or look around."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "trunkline"
MODULES = sorted(PACKAGE.rglob("*.py"))

OPENS = {"asyncio", "socket", "ssl", "select", "threading", "subprocess", "http", "urllib.request"}
LOWER_ROOMS = ("types", "wire", "dialects", "providers", "routing")
DRIVERS = {"sqlite3", "asyncpg", "redis"}
MAY_READ_ENVIRONMENT = ("settings.py", "cli/", "sandbox/")


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


@pytest.fixture(params=sorted({place(path).split("/")[0] for path in MODULES}))
def room(request: pytest.FixtureRequest) -> list[Path]:
    """The modules of one package, or one module that stands alone."""
    return [path for path in MODULES if place(path).split("/")[0] == request.param]


def test_the_lower_rooms_open_nothing_and_wait_for_nothing(room: list[Path]) -> None:
    for path in room:
        if place(path).startswith(LOWER_ROOMS):
            roots = {name for name in imports(path) if name in OPENS or name.split(".")[0] in OPENS}
            assert roots - {"http.HTTPStatus", "http"} == set(), path
            assert "time" not in imports(path), path


def test_only_the_store_imports_a_database(room: list[Path]) -> None:
    for path in room:
        roots = {name.split(".")[0] for name in imports(path)}
        assert roots & DRIVERS == set() or place(path).startswith("store/"), path


def test_only_the_settings_read_the_environment(room: list[Path]) -> None:
    for path in room:
        if not place(path).startswith(MAY_READ_ENVIRONMENT):
            text = path.read_text()
            assert "os.environ" not in text, path
            assert "getenv" not in text, path


def test_nothing_is_evaluated_unpickled_or_run(room: list[Path]) -> None:
    for path in room:
        called = {
            node.func.id
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called & {"eval", "exec", "compile", "__import__"} == set(), path
        assert imports(path) & {"pickle", "marshal", "shelve", "yaml"} == set(), path


def test_every_module_says_what_it_is(room: list[Path]) -> None:
    for path in room:
        doc = ast.get_docstring(tree(path))
        assert doc is not None, path
        assert len(doc.splitlines()) <= 10 or place(path) == "errors.py", path

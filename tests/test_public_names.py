"""The names that the package gives out: those that run and those that type checkers read are one list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import trunkline

STUB = ast.parse((Path(trunkline.__file__).parent / "__init__.pyi").read_text())
TYPED = {
    alias.asname: (node.module, alias.name)
    for node in STUB.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


def test_the_stub_and_the_package_have_the_same_names() -> None:
    assert set(TYPED) == set(trunkline.__all__)
    assert len(trunkline.__all__) == len(set(trunkline.__all__))
    assert set(trunkline.__all__) <= set(dir(trunkline))


@pytest.mark.parametrize("name", sorted(TYPED))
def test_a_name_is_what_the_stub_says(name: str) -> None:
    module, original = TYPED[name]
    home = __import__(module, fromlist=[original])
    assert getattr(trunkline, name) is getattr(home, original)


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = trunkline.nothing  # type: ignore[attr-defined]

"""Docstrings of every style."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.docstrings import read_docstring

GOOGLE = """Do it.

    Args:
        a (int, optional): The first
            of them.
        b: The second: with a colon.
        *c: The third.
        d:
            On its own line.

    Raises:
        ValueError: never.
    """
NUMPY = """Do it.

    Parameters
    ----------
    a : int, optional
        The first
        of them.
    b
        The second: with a colon.
    *c : tuple
        The third.
    d : dict of {str: int}
        On its own line.

    Returns
    -------
    int
        Not a parameter.
    """
REST = """Do it.

    :param int a: The first
        of them.
    :param b: The second: with a colon.
    :param *c: The third.
    :arg d: On its own line.
    :type d: dict
    :returns: Not a parameter.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_docstrings_of_each_style_describe_parameters(text: str) -> None:
    assert read_docstring(text) == (
        "Do it.",
        {
            "a": "The first of them.",
            "b": "The second: with a colon.",
            "c": "The third.",
            "d": "On its own line.",
        },
    )


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (None, ""),
        ("", ""),
        ("One line.", "One line."),
        ("Two\nlines.\n\nMore.", "Two lines."),
        ("Do it.\n:param x: it", "Do it."),
        ("Do it.\nArgs:\n    x: it", "Do it."),
        ("Do it.\nParameters\n----------\nx\n", "Do it."),
    ],
)
def test_the_first_paragraph_is_the_description(text: str | None, summary: str) -> None:
    assert read_docstring(text)[0] == summary


@given(st.text(alphabet="ab:- \n*()ArgsPmet", max_size=200))
def test_any_docstring_can_be_read(text: str) -> None:
    summary, said = read_docstring(text)
    assert "\n" not in summary
    assert all(said.values())

"""Where in a TOML text keys stand, for messages that name a line."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway.config_lines import line_of, scan

TEXT = '''\
# [listen] in a comment is no table
top = 1

[listen]
host = "a # b"
text = """
port = 1
"""
'port' = 2
tls.key = "x"

[upstreams."my.vllm"]
prices."org/model" = { input = 1, output = 2 }
models = [
  "a",  # ]
  'b]',
]
[[routes.fast.targets]]
model = "x"
[[routes.fast.targets]]
model = "y"
'''


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("top",), 2),
        (("listen",), 4),
        (("listen", "host"), 5),
        (("listen", "port"), 9),
        (("listen", "tls"), 10),
        (("listen", "tls", "key"), 10),
        (("upstreams", "my.vllm"), 12),
        (("upstreams", "my.vllm", "prices", "org/model", "output"), 13),
        (("upstreams", "my.vllm", "models", 1), 16),
        (("routes", "fast", "targets", 0, "model"), 19),
        (("routes", "fast", "targets", 1, "model"), 21),
        (("listen", "not there"), 4),
        (("not there",), None),
    ],
)
def test_a_place_has_its_line_or_that_of_what_is_around_it(
    where: tuple[str | int, ...], line: int | None
) -> None:
    assert line_of(TEXT, where) == line


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("a = 1\nb = 2\na = 3", (("a",), 3)),
        ("[a]\nx = 1\n[b]\n[a]", (("a",), 4)),
        ("a = { b = 1,\nb = 2 }", (("a", "b"), 2)),
    ],
)
def test_what_is_written_twice_is_found(text: str, twice: object) -> None:
    assert scan(text)[1] == [twice]


# Texts of which the line of each key is known, because they are written line by line.

_NAMES = st.text(st.sampled_from("ab-_. \"'é=[#"), min_size=1, max_size=6)
_SCALARS = st.one_of(
    st.integers(-9, 9).map(str),
    st.sampled_from(["1.5", "true", "1979-05-27T07:32:00Z", "inf"]),
    st.text("ab[]{}=,.#'\\\"\t", max_size=8).map(json.dumps),
    st.text('ab[]{}=,.#"\\\n', max_size=8).map(lambda text: f"'''{text}'''"),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n " + ",\n ".join(items) + " ]"),
    max_leaves=4,
)
_TABLES = st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES, max_size=4), max_size=4)


@given(tables=_TABLES)
def test_the_line_of_every_key_is_found(tables: dict[str, dict[str, str]]) -> None:
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for table, pairs in tables.items():
        expected[table,] = sum(line.count("\n") + 1 for line in lines) + 1
        lines.append(f"[{json.dumps(table, ensure_ascii=False)}] # = [")
        for name, value in pairs.items():
            expected[table, name] = sum(line.count("\n") + 1 for line in lines) + 1
            lines.append(f"{json.dumps(name, ensure_ascii=False)} = {value}")
    text = "\n".join(lines)
    assert list(tomllib.loads(text)) == list(tables)
    found, again = scan(text)
    keys = {where: line for where, line in found.items() if all(isinstance(p, str) for p in where)}
    assert (keys, again) == (expected, [])


@given(text=st.text(st.sampled_from("ab01[]{}=,.\n\"'#\\ "), max_size=40))
def test_no_text_is_too_odd(text: str) -> None:
    lines, again = scan(text)
    last = text.count("\n") + 1
    assert all(1 <= line <= last for line in (*lines.values(), *(line for _, line in again)))
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(_places(values)) <= set(lines)


def test_a_text_nested_beyond_reason_ends() -> None:
    assert scan("a = " + "[" * 100_000)[0]["a",] == 1


def _places(value: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        inner = [_places(item, (*where, name)) for name, item in value.items()]
    elif isinstance(value, list):
        inner = [_places(item, (*where, at)) for at, item in enumerate(value)]
    else:
        return [where]
    return [place for places in inner for place in places]

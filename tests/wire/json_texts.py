"""JSON as anyone may write it: spaces anywhere, characters as escapes, keys that are there twice."""

from __future__ import annotations

import json

from hypothesis import strategies as st

SPACES = st.sampled_from(["", "", " ", "\n\t"])


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """Write a string with any of its characters as an escape."""
    spellings = [
        [json.dumps(letter)[1:-1]]
        + [f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}"] * (ord(letter) < 0x10000)
        + [letter] * (3 * (letter not in '"\\\n'))
        for letter in text
    ]
    return '"' + "".join(draw(st.sampled_from(ways)) for ways in spellings) + '"'


def spaced(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write `text` with spaces around it."""
    return st.builds("".join, st.tuples(SPACES, text, SPACES))


def listed(opening: str, items: st.SearchStrategy[str], closing: str) -> st.SearchStrategy[str]:
    """Write up to four items between brackets."""
    joined = st.lists(spaced(items), max_size=4).map(",".join)
    return joined.map(lambda text: opening + text + closing)


def pair(key: st.SearchStrategy[str], value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write a key and its value."""
    return st.builds(":".join, st.tuples(spaced(key), spaced(value)))


def json_texts(strings: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write any JSON whose keys and texts are of `strings`."""
    quoted = strings.flatmap(spelled)
    return st.recursive(
        quoted | st.sampled_from(["null", "true", "1", "-0.5e3", str(2**70)]),
        lambda inner: listed("[", inner, "]") | listed("{", pair(quoted, inner), "}"),
        max_leaves=12,
    )

"""JSON, strictly: what cannot be said in it is an error with its place, never a null."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_texts import json_texts

from trials import often
from trunkline.wire.strict_json import (
    MAX_DEPTH,
    JsonError,
    decode,
    decode_repaired,
    decode_strict,
    encode,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(JSON)
@settings(max_examples=often(200), deadline=None)
def test_what_is_written_reads_back(value: Any) -> None:
    assert decode(encode(value)) == value
    assert decode_strict(encode(value)) == value
    assert decode_repaired(encode(value)) == value
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("build", "place"),
    [
        (lambda bad: bad, "the value"),
        (lambda bad: {"temperature": bad}, "temperature"),
        (lambda bad: {"a": None, "logit_bias": {"50": 1, "51": bad}}, r"logit_bias\.51"),
        (lambda bad: {"messages": [{"x": 1}, {"y": (0.5, bad)}]}, r"messages\.1\.y\.1"),
    ],
)
def test_a_number_that_is_not_finite_is_named_by_its_place(
    bad: float, build: Any, place: str
) -> None:
    with pytest.raises(JsonError, match=rf"^{place} is not a finite number$"):
        encode(build(bad))


def test_null_itself_is_no_error() -> None:
    assert encode({"a": None, "b": [None], "c": "null"}) == b'{"a":null,"b":[null],"c":"null"}'


def deep(levels: int, inner: Any) -> Any:
    for _ in range(levels):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"seed": 1, "user": object()}, "^user: .*object"),
        ({"a": "\ud800"}, "^a: "),
        (object(), "object"),
        ([object()], "object"),
        ({1j: 2}, "keys are supported"),
        (deep(50_000, 1), "recursion"),
        ({"x": 1, "tools": deep(50_000, None)}, "recursion"),
    ],
    ids=["object", "surrogate", "bare", "list", "key", "deep", "deep in a field"],
)
def test_what_json_cannot_hold_is_named(value: Any, says: str) -> None:
    with pytest.raises(JsonError, match=says):
        encode(value)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"nan", b"[1,]", b"{'a':1}", b"1e400", b'"\\ud800"', b"\xff", b'"\xff"', b"{}x",
     b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b"[" * 100_000, b"1" * 5000],
)  # fmt: skip
def test_what_is_no_json_is_an_error_of_one_kind(text: bytes) -> None:
    with pytest.raises(JsonError):
        decode(text)
    with pytest.raises(JsonError):
        decode_strict(text)


@given(st.binary(max_size=60))
@settings(max_examples=often(300), deadline=None)
def test_arbitrary_bytes_decode_or_raise_jsonerror(data: bytes) -> None:
    for read in (decode, decode_repaired, decode_strict):
        try:
            read(data)
        except JsonError as error:
            assert str(error)


def test_large_integers_stay_exact() -> None:
    assert decode(b"9007199254740993") == 9007199254740993
    assert decode(str(2**70).encode()) == 2**70
    assert encode({"n": 2**53 + 1}) == b'{"n":9007199254740993}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": "x\xff"}', {"a": "x\ufffd"}),
        (b'{"a": "\xe2\x82"}', {"a": "\ufffd"}),
        (b'{"a": "\\ud83d"}', {"a": "\ufffd"}),
        (b'{"a": "\\ude00x"}', {"a": "\ufffdx"}),
        (b'{"a": "\\ud83d\\ud83d\\ude00"}', {"a": "\ufffd\U0001f600"}),
        (b'{"a": NaN, "b": Infinity, "c": -Infinity}', {"a": None, "b": None, "c": None}),
        (b'{"a": 1e400, "b": -1e400, "c": 1.5}', {"a": None, "b": None, "c": 1.5}),
    ],
)
def test_damaged_text_is_repaired(text: bytes, value: Any) -> None:
    with pytest.raises(JsonError):
        decode(text)
    assert decode_repaired(text) == value


def test_whole_surrogate_pairs_are_left_alone() -> None:
    assert decode_repaired(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b'{"a": }', b"1" * 5000])
def test_what_cannot_be_repaired_is_an_error(text: bytes) -> None:
    with pytest.raises(JsonError):
        decode_repaired(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"a":1,"a":2}', "the key 'a' is there twice"),
        (b'{"x":[{"b":1},{"b":1,"c":{"d":1,"\\u0064":2}}]}', "the key 'd' is there twice"),
        (b'{"a":":","a":"::"}', "the key 'a' is there twice"),
        (b'{"a":1,"a":"\\u003a"}', "the key 'a' is there twice"),
        (b'{"a":":","a":"\\u003A\\u003a"}', "the key 'a' is there twice"),
        (b'{"x:y":1,"a":":","a":2}', "the key 'a' is there twice"),
        (b'{":":1,"\\u003a":2}', "the key ':' is there twice"),
        (b'{"a":"\xff"}', "byte 6 is not UTF-8"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper than 128"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "deeper than 128"),
        (b"NaN", "malformed"),
    ],
)
def test_what_parsers_disagree_about_is_refused_from_clients(text: bytes, says: str) -> None:
    with pytest.raises(JsonError, match=says):
        decode_strict(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"b:c","d":"\\":","e\\\\":":{}"}',
        b'{"a":"\\u003a","b":"\\\\u003a","c:":"\\u003c"}',
        b'[{"a":1},{"a":1}]',
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'"::"',
        b"1",
    ],
)
def test_what_is_unambiguous_is_taken_from_clients(text: bytes) -> None:
    assert decode_strict(text) == json.loads(text)


def test_the_depth_that_is_taken_can_be_chosen() -> None:
    assert decode_strict(b"[[1]]", max_depth=2) == [[1]]
    with pytest.raises(JsonError, match="deeper than 1"):
        decode_strict(b"[[1]]", max_depth=1)


def has_twins(text: str) -> bool:
    """Tell whether an object in `text` has a key twice, one pair after the other."""
    found: list[bool] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len({key for key, _ in pairs}) < len(pairs))
        return dict(pairs)

    json.loads(text, object_pairs_hook=note)
    return any(found)


@given(json_texts(st.text(st.sampled_from(':a"\\/\n{[,é€😀'), max_size=4)))
@settings(max_examples=often(500), deadline=None)
def test_a_key_that_is_there_twice_is_found_and_no_other(text: str) -> None:
    if has_twins(text):
        with pytest.raises(JsonError, match="is there twice"):
            decode_strict(text.encode())
    else:
        assert decode_strict(text.encode()) == json.loads(text)


def depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0)


@given(JSON, st.integers(0, 4))
@settings(max_examples=often(200), deadline=None)
def test_brackets_are_taken_as_deep_as_was_said_and_no_deeper(value: Any, most: int) -> None:
    if depth(value) > most:
        with pytest.raises(JsonError, match=f"deeper than {most}"):
            decode_strict(encode(value), max_depth=most)
    else:
        assert decode_strict(encode(value), max_depth=most) == value


BAD_BYTES = [
    b"\xff", b"\x80", b"\xc3", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98",
]  # fmt: skip
"""No UTF-8: lone, cut, overlong, halves of surrogate pairs, beyond the last character."""


@pytest.mark.parametrize("bad", BAD_BYTES, ids=bytes.hex)
@pytest.mark.parametrize(
    "text", [b'{"a":"@"}', b'{"@":1}', b'["x",{"k":[{"long enough to be no short key @":1}]}]',
             b'{"a":"caf\xc3\xa9 \\n@ and more"}'],
)  # fmt: skip
def test_bytes_that_are_no_utf8_are_named_by_their_place(bad: bytes, text: bytes) -> None:
    with pytest.raises(JsonError, match=f"^byte {text.index(b'@')} is not UTF-8$"):
        decode_strict(text.replace(b"@", bad))


@pytest.mark.parametrize("bad", [*range(0x20)], ids="{:02x}".format)
def test_a_raw_control_character_in_a_string_is_refused(bad: int) -> None:
    for text in (b'{"a":"@"}', b'{"@":1}'):
        with pytest.raises(JsonError):
            decode_strict(text.replace(b"@", bytes([bad])))

"""A key exchanged in the bytes of an object: what was asked for changes, and no other byte."""

from __future__ import annotations

import json
from json.decoder import scanstring

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from json_texts import json_texts, pair, spaced, spelled

from trials import often
from trunkline.wire.json_splice import span_of, splice
from trunkline.wire.strict_json import JsonError

NAMES = ["model", "stream", "messages", "mod", "el", "", "naïve", 'a"model', "x\\", "}", ",", ":"]
STRINGS = st.sampled_from([*NAMES, '"model":"x"', '{"model":', ',"model":1}', "}]", "[{"])
VALUES = json_texts(STRINGS)
NEW = st.sampled_from([b'"org/name"', b"null", b"[1, 2]", b'{"model":":"}', b"0"])


@st.composite
def objects(draw: st.DrawFn) -> str:
    """Write an object whose own keys are there once."""
    keys = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    pairs = [draw(pair(spelled(key), VALUES)) for key in keys]
    return draw(spaced(st.just("{" + (",".join(pairs) or draw(spaced(st.just("")))) + "}")))


def spans(text: str) -> dict[str, tuple[int, int]]:
    """Find the values of an object as Python's own decoder does, a character at a time."""

    def skip(at: int) -> int:
        return at + len(text[at:]) - len(text[at:].lstrip())

    found: dict[str, tuple[int, int]] = {}
    at = skip(skip(0) + 1)
    while text[at] != "}":
        key, at = scanstring(text, at + 1)
        start = skip(skip(at) + 1)
        _, end = json.JSONDecoder().raw_decode(text, start)
        found[key] = len(text[:start].encode()), len(text[:end].encode())
        at = skip(end)
        at = skip(at + 1) if text[at] == "," else at
    return found


@pytest.mark.slow
@given(objects())
@settings(max_examples=often(250), deadline=None)
@example('{"a":{"model":1},"stream":{}}')
@example('{"a":[{"model":1}]}')
@example('{"a":"model","model":"b"}')
@example('{"a":"\\\\","model":"b"}')
@example('{"a":"\\"model\\":1}"}')
@example('{"a\\"model":1}')
@example('{"model":1,"a\\"model":2}')
@example('{"\\u006dodel":"b","a":{"model":1}}')
@example('{"messages":["}{"],"model":"b","stop":"]}","stream_options":{"include_usage":true}}')
def test_a_span_is_where_pythons_decoder_finds_it(text: str) -> None:
    known = spans(text)
    for name in NAMES:
        assert span_of(text.encode(), name) == known.get(name)


@pytest.mark.slow
@given(objects(), st.dictionaries(st.sampled_from(NAMES), st.none() | NEW, max_size=4))
@settings(max_examples=often(250), deadline=None)
def test_what_comes_is_the_object_with_its_changes(
    text: str, changes: dict[str, bytes | None]
) -> None:
    body = text.encode()
    spliced = splice(body, changes)
    wanted = dict(json.loads(text))
    for name, value in changes.items():
        if value is None:
            wanted.pop(name, None)
        else:
            wanted[name] = json.loads(value)
    assert list(json.loads(spliced).items()) == list(wanted.items())
    for name, (start, end) in spans(text).items():
        if name not in changes:
            begin, stop = spans(spliced.decode())[name]
            assert spliced[begin:stop] == body[start:end]


@pytest.mark.slow
@given(objects(), st.data())
@settings(max_examples=often(200), deadline=None)
def test_every_byte_beside_the_values_stays(text: str, data: st.DataObject) -> None:
    body = text.encode()
    known = spans(text)
    names = data.draw(st.sets(st.sampled_from(sorted(known)))) if known else set()
    wanted, at = b"", 0
    for name, (start, end) in known.items():
        if name in names:
            wanted, at = wanted + body[at:start] + b'"new"', end
    assert splice(body, dict.fromkeys(names, b'"new"')) == wanted + body[at:]


@pytest.mark.parametrize(
    ("body", "changes", "spliced"),
    [
        (b'{"model":"a","n":1.0}', {"model": b'"b"'}, b'{"model":"b","n":1.0}'),
        (b'{"n":1e2,"model":"a"}', {"model": b'"b"'}, b'{"n":1e2,"model":"b"}'),
        (b'{"model":"a"}', {"stream": b"true"}, b'{"model":"a","stream":true}'),
        (b"{ }", {"a": b"1", "b": b"2"}, b'{ "a":1,"b":2}'),
        (b'{"a":1,"b":2,"c":3}', {"a": None}, b'{"b":2,"c":3}'),
        (b'{"a":1, "b":2, "c":3}', {"b": None}, b'{"a":1, "c":3}'),
        (b'{"a":1,"b":2,"c":3}', {"c": None}, b'{"a":1,"b":2}'),
        (b'{"a":1,"b":2,"c":3}', {"a": None, "b": None}, b'{"c":3}'),
        (b'{"a":1}', {"a": None}, b"{}"),
        (b'{"a":1}', {"a": None, "b": b"2"}, b'{"b":2}'),
        (b'{"a":1}', {"b": None}, b'{"a":1}'),
        (b'{"a":1}', {}, b'{"a":1}'),
        (b'{"a":1}', {'"\n': b"2"}, b'{"a":1,"\\"\\n":2}'),
    ],
)
def test_values_are_replaced_added_and_removed(
    body: bytes, changes: dict[str, bytes | None], spliced: bytes
) -> None:
    assert splice(body, changes) == spliced


BIG = b"x" * 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"@","messages":"' + BIG + b'"}',
        b'{"messages":"' + BIG + b'","model":"@"}',
        b'{"messages":"' + BIG + b'","model":"@","tools":[{"model":{}}]}',
        b'{"messages":"' + BIG + b'","model":"@","more":"' + BIG + b'"}',
        b'{"messages":"' + BIG + b'","model":' + b"[" * 100 + b'"@"' + b"]" * 100 + b"}",
    ],
    ids=["first", "last", "before tools", "in the middle", "no text"],
)
def test_a_large_body_changes_at_its_place(body: bytes) -> None:
    span = span_of(body, "model")
    assert span is not None
    assert body[slice(*span)].strip(b"[]") == b'"@"'
    assert splice(body, {"model": b'"new"'}) == body[: span[0]] + b'"new"' + body[span[1] :]


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b'"model"', b'{"a":1,"a":22,"b":1}', b"{", b"[" * 9999]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    for act in (lambda: span_of(body, "model"), lambda: splice(body, {"model": None})):
        with pytest.raises(JsonError):
            act()

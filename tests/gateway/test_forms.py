"""Forms with files, read from any pieces and within limits; whatever is wrong is said."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.multipart import Part, write_form
from trunkline.dialects.openai_rules import RequestError
from trunkline.gateway.forms import FormLimits, FormReader, read_form

TYPE = b"multipart/form-data; boundary=B"
NAME = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
FILE = st.binary(max_size=300) | st.sampled_from(
    [b"\r\n", b"\r\n--", b"\r\n--B", b"--B--", b"\r\n--B\r", b"\r\n\r\n", b"\r" * 50]
)
PARTS = st.lists(
    st.builds(Part, NAME, st.binary(max_size=50).map(lambda b: b.hex().encode()))
    | st.builds(Part, NAME, FILE, NAME, st.sampled_from([None, "image/png"])),
    max_size=8,
)


def part(*lines: str, content: bytes = b"x") -> bytes:
    return "\r\n".join(["--B", *lines, "", ""]).encode("latin-1") + content + b"\r\n"


def field(name: str, content: bytes = b"x", more: str = "") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"{more}', content=content)


def read(*pieces: bytes, limits: FormLimits | None = None) -> list[Part]:
    return read_form(pieces, TYPE, limits)


@given(PARTS, st.data())
def test_any_split_of_the_bytes_gives_the_same_parts(
    parts: list[Part], data: st.DataObject
) -> None:
    body, content_type = write_form([], parts)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12).map(sorted))
    ends = [0, *cuts, len(body)]
    pieces = [body[a:b] for a, b in pairwise(ends)]
    assert read_form(pieces, content_type.encode()) == parts
    assert read_form([body[i : i + 1] for i in range(len(body))], content_type.encode()) == parts


@given(st.binary(max_size=400))
def test_whatever_comes_is_a_form_or_a_refusal(data: bytes) -> None:
    for body in (data, b"--B\r\n" + data, field("a") + data, field("a") + b"--B--" + data):
        try:
            found = read(body)
        except RequestError as error:
            assert error.status in (400, 413)
        else:
            assert all(isinstance(one, Part) for one in found)


def test_a_browsers_form_is_read() -> None:
    image = 'Content-Disposition: form-data; name="image"; filename="a \\"b\\".png"'
    body = field("model", b"m") + part(image, "Content-Type: image/png", content=b"\x89PNG\r\n")
    assert read(body + b"--B--\r\n") == [
        Part("model", b"m"),
        Part("image", b"\x89PNG\r\n", 'a "b".png', "image/png"),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "last boundary"),
        (b"--B--\r\n"[:3], "last boundary"),
        (field("a"), "last boundary"),
        (field("a")[:-2], "last boundary"),
        (field("a") + b"--B", "last boundary"),
        (field("a") + b"--C--\r\n", "last boundary"),
        (b"hello", "malformed"),
        (field("a") + b"--Bx\r\n", "last boundary"),
        (b"--B\r\nno colon here\r\n\r\nx\r\n--B--", "malformed"),
        (part("Content-Type: text/plain") + b"--B--", "no form-data"),
        (part("Content-Disposition: attachment; name=a") + b"--B--", "no form-data"),
        (part("Content-Disposition: form-data") + b"--B--", "no name"),
        (field("") + b"--B--", "no name"),
        (field("a\x07") + b"--B--", "malformed|cannot be one"),
        (field("a" * 201) + b"--B--", "cannot be one"),
        (field("\xff") + b"--B--", "not UTF-8"),
        (field("a", more='; filename="a\x07.png"') + b"--B--", "malformed|control"),
        (part(*['Content-Disposition: form-data; name="a"'] * 2) + b"--B--", "twice"),
        (
            part('Content-Disposition: form-data; name="a"', "Content-Transfer-Encoding: base64")
            + b"--B--",
            "encoded",
        ),
        (
            part('Content-Disposition: form-data; name="a"', "Content-Type: multipart/mixed; b=1")
            + b"--B--",
            "a form itself",
        ),
        (
            part('Content-Disposition: form-data; name="a"', "Content-Type: text/plain; charset=x")
            + b"--B--",
            "UTF-8",
        ),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        read(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_form")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"".join(field(f"f{i}") for i in range(65)), "more than 64 fields"),
        (b"".join(field(f"f{i}", more='; filename="x"') for i in range(33)), "more than 32 files"),
        (field("a", b"x" * 1_048_577), "more than 1,048,576 bytes"),
        (
            part('Content-Disposition: form-data; name="a"', "X: " + "y" * 4100),
            "too long|malformed",
        ),
        (
            part('Content-Disposition: form-data; name="a"', *[f"X{i}: y" for i in range(8)]),
            "too many headers|malformed",
        ),
        (b"".join(field("a") for _ in range(1000)), "more than 64 fields"),
    ],
)
def test_a_form_has_its_limits(body: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        read(body + b"--B--\r\n")
    assert caught.value.status == (400 if "malformed" in str(caught.value) else 413)


def test_limits_may_be_reached() -> None:
    limits = FormLimits(files=2, fields=1, text=3, headers=2)
    files = field("f", b"long enough", '; filename="x"') * 2
    assert len(read(field("a", b"abc") + files + b"--B--\r\n", limits=limits)) == 3
    with pytest.raises(RequestError, match="more than 2 files"):
        read(files + files + b"--B--\r\n", limits=limits)
    with pytest.raises(RequestError, match="more than 1 fields"):
        read(field("a") * 2 + b"--B--\r\n", limits=limits)
    head = ('Content-Disposition: form-data; name="a"', "Content-Type: text/plain")
    assert len(read(part(*head) + b"--B--\r\n", limits=limits)) == 1
    with pytest.raises(RequestError, match="too many headers"):
        read(part(*head, "X: y") + b"--B--\r\n", limits=limits)
    with pytest.raises(RequestError, match="more than 3 bytes"):
        read(field("a", b"abcd") + b"--B--\r\n", limits=limits)


def test_a_file_may_be_in_any_characters() -> None:
    place = 'Content-Disposition: form-data; name="a"; filename="a.txt"'
    (found,) = read(part(place, "Content-Type: text/plain; charset=utf-16") + b"--B--\r\n")
    assert (found.filename, found.content) == ("a.txt", b"x")


def test_a_form_that_was_read_is_gone_at_once() -> None:
    reader = FormReader(b"B", FormLimits())
    reader.feed(field("a", b"x" * 1000))
    gone = weakref.ref(reader)
    gc.disable()  # what only a collection frees would pile up, upload after upload
    try:
        reader.close()
        del reader
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"multipart/form-data", 400),
        (b"multipart/form-data; boundary=", 400),
        (b"multipart/form-data; boundary=" + b"-" * 71, 400),
        (b'multipart/form-data; boundary="a b"', 400),
        (b"multipart/form-data; boundary=a\x00b", 400),
        (b"multipart/mixed; boundary=B", 415),
        (b"text/plain", 415),
    ],
)
def test_a_boundary_that_can_be_none_is_refused(content_type: bytes, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        read_form([b"--B--"], content_type)
    assert caught.value.status == status

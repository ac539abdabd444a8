"""Forms: what is written is read again, by us and by others, and what is no form is refused."""

from __future__ import annotations

import email
import email.policy
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trunkline.dialects.form_fields import form_body
from trunkline.dialects.multipart import (
    FormError,
    FormTooLargeError,
    Part,
    boundary_for,
    read_form,
    write_form,
)
from trunkline.errors import InvalidInputError

TYPE = "multipart/form-data; boundary=b"

escaped = ("%22", "%0A", "%0D")
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda name: not any(mark in name for mark in escaped)
)
contents = st.one_of(
    st.binary(max_size=200), st.lists(st.sampled_from(list(b"\r\n-b")), max_size=40).map(bytes)
)
types = st.none() | st.sampled_from(["audio/wav", "text/plain; charset=utf-8"])
files = st.lists(st.builds(Part, names, contents, names, types), max_size=4)
fields = st.lists(st.tuples(names, names), max_size=4)


def test_a_form_is_written_as_a_browser_writes_it() -> None:
    body, kind = write_form(
        [("model", "m")], [Part("file", b"RIFF", "a.wav", "audio/wav")], boundary="b"
    )
    assert kind == TYPE
    assert body == (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"
    )


@given(fields, files)
def test_what_is_written_is_read_again(fields: list[tuple[str, str]], files: list[Part]) -> None:
    body, kind = write_form(fields, files)
    told = [Part(name, value.encode()) for name, value in fields]
    assert read_form(body, kind) == [*told, *files]
    assert write_form(fields, files) == (body, kind)


@given(fields, files)
def test_the_boundary_occurs_in_no_part(fields: list[tuple[str, str]], files: list[Part]) -> None:
    parts = [*(Part(name, value.encode()) for name, value in fields), *files]
    boundary = boundary_for(parts).encode()
    assert not any(boundary in part.content for part in parts)
    # even where a part holds the very boundary that the form without it would have had
    nested = boundary_for([*parts, Part("again", boundary)])
    assert nested.encode() != boundary


def test_a_boundary_that_occurs_in_a_part_is_refused() -> None:
    with pytest.raises(FormError, match="occurs within a part"):
        write_form([("text", "a\r\n--b\r\n")], boundary="b")


@pytest.mark.parametrize("boundary", ["", "ends in a space ", "ü", "x" * 71, 'a"b', "a\r\nb"])
def test_a_malformed_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(FormError, match="no boundary"):
        write_form([("a", "b")], boundary=boundary)


def test_names_cannot_break_out_of_their_header() -> None:
    body, kind = write_form([('a"\r\nX-Evil: 1\r\n\r\n', "v")])
    head = body.split(b"\r\n\r\n")[0]
    assert b'name="a%22%0D%0AX-Evil: 1%0D%0A%0D%0A"' in head
    assert read_form(body, kind)[0].name == 'a"\r\nX-Evil: 1\r\n\r\n'
    with pytest.raises(FormError, match="content type"):
        write_form([], [Part("f", b"", "f", "audio/wav\r\nX-Evil: 1")])


@pytest.mark.parametrize("fields", [[("a", "\ud800")], [("\ud800", "a")]])
def test_halves_of_characters_are_refused(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(FormError, match="not Unicode"):
        write_form(fields)


printable = st.text("abcXYZ 0189.,;=-_%\\'", min_size=1, max_size=20).filter(
    lambda text: text == text.strip() and not any(mark in text for mark in escaped)
)


@given(printable, printable, st.text("abc\n -", max_size=60), st.booleans())
def test_pythons_mail_parser_reads_the_same(
    name: str, filename: str, content: str, is_file: bool
) -> None:
    assume("\\" not in name + filename)  # mail escapes with it, browsers do not
    sent = Part(name, content.encode(), filename if is_file else None, "text/plain")
    body, kind = write_form([], [sent])
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    (part,) = message.get_payload()
    assert isinstance(part, email.message.Message)
    assert part.get_param("name", header="content-disposition") == name
    assert part.get_payload(decode=True) == sent.content
    told = part.get_param("filename", header="content-disposition")
    assert told == (filename if is_file else None)


def test_a_form_of_pythons_own_is_read() -> None:
    message = email.message.EmailMessage(policy=email.policy.HTTP)
    message["Content-Type"] = "multipart/form-data"
    part = email.message.EmailMessage(policy=email.policy.HTTP)
    part.set_content(b"\x00\r\n\xff", "audio", "wav", cte="binary")
    part["Content-Disposition"] = 'form-data; name="file"; filename="a.wav"'
    message.attach(part)
    head, _, body = message.as_bytes().partition(b"\r\n\r\n")
    kind = head.replace(b"\r\n ", b" ").split(b": ", 1)[1].split(b"\r\n")[0].decode()
    (read,) = read_form(body, kind)
    assert (read.name, read.filename, read.content) == ("file", "a.wav", b"\x00\r\n\xff")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--b--', "a"),
        (b"--b \t\r\nCONTENT-DISPOSITION: Form-Data; Name=a\r\n\r\nv\r\n--b--\r\nepilogue", "a"),
        (b'preamble\r\n--b\r\nContent-Disposition: form-data; name="a;b"\r\n\r\nv\r\n--b--', "a;b"),
        (b'--b\r\nX: y\r\nContent-Disposition:form-data;name=""\r\n\r\nv\r\n--b--', ""),
        ('--b\r\nContent-Disposition: form-data; name="ü"\r\n\r\nv\r\n--b--'.encode(), "ü"),
    ],
)
def test_what_other_writers_vary_is_read(body: bytes, name: str) -> None:
    for kind in (TYPE, 'Multipart/Form-Data; charset=utf-8; Boundary="b"'):
        assert read_form(body, kind) == [Part(name, b"v")]


HEAD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "does not occur"),
        (b"{}", "does not occur"),
        (b"x--b--", "does not occur"),
        (b"--b", "closing boundary"),
        (b"--b\r\n", "headers do not end"),
        (HEAD, "closing boundary"),
        (HEAD + b"v", "closing boundary"),
        (HEAD + b"v\r\n--b", "closing boundary"),
        (HEAD + b"v\r\n--b-\r\n", "behind a boundary"),
        (HEAD + b"v\r\n--bc\r\n\r\n\r\n--b--", "behind a boundary"),
        (b"--b\r\n\r\nv\r\n--b--", "no name"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nv\r\n--b--", "no name"),
        (b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\nv\r\n--b--', "no name"),
        (b'--b\r\nContent-Disposition: form-data; name="a\r\n\r\nv\r\n--b--', "cannot be read"),
        (b'--b\r\nContent-Disposition: form-data; name="a"x\r\n\r\nv\r\n--b--', "cannot be read"),
        (b"--b\r\nContent-Disposition: form-data; name=\xff\r\n\r\nv\r\n--b--", "UTF-8"),
        (HEAD[:-2] + b"content-disposition: form-data; name=b\r\n\r\nv\r\n--b--", "twice"),
        (b"--b\r\nX: y\r\n--b--\r\n\r\nv\r\n--b--", "closing boundary"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(FormError, match=why):
        read_form(body, TYPE)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="',
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=ü",
    ],
)
def test_a_type_without_a_boundary_is_refused(kind: str) -> None:
    with pytest.raises(FormError):
        read_form(HEAD + b"v\r\n--b--", kind)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from([HEAD, b"\r\n--b", b"--", b"\r\n", b"v", b"\r\n\r\n"]), max_size=12
        ).map(b"".join),
    )
)
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    try:
        parts = read_form(body, TYPE)
    except FormError:
        return
    assert all(b"\r\n--b" not in part.content for part in parts)


def test_each_limit_has_its_error() -> None:
    body, kind = write_form([("a", "1"), ("b", "2")])
    assert len(read_form(body, kind, max_parts=2, max_body=len(body))) == 2
    with pytest.raises(FormTooLargeError, match="1 parts"):
        read_form(body, kind, max_parts=1)
    with pytest.raises(FormTooLargeError, match="bytes"):
        read_form(body, kind, max_body=len(body) - 1)
    with pytest.raises(FormTooLargeError, match="headers"):
        read_form(body, kind, max_head=10)


def test_a_field_that_is_no_text_says_so() -> None:
    assert Part("a", "ü".encode()).text == "ü"
    with pytest.raises(FormError, match="'a' is not UTF-8"):
        _ = Part("a", b"\xff").text


def test_parameters_become_the_fields_that_openais_servers_read() -> None:
    asked = {
        "model": "m",
        "stream": False,
        "temperature": 0.5,
        "n": 2,
        "nothing": None,
        "timestamp_granularities": ["word", "segment"],
        "known": ["a", 1],
        "object": {"x": "ü"},
    }
    body = form_body(asked, [])
    assert body.content_type is not None
    assert [(part.name, part.text) for part in read_form(body.data, body.content_type)] == [
        ("model", "m"),
        ("stream", "false"),
        ("temperature", "0.5"),
        ("n", "2"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("known", '["a",1]'),
        ("object", '{"x":"ü"}'),
    ]


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"])
def test_a_parameter_that_no_form_can_hold_is_the_callers_error(value: object) -> None:
    with pytest.raises(InvalidInputError, match="cannot be written as a form"):
        form_body({"a": value}, [])


def test_a_percent_sign_is_no_escape_of_its_own() -> None:
    body, kind = write_form([("100%41", "v")])
    assert read_form(body, kind)[0].name == "100%41" != unquote("100%41")

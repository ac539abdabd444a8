"""What a cassette is made of, as values: exact JSON, bodies there and back, what matches."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import APIConnectionError, InvalidResponseError, Timeout
from trunkline.testing.exact_json import NOT_JSON, pretty, read_exact
from trunkline.testing.interactions import (
    Answer,
    Fault,
    read_interaction,
    written_answer,
    written_request,
)
from trunkline.testing.matching import alike, differences, line_of, same, told
from trunkline.testing.recording import Note
from trunkline.testing.replaying import error_of
from trunkline.testing.scrub import Scrubber
from trunkline.wire.message import HttpRequest, ResponseHead, parse_url

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=often(40))
def test_what_is_written_reads_the_same(value) -> None:
    assert read_exact(pretty(value)) == value
    assert read_exact(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        "1e999",
        "0.1000000000000000055511151231257827021181583404541015625001",
        "NaN",
        '"\\ud800"',
        "{",
        "",
    ],
)
def test_json_that_would_lose_something_stays_text(text) -> None:
    assert read_exact(text) is NOT_JSON
    kept = written_answer(Answer(200, {}, pieces=(text.encode(),)), Scrubber())
    assert kept.get("text", "") == text


def test_a_list_of_numbers_is_one_line_however_long() -> None:
    assert pretty([0.5] * 1000).count("\n") == 0


def there_and_back(answer: Answer) -> Answer:
    row = {"request": {"method": "GET", "url": "x"}, "answer": written_answer(answer, Scrubber())}
    return read_interaction(json.loads(pretty(row))).answer


KINDS = st.sampled_from(["text/event-stream", "text/plain", "image/png", ""])


@given(pieces=st.lists(st.binary(max_size=30), max_size=5), kind=KINDS)
def test_a_body_comes_back_to_the_byte_unless_it_is_json(pieces, kind) -> None:
    body = b"".join(pieces)
    back = b"".join(
        there_and_back(Answer(200, {"content-type": kind}, pieces=tuple(pieces))).pieces
    )
    if back != body:
        assert json.loads(back) == json.loads(body)


@given(JSON)
@settings(max_examples=often(40))
def test_a_json_body_comes_back_by_its_value(value) -> None:
    answer = Answer(200, {"content-type": "application/json"}, pieces=(json.dumps(value).encode(),))
    assert json.loads(b"".join(there_and_back(answer).pieces) or b"null") == value


def test_an_end_that_was_not_good_comes_back_as_it_was() -> None:
    fault = Fault("Timeout", "late", "wait", sent=True, received=True, seconds=1.5)
    answer = Answer(200, {"content-type": "text/event-stream"}, 0.25, (b"data: x\n\n",), fault)
    assert there_and_back(answer) == answer
    assert there_and_back(Answer(left=True)) == Answer(left=True)


def test_headers_that_mean_nothing_here_are_not_kept() -> None:
    headers = {"server": "x", "date": "now", "x-request-id": "r", "via": "y", "content-type": "a/b"}
    kept = written_answer(Answer(200, headers), Scrubber())["headers"]
    assert kept == {"content-type": "a/b", "x-request-id": "r"}
    limited = written_answer(Answer(429, {**headers, "retry-after": "now"}), Scrubber())["headers"]
    assert limited["date"] == "now"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Timeout", Timeout),
        ("APIConnectionError", APIConnectionError),
        ("InvalidResponseError", InvalidResponseError),
        ("os", APIConnectionError),
        ("annotations", APIConnectionError),
    ],
)
def test_an_error_is_made_again_by_its_name_if_it_is_one(name, kind) -> None:
    error = error_of(
        Fault(name, "said", "do", sent=True, should_retry=False, seconds=2.0), 10.0, 20.0
    )
    assert type(error) is kind
    assert (error.message, error.hint, error.should_retry) == ("said", "do", False)
    assert getattr(error, "at", 12.0) == 12.0


def test_what_was_late_is_late_by_the_limit_of_now() -> None:
    late = error_of(Fault("Timeout", "late", seconds=2.0, late=True), 10.0, 20.0)
    assert getattr(late, "at", None) == 20.0


# what matches


def request(body: object, url: str = "https://a.example/v1/chat?x=1", method: str = "POST") -> dict:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return written_request(HttpRequest(method, parse_url(url), (), data), Scrubber())


ONE = {"model": "m", "temperature": 1, "messages": [{"content": "a"}]}


@pytest.mark.parametrize(
    ("other", "is_same", "is_alike"),
    [
        (request(dict(reversed(ONE.items()))), True, True),
        (request({**ONE, "temperature": 1.0}), True, True),
        (request({**ONE, "temperature": True}), False, True),
        (request({**ONE, "extra": None}), False, True),
        (request({**ONE, "messages": []}), False, True),
        (request({**ONE, "model": "n"}), False, False),
        (request(ONE, "https://b.example/v1/chat?x=2"), False, True),
        (request(ONE, "https://a.example/v1/other"), False, False),
        (request(ONE, method="PUT"), False, False),
        (request(b"text"), False, False),
    ],
)
def test_what_is_the_same_and_what_is_alike(other, is_same, is_alike) -> None:
    assert same(request(ONE), other) is is_same
    assert alike(request(ONE), other) is is_alike


def test_the_model_of_a_form_counts_as_one() -> None:
    def form(model: str, file: bytes) -> dict:
        from trunkline.dialects.multipart import Part, write_form

        body, kind = write_form([("model", model)], [Part("file", file, "a.wav", "audio/wav")])
        url = parse_url("https://a.example/v1/audio")
        return written_request(
            HttpRequest("POST", url, (("content-type", kind),), body), Scrubber()
        )

    assert same(form("m", b"\xff1"), form("m", b"\xff1"))
    assert alike(form("m", b"\xff1"), form("m", b"\xff2"))
    assert not alike(form("m", b"\xff1"), form("n", b"\xff1"))
    assert line_of(form("m", b"x")) == "POST https://a.example/v1/audio (model 'm')"


def test_differences_are_told_by_their_place() -> None:
    other = request({"model": "n", "messages": [{"content": "a"}, {"content": "b"}], "top_p": 1})
    assert told(differences(request(ONE), other)) == (
        'body.model: "m" was recorded, "n" is asked',
        "body.temperature: 1 was recorded, nothing is asked",
        'body.messages[1]: nothing was recorded, {"content": "b"} is asked',
        "body.top_p: nothing was recorded, 1 is asked",
    )


def test_many_differences_are_counted() -> None:
    found = differences(request({"n": list(range(20))}), request({"n": list(range(1, 21))}))
    assert told(found)[-1] == "and 14 more"


def test_a_limit_after_which_more_was_read_is_no_end() -> None:
    note = Note(HttpRequest("GET", parse_url("https://a.example/"), (), b""))
    note.opened(ResponseHead(200, {"content-type": "text/event-stream"}))
    note.arrived(b"data: 1\n\n")
    note.failed(Timeout("late"), 0.0)
    assert note.answer().error is not None
    note.arrived(b"data: 2\n\n")
    note.arrived(b"")
    told = note.answer()
    assert (told.pieces, told.error, told.left) == ((b"data: 1\n\n", b"data: 2\n\n"), None, False)

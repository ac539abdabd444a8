"""No secret reaches a cassette, wherever it was: headers, URL, bodies, answers, pieces of streams."""

from __future__ import annotations

import base64
import itertools
import json
import string
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline import Client
from trunkline.errors import APIError
from trunkline.settings import read_settings
from trunkline.testing import record, replay
from trunkline.testing.events import clean_events, split_events
from trunkline.testing.scrub import HIDDEN, Scrubber
from trunkline.wire.message import HttpRequest, ResponseHead, parse_url

ASKED = [{"role": "user", "content": "Hello?"}]
LETTERS = string.ascii_letters + string.digits


class Told:
    """A transport that answers every request with the same pieces, and an exchange with it."""

    def __init__(self, *pieces: bytes, status: int = 200, **headers: str) -> None:
        self.pieces = pieces
        self.head = ResponseHead(status, {k.replace("_", "-"): v for k, v in headers.items()})
        self.started = 0.0
        self._left: list[bytes] = []

    def open(self, request, timeouts, until):
        self._left = list(self.pieces)
        return self

    def read(self, until: float) -> bytes:
        return self._left.pop(0) if self._left else b""

    def close(self) -> None:
        pass


def recorded(transport: Told, *requests: HttpRequest, secrets=()) -> str:
    """Return the file that comes of requests on a client's transport."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.json"
        client = Client(transport=transport, settings=read_settings({}))
        with client, record(path, secrets=secrets):
            for request in requests:
                exchange = client._transport_of("net").open(request, None, 0.0)
                while exchange.read(0.0):
                    pass
                exchange.close()
        return path.read_text()


def post(url: str, body: bytes, **headers: str) -> HttpRequest:
    named = tuple((k.replace("_", "-"), v) for k, v in headers.items())
    return HttpRequest("POST", parse_url(url), named, body)


OWN = st.text(LETTERS, min_size=20, max_size=40)
"""What a provider of whom nothing is known may call a key."""
SHAPED = st.one_of(
    st.text(LETTERS, min_size=30, max_size=36).map("hf_{}".format),
    st.text(LETTERS, min_size=24, max_size=40).map("sk-{}1".format),
    st.text(LETTERS, min_size=24, max_size=40).map("sk-proj-{}2".format),
    st.text(LETTERS, min_size=36, max_size=40).map("r8_{}3".format),
    st.text(LETTERS, min_size=40, max_size=52).map("gsk_{}".format),
)
"""Keys that are known by their looks."""
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\\"), max_size=20)


def cut_into(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(at) if a < b]


@given(
    secret=OWN | SHAPED, before=TEXT, after=TEXT, cuts=st.lists(st.integers(0, 5000), max_size=6)
)
@settings(max_examples=often(40))
def test_the_credential_of_a_call_is_nowhere_in_the_file(secret, before, after, cuts) -> None:
    around = f"{before} {secret} {after}"
    body = {"prompt": around, "deep": [{"x": around, secret: 1}], "list": [secret, 1.5, None]}
    answer = json.dumps({**body, "url": f"https://cdn.example/a?x=1&k={secret}"})
    if len(before) % 2:  # some servers escape what they need not
        answer = answer.replace(secret, "".join(f"\\u{ord(c):04x}" for c in secret))
    request = post(
        f"https://api.example/v1/{secret}/chat?api_key={secret}&q={quote(around)}",
        json.dumps(body).encode(),
        content_type="application/json",
        authorization=f"Bearer {secret}",
    )
    told = Told(
        *cut_into(answer.encode(), cuts), content_type="application/json", x_request_id=around
    )
    text = recorded(told, request)
    assert secret not in text
    assert secret not in json.dumps(json.loads(text), ensure_ascii=False)
    assert secret not in json.dumps(json.loads(text))


@given(
    secret=OWN | SHAPED,
    cuts=st.lists(st.integers(0, 40), max_size=8),
    reads=st.lists(st.integers(0, 5000), max_size=8),
    end=st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]),
)
@settings(max_examples=often(40))
def test_a_key_that_a_model_spells_out_is_not_in_the_pieces(secret, cuts, reads, end) -> None:
    pieces = [p.decode() for p in cut_into(f"Your key: {secret}, is it?".encode(), cuts)]
    events = [
        {"choices": [{"index": 0, "delta": {"content": piece}}], "id": "c"} for piece in pieces
    ]
    lines = "".join(f"data: {json.dumps(e)}{end}" for e in events) + f"data: [DONE]{end}"
    told = Told(*cut_into(lines.encode(), reads), content_type="text/event-stream")
    request = post("https://api.example/v1/chat", b"{}", authorization=f"Bearer {secret}")
    text = recorded(told, request)
    said = "".join(
        json.loads(event.strip()[6:])["choices"][0]["delta"]["content"]
        for event in json.loads(text)["interactions"][0]["answer"]["events"]
        if "[DONE]" not in event
    )
    assert secret not in said
    assert said == f"Your key: {HIDDEN}, is it?"
    assert secret not in text


@given(secret=SHAPED, around=TEXT)
@settings(max_examples=often(40))
def test_what_looks_like_a_key_goes_though_no_call_used_it(secret, around) -> None:
    body = json.dumps({"prompt": f"{around} {secret} {around}"}).encode()
    told = Told(b"plain " + secret.encode(), content_type="text/plain")
    assert secret not in recorded(told, post("https://api.example/v1/chat", body))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("authorization", "Bearer {}"),
        ("authorization", "Key {}"),
        ("authorization", "{}"),
        ("proxy_authorization", "Bearer {}"),
        ("x_api_key", "{}"),
        ("x_key", "{}"),
        ("api_key", "{}"),
        ("cookie", "session={}; theme=dark"),
        ("x_acme", "{}"),
        ("x_hf_session_id", "{}"),
    ],
)
def test_a_credential_is_known_by_any_header(header, value) -> None:
    secret = "Zq3vXw8RtY1mK5nB7cD9"
    body = json.dumps({"echo": f"<{secret}>"}).encode()
    told = Told(body, content_type="application/json", set_cookie=f"s={secret}; HttpOnly")
    text = recorded(told, post("https://a.example/v1", body, **{header: value.format(secret)}))
    assert secret not in text
    assert f"<{HIDDEN}>" in text


def test_a_key_is_known_in_the_forms_that_urls_and_json_give_it() -> None:
    secret = 'Zq3/Xw8+tY1"K5n=\\D9'
    told = Told(f"<{secret}> {json.dumps(secret)}".encode(), content_type="text/plain")
    url = f"https://a.example/v1?q={quote(secret, safe='')}"
    text = recorded(told, post(url, b"", authorization=f"Bearer {secret}"))
    kept = json.loads(text)["interactions"][0]
    assert kept["request"]["url"] == f"https://a.example/v1?q={HIDDEN}"
    assert kept["answer"]["text"] == f'<{HIDDEN}> "{HIDDEN}"'


def test_a_key_behind_escapes_is_seen_in_json_that_is_broken_too() -> None:
    secret = "Zq3vXw8RtY1mK5nB7cD9"
    hidden = "".join(f"\\u{ord(c):04x}" for c in secret)
    for kind, body in (
        ("application/json", '{"a": "%s'),
        ("text/event-stream", 'data: {"a": "%s\n\n'),
    ):
        told = Told((body % hidden).encode(), content_type=kind)
        text = recorded(told, post("https://a.example/v1", b"", authorization=f"Bearer {secret}"))
        assert HIDDEN in text
        assert "005a" not in text


def test_user_and_password_of_basic_authentication_go() -> None:
    pair = base64.b64encode(b"somebody:correct-horse-battery").decode()
    told = Told(b"correct-horse-battery and " + pair.encode(), content_type="text/plain")
    text = recorded(told, post("https://a.example/v1", b"", authorization=f"Basic {pair}"))
    assert "correct-horse" not in text
    assert pair not in text


def test_a_cookie_that_came_is_taken_out_of_what_came() -> None:
    told = Told(
        b"you are Qx81mdcu33lpw", content_type="text/plain", set_cookie="id=Qx81mdcu33lpw; Path=/"
    )
    assert "Qx81mdcu33lpw" not in recorded(told, post("https://a.example/v1", b""))


def test_what_the_environment_holds_goes_too(monkeypatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "nothing-that-looks-like-one")
    told = Told(b"nothing-that-looks-like-one", content_type="text/plain")
    assert "nothing-that" not in recorded(told, post("https://a.example/v1", b""))


def test_the_caller_can_name_what_else_has_to_go() -> None:
    told = Told(b"Project Bluebird is secret", content_type="text/plain")
    text = recorded(told, post("https://a.example/v1", b""), secrets=["Bluebird"])
    assert "Bluebird" not in text
    assert f"Project {HIDDEN} is secret" in text


def test_who_pays_is_no_header_in_the_file_and_in_no_error() -> None:
    body = b'{"error": "The organization acme-labs has no credits; acme-labs-2 has."}'
    told = Told(body, status=402, content_type="application/json")
    request = post("https://a.example/models/acme-labs/m", b"", x_hf_bill_to="acme-labs")
    text = recorded(told, request)
    assert f"The organization {HIDDEN} has no credits; acme-labs-2 has." in text
    assert "x-hf-bill-to" not in text


def test_users_and_named_credentials_go_from_bodies() -> None:
    body = {
        "user": "alice",
        "metadata": {"user_id": 12345},
        "safety_identifier": "u-9",
        "webhook": {"clientSecret": "abc"},
        "role": "user",
        "tools": [{"properties": {"user": {"type": "string"}}}],
    }
    request = post("https://a.example/v1?user_id=alice", json.dumps(body).encode())
    text = recorded(Told(b""), request)
    kept = json.loads(text)["interactions"][0]["request"]
    assert kept["json"] == {
        **body,
        "user": HIDDEN,
        "metadata": {"user_id": 0},
        "safety_identifier": HIDDEN,
        "webhook": {"clientSecret": HIDDEN},
    }
    assert kept["url"] == f"https://a.example/v1?user_id={HIDDEN}"


def test_signed_urls_lose_their_signature_and_are_still_found_again() -> None:
    signed = "https://f.example/a.png?X-Amz-Credential=AK&X-Amz-Signature=0f3c&X-Amz-Expires=60"
    body = json.dumps({"url": signed}).encode()
    kept = json.loads(recorded(Told(body, content_type="application/json"), post(signed, b"")))[
        "interactions"
    ][0]
    assert "0f3c" not in json.dumps(kept)
    assert kept["answer"]["json"]["url"] == kept["request"]["url"]
    assert kept["request"]["url"].endswith(f"X-Amz-Signature={HIDDEN}&X-Amz-Expires=60")


def test_a_file_in_base64_is_left_whole() -> None:
    picture = base64.b64encode(bytes(range(256)) * 3).decode()
    picture = f"{picture[:400]}eyJ{picture[403:]}"  # chance spells what begins a token
    scrub = Scrubber()
    assert scrub.text(picture) == picture
    assert scrub.text(f"data:image/png;base64,{picture}") == f"data:image/png;base64,{picture}"


@pytest.mark.parametrize(
    "text",
    [
        "src_folder_of_a_long_name_1",
        "monkey_business_and_more_of_it_2",
        "primary_key_of_a_table_number_1",
    ],
)
def test_words_that_only_contain_the_beginning_of_a_key_stay(text) -> None:
    assert Scrubber().text(text) == text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit", [" ", "a", "=", "hf_", "r8_", "sk-", "?token", "\\u0026", "a1-", "0f"]
)
def test_long_texts_are_looked_through_in_linear_time(unit) -> None:
    assert Scrubber(["Zq3vXw8RtY1m"]).text(unit * (60_000 // len(unit)) + "!")


def test_bytes_lose_the_secrets_that_are_known() -> None:
    secret = "Zq3vXw8RtY1mK5nB7cD9"
    told = Told(b"\xff\xfe" + secret.encode() + b"\x00", content_type="image/png")
    text = recorded(told, post("https://a.example/v1", b"", authorization=f"Bearer {secret}"))
    data = base64.b64decode(json.loads(text)["interactions"][0]["answer"]["base64"])
    assert secret.encode() not in data


def test_a_word_too_short_to_be_a_key_is_left_in_texts() -> None:
    told = Told(b'{"model": "EMPTY"}', content_type="application/json")
    text = recorded(told, post("http://127.0.0.1:8000/v1", b"", authorization="Bearer EMPTY"))
    assert '"EMPTY"' in text
    assert "authorization" not in text.lower()


def test_a_scrubber_does_not_show_what_it_knows() -> None:
    assert "Zq3vXw8RtY1m" not in repr(Scrubber(["Zq3vXw8RtY1m"]))


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8).map(b"\n\n".join))
def test_events_put_together_are_the_stream(body: bytes) -> None:
    assert b"".join(split_events(body)) == body


@given(st.lists(TEXT, max_size=6))
def test_events_without_a_secret_stay_as_they_are(texts: list[str]) -> None:
    events = [f"data: {json.dumps({'t': text})}\r\n\r\n".encode() for text in texts]
    assert clean_events(events, Scrubber()) == [event.decode() for event in events]


def test_a_replay_with_another_token_finds_what_was_recorded_with_this_one(tmp_path) -> None:
    path = tmp_path / "c.json"
    told = Told(b'{"choices": [{"message": {"content": "Hi"}}]}', content_type="application/json")

    def ask(token: str) -> str:
        asked = [{"role": "user", "content": f"I am {token}"}]
        with Client(token, transport=told, settings=read_settings({})) as client:
            return client.chat("m", asked, api_base="https://a.example/v1").text

    with record(path):
        ask("Zq3vXw8RtY1mK5nB7cD9")
    with replay(path):
        assert ask("another-token-altogether") == "Hi"


def test_an_error_in_words_of_the_server_holds_no_key(tmp_path) -> None:
    secret = "Zq3vXw8RtY1mK5nB7cD9"
    path = tmp_path / "c.json"
    told = Told(
        f'{{"error": "Bad key {secret}"}}'.encode(), status=401, content_type="application/json"
    )
    client = Client(secret, transport=told, settings=read_settings({}))
    with client, record(path), pytest.raises(APIError):
        client.chat("m", ASKED, api_base="https://a.example/v1")
    assert secret not in path.read_text()
    assert f"Bad key {HIDDEN}" in path.read_text()

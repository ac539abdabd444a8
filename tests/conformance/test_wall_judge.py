"""What the judge makes of outcomes, and what the reader makes of bytes: no socket, no clock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.conformance.asking import place_of
from trunkline.conformance.calls import calls_for
from trunkline.conformance.judge import Truth, judge
from trunkline.conformance.outcome import Called, Heard, Outcome, Said, Told
from trunkline.conformance.reading import read
from trunkline.conformance.rows import Row, bears, either, fails
from trunkline.conformance.wall import WALL
from trunkline.errors import ConfigurationError
from trunkline.sandbox import FAULTS

EVENTS = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
SAID = Said("Hello there", (), "length", (3, 2, 5), chunks=3)
TRUTH = Truth(SAID, asked=1, secret="hf_secret_of_the_gateway")
BEARS = bears("no-done", "it is whole")
FAILS = fails("truncated", "it is cut")
LIMITED = fails("429-int", "a limit", told="rate", wait=60.0)
TOOLS = either("tools-in-turn", "two calls", calls=2)
TWO = (Called("a", "f", '{"city": "Paris"}'), Called("b", "g", '{"city":"Tokyo"}'))


def said(**fields: Any) -> Outcome:
    return Outcome("finished", Said(**{"text": SAID.text, "finish": "length", **fields}))


def told(status: int | None, *, text: str = "", **fields: Any) -> Outcome:
    return Outcome("error", Said(text), Told(status, "It failed.", **fields))


CASES: list[tuple[Row, Outcome, str, str]] = [
    (BEARS, said(), "pass", "whole"),
    (BEARS, said(tokens=(3, 2, 5)), "pass", "whole"),
    (BEARS, said(tokens=(3, None, None)), "pass", "whole"),
    (BEARS, said(tokens=(3, 3, 6)), "wrong", "tokens are 3+3=6"),
    (BEARS, said(text="Hello"), "wrong", "cut, and called whole"),
    (BEARS, said(text="Hello you"), "wrong", "another one"),
    (BEARS, said(text=""), "wrong", "gone"),
    (BEARS, said(finish="stop"), "wrong", "finish reason is 'stop'"),
    (BEARS, said(finish=None), "wrong", "finish reason is None"),
    (BEARS, said(calls=TWO), "wrong", "tool calls are others"),
    (BEARS, told(502), "safe error", "status 502"),
    (BEARS, told(400), "wrong", "status 400"),
    (BEARS, Outcome("limit"), "hang", "limit"),
    (BEARS, Outcome("garbage", garbage="a web page"), "wrong", "a web page"),
    (FAILS, said(), "wrong", "called finished (finish reason 'length')"),
    (FAILS, said(finish=None), "wrong", "called finished ([DONE])"),
    (FAILS, Outcome("ended", Said("Hello")), "wrong", "as if it were whole"),
    (FAILS, Outcome("broken", Said("Hello")), "safe error", "breaks"),
    (FAILS, Outcome("broken", Said("Goodbye")), "wrong", "before the error"),
    (FAILS, told(None, text="Hello", in_stream=True), "safe error", "in the stream"),
    (FAILS, told(None, text="Hullo", in_stream=True), "wrong", "before the error"),
    (FAILS, told(504), "safe error", "status 504"),
    (FAILS, told(200), "wrong", "status 200"),
    (LIMITED, told(429), "safe error", "429"),
    (LIMITED, told(429, retry_after=60.0), "safe error", "429"),
    (LIMITED, told(429, retry_after=2.0), "wrong", "come back after 2 s"),
    (LIMITED, told(503), "wrong", "503"),
    (LIMITED, told(503, retry_after=60.0), "safe error", "503"),
    (LIMITED, Outcome("broken"), "wrong", "the truth is that a rate limit"),
    (TOOLS, said(text="", calls=TWO, finish="tool_calls"), "pass", "two calls"),
    (TOOLS, said(text="", calls=TWO[::-1], finish="tool_calls"), "pass", "two calls"),
    (TOOLS, said(text="", calls=TWO, finish="tool_calls", tokens=(1, 2, 3)), "pass", "two calls"),
    (TOOLS, said(text="", calls=TWO[:1], finish="tool_calls"), "wrong", "others"),
    (TOOLS, said(text="", calls=TWO, finish="stop"), "wrong", "finish reason"),
    (TOOLS, said(text="", calls=(TWO[0], Called("a", "g", TWO[1].arguments)), finish="tool_calls"),
     "wrong", "one id"),
    (TOOLS, said(text="", calls=(TWO[0], Called("b", "", TWO[1].arguments)), finish="tool_calls"),
     "wrong", "without a name"),
    (either("usage-missing", "", tokens="unknown"), said(tokens=(3, 2, 5)), "wrong", "not tell"),
    (either("usage-missing", "", tokens="unknown"), said(tokens=(3, 2, 5), estimated=True), "pass",
     ""),
    (either("usage-twice", "", tokens=(1, 2, 3)), said(tokens=(1, 2, 3)), "pass", ""),
    (either("usage-everywhere", "", tokens="last"), said(tokens=(11, 2, 18)), "pass", ""),
    (either("null-content", "", wordless=True), said(text=""), "pass", ""),
    (either("odd-finish", "", finishes=("eos_token", "stop")), said(finish="stop"), "pass", ""),
    (either("split-utf8", "", front=("é ",)), said(text="é Hello there"), "pass", ""),
    (either("split-utf8", "", front=("é ",)), said(), "wrong", "another one"),
    (either("endless", "", leaves=True), Outcome("limit"), "pass", "client leaves"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "outcome", "verdict", "why"), CASES)
def test_an_outcome_gets_its_verdict(row: Row, outcome: Outcome, verdict: str, why: str) -> None:
    found = judge(row, "stream", TRUTH, outcome)
    assert (found.name, why in found.why) == (verdict, True), found
    assert found.expected == (verdict in row.may)


@pytest.mark.parametrize(
    ("truth", "outcome", "why"),
    [
        (TRUTH, Outcome("finished", SAID, raw=b"x hf_secret_of_the_gateway y"), "credential"),
        (Truth(SAID, followed="the prompt"), told(502), "with the prompt"),
        (Truth(SAID, left=False), Outcome("limit"), "still asked"),
        (Truth(asked=0), Outcome("finished", SAID), "no upstream gave"),
        (TRUTH, Outcome("finished", SAID, head=b"set-cookie: of-the-upstream"), "went on"),
        (Truth(asked=0), Outcome("broken"), "was not asked"),
        (TRUTH, Outcome("error", error=Told(500), raw=b"an answer to somebody else"), "somebody"),
    ],
)
def test_what_may_never_happen_is_wrong_whatever_the_fault(
    truth: Truth, outcome: Outcome, why: str
) -> None:
    row = either("endless", "", leaves=True, hidden=(b"of-the-upstream",))
    found = judge(row, "stream", truth, outcome)
    assert (found.name, why in found.why) == ("wrong", True), found


def test_an_error_of_a_gateway_that_did_not_ask_tells_nothing() -> None:
    found = judge(FAILS, "stream", Truth(asked=0), told(503))
    assert (found.name, found.expected) == ("safe error", False)
    assert "not asked" in found.why


def chunk(delta: Any = None, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **fields}).encode() + b"\n\n"


HELLO = chunk({"content": "Hello"})
END = chunk(finish="stop")
DONE = b"data: [DONE]\n\n"
STREAMS: list[tuple[bytes, str, str, str]] = [
    (HELLO + END + DONE, "whole", "finished", ""),
    (HELLO + END, "whole", "finished", ""),
    (HELLO, "whole", "ended", ""),
    (HELLO, "broken", "broken", ""),
    (HELLO, "limit", "limit", ""),
    (HELLO + DONE, "limit", "finished", ""),
    (HELLO.replace(b"\n", b"\r") + DONE, "whole", "finished", ""),
    (b"\xef\xbb\xbf: comment\n\n" + HELLO.replace(b"data: ", b"data:") + DONE, "whole", "finished", ""),
    (HELLO + b'data: {"error":{"message":"no","code":503}}\n\n' + DONE, "whole", "error", ""),
    (HELLO + b"event: error\ndata: it broke\n\n", "whole", "error", ""),
    (b"", "whole", "garbage", "no event"),
    (b"<html>", "whole", "garbage", "no event"),
    (b'{"error":{"message":"no"}}', "whole", "garbage", "an error as JSON"),
    (b'{"choices":[]}', "whole", "garbage", "a whole answer as JSON"),
    (HELLO + b"data: {\n\n", "whole", "garbage", "no JSON"),
    (HELLO + b"data: 7\n\n", "whole", "garbage", "no object"),
    (b'data: {"choices":null}\n\n', "whole", "garbage", "no list"),
    (b'data: {"choices":[{"index":0}]}\n\n', "whole", "garbage", "without a delta"),
    (chunk({"content": 7}), "whole", "garbage", "no text"),
    (chunk({"tool_calls": {}}), "whole", "garbage", "no list of objects"),
    (chunk({"tool_calls": [{"id": "a"}]}), "whole", "garbage", "without an index"),
    (chunk({"tool_calls": [{"index": 0, "function": {"arguments": {"a": 1}}}]}), "whole",
     "garbage", "arguments"),
    (HELLO.replace(b"Hello", b"caf\xe9"), "whole", "garbage", "not UTF-8"),
    (HELLO, "large", "garbage", "without end"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "how", "ended", "why"), STREAMS)
def test_a_stream_is_read_as_strict_clients_do(body: bytes, how: Any, ended: str, why: str) -> None:
    found = read("stream", Heard(how, 200, EVENTS, body))
    assert (found.ended, why in found.garbage) == (ended, True), found
    if ended in ("finished", "ended", "broken", "limit"):
        assert found.said.text == "Hello"


def test_calls_are_put_together_by_their_index() -> None:
    def part(index: int, arguments: str, **more: Any) -> bytes:
        function = {"arguments": arguments, **({"name": "f"} if more else {})}
        return chunk({"tool_calls": [{"index": index, "function": function, **more}]})

    body = part(1, "{", id="b") + part(0, "[", id="a") + part(1, "}", id="b") + part(0, "]") + DONE
    found = read("stream", Heard("whole", 200, EVENTS, body)).said
    assert found.calls == (Called("a", "f", "[]"), Called("b", "f", "{}"))


def whole(**fields: Any) -> bytes:
    message = {"role": "assistant", "content": "Hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], **fields}).encode()


WHOLES: list[tuple[int | None, bytes, str, str, str]] = [
    (200, whole(), "whole", "finished", ""),
    (200, whole()[:-5], "whole", "garbage", "no JSON"),
    (200, whole()[:-5], "broken", "broken", ""),
    (200, whole()[:-5], "limit", "limit", ""),
    (None, b"", "broken", "broken", ""),
    (None, b"", "limit", "limit", ""),
    (200, b"", "whole", "garbage", "nothing"),
    (200, b"null", "whole", "garbage", "no object"),
    (200, whole(error={"message": "no"}), "whole", "garbage", "an error in it: no"),
    (200, whole(choices=[]), "whole", "garbage", "without a choice"),
    (200, whole(choices=[{}]), "whole", "garbage", "no message"),
    (204, b"", "whole", "garbage", "status 204"),
    (302, b"", "whole", "garbage", "status 302"),
    (503, b'{"error":{"message":"busy"}}', "whole", "error", ""),
    (503, b"<html>", "whole", "error", ""),
    (503, b"{", "broken", "error", ""),
    (503, b"{", "limit", "limit", ""),
]


@pytest.mark.parametrize(("status", "body", "how", "ended", "why"), WHOLES)
def test_a_whole_answer_is_read_as_strict_clients_do(
    status: int | None, body: bytes, how: Any, ended: str, why: str
) -> None:
    found = read("whole", Heard(how, status, JSON, body))
    assert (found.ended, why in found.garbage) == (ended, True), found


def test_an_error_is_read_with_its_words_and_how_long_to_wait() -> None:
    headers = {**JSON, "retry-after": "7"}
    found = read("whole", Heard("whole", 429, headers, b'{"error":{"message":"Slowly."}}'))
    assert found.error == Told(429, "Slowly.", 7.0)


def test_tokens_are_read_and_an_estimate_is_known_by_its_mark() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    plain = read("whole", Heard("whole", 200, JSON, whole(usage=usage))).said
    marked = read(
        "whole", Heard("whole", 200, JSON, whole(usage={**usage, "estimated": True}))
    ).said
    assert (plain.tokens, plain.estimated) == ((1, 2, 3), False)
    assert (marked.tokens, marked.estimated) == ((1, 2, 3), True)
    assert read("whole", Heard("whole", 200, JSON, whole(usage=None))).said.tokens is None


def test_every_fault_that_a_chat_can_meet_is_on_the_wall() -> None:
    later = {"job", "file", "drift"}
    asked = {name for name, row in FAULTS.items() if row.row not in later}
    assert {row.fault for row in WALL} == asked
    assert all(row.why and row.may and row.shapes for row in WALL)
    calls = [(row.fault, shape) for row in WALL for shape in row.shapes]
    assert len(calls) == len(set(calls))


def test_calls_are_chosen_by_fault_pattern_or_group() -> None:
    assert [c.model for c in calls_for(["bom"])] == ["stream/fault-bom"]
    assert {c.row.fault for c in calls_for(["flaky-*"])} >= {"flaky-429", "flaky-reset"}
    assert {c.row.fault for c in calls_for(["F2"])} == {"no-done", "after-done"}
    assert len(calls_for()) > 300
    with pytest.raises(ConfigurationError, match="nonsense"):
        calls_for(["bom", "nonsense"])


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://127.0.0.1:4000", "127.0.0.1:4000", "/v1/chat/completions"),
        ("127.0.0.1:4000/v1/", "127.0.0.1:4000", "/v1/chat/completions"),
        ("https://host/base/v1", "host:443", "/base/v1/chat/completions"),
        ("http://[::1]:80/v1/chat/completions", "[::1]:80", "/v1/chat/completions"),
    ],
)
def test_a_gateway_is_found_at_its_url(url: str, authority: str, path: str) -> None:
    place = place_of(url)
    assert (place.authority, place.path) == (authority, path)


@pytest.mark.parametrize("url", ["", "ftp://host", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        place_of(url)

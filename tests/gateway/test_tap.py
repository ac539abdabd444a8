"""What is read of a streamed answer while its bytes go through, however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from odd_streams import CALL, USAGE, choice, streams, usage_frame

from trials import often
from trunkline import errors
from trunkline.dialects import failures
from trunkline.dialects.openai_chat import ChunkReader
from trunkline.gateway.tap import MOST_EVENT, StreamTap
from trunkline.gateway.tokens import Tokens
from trunkline.wire.sse import Event, EventReader

ALL = ("broken", "error", "named error", "damaged")
CUTS = st.lists(st.integers(0, 3000), max_size=12)


def data(*bodies: object) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


STOP = data(choice("stop"))
HELLO = data(choice(role="assistant", content=""), choice(content="Hel"), choice(content="lo"))
DONE = b"data: [DONE]\n\n"


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


class Followed:
    """A stream that has gone through a tap."""

    def __init__(self, *parts: bytes, hide: bool = False) -> None:
        self.tap = StreamTap(hide_usage=hide)
        self.out = b""
        for part in parts:
            more = self.tap.feed(part)
            assert not more or more.endswith(b"\n\n"), "only whole events go on"
            self.out += more
        self.out += self.tap.finish()

    @property
    def events(self) -> list[Event]:
        """The events that a client sees."""
        reader = EventReader(MOST_EVENT * 2)
        return reader.feed(self.out) + reader.finish()

    @property
    def error(self) -> type[errors.APIError] | None:
        """What the relay makes of it."""
        tap = self.tap
        if tap.failure is None:
            return None if tap.whole else errors.StreamTruncated
        if not tap.unreadable:
            return type(failures.error_for(failures.failure_in_stream(tap.failure)))
        return None if tap.finished else errors.InvalidResponseError

    @property
    def told(self) -> tuple[object, ...]:
        tap = self.tap
        counts = (tap.tokens.input, tap.tokens.output, tap.tokens.cached)
        said = (tap.events, tap.said_bytes)
        return tap.whole, tap.done, tap.failure, tap.unreadable, counts, said, self.events


@settings(max_examples=often(300), deadline=None)
@given(streams(ALL), CUTS, st.booleans())
def test_no_split_of_the_bytes_matters(stream: bytes, cuts: list[int], hide: bool) -> None:
    whole = Followed(stream, hide=hide)
    assert Followed(*pieces(stream, cuts), hide=hide).told == whole.told
    assert Followed(*[stream[i : i + 1] for i in range(len(stream))], hide=hide).told == whole.told


@settings(max_examples=often(300), deadline=None)
@given(streams(ALL), CUTS)
@example(b"data: 5", [])
@example(HELLO + STOP + b"data: {", [])
@example(HELLO + b"\xef\xbb\xbf" + STOP, [len(HELLO)])
@example(HELLO + data(choice(content="x", index=1), choice("stop")), [])
def test_a_tap_says_of_a_stream_what_the_client_library_says(
    stream: bytes, cuts: list[int]
) -> None:
    reader = ChunkReader()
    for part in pieces(stream, cuts):
        reader.feed(part)
    reader.finish()
    followed = Followed(*pieces(stream, cuts))
    error = None if reader.failure is None else type(reader.failure)
    broken = (errors.InvalidResponseError, errors.StreamTruncated)
    if followed.error in broken:  # which of the two depends on what was passed on
        assert error in broken
    else:
        assert followed.error is error
    usage, tokens = reader.fold.usage, followed.tap.tokens
    if usage is not None and tokens.told:
        told = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        assert (tokens.input, tokens.output, tokens.cached) == told
    assert tokens.told == (usage is not None)


@settings(max_examples=often(300), deadline=None)
@given(streams(("error", "named error", "broken")), st.booleans())
def test_what_goes_on_are_the_events_up_to_the_end_or_an_error(stream: bytes, hide: bool) -> None:
    reader = EventReader()
    sent = reader.feed(stream)
    followed = Followed(stream, hide=hide)
    expected: list[Event] = []
    for event in sent + reader.finish():
        if (
            event.data.strip() == b"[DONE]"
            or event.data.strip() == (followed.tap.failure or b"-").strip()
        ):
            break
        if event.data.strip() and not (hide and _only_usage(event.data)):
            expected.append(event)
    if expected and not _readable(expected[-1].data):
        expected.pop()  # cut in the middle
    assert list(map(_as_clients_read, followed.events)) == list(map(_as_clients_read, expected))


def _as_clients_read(event: Event) -> object:
    """Return what an event says; choices that are not there are none, and so is usage below zero."""
    try:
        body = json.loads(event.data)
    except ValueError:
        return event
    usage = body.get("usage")
    odd = isinstance(usage, dict) and any(n in usage and usage[n] == -1 for n in USAGE)
    return event.name, {
        **body,
        "choices": body.get("choices") or [],
        "usage": None if odd else usage,
    }


def _only_usage(raw: bytes) -> bool:
    try:
        body = json.loads(raw)
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("usage") is not None and not body.get("choices")


def _readable(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except ValueError:
        return False


def test_the_usual_stream_goes_on_to_the_letter() -> None:
    followed = Followed(HELLO, STOP, data(usage_frame()), DONE)
    assert followed.out == HELLO + STOP + data(usage_frame())
    assert followed.tap.whole
    assert followed.tap.done
    assert followed.tap.tokens == Tokens(30, 20)


def test_comments_go_on_and_ids_do_not() -> None:
    followed = Followed(b": ping\n\n", b"id: 4\n\n", b"id: 5\n" + HELLO)
    assert followed.out == b": ping\n\n" + HELLO


def test_nothing_follows_the_end_or_an_error() -> None:
    for end in (DONE, data({"error": {"message": "Oh."}}), b"event: error\ndata: x\n\n"):
        followed = Followed(HELLO + STOP + end + HELLO, HELLO)
        assert followed.out == HELLO + STOP
        assert followed.tap.tokens == Tokens()


@pytest.mark.parametrize(
    "frame", [usage_frame(), {"usage": USAGE}, {"usage": {"prompt_tokens": 1}}]
)
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_frames_with_usage_alone_are_hidden_where_only_we_asked(
    frame: dict[str, object], end: bytes
) -> None:
    stream = (HELLO + data(frame) + STOP).replace(b"\n\n", end)
    shown, hidden = Followed(stream), Followed(stream, hide=True)
    assert [json.loads(event.data) for event in shown.events][3] == {"choices": [], **frame}
    assert len(hidden.events) == len(shown.events) - 1
    assert hidden.tap.tokens == shown.tap.tokens
    assert shown.tap.tokens.told


def test_usage_beside_a_choice_is_read_and_never_hidden() -> None:
    last = {**choice("stop"), "usage": USAGE}
    followed = Followed(HELLO + data(last), hide=True)
    assert json.loads(followed.events[-1].data) == last
    assert followed.tap.tokens == Tokens(30, 20)


@pytest.mark.parametrize(
    ("frame", "tokens"),
    [
        ({"x_groq": {"usage": USAGE}, "choices": []}, Tokens(30, 20)),
        (usage_frame(prompt_tokens=True), Tokens(None, 20)),
        (usage_frame(prompt_tokens=-3, completion_tokens=2.5), Tokens()),
        (usage_frame(completion_tokens=4.0), Tokens(30, 4)),
        (usage_frame(completion_tokens=1 << 60), Tokens(30, None)),
        (usage_frame(completion_tokens="20"), Tokens(30, None)),
        (usage_frame(prompt_tokens_details={"cached_tokens": 7}), Tokens(30, 20, 7)),
        (usage_frame(prompt_tokens_details=[]), Tokens(30, 20)),
        (usage_frame(cached_tokens=7), Tokens(30, 20, 7)),
    ],
)
def test_counts_are_taken_where_they_are_counts(frame: object, tokens: Tokens) -> None:
    assert Followed(data(frame)).tap.tokens == tokens


def test_usage_that_says_nothing_does_not_replace_what_was_counted() -> None:
    late = {**choice(), "usage": {}}
    assert Followed(HELLO + data(usage_frame(), late) + STOP).tap.tokens == Tokens(30, 20)


def test_what_was_said_is_measured_where_nobody_counts() -> None:
    names = ("content", "reasoning", "reasoning_content", "reasoning_text", "refusal")
    for name in names:
        tap = Followed(data(choice(), choice(**{name: "é" * 10}))).tap
        assert (tap.events, tap.said_bytes, tap.estimated_output) == (1, 20, 5)
    assert Followed(data(choice(tool_calls=[CALL]))).tap.estimated_output > 5
    parts = [{"type": "text", "text": "x" * 40}]
    assert Followed(data(choice(content=parts))).tap.estimated_output == 10
    assert Followed(data({"choices": [{"index": 0, "text": "x" * 40}]})).tap.estimated_output == 10


def test_a_stream_of_two_answers_is_whole_when_both_have_ended() -> None:
    both = data(choice(content="a"), choice(content="b", index=1), choice("stop"))
    assert not Followed(both + DONE).tap.whole
    assert Followed(both + data(choice("stop", 1)) + DONE).tap.whole


def test_text_that_is_no_utf8_goes_on_with_marks_in_its_place() -> None:
    raw = b'{"choices":[{"index":0,"delta":{"content":"h\xffi"}}]}'
    mended = raw.replace(b"\xff", "\ufffd".encode())
    for stream in (b"data: %b\n\n", b"data: %b\n\n" + HELLO, b"data:%b\r\n\r\n"):
        assert Followed(stream.replace(b"%b", raw)).events[0] == Event(mended)


@pytest.mark.parametrize("size", [1, 100, 65_536, 5 << 20])
@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n", b"\n"])
def test_an_event_that_is_too_large_ends_the_stream_after_those_before_it(
    size: int, ends: bytes
) -> None:
    huge = data(choice(content="x" * (MOST_EVENT + 70_000))).removesuffix(b"\n\n") + ends
    cut = 3_000 if size == 1 else len(huge)  # byte by byte only what is near the event's start
    stream = HELLO + huge
    parts = [stream[i : i + size] for i in range(0, len(HELLO) + cut, size)] if size < 100 else []
    rest = stream[len(HELLO) + cut :] if size < 100 else stream
    parts += [rest[i : i + max(size, 100)] for i in range(0, len(rest), max(size, 100))]
    followed = Followed(*parts, STOP)
    assert followed.out == HELLO
    assert followed.tap.unreadable
    assert followed.error is errors.InvalidResponseError


def test_a_long_event_within_the_limit_goes_on() -> None:
    long = data(choice(content="x" * 300_000))
    stream = HELLO + long + STOP + DONE
    followed = Followed(*[stream[i : i + 500] for i in range(0, len(stream), 500)])
    assert followed.events == EventReader().feed(HELLO + long + STOP)
    assert followed.tap.whole


def test_what_follows_the_end_may_be_as_large_as_it_likes() -> None:
    for ends in (b"\n", b"\r\n"):
        stream = (HELLO + STOP + DONE).replace(b"\n", ends) + b"x" * (2 * MOST_EVENT)
        assert Followed(stream).tap.whole


def test_choices_without_end_are_no_answer() -> None:
    followed = Followed(*[data(choice(content="x", index=index)) for index in range(3000)])
    assert followed.tap.unreadable


def test_a_tap_that_was_fed_nothing_is_not_whole() -> None:
    assert not Followed().tap.whole
    assert Followed(b"", b"").out == b""

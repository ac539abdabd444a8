"""The gateway's log as its readers see it: programs a line at a time, people on a terminal."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway.log import LONGEST_VALUE, Log
from trunkline.store.records import Entry
from trunkline.types.secret_shapes import Secrets, without_cut_word

CANARY = "hf_CanaryCanaryCanary0123456789"
LOGGER = logging.getLogger("trunkline.gateway.test")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def written(say, *, stream=None, secrets=None, **options):
    """Return what the log has written once `say(log)` was called."""
    stream = stream or io.StringIO()
    root = logging.getLogger()
    others, root.handlers = root.handlers, []  # pytest's reports cannot carry every text
    try:
        with Log(secrets or Secrets(), stream, **options) as log:
            say(log)
    finally:
        root.handlers = others
    return stream.getvalue()


def lines(say, **options):
    return [json.loads(line) for line in written(say, **options).splitlines()]


def entry(**facts):
    return Entry(
        **{
            "id": "req_7",
            "boot": "b",
            "key": "key_1",
            "owner": None,
            "team": None,
            "endpoint": "chat",
            "model": "org/model",
            "stream": False,
            "started": 10.0,
            "ended": 10.25,
            "reserved": 0,
            "status": 200,
            "outcome": "ok",
            **facts,
        }
    )


def test_a_line_has_time_level_event_and_what_was_told():
    (line,) = lines(lambda _: LOGGER.error("store.down", extra={"request_id": "r1", "wait": 2.5}))
    assert list(line)[:3] == ["ts", "level", "event"]
    assert line["ts"].endswith("+00:00")
    assert line["level"] == "ERROR"
    assert line["event"] == "store.down"
    assert line["request_id"] == "r1"
    assert line["wait"] == 2.5
    assert line["logger"] == "trunkline.gateway.test"


def test_what_is_told_cannot_take_the_place_of_time_and_level():
    (line,) = lines(
        lambda _: LOGGER.error("x", extra={"ts": "never", "level": "FINE", "event": "y"})
    )
    assert line["ts"] != "never"
    assert line["level"] == "ERROR"
    assert line["event"] == "x"


def test_an_errors_trace_is_part_of_its_line():
    def say(_):
        try:
            raise RuntimeError("disk\nfull")
        except RuntimeError:
            LOGGER.exception("commit.failed")

    (line,) = lines(say)
    assert line["error"] == "RuntimeError: disk\nfull"
    assert "Traceback" in line["trace"]


@pytest.mark.parametrize(
    "text",
    [
        'x\n{"level":"INFO","event":"forged"}',
        "x\r\nforged",
        "x\x1b[2K\x9b31m\x07",
        "x\u2028forged\u2029\x85\x0b\x0c\x1c",
        "\u202eevil\u2066",
        "\ud800",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("plain", [True, False])
def test_text_cannot_forge_a_line_or_drive_a_terminal(text, plain):
    output = written(lambda _: LOGGER.error("seen %s", text, extra={"model": text}), plain=plain)
    assert output.endswith("\n")
    assert len(output.splitlines()) == 1
    assert output.rstrip("\n").isprintable()


@given(st.text(max_size=60))
def test_any_text_comes_out_of_a_line_as_it_went_in(text):
    (line,) = lines(lambda _: LOGGER.error("e", extra={"said": {"text": [text]}}))
    if not any(name in text.lower() for name in ("hf_", "sk", "tl", "bearer", "eyj")):
        assert line["said"]["text"] == [text]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "secret",
    [
        CANARY,
        "tl-AbCdEfGh0123456789abcdef",
        "sk-proj-AbCdEfGh0123456789",
        "Bearer AbCdEfGh0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefgh",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
    ],
)
def test_what_looks_like_a_secret_is_nowhere_in_the_log(secret, plain):
    def say(_):
        LOGGER.error("told %s", secret)
        LOGGER.error("event", extra={"deep": {"list": [{"value": f"x {secret} y"}]}})
        LOGGER.error("object", extra={"error_object": ValueError(secret)})
        try:
            raise ValueError(f"refused: {secret}")
        except ValueError:
            LOGGER.exception("failed")

    output = written(say, plain=plain)
    assert "[hidden]" in output
    assert secret[-8:] not in output


def test_a_secret_that_was_registered_is_nowhere_in_the_log():
    def say(log):
        log.hide("correct horse battery")
        log.hide(None)
        log.hide("abc")
        LOGGER.error("event", extra={"where": "with correct horse battery", "other": "abc"})

    (line,) = lines(say)
    assert line["where"] == "with [hidden]"
    assert line["other"] == "abc", "too short to be a secret, and part of many words"


def test_secrets_show_only_how_many_there_are():
    secrets = Secrets()
    secrets.hide("correct horse battery")
    assert repr(secrets) == "Secrets(1 known)"


def test_a_secret_that_begins_like_another_is_hidden_whole():
    secrets = Secrets()
    secrets.hide("correct horse")
    secrets.hide("correct horse battery")
    assert secrets.clean("correct horse battery") == "[hidden]"


def test_a_long_value_is_cut_and_no_head_of_a_secret_is_left_at_the_cut():
    text = "word " * ((LONGEST_VALUE - 4) // 5) + CANARY
    for shift in range(40):
        (line,) = lines(lambda _, t="x" * shift + " " + text: LOGGER.error("e", extra={"said": t}))
        assert len(line["said"]) < LONGEST_VALUE + 60
        assert "Canary" not in line["said"]
    (line,) = lines(lambda _: LOGGER.error("e", extra={"said": "y z" * LONGEST_VALUE}))
    assert line["said"].endswith(f"... ({3 * LONGEST_VALUE} characters)")


@given(st.text(max_size=300), st.integers(0, 30))
def test_the_head_of_a_secret_does_not_stay_at_a_cut(before, length):
    cut = Secrets().clean(f"{before}\n{CANARY}"[: len(before) + 1 + length])
    assert "hf_C" not in without_cut_word(cut).removeprefix(before.rstrip("\n"))


def test_numbers_that_json_has_no_form_for_do_no_harm():
    (line,) = lines(
        lambda _: LOGGER.error("e", extra={"a": float("nan"), "b": 10**30, "c": -1, "d": True})
    )
    assert line["a"] is None
    assert line["b"] == str(10**30)
    assert (line["c"], line["d"]) == (-1, True)


def test_structures_without_end_are_cut_off():
    deep = {"a": None}
    deep["a"] = deep
    (line,) = lines(lambda _: LOGGER.error("e", extra={"deep": deep, "long": list(range(1000))}))
    assert len(line["long"]) == 100


class Unspeakable:
    def __str__(self):
        raise RuntimeError(CANARY)


@pytest.mark.parametrize(
    "say",
    [
        lambda _: LOGGER.error("%d of them", CANARY),
        lambda _: LOGGER.error("e", extra={"value": Unspeakable()}),
    ],
)
def test_a_line_that_cannot_be_written_is_told_without_its_text_and_harms_nobody(say, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # the test runner's own would fail
    output = written(say)
    assert output.startswith("A log line of trunkline.gateway.test is lost")
    assert "Canary" not in output


def test_a_stream_that_is_closed_harms_nobody():
    stream = io.StringIO()
    with Log(Secrets(), stream):
        real, stream.flush = stream.flush, lambda: None
        stream.write = lambda _: (_ for _ in ()).throw(OSError("full"))
        LOGGER.error("e")
        stream.flush = real
    assert stream.getvalue() == ""


def test_a_person_at_a_terminal_gets_plain_lines():
    def say(_):
        LOGGER.warning("upstream.down", extra={"upstream": "local", "why": 'refused "it"'})

    line = written(say, stream=Terminal())
    assert 'WARNING upstream.down  upstream=local  why="refused \\"it\\""' in line
    assert "{" not in line


def test_a_trace_for_people_stands_below_its_line_indented():
    def say(_):
        try:
            raise RuntimeError("one\n12:00:00 ERROR   forged\x1b[0m")
        except RuntimeError:
            LOGGER.exception("failed")

    first, *below = written(say, plain=True).splitlines()
    assert "failed" in first
    assert len(below) > 3
    assert all(line.startswith("    ") for line in below)
    assert all(line.isprintable() for line in below)


def test_requests_are_logged_only_where_asked_for():
    assert lines(lambda log: log.ended(entry())) == []
    (line,) = lines(lambda log: log.ended(entry(cost=None)), log_requests=True)
    assert line["event"] == "request"
    assert line["request_id"] == "req_7"
    assert line["status"] == 200
    assert line["seconds"] == 0.25
    assert line["cost"] == "unknown"


def test_other_libraries_errors_come_out_in_the_same_form():
    (line,) = lines(lambda _: logging.getLogger("asyncio").error("Task failed: %s", CANARY))
    assert line["logger"] == "asyncio"
    assert line["event"] == "Task failed: [hidden]"


def test_a_log_that_was_closed_writes_nothing_more_and_leaves_logging_as_it_was():
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    stream = io.StringIO()
    with Log(Secrets(), stream):
        LOGGER.info("inside")
    LOGGER.error("outside")
    assert (root.level, list(root.handlers)) == before
    assert "inside" in stream.getvalue()
    assert "outside" not in stream.getvalue()

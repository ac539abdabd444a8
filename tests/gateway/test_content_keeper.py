"""Prompts and answers: kept only where asked for, redacted, for their time."""

import itertools
import json
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import ConfigurationError
from trunkline.gateway import content
from trunkline.gateway.config import ContentConfig
from trunkline.gateway.content import ContentKeeper
from trunkline.gateway.readable_text import LONGEST_READ, answer_text, prompt_text
from trunkline.store.postgres import PostgresStore
from trunkline.store.seam import StoreError
from trunkline.store.sqlite import SqliteStore

DAY = 86_400
KEEP = ContentConfig(store=True)
SECRET = "hf_QzXvJwKyPbNdMfGh0192837465"


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "gateway.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def keep(store):
    """Return what a store has of a call that was added to a keeper, which is closed then."""

    def kept(prompt, answer, config=KEEP, clock=None):
        keeper = ContentKeeper(store, config, clock or Clock())
        keeper.add("req_1", prompt, answer)
        keeper.close()
        return store.content("req_1")

    return kept


def chat(text):
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()


def reply(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    return json.dumps({"choices": [choice]}).encode()


def stream(*deltas, done=True):
    events = [json.dumps({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    return "".join(f"data: {data}\n\n" for data in [*events, *["[DONE]"] * done]).encode()


def test_prompt_and_answer_are_kept_as_the_text_they_say(keep):
    found = keep(chat("Hello?"), reply("Hello!"))
    assert (found.prompt, found.answer) == ("user: Hello?", "Hello!")


def test_nothing_is_kept_unless_it_was_asked_for(keep):
    assert keep(chat("Hello?"), reply("Hello!"), ContentConfig()) is None


def test_what_is_kept_is_redacted(keep):
    found = keep(
        chat(f"my token\n{SECRET}"),
        reply("write to jo@example.com about ACME-12"),
        ContentConfig(store=True, redact=(r"ACME-\d+",)),
    )
    assert found.prompt == "user: my token\n[redacted:key]"
    assert found.answer == "write to [redacted:email] about [redacted:pattern]"


@given(st.lists(st.integers(1, len(SECRET) - 1), max_size=6, unique=True))
def test_a_secret_that_a_stream_brings_in_pieces_is_seen(cuts):
    edges = [0, *sorted(cuts), len(SECRET)]
    deltas = [{"content": SECRET[a:b]} for a, b in itertools.pairwise(edges)]
    found = answer_text(stream({"role": "assistant"}, *deltas))
    assert (found.text, found.whole) == (SECRET, True)


def test_a_stream_that_was_collected_up_to_the_limit_is_marked_as_cut(keep):
    whole = stream({"content": "the first words "}, {"content": f"and {SECRET}"})
    for size in range(100, len(whole)):
        found = keep(chat("x"), whole[:size], ContentConfig(store=True, max_bytes=size))
        assert found.answer.endswith("[cut]") or b"[DONE]" in whole[:size]
        assert "QzXv" not in found.answer


def test_a_streams_reasoning_calls_and_errors_are_kept_apart():
    call = {"index": 0, "function": {"name": "find", "arguments": '{"a"'}}
    more = {"index": 0, "function": {"arguments": ":1}"}}
    body = stream(
        {"reasoning_content": "hm "},
        {"content": "I loo"},
        {"reasoning_content": "well"},
        {"content": "k.", "tool_calls": [call]},
        {"tool_calls": [more]},
        done=False,
    )
    body += b'data: {"error":{"message":"gone"}}\n\n'
    found = answer_text(body)
    assert not found.whole
    assert found.text.split("\n\n") == [
        "hm well",
        "I look.",
        'find: {"a":1}',
        '{"error":{"message":"gone"}}',
    ]


def test_parts_calls_and_other_endpoints_bodies_are_read():
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    text = prompt_text(json.dumps({"messages": messages}).encode()).text
    assert text == "user: see\n[image_url]\n\nassistant: f({})"
    assert prompt_text(b'{"prompt":"Once"}').text == "Once"
    assert prompt_text(b'{"input":["a","b"]}').text == "a\n\nb"
    assert answer_text(b'{"choices":[{"text":"upon"}]}').text == "upon"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b"plain \xff text",
        b"[" * 100_000,
        b'{"messages":7}',
        b'{"error":{"a":1}}',
    ],
)
def test_a_body_that_cannot_be_read_is_kept_as_it_came(body):
    for read in (prompt_text, answer_text):
        assert read(body).text == body.decode("utf-8", "replace")


@given(st.binary(max_size=200), st.sampled_from([b"", b"data: ", b"{", b'{"choices":[']))
def test_any_bytes_can_be_read(body, start):
    assert isinstance(prompt_text(start + body).text, str)
    assert isinstance(answer_text(start + body).text, str)


def test_a_body_too_long_to_be_read_is_cut_and_redacted(keep):
    words = "word " * (LONGEST_READ // 5)
    found = keep(chat(f"{SECRET} {words}"), reply(words + SECRET), ContentConfig(True, 7.0, 5000))
    assert "[redacted:key]" in found.prompt
    assert found.prompt.endswith("word [cut]")
    assert 4900 < len(found.prompt) < 5100
    assert 4900 < len(found.answer) < 5100


def test_contents_are_purged_when_their_time_is_over(store):
    clock = Clock()
    keeper = ContentKeeper(store, ContentConfig(store=True, retention_days=2), clock)
    keeper.add("req_1", chat("old"), reply("a"))
    keeper.close()
    assert store.content("req_1").expires == clock.now + 2 * DAY
    clock.now += 2 * DAY - 1
    ContentKeeper(store, KEEP, clock).close()
    assert store.content("req_1") is not None
    clock.now += 2
    ContentKeeper(store, ContentConfig(store=False), clock).close()
    assert store.content("req_1") is None, "also while nothing more is kept"


class SlowStore:
    """Holds up whoever stores until it is told to go on; it may fail, too."""

    def __init__(self, error=None):
        self.going, self.began = threading.Event(), threading.Event()
        self.error = error
        self.kept, self.purges = [], []

    def keep(self, contents):
        self.began.set()
        assert self.going.wait(60)
        if self.error:
            error, self.error = self.error, None
            raise error
        self.kept += contents

    def purge(self, now):
        self.purges.append(now)
        return 0


def test_a_store_that_is_slow_makes_calls_go_unkept_and_counted_not_memory_grow():
    store = SlowStore()
    keeper = ContentKeeper(store, KEEP, Clock())
    keeper.add("first", b"{}", b"{}")
    assert store.began.wait(60)
    for number in range(content.MOST_WAITING + 30):
        keeper.add(str(number), b"{}", b"{}")
    assert keeper.dropped == 30
    store.going.set()
    keeper.close()
    assert len(store.kept) == content.MOST_WAITING + 1


def test_bytes_that_wait_are_bounded_and_room_comes_back():
    store = SlowStore()
    keeper = ContentKeeper(store, KEEP, Clock())
    body = b"x" * LONGEST_READ
    for number in range(40):
        keeper.add(str(number), body, b"")
    assert keeper.dropped == 40 - content.MOST_WAITING_BYTES // LONGEST_READ
    store.going.set()
    keeper.close()
    assert len(store.kept) == 40 - keeper.dropped


@pytest.mark.parametrize("error", [StoreError("the disk is full"), RuntimeError(SECRET)])
def test_a_store_that_fails_loses_that_batch_says_so_and_the_next_is_kept(error, caplog):
    store = SlowStore(error)
    keeper = ContentKeeper(store, KEEP, Clock())
    with caplog.at_level(logging.ERROR):
        keeper.add("first", b"{}", b"{}")
        assert store.began.wait(60)
        keeper.add("second", b"{}", b"{}")
        store.going.set()
        keeper.close()
    assert [kept.id for kept in store.kept] == ["second"]
    assert keeper.lost == 1
    (record,) = caplog.records
    assert (record.getMessage(), record.calls) == ("content.lost", 1)
    assert record.error in {"the disk is full", "RuntimeError"}


def test_closing_keeps_what_waits_and_nothing_after(store):
    keeper = ContentKeeper(store, KEEP, Clock())
    for number in range(500):
        keeper.add(f"req_{number}", chat(f"text {number}"), reply("ok"))
    keeper.close()
    keeper.close()
    keeper.add("late", chat("x"), reply("y"))
    assert store.content("req_499").prompt == "user: text 499"
    assert store.content("late") is None
    assert keeper.dropped == 1


def test_purging_is_not_repeated_at_once_and_goes_on_when_the_clock_is_set_back():
    store, clock = SlowStore(), Clock()
    store.going.set()

    def round_of(name):
        store.began.clear()
        keeper.add(name, b"{}", b"{}")
        assert store.began.wait(60)

    keeper = ContentKeeper(store, KEEP, clock)
    round_of("a")
    round_of("b")
    assert store.purges == [1000]
    clock.now = 500
    round_of("c")
    round_of("d")  # the third has been followed by a look at the clock
    keeper.close()
    assert store.purges == [1000, 500]


def test_a_slow_pattern_is_refused_when_the_gateway_starts():
    with pytest.raises(ConfigurationError, match="nested quantifiers"):
        ContentKeeper(SlowStore(), ContentConfig(redact=("(a+)+",)), Clock())


def test_a_character_that_the_store_cannot_keep_costs_neither_its_text_nor_those_beside_it(
    postgres_url,
):
    store = PostgresStore(postgres_url)
    store.migrate()
    keeper = ContentKeeper(store, KEEP, Clock())
    keeper.add("req_1", chat("before"), reply("Yes."))
    keeper.add("req_2", chat("a\0b"), reply("half \ud83d"))
    keeper.add("req_3", chat("after"), reply("No."))
    keeper.close()
    found = [store.content(f"req_{number}") for number in (1, 2, 3)]
    store.close()
    assert [one.prompt for one in found] == ["user: before", "user: a\ufffdb", "user: after"]
    assert keeper.lost == 0

"""Limits shared out by a real Redis: the same counts as a store's, and what comes of its troubles."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from servers import RedisServer
from trunkline.store.records import Limits, RateLease, RateWish
from trunkline.store.redis_rates import RedisRates
from trunkline.store.seam import StoreError, StoreValueError
from trunkline.store.urls import redis_place, wrong_with_redis

FIVE = Limits(requests_per_minute=5, tokens_per_minute=500, concurrency=4)
LONG = 5.0
"""Seconds that a loaded machine may take to answer; the product waits for less."""


@pytest.fixture
def new(redis_server: RedisServer) -> Iterator[Callable[[], RedisRates]]:
    """Connect once more, as another process would; a minute does not end within a test."""
    opened: list[RedisRates] = []

    def start() -> RedisRates:
        opened.append(RedisRates(redis_server.url, timeout=LONG))
        return opened[-1]

    first = start()
    while ask(first, "nobody", whose="nothing").minute_left < 10:
        time.sleep(0.2)
    redis_server.flush()
    yield start
    for rates in opened:
        rates.close()


def ask(
    rates: RedisRates,
    boot: str,
    calls: int = 0,
    tokens: int = 0,
    slots: int = 0,
    *,
    limits: Limits = FIVE,
    whose: str = "k",
    keep: float = 10.0,
) -> RateLease:
    wish = RateWish("key", whose, limits, calls, tokens, slots)
    (lease,) = rates.lease_rates(boot, [wish], slot_seconds=keep)
    return lease


def granted(lease: RateLease) -> tuple[int, int, int]:
    return lease.calls, lease.tokens, lease.slots


def test_a_minute_is_shared_by_all(new: Callable[[], RedisRates]):
    one, two = new(), new()
    first = ask(one, "a", 3, 200)
    assert granted(first) == (3, 200, 0)
    assert (first.calls_left, first.tokens_left) == (2, 300)
    assert 0 < first.minute_left <= 60
    assert abs(first.minute - time.time() / 60) < 2
    assert granted(ask(two, "b", 3, 200)) == (2, 200, 0)
    last = ask(one, "c", 3, 200)
    assert granted(last) == (0, 100, 0)
    assert (last.calls_left, last.tokens_left) == (0, 0)


def test_what_was_not_used_is_given_back(new: Callable[[], RedisRates]):
    rates = new()
    assert ask(rates, "a", 1, 500).tokens_left == 0
    assert ask(rates, "b", 1, 10).tokens == 0
    assert ask(rates, "a", -1, -490).tokens_left == 490
    assert granted(ask(rates, "b", 5, 600)) == (4, 490, 0)
    assert ask(rates, "b", 0, -10_000).tokens_left == 500


def test_what_has_no_limit_is_granted_and_nothing_is_left_to_tell(new: Callable[[], RedisRates]):
    rates = new()
    lease = ask(rates, "a", 1000, 10**15, 50, limits=Limits())
    assert granted(lease) == (1000, 10**15, 50)
    assert (lease.calls_left, lease.tokens_left) == (None, None)
    large = Limits(tokens_per_minute=10**12)
    assert ask(rates, "a", 0, 3, limits=large, whose="large").tokens_left == 10**12 - 3


def test_slots_are_shared_and_given_back(new: Callable[[], RedisRates]):
    rates = new()
    wishes = [("a", 3, 3), ("b", 3, 1), ("a", 3, 3), ("a", 1, 1), ("b", 9, 3), ("b", 0, 0)]
    for boot, wanted, had in [*wishes, ("a", -1, 0), ("c", 4, 4)]:
        assert ask(rates, boot, slots=wanted).slots == had


def test_slots_of_who_does_not_ask_end_and_those_of_who_does_stay(new: Callable[[], RedisRates]):
    rates = new()
    ask(rates, "a", slots=2, keep=0.2)
    ask(rates, "b", slots=1, keep=0.2)
    while ask(rates, "c", slots=4, keep=0.2).slots < 3:
        ask(rates, "b", 1, whose="other", keep=0.2)  # whatever it asks, it lives
        time.sleep(0.02)
    assert ask(rates, "c", slots=4, keep=0.2).slots == 3


def test_slots_of_who_leaves_are_nobodys(new: Callable[[], RedisRates]):
    rates = new()
    ask(rates, "a", slots=3)
    rates.release_rates("a")
    assert ask(rates, "b", slots=4).slots == 4


def test_wishes_are_answered_in_their_order_and_scopes_are_apart(new: Callable[[], RedisRates]):
    wishes = [
        RateWish("team", "k", FIVE, calls=5),
        RateWish("key", "k", FIVE, calls=2, tokens=501),
        RateWish("upstream", "k:\n é", FIVE, slots=9),
        RateWish("key", "k", FIVE, calls=9, tokens=1),
    ]
    leases = new().lease_rates("a", wishes, slot_seconds=10)
    assert [(one.scope, *granted(one)) for one in leases] == [
        ("team", 5, 0, 0),
        ("key", 2, 500, 0),
        ("upstream", 0, 0, 4),
        ("key", 3, 0, 0),
    ]


def test_a_server_that_forgets_gives_no_more_than_a_minutes_limit_again(
    new: Callable[[], RedisRates], redis_server: RedisServer
):
    rates = new()
    assert ask(rates, "a", 9).calls == 5
    redis_server.flush()
    assert [ask(rates, "a", 4).calls for _ in range(3)] == [4, 1, 0]
    assert redis_server.ask(b"SCRIPT FLUSH") == b"+OK"
    assert ask(rates, "a", 1).calls == 0


def test_every_key_ends_by_itself(new: Callable[[], RedisRates], redis_server: RedisServer):
    ask(new(), "a", 1, 1, 1)
    for name in (b"{trunkline}:boots", b"{trunkline}:key:k:minute", b"{trunkline}:key:k:slots"):
        assert int(redis_server.ask(b"TTL " + name)[1:]) > 0, name


def test_a_server_that_is_gone_is_an_error_that_says_where_and_the_next_call_connects_anew(
    new: Callable[[], RedisRates], redis_server: RedisServer
):
    rates = new()
    ask(rates, "a", 1)
    redis_server.kill()
    with pytest.raises(StoreError, match=f"127.0.0.1:{redis_server.port}.*store.redis_url"):
        ask(rates, "a", 1)
    with pytest.raises(StoreError):
        rates.release_rates("a")
    redis_server.start()
    assert ask(rates, "a", 1).calls == 1


def test_a_server_that_may_not_be_written_says_so(
    new: Callable[[], RedisRates], redis_server: RedisServer
):
    rates = new()
    try:
        redis_server.ask(b"REPLICAOF 127.0.0.1 1")
        with pytest.raises(StoreError, match="does not share limits out"):
            ask(rates, "a", 1)
    finally:
        redis_server.ask(b"REPLICAOF NO ONE")


def test_a_password_is_sent_and_never_told(
    new: Callable[[], RedisRates], redis_server: RedisServer
):
    new()
    redis_server.ask(b"CONFIG SET requirepass open-sesame")
    try:
        given = RedisRates(redis_server.url, password="open-sesame", timeout=LONG)
        assert ask(given, "a", 1).calls == 1
        in_url = redis_server.url.replace("redis://", "redis://:open-sesame@")
        assert ask(RedisRates(in_url, timeout=LONG), "a", 1).calls == 1
        wrong = RedisRates(redis_server.url.replace("://", "://:swordfish@"), timeout=LONG)
        with pytest.raises(StoreError) as refused:
            ask(wrong, "a", 1)
        assert "swordfish" not in str(refused.value)
    finally:
        with socket.create_connection(("127.0.0.1", redis_server.port)) as connection:
            connection.sendall(b"AUTH open-sesame\r\nCONFIG SET requirepass ''\r\n")
            connection.recv(100)
            while redis_server.ask(b"PING") != b"+PONG":
                time.sleep(0.01)


def test_a_server_that_hangs_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as server:
        rates = RedisRates(f"redis://127.0.0.1:{server.getsockname()[1]}")
        found: list[StoreError] = []

        def work() -> None:
            with pytest.raises(StoreError) as error:
                ask(rates, "a", 1)
            found.append(error.value)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(LONG)
        assert not thread.is_alive()
        assert "TimeoutError" in str(found[0])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://host:6379", "begin with redis://"),
        ("host:6379", "begin with redis://"),
        ("redis://", "names no host"),
        ("redis://host:port", "cannot be read"),
        ("redis://host:99999", "cannot be read"),
        ("redis://host/name", "a number is wanted"),
        ("unix://", "names no socket"),
    ],
)
def test_a_url_that_is_none_is_refused_with_a_reason(url: str, says: str):
    assert says in str(wrong_with_redis(url))


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://host:6379/3",
        "rediss://user:pw@host:6379/0",
        "unix:///run/redis.sock",
        "redis://[::1]:6379",
    ],
)
def test_a_sound_url_is_taken(url: str):
    assert wrong_with_redis(url) is None
    RedisRates(url).close()


def test_a_place_has_no_password():
    assert redis_place("redis://user:se@cret@host:6379/0?x=1") == "host:6379/0"


def test_what_the_driver_cannot_read_is_refused():
    with pytest.raises(StoreValueError, match="cannot be read"):
        RedisRates("http://host")

"""What a replica makes of its beats: whom it gives up, what it warns of, when it ends; with a store that is told what to say."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledger_side import sent

from trunkline.errors import ConfigurationError
from trunkline.gateway.config_file import Loaded, read_config
from trunkline.gateway.journal_folders import take_numbered, take_whole, unused
from trunkline.gateway.opening import Standing, open_store
from trunkline.gateway.recovery import Recovered, bring_in, end
from trunkline.gateway.replicas import Hooks, Joined, Replicas, digest_of, skew_of, state_of
from trunkline.store.records import Batch, Replica
from trunkline.store.seam import StoreError, StoreLostError
from trunkline.store.sqlite import SqliteStore


class Told:
    """A store that says what it is told to, and what a replica then does."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.others: dict[str, float] = {}
        """When each was seen last."""
        self.lost: set[str] = set()
        self.number = 0
        self.fails: Exception | None = None
        self.did: list[Any] = []
        own = Replica("own", "here 1", 0.0, "same")
        hooks = Hooks(
            give_up=lambda boot, now: self.did.append((boot, now)),
            lost=lambda: self.did.append("lost"),
            reload=lambda: self.did.append("reload"),
            skew=lambda seconds: self.did.append("skew") if abs(seconds) < 1e-9 else None,
        )
        store: Any = self
        self.replicas = Replicas(store, Joined([own], 0, None), hooks, lost_seconds=60)

    def beat(self, boot: str, *, config: str | None = None, trouble: str = "") -> list[Replica]:
        if self.fails is not None:
            raise self.fails
        itself = Replica(boot, "here 1", 0.0, config or "", trouble=trouble, seen=self.now)
        return [itself] + [
            Replica(name, name, 0.0, "same", lost=name in self.lost, seen=seen)
            for name, seen in self.others.items()
        ]

    def lose(self, boot: str, unseen_seconds: float) -> bool:
        return boot in self.lost or self.now - self.others[boot] >= unseen_seconds

    def reloads(self) -> int:
        return self.number

    def go_on(self, seconds: float, *, seen: tuple[str, ...] = ()) -> None:
        """Beat every second, others of whom some are seen."""
        for _ in range(int(seconds)):
            self.now += 1
            self.others |= dict.fromkeys(seen, self.now)
            self.replicas._beat()


def test_who_joins_counts_the_others_before_its_first_beat(tmp_path: Path):
    store = SqliteStore(tmp_path / "gateway.db")
    store.migrate()
    store.join(Replica("other", "there 1", 0.0, "same"))
    cases: list[tuple[str, Standing, list[str]]] = [
        ("third", "among others", ["third", "other"]),
        ("alone", "first", ["alone"]),
    ]
    for boot, standing, expected in cases:
        opened = open_store(
            store,
            tmp_path / "journal",
            Replica(boot, "here 1", 0.0, "same"),
            None,
            standing=standing,
            clock=time.time,
        )
        assert [one.boot for one in opened.joined.seen] == expected
        hooks = Hooks(*[lambda *_: None] * 4)
        replicas = Replicas(store, opened.joined, hooks, lost_seconds=60)
        assert replicas.count == len(expected)
        assert replicas.own.boot == boot
        opened.lock.release()
    store.close()


def test_who_is_silent_is_given_up_and_who_beats_is_not():
    told = Told()
    told.others = {"silent": 1000.0, "lively": 1000.0}
    told.go_on(61, seen=("lively",))
    assert told.did == []
    told.go_on(1, seen=("lively",))
    assert told.did == [("silent", 1062.0)]


def test_nobody_is_given_up_for_a_time_in_which_this_one_did_not_beat_either():
    told = Told()
    told.others = {"other": 1000.0}
    told.go_on(2, seen=("other",))
    told.fails = StoreError("the database is away")
    for _ in range(3):
        with pytest.raises(StoreError):
            told.replicas._beat()
    told.fails = None
    told.now += 600
    told.go_on(60)
    assert told.did == []
    told.go_on(2)
    assert [boot for boot, _ in told.did] == ["other"]


def test_a_process_that_was_frozen_itself_gives_nobody_up_when_it_goes_on():
    told = Told()
    told.others = {"other": 1000.0}
    told.go_on(2, seen=("other",))
    told.now += 3600
    told.go_on(30)
    assert told.did == []


def test_what_somebody_began_to_give_up_and_did_not_end_is_taken_over():
    told = Told()
    told.others = {"other": 1000.0}
    told.lost = {"other"}
    told.go_on(1)
    assert told.did == [("other", 1001.0)]


def test_a_request_to_reload_is_obeyed_once_and_not_by_who_has_done_it():
    told = Told()
    told.number = 1
    told.go_on(3)
    assert told.did == ["reload"]
    told.number = 2
    told.replicas.asked(2)
    told.go_on(2)
    assert told.did == ["reload"]


def test_who_is_given_up_itself_ends_at_its_next_beat(monkeypatch: pytest.MonkeyPatch):
    told = Told()
    told.fails = StoreLostError("given up")
    monkeypatch.setattr("trunkline.gateway.replicas.BEAT_SECONDS", 0.01)
    told.replicas.begin()
    told.replicas._thread.join(10)
    assert told.did == ["lost"]
    assert told.replicas.lost
    told.replicas.end()


def test_a_trouble_is_known_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch):
    told = Told()
    told.fails = StoreError("away")
    monkeypatch.setattr("trunkline.gateway.replicas.BEAT_SECONDS", 0.01)
    told.replicas.begin()
    until = time.monotonic() + 10
    while told.replicas.trouble != "away":
        assert time.monotonic() < until
    told.fails = None
    while told.replicas.trouble:
        assert time.monotonic() < until
    told.replicas.end()


def test_only_a_difference_that_lasts_longer_than_a_reload_is_told_of_and_once(
    caplog: pytest.LogCaptureFixture,
):
    told = Told()
    told.others = {"other": 1000.0}
    told.go_on(2, seen=("other",))

    def warned() -> int:
        return sum("different configurations" in one.message for one in caplog.records)

    for expected in (1, 2):
        told.replicas.say("another", "")
        told.go_on(5, seen=("other",))
        assert told.replicas.differs
        assert warned() == expected - 1
        told.go_on(20, seen=("other",))
        assert warned() == expected
        told.replicas.say("same", "")
        told.go_on(1, seen=("other",))
    assert warned() == 2


def test_different_configurations_are_seen():
    told = Told()
    told.others = {"other": 1000.0}
    told.go_on(1)
    assert not told.replicas.differs
    assert told.replicas.count == 2
    told.replicas.say("another", "")
    told.go_on(1)
    assert told.replicas.differs
    told.lost = {"other"}
    told.go_on(1)
    assert not told.replicas.differs
    assert told.replicas.count == 1


def test_a_beat_that_waited_tells_nothing_of_the_clock():
    beat = Replica("own", "", 0.0, "", seen=1000.0)
    assert skew_of(beat, 1000.0, 1000.2) == pytest.approx(-0.1)
    assert skew_of(beat, 4600.0, 4600.2) == pytest.approx(-3600.1)
    assert skew_of(beat, 1000.0, 1003.0) is None
    assert skew_of(beat, 1000.0, 997.0) is None


def test_a_state_is_a_word():
    one = Replica("own", "", 0.0, "", seen=1000.0)
    assert state_of(one, 1004.0) == "live"
    assert state_of(one, 1006.0) == "silent"
    assert state_of(msgspec.structs.replace(one, lost=True), 1000.0) == "lost"


def loaded(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "trunkline.toml"
    path.write_text(
        f'{text}\ndefault_upstream = "a"\nupstreams.a.base_url = "http://127.0.0.1:9/v1"\n'
    )
    return read_config(path, {})


def test_a_digest_leaves_out_what_may_differ_and_nothing_else(tmp_path: Path):
    first = digest_of(loaded(tmp_path, ""))
    assert digest_of(loaded(tmp_path, "listen.port = 4001\nstore.journal = 'there'")) == first
    assert digest_of(loaded(tmp_path, "listen.host = '127.0.0.2'\nlisten.workers = 3")) == first
    assert digest_of(loaded(tmp_path, "edge.idle_seconds = 7")) != first
    assert digest_of(loaded(tmp_path, "money.unknown_price = 'count'")) != first


def test_folders_are_taken_in_turn_and_what_nobody_has_is_found(tmp_path: Path):
    first, zero = take_numbered(tmp_path)
    second, one = take_numbered(tmp_path)
    assert [zero.name, one.name] == ["0", "1"]
    first.release()
    assert [path.name for path in unused(tmp_path, itself=False)] == ["0"]
    assert [path.name for path in unused(tmp_path, itself=True)] == [tmp_path.name, "0"]
    again, zero = take_numbered(tmp_path)
    assert zero.name == "0"
    whole = take_whole(tmp_path)
    with pytest.raises(ConfigurationError, match="Another gateway uses the store"):
        take_whole(tmp_path)
    for lock in (second, again, whole):
        lock.release()


def test_a_folder_of_another_that_cannot_be_opened_is_told_and_the_rest_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    (tmp_path / "0" / "lock").mkdir()  # whoever may write everything cannot open it either
    assert [path.name for path in unused(tmp_path, itself=False)] == ["1"]
    (told,) = caplog.records
    assert "what it may have is not brought in" in told.message


def test_a_folder_that_cannot_be_used_is_said_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for take in (take_whole, take_numbered):
        with pytest.raises(ConfigurationError, match="cannot be used"):
            take(tmp_path / "file" / "journal")


def store_with_open(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "gateway.db")
    store.migrate()
    for boot in ("dead", "lives"):
        store.join(Replica(boot, boot, 0.0, "same"))
    entries = [sent(1, boot="dead"), sent(2, boot="dead"), sent(3, boot="lives")]
    store.commit(Batch(entries, [], "dead-000001", 10))
    return store


def test_only_the_calls_of_who_is_given_up_are_settled_and_two_who_do_it_do_it_once(tmp_path: Path):
    store = store_with_open(tmp_path)
    assert end(store, "dead", 5.0) == 2
    assert end(store, "dead", 6.0) == 0
    assert {entry.id: entry.state for entry in store.entries()} == {
        "req_000001": "unknown",
        "req_000002": "unknown",
        "req_000003": "open",
    }
    assert [one.boot for one in store.beat("lives")] == ["lives"]
    assert sum(row.charged for row in store.charged("")) == 20
    store.close()


def test_what_a_folder_has_is_brought_in_for_its_own_processes_alone(tmp_path: Path):
    store = store_with_open(tmp_path)
    folder = tmp_path / "0"
    folder.mkdir()
    (folder / "dead-000001.journal").write_bytes(b"TLJ1")
    assert bring_in(store, folder, 5.0) == Recovered(0, 2)
    assert bring_in(store, folder, 5.0) == Recovered(0, 0)
    assert [entry.id for entry in store.open_entries()] == ["req_000003"]
    assert list(folder.iterdir()) == []
    store.close()

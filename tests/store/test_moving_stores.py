"""All of a store in another one, of the same kind or not; and what a look through it finds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from store_samples import (
    ANEW,
    NOON,
    Clock,
    a_batch,
    a_content,
    a_key,
    a_replica,
    a_secret,
    an_entry,
    ended,
)

from servers import PostgresServer
from trunkline.store.books import (
    STAY,
    TABLES,
    charge_findings,
    differences,
    open_findings,
    spend_findings,
)
from trunkline.store.claims import Claim
from trunkline.store.records import Account, Batch, Budget, Limits, MoneyWish, Scope
from trunkline.store.seam import SharedStore, StoreConflictError, StoreError
from trunkline.store.sums import spend_of
from trunkline.types.money import LARGEST

pytestmark = pytest.mark.slow

Opened = Callable[[str], SharedStore]


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """New stores of a kind, migrated."""
    stores: list[SharedStore] = []
    places: dict[str, Iterator[Callable[[], SharedStore]]] = {}

    def start(kind: str) -> SharedStore:
        if kind not in places:
            url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
            places[kind] = ANEW[kind](request, tmp_path, Clock(url=url))
        store = next(places[kind])()
        store.migrate()
        stores.append(store)
        return store

    yield start
    for store in stores:
        store.close()


def filled(store: SharedStore) -> SharedStore:
    """A store with something in every table, odd values among them."""
    store.add_key(
        a_key(
            name="Ada's \N{SNOWMAN}",
            role="team-admin",
            scope=Scope(models=("org/*",)),
            limits=Limits(concurrency=2),
            budgets=(Budget(LARGEST, "day"),),
            expires=20.5,
        ),
        a_secret(),
    )
    store.add_key(a_key("key_b", owner="ada"), a_secret("key_b"))
    store.put_account(Account("team", "red", budgets=(Budget(5, "month"),)))
    store.join(a_replica("boot_1"))
    store.lease_money("boot_1", [MoneyWish("team", "red", 3 * LARGEST, ())])
    entries = [
        ended(i, key=f"key_{i % 7}", team="red", stream=i % 2 == 0, charged=LARGEST, cost=None)
        for i in range(12_000)
    ]
    entries += [an_entry(20_000), ended(20_001, owner="ada", note="a\tb", input_tokens=3)]
    store.commit(Batch(entries, spend_of(entries), "one", 7))
    store.commit(a_batch(3, journal="two"))
    store.keep([a_content("req_1"), a_content("req_2", prompt="'; --")])
    claim = Claim(b"\0id", b"asked", "req_1", "boot_1")
    store.claim(claim, seconds=100.0)
    store.fulfil(msgspec.structs.replace(claim, state="answered", body=bytes(range(256))))
    store.seal(b"\0seal\xff")
    store.ask_reload()
    store.lease_rates("boot_1", [], slot_seconds=1.0)
    return store


def all_of(store: SharedStore) -> dict[str, list[object]]:
    rows: dict[str, list[object]] = {name: [] for name in TABLES}
    for name, some in store.books().pieces():
        rows[name] += some
    return {name: sorted(some, key=repr) for name, some in rows.items()}


@pytest.mark.parametrize("target", ANEW)
@pytest.mark.parametrize("source", ANEW)
def test_everything_arrives_as_it_was(opened: Opened, source: str, target: str):
    first = filled(opened(source))
    second = opened(target)
    before = all_of(first)
    assert all(before.values()), "there is something of everything"
    second.books().fill(first.books().pieces(), first.books().totals())
    assert all_of(second) == before == all_of(first)
    assert second.keys() == first.keys()
    assert second.version() == first.version()
    assert second.entries(limit=50_000) == first.entries(limit=50_000)
    assert second.charged("") == first.charged("")
    assert (second.position("one"), second.position("two")) == (7, 3)
    assert second.reloads() == 1
    assert second.seal(b"new") == b"\0seal\xff"
    wish = MoneyWish("team", "red", 0, (Budget(10**30, "day"),))
    assert second.lease_money("boot_1", [wish]) == first.lease_money("boot_1", [wish])


@pytest.mark.parametrize("kind", ANEW)
def test_a_store_that_has_something_is_not_filled(opened: Opened, kind: str):
    first, second = filled(opened("sqlite")), opened(kind)
    second.keep([a_content()])
    before = all_of(second)
    with pytest.raises(StoreConflictError, match="not empty: it has contents"):
        second.books().fill(first.books().pieces(), first.books().totals())
    assert all_of(second) == before


@pytest.mark.parametrize("kind", ANEW)
def test_what_does_not_add_up_is_not_kept(opened: Opened, kind: str):
    first, second = filled(opened("sqlite")), opened(kind)
    before = all_of(second)
    expected = first.books().totals()
    with pytest.raises(StoreError, match=r"did not get all: spend\.charged: .* Nothing was kept"):
        second.books().fill(first.books().pieces(), expected | {"spend.charged": 1})

    def broken() -> Iterator[tuple[str, list[tuple[object, ...]]]]:
        for number, piece in enumerate(first.books().pieces()):
            if number == 5:
                raise StoreError("the source failed")
            yield piece

    with pytest.raises(StoreError, match="the source failed"):
        second.books().fill(broken(), expected)
    with pytest.raises(StoreError, match="cannot keep a value|did not get all"):
        second.books().fill([("journals", [("x", "no number")])], expected)
    assert all_of(second) == before
    second.books().fill(first.books().pieces(), expected)


def test_every_table_is_moved_or_said_to_stay(opened: Opened, postgres_url: str):
    opened("sqlite")
    store = opened("postgres")

    async def tables() -> set[str]:
        connection = await asyncpg.connect(store._pool._url)
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        await connection.close()
        return {row[0] for row in rows}

    with opened("sqlite")._file.reading() as connection:
        of_file = {
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    assert asyncio.run(tables()) == of_file == set(TABLES) | STAY


@pytest.mark.parametrize("kind", ANEW)
def test_every_column_is_moved(opened: Opened, kind: str):
    store = filled(opened(kind))
    for name, rows in store.books().pieces():
        assert {len(row) for row in rows} == {len(TABLES[name].columns)}


def test_a_nul_in_a_text_of_a_file_is_another_character_in_a_database(opened: Opened):
    first, second = opened("sqlite"), opened("postgres")
    first.keep([a_content(prompt="a\0b")])
    second.books().fill(first.books().pieces(), first.books().totals())
    found = second.content("req_1")
    assert found is not None
    assert found.prompt == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("kind", ANEW)
def test_a_whole_store_has_nothing_wrong(opened: Opened, kind: str):
    store = filled(opened(kind))
    books = store.books()
    assert books.lacking() == books.damage() == []
    assert spend_findings(store.charged(""), books.ledger_spend()) == []
    assert charge_findings(books.charges(), store.charged("")) == []
    assert open_findings(store.open_entries(), books.boots()) == []
    assert [one.boot for one in books.serving(5.0)] == ["boot_1"]
    store.leave("boot_1")
    assert books.serving(5.0) == []
    assert open_findings(store.open_entries(), books.boots()) == [
        "1 open call of process boot_1, which has left and whose journal is not here"
    ]


WRONG = {
    "UPDATE spend SET calls = calls + 1 WHERE key = 'key_1'": "spend of .* key_1",
    "DELETE FROM spend WHERE key = 'key_2'": "key_2 .* is nothing, and the ledger's rows",
    "UPDATE ledger SET charged = charged - 1 WHERE id = 'req_00000003'": "key_3 .* add up to",
    "DELETE FROM charges WHERE scope = 'team'": r"team red was charged \$0 on",
}


@pytest.mark.parametrize("change", WRONG)
@pytest.mark.parametrize("kind", ANEW)
def test_what_is_wrong_is_found(
    opened: Opened, kind: str, change: str, postgres_server: PostgresServer
):
    store = filled(opened(kind))
    if kind == "sqlite":
        with store._file.writing() as connection:
            connection.execute(change)
    else:
        postgres_server.execute(change, url=store._pool._url)
    books = store.books()
    found = [
        *spend_findings(store.charged(""), books.ledger_spend()),
        *charge_findings(books.charges(), store.charged("")),
    ]
    assert found
    assert any(re.search(WRONG[change], one) for one in found), found


@pytest.mark.parametrize("kind", ANEW)
def test_days_that_were_taken_out_of_the_ledger_are_not_missed(
    opened: Opened, kind: str, postgres_server: PostgresServer
):
    store = opened(kind)
    entries = [ended(i, started=NOON + i * 43200.0) for i in range(6)]
    store.commit(Batch(entries, spend_of(entries), "one", 1))
    shorten = f"DELETE FROM ledger WHERE started < {NOON + 100_000}"
    if kind == "sqlite":
        with store._file.writing() as connection:
            connection.execute(shorten)
    else:
        postgres_server.execute(shorten, url=store._pool._url)
    assert spend_findings(store.charged(""), store.books().ledger_spend()) == []


def test_counts_that_differ_are_told_by_name():
    assert differences({"keys": 1, "ledger": 2}, {"keys": 1, "ledger": 3}) == ["ledger: 2 and 3"]

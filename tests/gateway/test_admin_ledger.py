"""What was spent, as the admin API tells it: entries, sums, CSV; and the gateway itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from admin_side import Admin, entry

from trunkline.gateway.admin.parts import ReloadReport
from trunkline.gateway.spend import inert_cell
from trunkline.store.records import Key, Spend


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    """An admin API."""
    admin = Admin(tmp_path)
    yield admin
    admin.close()


@pytest.fixture
def spent(admin: Admin) -> dict[str, Key]:
    """Calls of two teams on three days."""
    keys = {team: admin.issue(team=team, owner="ann") for team in ("red", "blue")}
    entries = [entry(n, keys["red" if n % 2 else "blue"]) for n in range(1, 8)]
    entries.append(entry(8, keys["red"], cost=None, state="unknown", ended=None, status=None))
    rows = [
        Spend(day, keys[team].id, "ann", team, model, "groq", 2, 1, 0, 10, 20, cost, cost)
        for day, team, model, cost in (
            ("2026-11-28", "red", "org/a", 1_500_000_000_000),
            ("2026-11-29", "red", "org/b", 1),
            ("2026-11-29", "blue", "org/a", 10**13),
            ("2026-10-31", "blue", "=cmd|' /C calc'!A0", 7),
        )
    ]
    admin.spend(entries, rows)
    return keys


def test_entries_come_newest_first_in_pages(admin: Admin, spent: dict[str, Key]) -> None:
    first = admin.ask("GET", "/admin/entries?limit=5").json
    assert [one["id"] for one in first["data"]] == [f"req_{n:04}" for n in (8, 7, 6, 5, 4)]
    rest = admin.ask("GET", f"/admin/entries?limit=5&cursor={first['next']}").json
    assert [one["id"] for one in rest["data"]] == [f"req_{n:04}" for n in (3, 2, 1)]
    assert rest["next"] is None
    whole = admin.ask("GET", f"/admin/entries?limit=8&key={spent['blue'].id}").json
    assert [one["id"] for one in whole["data"]] == [f"req_{n:04}" for n in (6, 4, 2)]


def test_an_entry_tells_dollars_and_never_a_zero_for_unknown(
    admin: Admin, spent: dict[str, Key]
) -> None:
    known = admin.ask("GET", "/admin/entries/req_0001").json
    assert (known["cost"], known["reserved"], known["state"]) == ("0.0015", "0.005", "settled")
    unknown = admin.ask("GET", "/admin/entries/req_0008").json
    assert (unknown["cost"], unknown["ended"], unknown["state"]) == (None, None, "unknown")
    assert "boot" not in known


def test_a_team_admin_reads_its_teams_ledger_alone(admin: Admin, spent: dict[str, Key]) -> None:
    listed = admin.ask("GET", "/admin/entries", key="red").json["data"]
    assert {one["team"] for one in listed} == {"red"}
    for query in ("team=blue", f"key={spent['blue'].id}", "team=nobody"):
        exchange = admin.ask("GET", f"/admin/entries?{query}", key="red")
        assert exchange.json == {"data": [], "next": None}
    hidden = admin.ask("GET", "/admin/entries/req_0002", key="red")
    absent = admin.ask("GET", "/admin/entries/req_9999", key="red")
    assert (hidden.status, hidden.answered) == (404, absent.answered)
    for query, total in (
        ("", "1.500000000001"),
        ("?team=red", "1.500000000001"),
        ("?team=blue", "0"),
    ):
        spend = admin.ask("GET", f"/admin/spend{query}", key="red").json
        assert spend["total"]["cost"] == total


def test_spend_is_added_up_exactly_by_what_was_asked(admin: Admin, spent: dict[str, Key]) -> None:
    made = admin.ask("GET", "/admin/spend?since=2026-11-01&until=2026-11-30&by=team,model").json
    assert (made["since"], made["until"], made["by"]) == (
        "2026-11-01", "2026-11-30", ["team", "model"],
    )  # fmt: skip
    sums = {(row["team"], row["model"]): row["cost"] for row in made["data"]}
    assert sums == {
        ("red", "org/a"): "1.5",
        ("red", "org/b"): "0.000000000001",
        ("blue", "org/a"): "10",
    }
    assert {row["day"] for row in made["data"]} == {None}
    assert made["total"]["cost"] == "11.500000000001"
    assert (made["total"]["calls"], made["total"]["unpriced"]) == (6, 3)


def test_spend_is_of_this_month_by_day_where_nothing_is_said(
    admin: Admin, spent: dict[str, Key]
) -> None:
    made = admin.ask("GET", "/admin/spend").json
    assert (made["since"], made["until"], made["by"]) == ("2026-11-01", "2026-11-29", ["day"])
    assert {row["day"]: row["charged"] for row in made["data"]} == {
        "2026-11-28": "1.5", "2026-11-29": "10.000000000001",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("since=2026-11-31", "since"),
        ("since=yesterday", "since"),
        ("until=20261101", "until"),
        ("since=2026-11-29&until=2026-11-28", "since"),
        ("by=secret", "by"),
        ("by=", "by"),
        ("format=xml", "format"),
        ("since=2026-11-01'--", "since"),
    ],
)
def test_a_span_that_is_none_is_refused(admin: Admin, query: str, param: str) -> None:
    exchange = admin.ask("GET", f"/admin/spend?{query}")
    assert (exchange.status, exchange.error["param"]) == (400, param)


def test_spend_as_csv_computes_nothing(admin: Admin, spent: dict[str, Key]) -> None:
    exchange = admin.ask("GET", "/admin/spend?format=csv&since=2026-10-01&by=model,team")
    assert exchange.told["content-type"] == "text/csv; charset=utf-8"
    assert exchange.told["content-disposition"] == (
        'attachment; filename="spend-2026-10-01-2026-11-29.csv"'
    )
    head, *rows = csv.reader(io.StringIO(exchange.answered.decode()))
    assert head[:4] == ["model", "team", "calls", "unpriced"]
    models = {row[0] for row in rows}
    assert models == {"org/a", "org/b", "'=cmd|' /C calc'!A0"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_a_cell_that_would_be_a_formula_is_text(text: str) -> None:
    assert inert_cell(text) == f"'{text}"
    assert inert_cell(f"a{text}") == f"a{text}"


def test_a_reload_is_reported_and_a_refused_one_is_an_error(admin: Admin) -> None:
    done = admin.ask("POST", "/admin/reload")
    assert done.json == {
        "applied": True,
        "changed": ["routes.fast"],
        "restart": [],
        "error": None,
        "others": None,
    }
    admin.report = ReloadReport(applied=False, error="line 3: no such route.")
    refused = admin.ask("POST", "/admin/reload")
    assert (refused.status, refused.error["code"]) == (409, "configuration_refused")
    assert "line 3: no such route." in refused.error["message"]


def test_configuration_and_status_are_shown(admin: Admin) -> None:
    config: dict[str, Any] = admin.ask("GET", "/admin/config", key="viewer").json
    assert config == {"data": [{"name": "listen.port", "value": 4000, "origin": "default"}]}
    assert admin.ask("GET", "/admin/status", key="viewer").json == {"ready": True}
    (told,) = admin.ask("GET", "/admin/replicas", key="viewer").json["data"]
    assert (told["boot"], told["state"], told["trouble"]) == ("b0075", "live", None)


def test_what_fails_is_logged_under_the_request_id_and_not_told(
    admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> dict[str, Any]:
        raise ZeroDivisionError("canary")

    admin.status = fail
    exchange = admin.ask("GET", "/admin/status")
    assert (exchange.status, exchange.error["code"]) == (500, "internal_error")
    assert exchange.id in exchange.error["message"]
    assert b"canary" not in exchange.answered
    assert "Request req_1: the application failed." in caplog.text
    admin.status = dict
    assert admin.ask("GET", "/admin/status").json == {}


def test_a_name_that_no_store_can_keep_is_a_400(admin: Admin) -> None:
    exchange = admin.ask("GET", "/admin/entries?limit=1&key=%ed%a0%80")
    assert (exchange.status, exchange.error["param"]) == (400, "query")
    assert admin.ask("GET", "/admin/entries?cursor=%00").status in (200, 400)

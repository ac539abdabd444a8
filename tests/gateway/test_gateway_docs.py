"""The pages on the gateway: their snippets run on a real one, and their tables are the code's."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import CHAT, Gateway, running

import trunkline
from trunkline.gateway.admin.routes import ROUTES
from trunkline.gateway.tallies import GAUGES
from trunkline.sandbox.server import SandboxServer
from trunkline.store.records import Entry, Spend

DOCS = Path(__file__).parents[2] / "docs"
PACKAGE = Path(trunkline.__file__).parent
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SQL = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HELP = re.compile(rb"^# HELP (trunkline_\S+)", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text()


BUDGET = {"budgets": [{"amount": "5", "period": "month"}]}


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("gateway.md", BUDGET),
        ("gateway-clients.md", BUDGET),
        ("gateway-media.md", {}),
        ("admin-api.md", BUDGET),
    ],
)
def test_the_snippets_of_a_page_run_on_a_gateway(
    name: str, wish: dict[str, Any], gateway: Gateway, tmp_path: Path
) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n\n".join(PYTHON.findall(page(name))))
    key = gateway.new_key(**wish)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRUNKLINE_"))},
        "HOME": str(tmp_path),
        "HF_ENDPOINT": f"{gateway.url}/hf",
        "HF_TOKEN": f"hf_{key}",
        "OPENAI_BASE_URL": f"{gateway.url}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": gateway.url,
        "ANTHROPIC_API_KEY": key,
        "TRUNKLINE_GATEWAY": gateway.url,
        "TRUNKLINE_ADMIN_KEY": gateway.admin_key,
    }
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_metric_is_on_the_page_and_no_other(gateway: Gateway) -> None:
    gateway.ask("POST", "/v1/chat/completions", CHAT, gateway.new_key())
    _, _, told = gateway.ask("GET", "/metrics")
    known = {name.decode() for name in HELP.findall(told)}
    shown = set(re.findall(r"^\| `(trunkline_\w+)` ", page("gateway.md"), re.MULTILINE))
    assert shown == known
    assert {f"trunkline_{name}" for name in GAUGES} <= shown


def test_every_code_of_an_error_on_the_page_is_one_that_is_given() -> None:
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| (?:[45]\d\d|in the)", page("gateway.md"), re.MULTILINE
    )
    codes = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert len(codes) > 20
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    put_together = {"requests_exceeded", "tokens_exceeded", "concurrency_exceeded"}
    assert {code for code in codes - put_together if f'"{code}"' not in source} == set()


def test_every_route_of_the_admin_api_is_on_the_page_with_its_roles() -> None:
    rows = re.findall(
        r"^\| `([A-Z]+) (/admin\S*)` \| ([^|]+) \|", page("admin-api.md"), re.MULTILINE
    )
    shown = {(method, path): set(roles.split(", ")) for method, path, roles in rows}
    assert shown == {(row.method, row.path): set(row.roles) for row in ROUTES}


def test_every_column_of_the_ledger_and_of_spend_is_on_the_page() -> None:
    named = set(re.findall(r"`([a-z_]+)`", page("operating.md")))
    columns = {*Entry.__struct_fields__, *Spend.__struct_fields__} - {"cost"}
    columns |= {"cost", "cost_mills", "cost_picos", "charged_mills", "charged_picos"}
    assert columns - named == set()


def test_the_queries_of_the_page_can_be_asked(gateway: Gateway) -> None:
    status, headers, _ = gateway.ask("POST", "/v1/chat/completions", CHAT, gateway.new_key())
    assert status == 200
    gateway.entry(headers["x-request-id"])
    queries = [
        q for text in SQL.findall(page("operating.md")) for q in text.split(";") if q.strip()
    ]
    assert queries
    connection = sqlite3.connect(f"file:{gateway.store}?mode=ro", uri=True)
    try:
        answers = [connection.execute(query).fetchall() for query in queries]
    finally:
        connection.close()
    assert all(isinstance(rows, list) for rows in answers)
    assert any(answers)


def test_a_backup_is_restored_as_the_page_says_and_lacks_nothing_that_the_journal_has(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    copy = tmp_path / "copy.db"
    with running(tmp_path, "", sandbox_server.environment) as gateway:
        key = gateway.new_key()
        ids = []
        for _ in range(2):
            _, headers, _ = gateway.ask("POST", "/v1/chat/completions", CHAT, key)
            ids.append(headers["x-request-id"])
            gateway.entry(ids[-1])
            if not copy.exists():
                with sqlite3.connect(gateway.store) as source, sqlite3.connect(copy) as target:
                    source.backup(target)
                source.close()
                target.close()
        gateway.kill()
        copy.replace(gateway.store)
        for name in ("gateway.db-wal", "gateway.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        gateway.start()
        assert [row["id"] for row in gateway.ledger(2)] == ids[::-1]
        assert gateway.admin("GET", "/spend")["total"]["calls"] == 2

"""The gateway's view of the file of marks."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from running import CHAT, running

from trunkline.gateway.marking import Marking
from trunkline.marked import save_marks
from trunkline.routing.marks import Mark
from trunkline.sandbox.server import SandboxServer

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
NOVITA = Mark("novita", "org/Model", "drifts", since=NOON, until=NOON + timedelta(hours=1))


def told(marking: Marking) -> list[tuple[str, str]]:
    asyncio.run(marking.look())
    return list(marking.standing(0.0))


def test_marks_are_those_of_the_file_until_they_end(tmp_path: Path) -> None:
    path, now = tmp_path / "marks.json", [NOON.timestamp()]
    marking = Marking(lambda: str(path), lambda: now[0])
    assert told(marking) == []
    save_marks(path, [NOVITA])
    assert told(marking) == [("novita", "org/model")]
    assert "drifts" in next(iter(marking.standing(0.0).values()))
    now[0] += 3600
    assert told(marking) == []


def test_a_file_that_is_replaced_or_removed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "marks.json"
    marking = Marking(lambda: str(path), NOON.timestamp)
    save_marks(path, [NOVITA])
    assert told(marking) == [("novita", "org/model")]
    save_marks(path, [Mark("groq", "org/model", "drifts")])
    assert told(marking) == [("groq", "org/model")]
    path.unlink()
    assert told(marking) == []


def test_a_file_that_cannot_be_read_leaves_the_marks_before_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "marks.json"
    marking = Marking(lambda: str(path), NOON.timestamp)
    save_marks(path, [NOVITA])
    assert told(marking) == [("novita", "org/model")]
    path.write_text("{")
    assert told(marking) == [("novita", "org/model")]
    assert "cannot be read" in caplog.text


def test_what_is_marked_and_lifted_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "marks.json"
    marking = Marking(lambda: str(path), NOON.timestamp)
    save_marks(path, [NOVITA])
    told(marking)
    told(marking)
    save_marks(path, [])
    told(marking)
    assert [record.message for record in caplog.records] == [
        "a provider is marked, and routed around",
        "a mark is lifted",
    ]


def test_another_file_counts_once_it_is_configured(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    save_marks(paths[0], [NOVITA])
    save_marks(paths[1], [Mark("groq", "org/model", "drifts")])
    configured: list[str | None] = [str(paths[0])]
    marking = Marking(lambda: configured[-1], NOON.timestamp)
    assert told(marking) == [("novita", "org/model")]
    configured.append(str(paths[1]))
    assert told(marking) == [("groq", "org/model")]
    configured.append(None)
    assert told(marking) == []


def test_without_a_file_nobody_is_marked() -> None:
    assert told(Marking(lambda: None)) == []


@pytest.mark.slow
def test_routes_leave_out_who_is_marked_until_the_mark_is_lifted(
    tmp_path: Path, sandbox_server: SandboxServer
) -> None:
    path = tmp_path / "marks.json"
    config = f'marks_file = "{path}"\n[default_route]\norder = "cheapest"\n'
    model = "meta-llama/Llama-3.1-8B-Instruct"
    with running(tmp_path, config, sandbox_server.environment | {"HF_TOKEN": "hf_x"}) as gateway:
        key = gateway.new_key()

        def ask_until(provider: str) -> dict[str, Any]:
            until = time.monotonic() + 30
            while True:
                body = {**CHAT, "model": model}
                status, headers, _ = gateway.ask("POST", "/v1/chat/completions", body, key)
                assert status == 200
                if headers["x-inference-provider"] == provider:
                    return gateway.entry(headers["x-request-id"])
                assert time.monotonic() < until, headers
                time.sleep(0.2)

        ask_until("novita")
        save_marks(path, [Mark("novita", model, "drifts")])
        row = ask_until("deepinfra")
        [novita] = [c for c in row["route"]["candidates"] if c["provider"] == "novita"]
        assert novita["excluded"] == "marked: drifts"
        save_marks(path, [])
        ask_until("novita")

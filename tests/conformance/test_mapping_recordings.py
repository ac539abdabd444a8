"""Every recorded answer of the Hub is read: model infos with and without a mapping, redirects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from recordings import RECORDINGS

from trunkline.providers.mapping import ModelMaps, read_map
from trunkline.routing.look_up import find_map
from trunkline.routing.needs import Reply, Send
from trunkline.types import Timeouts
from trunkline.types.tasks import TASKS
from trunkline.wire.message import ResponseHead

HUB = "https://huggingface.co"
PATH = RECORDINGS / "hub.jsonl"

pytestmark = pytest.mark.skipif(not PATH.is_file(), reason="no recordings beside the repository")


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in PATH.read_text(encoding="utf-8").split("\n")[:-1]]


ROWS = recorded() if PATH.is_file() else []
INFOS = [row for row in ROWS if row["status"] == 200 and "/api/models/" in row["request"]["url"]]
REDIRECTS = [row for row in ROWS if row["status"] == 307]


def reply(row: dict[str, Any]) -> Reply:
    told = row["response"]
    headers = {name.lower(): value for name, value in told["headers"].items()}
    return Reply(0.0, 1.0, ResponseHead(told["status"], headers), told["body"].encode())


def identity(row: dict[str, Any]) -> str:
    return f"{row['model']}-{row['id']}"


def test_there_are_as_many_as_there_should_be() -> None:
    assert (len(ROWS), len(REDIRECTS)) == (67, 3)
    assert len([row for row in INFOS if row["task"] == "model-info"]) == 61


@pytest.mark.parametrize("row", INFOS, ids=identity)
def test_a_recorded_model_info_is_read_whole(row: dict[str, Any]) -> None:
    mapping = json.loads(row["response"]["body"]).get("inferenceProviderMapping")
    told = reply(row)
    found = read_map(row["model"], told.head, told.body)
    assert found is not None
    assert found.problem == (None if mapping is not None else "unmapped")
    assert [(s.provider, s.name, s.task, s.status) for s in found.servings] == [
        (provider, entry["providerId"], entry["task"], entry["status"])
        for provider, entry in (mapping or {}).items()
    ]
    assert {s.task for s in found.servings} <= set(TASKS)
    assert {s.status for s in found.servings} <= {"live", "staging", "error"}


@pytest.mark.parametrize("row", REDIRECTS, ids=identity)
def test_a_recorded_redirect_is_followed(row: dict[str, Any]) -> None:
    flow = find_map(ModelMaps(HUB), row["model"], None, timeouts=Timeouts(), now=0.0, end=60.0)
    first = next(flow)
    second = flow.send(reply(row))
    assert isinstance(first, Send)
    assert isinstance(second, Send)
    assert str(second.request.url) == HUB + row["response"]["headers"]["location"]
    info = INFOS[0]
    with pytest.raises(StopIteration) as end:
        flow.send(reply(info))
    told = reply(info)
    assert end.value.value[0] == read_map(row["model"], told.head, told.body)


def test_an_answer_that_is_no_model_info_is_no_error() -> None:
    others = [row for row in ROWS if row not in INFOS and row not in REDIRECTS]
    assert others
    for row in others:
        told = reply(row)
        assert read_map("org/m", told.head, told.body).problem == "unmapped"

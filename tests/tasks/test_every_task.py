"""Every task's function, in process and on loopback, blocking and awaited: what comes has substance."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from task_rows import ROWS, TASK_OF, Call, model_for

import trunkline
from trunkline import Items, Media
from trunkline.sandbox import SandboxServer
from trunkline.types.tasks import FUNCTIONS

NAMES = sorted(ROWS)
INSIDE = "sandbox/org/m"


def ask(function: str, model: str = INSIDE, **more: Any) -> Any:
    row = ROWS[function]
    return getattr(trunkline, function)(model, *row.arguments, **row.keywords, **more)


def plain(found: Any) -> Any:
    return found.model_dump()


def media_in(found: Any) -> Iterator[Media]:
    """Return the files of a result."""
    if isinstance(found, Media):
        yield found
    elif isinstance(found, Items):
        for item in found:
            yield from media_in(item)
    else:
        for name in ("data", "mask", "audio"):
            value = getattr(found, name, None)
            yield from (one for one in (value if isinstance(value, list) else [value])
                        if isinstance(one, Media))  # fmt: skip


def test_the_table_has_every_function_but_chats() -> None:
    assert set(NAMES) == set(FUNCTIONS.values()) - {"completion"}


@pytest.mark.parametrize("function", NAMES)
def test_in_process_each_function_brings_what_it_promises(function: str) -> None:
    found = ask(function)
    ROWS[function].holds(found)
    receipt = found.receipt
    assert receipt.called == INSIDE
    assert len(receipt.attempts) >= 1
    assert receipt.request_id and receipt.attempts[0].request_id
    assert (receipt.provider is None) is (function == "sparse_embedding")  # TEI's alone
    assert 0 < receipt.total_time < 60


@pytest.mark.parametrize("function", NAMES)
def testawaited_each_function_brings_the_same(function: str) -> None:
    found = asyncio.run(awaited(function))
    ROWS[function].holds(found)
    assert plain(found) == plain(ask(function))
    assert found.receipt.called == INSIDE


async def awaited(function: str) -> Any:
    row = ROWS[function]
    return await getattr(trunkline, f"a{function}")(INSIDE, *row.arguments, **row.keywords)


@pytest.mark.parametrize("function", sorted(set(NAMES) - {"sparse_embedding"}))
def test_on_loopback_the_hub_names_who_serves_and_the_result_holds(
    call: Call, function: str, server: SandboxServer
) -> None:
    model = model_for(TASK_OF[function])
    row = ROWS[function]
    found = call(function, model, *row.arguments, **row.keywords)
    row.holds(found)
    assert found.receipt.called == f"huggingface/{model}"
    asked = [(seen.method, seen.path) for seen in server.requests]
    assert asked[0] == ("GET", f"/api/models/{model}")
    provider = found.receipt.provider
    assert asked[1][0] == "POST" and asked[1][1].startswith(f"/{provider}/")
    told = {("/files/" in s.path, s.headers.get("authorization")) for s in server.requests}
    assert told - {(True, None)} == {(False, "Bearer hf_good")}  # no file is fetched with it


@pytest.mark.parametrize("function", NAMES)
def test_a_result_can_be_kept_sent_and_looked_at(function: str) -> None:
    found = ask(function)
    for twin in (pickle.loads(pickle.dumps(found)), copy.copy(found), copy.deepcopy(found)):
        assert type(twin) is type(found)
        assert plain(twin) == plain(found)
        assert twin.receipt == found.receipt
        assert [m.content for m in media_in(twin)] == [m.content for m in media_in(found)]
    assert len(repr(found)) < 1500
    assert "\n" not in repr(found)
    assert msgspec.json.decode(msgspec.json.encode(plain(found))) is not None
    json.dumps(plain(found), default=_base64)


def _base64(value: object) -> str:
    assert isinstance(value, bytes)
    return "bytes"

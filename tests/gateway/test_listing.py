"""The pages that call nobody, through a real gateway: models for each key, and health."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import quote

import pytest
from running import ADMIN_KEY, CHAT, Gateway, running

from trunkline.sandbox.server import SandboxServer

LLAMA = CHAT["model"]
CONFIG = """
[upstreams.near]
base_url = "{router}"
models = ["tiny", "org/deep+name"]

[routes.best]
targets = [{{ upstream = "near", model = "sandbox/demo" }}]
"""


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory, sandbox_server: SandboxServer):
    folder: Path = tmp_path_factory.mktemp("listing")
    router = sandbox_server.environment["TRUNKLINE_ROUTER"]
    with running(folder, CONFIG.format(router=router), sandbox_server.environment) as started:
        yield started


def names(gateway: Gateway, key: str) -> list[str]:
    status, headers, body = gateway.ask("GET", "/v1/models", key=key)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert body["object"] == "list"
    return [row["id"] for row in body["data"]]


def test_routes_upstreams_and_the_routers_models_are_listed_as_openai_lists_them(
    listing: Gateway,
) -> None:
    _, _, body = listing.ask("GET", "/v1/models", key=ADMIN_KEY)
    rows = {row["id"]: row for row in body["data"]}
    assert len(rows) == len(body["data"])
    assert rows["best"] == {
        "id": "best",
        "object": "model",
        "created": 0,
        "owned_by": "trunkline",
        "type": "model",
        "display_name": "best",
        "created_at": "1970-01-01T00:00:00Z",
    }
    assert (body["has_more"], body["first_id"]) == (False, body["data"][0]["id"])
    assert rows["near/tiny"]["owned_by"] == "near"
    assert rows[LLAMA]["owned_by"] == "meta-llama"
    assert all(type(row["created"]) is int for row in rows.values())


@pytest.mark.parametrize(
    ("patterns", "seen"),
    [
        (["best"], {"best"}),
        (["near/*"], {"near/tiny", "near/org/deep+name"}),
        (["meta-llama/*", "best"], {"best", LLAMA}),
        (["nothing"], set()),
    ],
)
def test_a_key_sees_what_it_may_use(listing: Gateway, patterns: list[str], seen: set[str]) -> None:
    key = listing.new_key(scope={"models": patterns})
    listed = set(names(listing, key))
    assert seen <= listed
    assert all(name.startswith("meta-llama/") for name in listed - seen)


def test_one_model_is_told_under_any_spelling_of_its_path(listing: Gateway) -> None:
    for name in (LLAMA, "best", "near/org/deep+name"):
        for safe in ("/", ""):
            path = f"/v1/models/{quote(name, safe=safe)}"
            status, _, body = listing.ask("GET", path, key=ADMIN_KEY)
            assert (status, body["id"]) == (200, name), path


def test_a_model_of_others_is_not_told(listing: Gateway) -> None:
    key = listing.new_key(scope={"models": ["best"]})
    there = listing.ask("GET", f"/v1/models/{LLAMA}", key=key)
    nowhere = listing.ask("GET", "/v1/models/org/nowhere", key=key)
    assert there[0] == nowhere[0] == 404
    assert there[2]["error"]["code"] == nowhere[2]["error"]["code"] == "model_not_found"
    assert there[2]["error"]["param"] == "model"


def test_a_key_for_chats_alone_cannot_list(listing: Gateway) -> None:
    key = listing.new_key(scope={"endpoints": ["chat"]})
    assert listing.ask("GET", "/v1/models", key=key)[0] == 403
    assert listing.ask("GET", "/v1/models")[0] == 401


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/best", "/health/live", "/health/ready"])
def test_a_head_has_the_length_and_no_body(listing: Gateway, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", listing.port, timeout=20)
    told: list[tuple[int, str | None]] = []
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, path, headers={"authorization": f"Bearer {ADMIN_KEY}"})
        answer = connection.getresponse()
        told.append((answer.status, answer.getheader("content-length")))
        assert bool(answer.read()) == (method == "GET")
    connection.close()
    assert told == [told[0]] * 3
    assert told[0][0] == 200


def test_it_is_alive_and_ready_and_says_so_to_anybody(listing: Gateway) -> None:
    assert listing.ask("GET", "/health/live")[2] == {"status": "live"}
    status, _, body = listing.ask("GET", "/health/ready")
    assert (status, body) == (200, {"status": "ready"})

"""Routes of several processes: replicas learn of failures from each other, workers too, and a reload changes where calls go."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from raw import Answer, ask, post
from routes_side import CHAT, Body, answering, refusing, routed, text_of, until
from running import Gateway, running
from workers_side import all_ready

from loopback import Upstream

pytestmark = pytest.mark.slow
TURNED = """
[routes.r]
targets = [{ upstream = "b", model = "m-b" }, { upstream = "a", model = "m-a" }]
"""


@pytest.fixture
def servers() -> tuple[Upstream, Upstream]:
    """One that fails, and one that answers."""
    with ExitStack() as stack:
        made = Upstream(refusing(500)), Upstream(answering())
        for server in made:
            stack.callback(server.close)
        yield made


def config_of(servers: tuple[Upstream, Upstream], store: str) -> str:
    upstreams = "".join(
        f'[upstreams.{name}]\nbase_url = "{server.url}"\nprices."*" = {{ input = 1, output = 2 }}\n'
        for name, server in zip("ab", servers, strict=True)
    )
    targets = ", ".join(f'{{ upstream = "{n}", model = "m-{n}", name = "{n}" }}' for n in "ab")
    head = f'default_upstream = "a"\nstore.url = "{store}"\n'
    return f"{head}{upstreams}[routes.r]\ntargets = [{targets}]\n"


def said_by(gateway: Gateway, key: str) -> Answer:
    return ask(gateway, post({"model": "r", **CHAT}, key))


def asked(server: Upstream) -> int:
    return sum(len(visit.requests) for visit in server.visits)


def answered(line: HTTPConnection, method: str, path: str, key: str = "") -> Body:
    """Ask on one connection, which one process has."""
    body = json.dumps({"model": "r", **CHAT}) if method == "POST" else None
    line.request(
        method, path, body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    told: Body = json.loads(line.getresponse().read())
    return told


def lines_to_both(gateway: Gateway) -> list[HTTPConnection]:
    """Return a connection to each of two workers."""
    found: dict[int, HTTPConnection] = {}
    for _ in range(200):
        line = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        worker = answered(line, "GET", "/health/live")["worker"]
        found.setdefault(worker, line)
        if found[worker] is not line:
            line.close()
        if len(found) == 2:
            return list(found.values())
    raise AssertionError("one worker took all connections")


def states(gateway: Gateway, line: HTTPConnection) -> dict[str, str]:
    """Return how targets are as the process sees them that has the connection."""
    told = answered(line, "GET", "/admin/places", gateway.admin_key)
    return {place["upstream"]: place["state"] for place in told["data"]}


def test_a_replica_goes_around_a_target_that_failed_at_another(
    tmp_path: Path, postgres_url: str, servers: tuple[Upstream, Upstream]
) -> None:
    with ExitStack() as stack:
        gateways = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            gateways.append(
                stack.enter_context(running(folder, config_of(servers, postgres_url), {}))
            )
        one, two = gateways
        key = one.new_key()
        until(lambda: two.ask("GET", "/v1/models", key=key)[0], lambda status: status == 200)
        assert said_by(two, key).status == 200
        before = asked(servers[0])
        assert before, "it asked for itself, once"
        for _ in range(5):
            assert text_of(said_by(one, key)) == "hello"
        line = HTTPConnection("127.0.0.1", two.port, timeout=30)
        stack.callback(line.close)
        until(lambda: states(two, line)["a"], lambda state: state == "open")
        before = asked(servers[0])
        answer = said_by(two, key)
        assert asked(servers[0]) == before
        row = two.entry(answer.headers["x-request-id"])
        [left_out] = [c for c in row["route"]["candidates"] if c["excluded"]]
        assert left_out["name"] == "a"


def test_workers_go_around_a_target_that_failed_at_another(
    tmp_path: Path, postgres_url: str, servers: tuple[Upstream, Upstream]
) -> None:
    config = config_of(servers, postgres_url)
    with running(tmp_path, config, {}, "--workers", "2") as gateway:
        all_ready(gateway, 2)
        key = gateway.new_key()
        one, two = lines_to_both(gateway)
        with closing(one), closing(two):
            for line in (two, one, one, one, one, one):
                assert answered(line, "POST", "/v1/chat/completions", key)["choices"]
            until(lambda: states(gateway, two)["a"], lambda state: state == "open")
            before = asked(servers[0])
            assert before >= 5
            assert answered(two, "POST", "/v1/chat/completions", key)["choices"]
            assert asked(servers[0]) == before


def test_a_reload_changes_who_is_asked_first(tmp_path: Path) -> None:
    with routed(tmp_path, "", answering("first"), answering("second")) as scene:
        assert text_of(scene.ask()) == "first"
        gateway = scene.gateway
        rules = gateway.config.read_text().partition("[routes.r]")[0]
        gateway.config.write_text(rules + TURNED)
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: text_of(scene.ask()), lambda text: text == "second")
        assert scene.row(scene.ask())["route"]["candidates"][0]["name"].startswith("b")

"""Routes of several processes: replicas learn of failures from each other, workers too, and a reload changes where calls go."""

from __future__ import annotations

import signal
from contextlib import ExitStack
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


def states(gateway: Gateway) -> dict[str, str]:
    places: list[Body] = gateway.admin("GET", "/places")["data"]
    return {place["upstream"]: place["state"] for place in places}


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
        assert states(one)["a"] == "open"
        until(lambda: states(two)["a"], lambda state: state == "open")
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
        for _ in range(24):  # whichever of them is connected to
            assert text_of(said_by(gateway, key)) == "hello"

        def went_around() -> bool:
            before = asked(servers[0])
            assert [said_by(gateway, key).status for _ in range(8)] == [200] * 8
            return asked(servers[0]) == before

        until(went_around, bool)


def test_a_reload_changes_who_is_asked_first(tmp_path: Path) -> None:
    with routed(tmp_path, "", answering("first"), answering("second")) as scene:
        assert text_of(scene.ask()) == "first"
        gateway = scene.gateway
        rules = gateway.config.read_text().partition("[routes.r]")[0]
        gateway.config.write_text(rules + TURNED)
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: text_of(scene.ask()), lambda text: text == "second")
        assert scene.row(scene.ask())["route"]["candidates"][0]["name"].startswith("b")

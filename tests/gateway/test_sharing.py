"""Who shares budgets and limits with others, by whose clock, and what is said where Redis is not as it should be."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ledger_side import new_store, run, until
from running import running
from workers_side import wait_for

from servers import RedisServer, free_port
from trunkline.errors import ConfigurationError
from trunkline.gateway.config import Config, Listen, StoreConfig
from trunkline.gateway.config_file import read_config
from trunkline.gateway.config_show import without_passwords
from trunkline.gateway.guard import LATER, Guard
from trunkline.gateway.leased import LeasedGuard
from trunkline.gateway.sharing import AHEAD, Sharing, StoreClock, is_shared
from trunkline.store.records import Key, Limits, Replica

DATABASE = StoreConfig(url="postgresql://u@127.0.0.1/db")


class Member:
    """One of two processes."""

    def __init__(self) -> None:
        self.own = Replica("boot", "here", 0.0, "")
        self.skewed: Any = None

        class Replicas:
            count = 2

        self.replicas: Any = Replicas()


def shared(config: Config, store: Any = None, **environment: str) -> Sharing:
    return Sharing(config, environment, store, Member())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Config(), False),
        (Config(store=StoreConfig(path="x.db")), False),
        (Config(store=DATABASE), True),
        (Config(listen=Listen(workers=2)), True),
    ],
)
def test_a_process_shares_where_others_may_serve_the_same_store(config: Config, expected: bool):
    assert is_shared(config) == expected
    sharing = shared(config)
    assert isinstance(sharing.guard, LeasedGuard) == expected
    assert (sharing.leases is None) == (not expected)
    assert isinstance(sharing.guard, Guard)
    sharing.stop()
    sharing.release()
    assert sharing.note == ""


def test_calls_take_the_stores_clock_and_are_never_behind_it():
    clock = StoreClock()
    assert clock() >= time.time()
    for hours in (1, -1, 0):
        clock.skewed(hours * 3600.0)
        ahead = clock() - time.time() - hours * 3600.0
        assert 0 < ahead < 2 * AHEAD + 1
    before = clock.offset
    clock.skewed(0.01)
    assert clock.offset == before, "what is within a reading's error does not make time jump"


def test_the_members_beats_set_the_clock_of_a_process_that_shares():
    member = Member()
    sharing = Sharing(Config(store=DATABASE), {}, None, member)  # type: ignore[arg-type]
    member.skewed(7200.0)
    assert sharing.clock() - time.time() > 7000


def test_redis_that_one_process_alone_does_not_need_is_said(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        shared(Config(store=StoreConfig(redis_url="redis://127.0.0.1:1")))
    assert "store.redis_url is not used" in caplog.text


def test_a_url_of_redis_that_the_driver_cannot_read_stops_the_start():
    config = Config(
        store=StoreConfig(url=DATABASE.url, redis_url="redis://host:1?socket_timeout=x")
    )
    with pytest.raises(ConfigurationError, match="cannot be read"):
        shared(config)


def test_the_password_of_redis_is_taken_from_its_variable_and_slots_are_given_back(
    tmp_path: Path, redis_server: RedisServer
):
    store = new_store(tmp_path)
    store.join(Replica("boot", "here", 0.0, ""))
    config = Config(
        store=StoreConfig(
            url=DATABASE.url, redis_url=redis_server.url, redis_password_env="REDIS_PASSWORD"
        )
    )

    async def work() -> None:
        redis_server.ask(b"CONFIG SET requirepass open-sesame")
        sharing = shared(config, store, REDIS_PASSWORD="open-sesame")
        leases = sharing.leases
        assert leases is not None
        holder = sharing.guard.holder(Key("key_a", limits=Limits(concurrency=3)), {}, 0.0)
        while holder.hold(0, 0, time.monotonic(), 0.0) is LATER:
            leases.rates.want(holder.meters[0])  # type: ignore[arg-type]
            holder.meters[0].parked = 1  # type: ignore[attr-defined]
            await until(lambda: holder.meters[0].slots > 0)  # type: ignore[attr-defined]
        # a machine that is busy answers late, and is asked again after a while
        await until(lambda: not leases.rates.by_shares)
        sharing.stop()
        sharing.release()

    try:
        run(work)
        assert knowing_the_password(redis_server, b"HLEN {trunkline}:boots") == b":0"
    finally:
        knowing_the_password(redis_server, b"CONFIG SET requirepass ''")
        store.close()


def knowing_the_password(server: RedisServer, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as connection:
        connection.sendall(b"AUTH open-sesame\r\n" + command + b"\r\n")
        lines = connection.makefile("rb")
        lines.readline()
        return lines.readline().strip()


def test_redis_that_cannot_be_reached_at_the_start_is_a_note(tmp_path: Path, postgres_url: str):
    config = f"""
[store]
url = "{postgres_url}"
journal = "{tmp_path}/journal"
redis_url = "redis://:swordfish@127.0.0.1:{free_port()}/0"
[upstreams.vllm]
base_url = "http://127.0.0.1:9/v1"
prices."*" = {{ input = 0, output = 0 }}
"""
    with running(tmp_path, config, {"HF_TOKEN": "hf_of_the_test"}) as gateway:
        wait_for(lambda: "notes" in gateway.ask("GET", "/health/ready")[2], "a note")
        assert gateway.log.read_text().count("limits are kept by shares") == 1
        key = gateway.new_key(limits={"requests_per_minute": 5})
        body = {"model": "vllm/m", "messages": [{"role": "user", "content": "?"}]}
        codes = [gateway.ask("POST", "/v1/chat/completions", body, key)[0] for _ in range(6)]
        assert codes == [502] * 5 + [429], "the limit is kept by shares"
        status, _, told = gateway.ask("GET", "/health/ready")
        assert status == 200
        assert "limits are kept by shares: Redis at 127.0.0.1" in told["notes"]
        assert gateway.admin("GET", "/status")["notes"] == [told["notes"]]
        assert gateway.stop() == 0
        assert "swordfish" not in gateway.log.read_text()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('redis_url = "http://x"', "store.redis_url cannot be used: it does not begin with redis:"),
        ('redis_url = "redis://x/db"', "a number is wanted"),
        ('redis_password_env = "X"', "is for store.redis_url, which is not set"),
        (
            'redis_url = "redis://x"\nredis_password_env = "a b"',
            "must be the name of an environment",
        ),
    ],
)
def test_what_is_wrong_with_redis_in_a_configuration_is_said(tmp_path: Path, lines: str, says: str):
    path = tmp_path / "trunkline.toml"
    path.write_text(f"[store]\n{lines}\n")
    with pytest.raises(ConfigurationError) as caught:
        read_config(path, {"HF_TOKEN": "hf_of_the_test"})
    assert says in str(caught.value)


def test_a_password_in_the_url_of_redis_is_not_shown_and_is_warned_of(tmp_path: Path):
    path = tmp_path / "trunkline.toml"
    path.write_text('[store]\nredis_url = "redis://:swordfish@host:6379/0"\n')
    path.chmod(0o644)
    loaded = read_config(path, {"HF_TOKEN": "hf_of_the_test"})
    assert without_passwords(loaded.config).store.redis_url == "redis://:****@host:6379/0"
    assert any("store.redis_url has a password in it" in warning for warning in loaded.warnings)

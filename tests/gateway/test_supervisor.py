"""The process above several workers, with workers that only write down what they are told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workers_side import wait_for

from trunkline.gateway.config import Listen
from trunkline.gateway.listening import bound
from trunkline.gateway.slots import Slots
from trunkline.gateway.supervisor import Restarts

DRIVER = """
import sys
from pathlib import Path
from trunkline.gateway.config_file import read_config
from trunkline.gateway.supervisor import Supervisor

def read():
    return read_config(Path(sys.argv[1]), {}, {"listen.port": 0})

stub = [sys.executable, sys.argv[2]]
welcome = lambda url, ready: print(url, flush=True)
sys.exit(Supervisor(read(), read, stub, welcome, grace=0.3).run())
"""
CONFIG = """
edge.drain_seconds = 0.2
listen.workers = {workers}
default_upstream = "a"
upstreams.a.base_url = "http://127.0.0.1:9/v1"
"""
STUB = Path(__file__).with_name("stub_worker.py")


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, mode: str, workers: int) -> None:
        self.config = folder / "trunkline.toml"
        self.config.write_text(CONFIG.format(workers=workers))
        self._log = folder / "told"
        self._log.touch()
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.config), str(STUB)],
            env={**os.environ, "STUB_MODE": mode, "STUB_LOG": str(self._log)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def configure(self, text: str) -> None:
        """Have a new configuration in place of the old one, and never half of it."""
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.rename(self.config)

    def told(self) -> list[str]:
        return self._log.read_text().splitlines()

    def until(self, *lines: str) -> None:
        """Wait until workers have written these lines, in any order."""
        wait_for(lambda: set(lines) <= set(self.told()), " and ".join(lines))

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def supervised(folder: Path, mode: str = "obedient", workers: int = 2) -> Iterator[Supervised]:
    found = Supervised(folder, mode, workers)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.communicate()


def test_the_first_starts_alone_and_the_others_when_it_is_ready(tmp_path: Path):
    with supervised(tmp_path, workers=3) as found:
        found.until("0 accepts 0", "1 accepts 1", "2 accepts 2")
        assert found.told()[:2] == ["0 starts sole", "0 accepts 0"]
        assert {"1 starts beside", "2 starts beside"} <= set(found.told())
        found.send(signal.SIGTERM)
        assert found.process.wait(10) == 0
        assert {f"{n} drains for good" for n in range(3)} <= set(found.told())
        assert found.process.stdout is not None
        assert found.process.stdout.read().startswith(b"http://127.0.0.1:")


def test_a_first_start_that_fails_is_the_end(tmp_path: Path):
    with supervised(tmp_path, "stillborn") as found:
        assert found.process.wait(10) == 7
        assert found.told() == ["0 starts sole"]


def test_another_that_does_not_start_is_tried_again_and_the_first_serves_its_place(tmp_path: Path):
    with supervised(tmp_path, "no second") as found:
        wait_for(lambda: found.told().count("1 starts beside") >= 3, "it is tried again")
        assert found.process.poll() is None
        # Nobody has ever listened on its socket: nobody has to accept from it.
        assert "0 accepts 0 1" not in found.told()
        found.send(signal.SIGTERM)
        assert found.process.wait(10) == 0


def test_what_a_dead_worker_had_is_accepted_by_another_until_there_is_a_new_one(tmp_path: Path):
    with supervised(tmp_path, "dies") as found:
        found.until("1 accepts 1", "0 accepts 0 1")
        wait_for(lambda: found.told().count("1 accepts 1") >= 2, "a new one serves")
        wait_for(lambda: took_back(found.told()), "the first accepts from its own alone")
        found.send(signal.SIGTERM)
        assert found.process.wait(10) == 0


def took_back(told: list[str]) -> bool:
    return "0 accepts 0" in told[told.index("0 accepts 0 1") :]


def test_a_worker_that_does_not_end_is_killed_after_its_time_and_not_before(tmp_path: Path):
    with supervised(tmp_path, "deaf") as found:
        found.until("0 accepts 0", "1 accepts 1")
        found.send(signal.SIGTERM)
        found.until("0 drains for good", "1 drains for good")
        assert found.process.poll() is None
        found.send(signal.SIGTERM)
        found.until("0 hurries", "1 hurries")
        assert found.process.wait(10) == 0
        assert found.process.stderr is not None
        assert b"a worker did not end in time" in found.process.stderr.read()


def test_a_second_signal_hurries_all(tmp_path: Path):
    with supervised(tmp_path, "slow") as found:
        found.until("0 accepts 0", "1 accepts 1")
        found.configure(found.config.read_text().replace("0.2", "60"))
        found.send(signal.SIGHUP)  # takes a restart of the workers, who are slow: none has gone yet
        found.until("0 drains handed on")
        found.send(signal.SIGINT)
        found.until("1 drains for good")
        found.send(signal.SIGINT)
        assert found.process.wait(20) == 0
        assert "1 hurries" in found.told()


def test_a_reload_reaches_all_and_a_wrong_one_none(tmp_path: Path):
    with supervised(tmp_path) as found:
        found.until("0 accepts 0", "1 accepts 1")
        good = found.config.read_text()
        found.configure("listen.workers = 'many'\n")
        found.send(signal.SIGHUP)
        found.configure(good + "upstreams.a.idle_seconds = 5.0\n")
        found.send(signal.SIGHUP)
        found.until("0 reloads", "1 reloads")
        found.send(signal.SIGTERM)
        assert found.process.wait(10) == 0
        assert not any("handed on" in line for line in found.told())


def test_the_store_is_not_changed_under_workers(tmp_path: Path):
    with supervised(tmp_path) as found:
        found.until("0 accepts 0", "1 accepts 1")
        good = CONFIG.format(workers=2)
        found.configure(f"store.path = '{tmp_path / 'other.db'}'\nedge.headers = 50\n{good}")
        found.send(signal.SIGHUP)
        assert found.process.stderr is not None
        assert b"the store cannot be another" in found.process.stderr.readline()
        found.configure(good + "upstreams.a.idle_seconds = 5.0\n")
        found.send(signal.SIGHUP)
        found.until("0 reloads", "1 reloads")
        assert not any("drains" in line for line in found.told())


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 1)])
def test_more_or_fewer_workers_come_by_rolling(tmp_path: Path, before: int, after: int):
    with supervised(tmp_path, workers=before) as found:
        found.until(*(f"{n} accepts {n}" for n in range(before)))
        found.configure(CONFIG.format(workers=after))
        found.send(signal.SIGHUP)
        found.until(*(f"{n} drains handed on" for n in range(before)))
        if after > before:
            found.until(f"{after - 1} accepts {after - 1}")
        else:
            found.until("0 accepts 0 1 2")  # their sockets have to be accepted from all the same
        found.send(signal.SIGTERM)
        assert found.process.wait(10) == 0
        assert sum(line.endswith("for good") for line in found.told()) == after


def test_another_address_is_listened_on_by_new_workers_and_the_old_one_is_emptied(tmp_path: Path):
    with supervised(tmp_path) as found:
        found.until("0 accepts 0", "1 accepts 1")
        found.configure(found.config.read_text() + 'listen.host = "127.0.0.2"\n')
        found.send(signal.SIGHUP)
        found.until("0 drains for good", "1 drains for good")
        wait_for(lambda: found.told().count("1 accepts 1") >= 2, "new ones serve")
        found.send(signal.SIGTERM)
        assert found.process.wait(10) == 0


def test_workers_notice_that_the_one_above_them_is_gone(tmp_path: Path):
    with supervised(tmp_path) as found:
        found.until("0 accepts 0", "1 accepts 1")
        found.process.kill()
        assert found.process.wait(10) == -signal.SIGKILL
        found.until("0 alone", "1 alone")
        assert not any("dies" in line for line in found.told())


def test_those_that_die_young_are_started_later_each_time_and_others_at_once():
    restarts = Restarts()
    waits = []
    now = 100.0
    for _ in range(8):
        restarts.died(1, now - 1, now)
        waits.append(restarts.due[1] - now)
        assert restarts.take(now + waits[-1] - 0.001) == []
        assert restarts.take(now + waits[-1]) == [1]
    assert waits == [0.5, 1, 2, 5, 10, 30, 30, 30]
    restarts.died(1, now - 3600, now)
    restarts.died(2, now - 1, now)
    assert restarts.take(now) == [1]
    restarts.died(1, now - 1, now)
    assert restarts.due == {1: now + 0.5, 2: now + 0.5}


def test_a_port_that_somebody_has_is_refused_though_it_could_be_shared():
    first = Slots(Listen(port=0, workers=2))
    for slot in first.current.by_slot:
        for sock in slot:
            sock.listen()
    port = first.current.port
    with pytest.raises(OSError, match="in use"):
        Slots(Listen(port=port, workers=2))
    first.change(Listen(port=0, workers=3))
    assert len({s.getsockname()[1] for slot in first.current.by_slot for s in slot}) == 1
    kept = first.current
    with pytest.raises(OSError, match="in use"):
        first.change(Listen(port=port, workers=3))
    assert first.current is kept
    first.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_all_addresses_of_a_host_are_bound_to_one_port():
    found = bound("localhost", 0)
    assert len({sock.getsockname()[1] for sock in found}) == 1
    for sock in found:
        sock.listen()
    with pytest.raises(OSError, match="in use"):
        bound("localhost", found[0].getsockname()[1])
    for sock in found:
        sock.close()

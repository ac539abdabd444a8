"""A start whose database cannot be used is refused, says why and what to do, and leaves nothing half done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import ADMIN_KEY, running

from servers import PASSWORD, PASSWORD_IN_URL, PostgresServer, free_port

pytestmark = pytest.mark.slow

CONFIG = """
store.url = "{url}"
store.journal = "{journal}"
store.connect_seconds = 1.0
store.statement_seconds = 1.0
default_upstream = "a"
upstreams.a.base_url = "http://127.0.0.1:9/v1"
"""


def serve(folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Start a gateway that is expected to end."""
    config = folder / "trunkline.toml"
    config.write_text(CONFIG.format(url=url, journal=folder / "journal"))
    config.chmod(0o600)
    command = [str(Path(sys.executable).with_name("trunkline")), "serve", "--port", "0"]
    command += ["--config", str(config), *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRUNKLINE_")}
    environment |= {"TRUNKLINE_ADMIN_KEY": ADMIN_KEY, "HOME": str(folder)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def refused(folder: Path, url: str) -> list[str]:
    """Hold a start to its refusal, alone and with workers; returns what each says."""
    said = []
    for options in ((), ("--workers", "2")):
        done = serve(folder, url, *options)
        assert done.returncode == 1, done.stderr
        assert "serves on" not in done.stdout
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stderr
        assert PASSWORD_IN_URL not in done.stderr
        assert list(folder.glob("journal/**/*.journal")) == []
        said.append(done.stderr)
    return said


def test_a_database_that_does_not_answer(tmp_path: Path):
    url = f"postgresql://trunkline:{PASSWORD_IN_URL}@127.0.0.1:{free_port()}/gateway"
    assert all("127.0.0.1" in said for said in refused(tmp_path, url))


def test_a_wrong_password(tmp_path: Path, postgres_server: PostgresServer):
    url = postgres_server.url(password="wrong")
    assert all("password" in said for said in refused(tmp_path, url))


def test_a_database_that_is_not_there(tmp_path: Path, postgres_server: PostgresServer):
    assert all("nowhere" in said for said in refused(tmp_path, postgres_server.url("nowhere")))


def test_a_database_that_hangs(tmp_path: Path, postgres_server: PostgresServer):
    url = postgres_server.new_database()
    postgres_server.freeze()
    try:
        assert all("127.0.0.1" in said for said in refused(tmp_path, url))
    finally:
        postgres_server.thaw()


def test_a_schema_that_is_newer(tmp_path: Path, postgres_server: PostgresServer):
    url = postgres_server.new_database()
    journal = f'store.journal = "{tmp_path / "first-journal"}"'
    first = tmp_path / "first"
    first.mkdir()
    text = CONFIG.format(url=url, journal=tmp_path / "first-journal")
    with running(first, text) as gateway:
        assert gateway.stop() == 0
    assert journal in text
    (count,) = postgres_server.execute("SELECT count(*) FROM replicas", url=url)
    assert count == (0,), "a replica that ends leaves"
    postgres_server.execute(
        "INSERT INTO migrations SELECT (jsonb_populate_record(m, "
        "jsonb_build_object('number', m.number + 100))).* FROM migrations m "
        "ORDER BY number DESC LIMIT 1",
        url=url,
    )
    assert all("newer" in said for said in refused(tmp_path, url))
    (count,) = postgres_server.execute("SELECT count(*) FROM replicas", url=url)
    assert count == (0,), "who was refused has not joined"


@pytest.mark.parametrize("words", [("--store", "postgresql://"), ("--store", "mysql://a/b")])
def test_a_url_that_is_none(tmp_path: Path, words: tuple[str, str]):
    done = subprocess.run(
        [str(Path(sys.executable).with_name("trunkline")), "serve", "--port", "0", *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert "store" in done.stderr
    assert "Traceback" not in done.stderr

"""The servers that tests lean on start, hold still, end and come back."""

from __future__ import annotations

import subprocess
import threading

import asyncpg
import pytest

from servers import PostgresServer, RedisServer


def test_each_database_is_empty_and_keeps_what_a_restart_finds(postgres_server: PostgresServer):
    one, two = postgres_server.new_database(), postgres_server.new_database()
    postgres_server.execute("CREATE TABLE only_here (x int)", url=one)
    with pytest.raises(asyncpg.UndefinedTableError):
        postgres_server.execute("SELECT * FROM only_here", url=two)
    postgres_server.restart()
    assert postgres_server.execute("SELECT * FROM only_here", url=one) == []
    postgres_server.kill()
    with pytest.raises(OSError):
        postgres_server.execute("SELECT 1", url=one)
    postgres_server.start()
    assert postgres_server.execute("SELECT count(*) FROM only_here", url=one) == [(0,)]


def test_a_server_outlives_the_thread_that_started_it_again(postgres_server: PostgresServer):
    thread = threading.Thread(target=postgres_server.restart)
    thread.start()
    thread.join()
    process = postgres_server.process
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    assert postgres_server.execute("SELECT 1") == [(1,)]


def test_a_frozen_postgres_does_not_answer_until_it_is_thawed(postgres_server: PostgresServer):
    postgres_server.freeze()
    try:
        with pytest.raises(TimeoutError):
            postgres_server.execute("SELECT 1", timeout=0.2)
    finally:
        postgres_server.thaw()
    assert postgres_server.execute("SELECT 1") == [(1,)]


def test_redis_starts_is_flushed_and_comes_back_empty(redis_server: RedisServer):
    assert redis_server.ask(b"SET a 1") == b"+OK"
    redis_server.flush()
    assert redis_server.ask(b"EXISTS a") == b":0"
    redis_server.stop()
    assert redis_server.ask(b"PING") == b""
    redis_server.start()
    assert redis_server.ask(b"PING") == b"+PONG"

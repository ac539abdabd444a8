"""Trunkline as it may be run, a row each: on SQLite or PostgreSQL, with limits shared by Redis, with workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import asyncpg
import under_test
from gateways import Gateway, Place, Request, Rows
from stores import BenchPostgres, BenchRedis

from servers import PASSWORD, USER

_PASSWORD_ENV = "BENCH_STORE_PASSWORD"
_databases: dict[Place, str] = {}


def database_of(place: Place) -> str:
    """Return the name of the database that was made for a run."""
    return _databases[place]


@dataclass(frozen=True)
class Shared:
    """What several processes share, started once for a run."""

    postgres: BenchPostgres
    redis: BenchRedis


def on_sqlite(name: str = "sqlite", *, workers: int = 1) -> Gateway:
    """Return one process, or several, on a file."""
    listen = f"workers = {workers}"
    return replace(
        under_test.TRUNKLINE,
        name=name,
        command=lambda place: under_test.command(place, listen=listen),
    )


def on_postgres(
    shared: Shared,
    name: str = "postgres",
    *,
    workers: int = 1,
    redis: bool = False,
    leases: bool = True,
) -> Gateway:
    """Return one process, or several, on a database of their own; without `leases` the key has no limit."""

    def command(place: Place) -> list[str]:
        database = shared.postgres.new_database().rpartition("/")[2]
        _databases[place] = database
        lines = [
            f'url = "postgresql://{USER}@127.0.0.1:{shared.postgres.port}/{database}"',
            f'password_env = "{_PASSWORD_ENV}"',
            f'journal = "{place.folder}/journal"',
        ]
        if redis:
            lines.append(f'redis_url = "{shared.redis.url}"')
        return under_test.command(place, listen=f"workers = {workers}", store="\n".join(lines))

    return replace(
        under_test.TRUNKLINE,
        name=name,
        command=command,
        request=lambda place: Request().with_key(
            under_test.new_key(place.port, wish=under_test.WISH if leases else {}).secret
        ),
        env=lambda place: {**under_test.TRUNKLINE.env(place), _PASSWORD_ENV: PASSWORD},
        ledger=lambda place: asyncio.run(_rows(shared.postgres.url(database_of(place)))),
    )


async def _rows(url: str) -> Rows:
    connection = await asyncpg.connect(url)
    try:
        text = "SELECT count(*), count(*) FILTER (WHERE state = 'settled') FROM ledger"
        return Rows(*await connection.fetchrow(text))
    finally:
        await connection.close()

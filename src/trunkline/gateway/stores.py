"""Where the configuration puts the store and the journal, and the store that is there.

The environment is passed in. Opens nothing: a store opens itself when it is first asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from trunkline.errors import ConfigurationError
from trunkline.gateway.config import Config, StoreConfig
from trunkline.gateway.config_environment import data_folder, expanded, store_path
from trunkline.store.seam import SharedStore
from trunkline.store.urls import masked


class StorePlace(msgspec.Struct, frozen=True):
    """Where a store is."""

    path: Path | None
    """The SQLite file; None where a URL names a database."""
    url: str | None
    password: str | None
    """Of the database, where a variable holds it."""
    journal: Path
    """The folder of what is not in the store yet."""

    @property
    def shown(self) -> str:
        """The file, or the URL without its password."""
        return str(self.path) if self.url is None else masked(self.url)


def store_place(config: Config, environment: Mapping[str, str]) -> StorePlace:
    """Return where the store and its journal are; raises ConfigurationError."""
    store = config.store
    if store.url is None:
        path = store_path(config, environment)
        journal = path.with_name(f"{path.name}.journal")
        return StorePlace(path, None, None, _journal(store, environment, journal))
    return StorePlace(
        None,
        store.url,
        _password(store, environment),
        # Only looked for where it is not named: there may be no home directory.
        _journal(store, environment, None),
    )


def store_at(place: StorePlace, config: StoreConfig) -> SharedStore:
    """Return the store at a place; raises ConfigurationError where its driver is missing."""
    if place.url is None:
        from trunkline.store.sqlite import SqliteStore  # each loads the driver that it needs

        assert place.path is not None  # noqa: S101 - one of the two is there
        return SqliteStore(place.path, durable=config.durability == "power")
    try:
        from trunkline.store.postgres import PostgresStore
        from trunkline.store.postgres_pool import PoolOptions
    except ImportError as error:
        raise ConfigurationError(
            f"The store {place.shown} needs PostgreSQL's driver: pip install 'trunkline[postgres]'."
        ) from error

    options = PoolOptions(config.connections, config.connect_seconds, config.statement_seconds)
    return PostgresStore(place.url, password=place.password, options=options)


def _journal(store: StoreConfig, environment: Mapping[str, str], beside: Path | None) -> Path:
    if store.journal is not None:
        return expanded(store.journal, environment)
    return beside or data_folder(environment) / "gateway.journal"


def _password(store: StoreConfig, environment: Mapping[str, str]) -> str | None:
    variable = store.password_env
    return None if variable is None else environment.get(variable) or None

"""The store that `trunkline keys` and `trunkline spend` work on, and how they print what is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import click
import msgspec

from trunkline.cli.inert import hide_secrets, inert_json, inert_line
from trunkline.gateway.config import Config, StoreConfig
from trunkline.gateway.config_file import read_config
from trunkline.gateway.config_store_rules import store_problems
from trunkline.gateway.stores import StorePlace, store_at, store_place
from trunkline.store.records import Key
from trunkline.store.seam import SharedStore, Store, StoreError
from trunkline.store.urls import is_url

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def common(function: F) -> F:
    """Add the options that every command here has."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    return click.option(
        "--store",
        "store_file",
        type=click.Path(dir_okay=False),
        metavar="FILE|URL",
        help="The gateway's store, unless it is the configured one.",
    )(function)


@contextmanager
def opened(given: str | None, *, make: bool = False) -> Generator[SharedStore]:
    """Open the store; `make` its file if there is none. What goes wrong with it is a clear error."""
    place, config = placed(given)
    if not make and place.path is not None and not place.path.exists():
        raise click.ClickException(
            f"There is no store at {inert_line(place.shown)}. The gateway's first start makes one, and "
            "so does `trunkline keys create`; --store names another."
        )
    try:
        with closing(store_at(place, config)) as store:
            store.migrate()
            yield store
    except StoreError as error:
        raise click.ClickException(inert_line(str(error))) from error


def placed(given: str | None) -> tuple[StorePlace, StoreConfig]:
    """Return where the store is: as given, for which no configuration is read, or as configured."""
    if given is None:
        config = read_config(None, os.environ).config
    elif is_url(given):
        config = Config(store=StoreConfig(url=given))
    else:
        config = Config(store=StoreConfig(path=given))
    for problem in store_problems(config.store):
        raise click.ClickException(f"--store {inert_line(problem.says)}")
    # Whoever made a key by hand has seen it: it is not lost with the power.
    lasting = msgspec.structs.replace(config.store, durability="power")
    return store_place(config, os.environ), lasting


def key_of(store: Store, key_id: str) -> Key:
    """Return a key; an unknown id gets suggestions."""
    keys = {key.id: key for key in store.keys()}  # noqa: SIM118 - a store is no dict
    if key_id in keys:
        return keys[key_id]
    import difflib  # slow to load and rarely needed

    said = f"There is no key {inert_line(key_id)!r}."
    near = difflib.get_close_matches(key_id, keys, n=3)
    near += [key.id for key in keys.values() if key.name == key_id and key.id not in near][:3]
    if near:
        named = ", ".join(f"{one}{_named(keys[one])}" for one in near)
        said += f" Did you mean {named}?"
    raise click.ClickException(f"{said} `trunkline keys list --all` shows every key.")


def wished(fields: dict[str, Any], kind: type[T]) -> T:
    """Return what the options ask for as a wish; a value that does not fit is a usage error."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise click.UsageError(inert_line(str(error).replace("$.", "")) + ".") from error


def print_json(value: Any, *, secret: str | None = None) -> None:
    """Print a value as JSON; `secret` is one that is meant to be seen."""
    text = inert_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    click.echo(text if secret is not None else hide_secrets(text))


def joined(words: Iterable[str]) -> str:
    """Return words as one cell."""
    return ", ".join(words)


def _named(key: Key) -> str:
    return f" ({inert_line(key.name)})" if key.name else ""

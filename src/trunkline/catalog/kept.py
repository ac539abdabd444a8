"""Catalogs that need no network: the file that `trunkline models refresh` writes, the snapshot.

The file holds the router's rows as they came; the snapshot's form is told in docs/catalog.md.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from trunkline._version import __version__
from trunkline.catalog.entries import Catalog, ModelEntry, Offer, entries_of
from trunkline.errors import InvalidResponseError
from trunkline.kept_files import replace_file
from trunkline.providers.prices import Pricing, exact
from trunkline.settings import ROUTER, catalog_path
from trunkline.wire import strict_json

SNAPSHOT = "snapshot.json"
"""Lies in the package `trunkline.providers`."""


_DAMAGED = (UnicodeDecodeError, RecursionError, OverflowError)
"""What bytes that nobody here wrote can make of text, nesting and dates."""


class _File(msgspec.Struct, frozen=True):
    """What the file holds."""

    as_of: Annotated[datetime, msgspec.Meta(tz=True)]
    router: str
    data: Any
    """The rows of `/v1/models`."""


def catalog_file(environment: Mapping[str, str]) -> Path | None:
    """Return where the catalog is kept: `trunkline/models.json` in XDG's cache directory.

    None for a user without a home.
    """
    return catalog_path(environment)


def write_file(path: Path, data: bytes, router: str, now: datetime) -> None:
    """Keep the list that `router` gave; whoever reads meanwhile sees the old file or the new one.

    Nobody but the owner may read it. Raises OSError.
    """
    body = strict_json.decode(data)
    rows = body.get("data") if isinstance(body, dict) else body
    kept = msgspec.json.encode(_File(now, router, rows))
    replace_file(path, kept)


def read_file(path: Path, router: str | None = None) -> Catalog | None:
    """Return the catalog kept at `path`; None where there is none that can be read.

    With `router`, None for another router's, too.
    """
    try:
        return load_file(path, router)
    except InvalidResponseError:
        return None


def load_file(path: Path, router: str | None = None) -> Catalog | None:
    """Return the catalog kept at `path`, as read_file does.

    Raises InvalidResponseError, naming the file, where there is one that cannot be read.
    """
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_File)
        entries = completed(entries_of(kept.data))
        as_of = kept.as_of.astimezone(UTC)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, InvalidResponseError, *_DAMAGED) as error:
        raise InvalidResponseError(f"The file {path} cannot be read: {error}") from error
    if not entries or router not in (None, kept.router):
        return None
    return Catalog(entries, f"file {path}", as_of, kept.router)


@cache
def shipped() -> Catalog:
    """Return the snapshot that came with Trunkline: the same value each time."""
    data = pkgutil.get_data("trunkline.providers", SNAPSHOT)
    return read_snapshot(data or b"")


def read_snapshot(data: bytes) -> Catalog:
    """Read a snapshot as scripts/snapshot writes it."""
    body = msgspec.json.decode(data)
    origins = [_origin(told) for told in body["sources"]]
    entries = [_model(name, row, origins) for name, row in body["models"].items()]
    as_of = datetime.fromisoformat(body["as_of"]).replace(tzinfo=UTC)
    source = f"snapshot shipped with Trunkline {__version__}"
    return Catalog(tuple(entries), source, as_of, ROUTER)


def completed(entries: Iterable[ModelEntry]) -> tuple[ModelEntry, ...]:
    """Add from the snapshot what no router tells: whether a model reasons."""
    known = shipped()

    def complete(entry: ModelEntry) -> ModelEntry:
        found = known.find(entry.id)
        if found is None or found.reasoning is None or entry.reasoning is not None:
            return entry
        return msgspec.structs.replace(entry, reasoning=found.reasoning)

    return tuple(complete(entry) for entry in entries)


def _origin(told: dict[str, Any]) -> str:
    return f"{told['name']} {told['version']} of {told['date']}"


def _model(name: str, row: dict[str, Any], origins: list[str]) -> ModelEntry:
    return ModelEntry(
        id=name,
        owned_by=name.partition("/")[0],
        input_modalities=tuple(row.get("input", ())),
        output_modalities=tuple(row.get("output", ())),
        providers=tuple(
            _offer(provider, told, origins) for provider, told in row["offers"].items()
        ),
        reasoning=row.get("reasoning"),
    )


def _offer(provider: str, told: list[Any], origins: list[str]) -> Offer:
    """Read `[context, input price, output price, tools, structured output, sources]`."""
    context, input_price, output_price, tools, structured, sources = told
    return Offer(
        provider,
        context_length=context,
        pricing=Pricing(exact(input_price), exact(output_price)),
        supports_tools=tools,
        supports_structured_output=structured,
        origin=", ".join(origins[at] for at in sources),
    )

"""A cassette's file: readable JSON, replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trunkline.testing.errors import CassetteFileError
from trunkline.testing.exact_json import pretty
from trunkline.testing.interactions import Interaction, read_interaction

VERSION = 1
_MARK = "trunkline_cassette"


def read_cassette(path: Path) -> list[Interaction]:
    """Return what a file holds; raises CassetteFileError, saying what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CassetteFileError(
            f"There is no cassette at {path}.\n"
            f"Record one with record({str(path)!r}), or with replay(..., mode='once')."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CassetteFileError(f"The cassette {path} cannot be read: {error}.") from error
    version = document.get(_MARK) if isinstance(document, dict) else None
    if version != VERSION:
        said = "it is no cassette" if version is None else f"it is of version {version!r}"
        raise CassetteFileError(
            f"The cassette {path} cannot be read: {said}, and version {VERSION} is expected.\n"
            f"Record it anew with record({str(path)!r})."
        )
    return [_read(path, number, row) for number, row in enumerate(_rows(path, document), 1)]


def _rows(path: Path, document: dict[str, Any]) -> list[Any]:
    rows = document.get("interactions")
    if not isinstance(rows, list):
        raise CassetteFileError(f"The cassette {path} has no list of interactions.")
    return rows


def _read(path: Path, number: int, row: Any) -> Interaction:
    try:
        return read_interaction(row)
    except CassetteFileError as error:
        raise CassetteFileError(f"The cassette {path}, interaction {number}: {error}.") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return a file's interactions as they are written; raises CassetteFileError."""
    read_cassette(path)
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["interactions"]
    return rows


def write_cassette(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a file beside the one that is there, and put it in its place."""
    text = pretty({_MARK: VERSION, "interactions": list(rows)}) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise

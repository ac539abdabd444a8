"""A configuration file as raw values, each with its line; or an error that says where and why.

It knows TOML and files, not which keys there are.
"""

from __future__ import annotations

import decimal
import os
import re
import stat
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from trunkline.errors import ConfigurationError
from trunkline.gateway.config_lines import scan
from trunkline.gateway.config_problems import Where, dotted, masked

LARGEST = 1024 * 1024
"""Bytes that a configuration file may have."""
_POSITION = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class Written(msgspec.Struct, frozen=True):
    """What a file says."""

    path: Path
    values: dict[str, Any]
    lines: dict[Where, int]
    """By place, for every key and item that is written."""
    mode: int
    """The file's permissions."""


def read_file(path: Path) -> Written:
    """Read a TOML file; raises ConfigurationError for one that cannot be read whole."""
    data, mode = _bytes(path)
    text = _text(path, data)
    return Written(path, _values(path, text), scan(text)[0], mode)


def _bytes(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no configuration file {path}.") from error
    except IsADirectoryError as error:
        raise ConfigurationError(
            f"{path} is a directory. Name the file in it, such as {path / 'trunkline.toml'}."
        ) from error
    except PermissionError as error:
        raise ConfigurationError(
            f"{path} may not be read by this user. Change its owner or its permissions."
        ) from error
    except (OSError, ValueError) as error:  # the last: NUL in a name
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    if len(data) > LARGEST:
        raise ConfigurationError(
            f"{path} is larger than {LARGEST // 1024} KiB: that is no configuration file."
        )
    return data, mode


def _text(path: Path, data: bytes) -> str:
    for mark, name in _ENCODINGS:
        if data.startswith(mark):
            raise ConfigurationError(f"{path} is written in {name}. Save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path}, line {line}: there are bytes that are no UTF-8. Save the file as UTF-8."
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigurationError(
            f"{path}, line {line}: there is a NUL character. "
            "The file is damaged, or not saved as UTF-8."
        )
    return text


def _values(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=_decimal)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, text, str(error)) from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply.") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} holds a number of too many digits.") from error


def _decimal(text: str) -> Decimal:
    """Return a TOML float as it is written, so that 0.1 is 0.1."""
    try:
        return Decimal(text)
    except decimal.InvalidOperation:
        return Decimal("NaN")  # an exponent beyond all reason, which is refused like `nan`


def _wrong(path: Path, text: str, said: str) -> ConfigurationError:
    if any(word in said for word in ("overwrite", "twice", "Duplicate")):
        lines, again = scan(text)
        if again:
            where, line = again[0]
            return ConfigurationError(
                f"{path}, line {line}: {dotted(where)} is there twice; "
                f"the first is in line {lines[where]}. Keep one of them."
            )
    found = _POSITION.search(said)
    line = int(found[1]) if found and found[1] else text.count("\n") + 1
    column = f" (column {found[2]})" if found and found[2] else ""
    what = masked(_POSITION.sub("", said))
    return ConfigurationError(f"{path}, line {line}: this is no TOML: {what}{column}.{_hint(what)}")


def _hint(what: str) -> str:
    if what == "Invalid value":
        return " Text stands in quotes; numbers, true and false do not."
    return ""

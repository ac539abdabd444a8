"""The settings file: what a user wants of every program, where the environment does not say it.

`trunkline/settings.toml` in XDG's configuration directory. The environment is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.errors import ConfigurationError


class LogTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[log]`: the local log of calls."""

    file: str | bool | None = None
    """Where it is, or whether there is one, at its usual place."""
    content: bool | None = None
    keep: str | None = None


class SettingsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file may say."""

    log: LogTable = LogTable()
    path: Path | None = None
    """Where it was read; None where there is none."""


def settings_path(environment: Mapping[str, str]) -> Path | None:
    """Return where the file is, if there is one; None for a user without a home."""
    folder = environment.get("XDG_CONFIG_HOME", "")
    home = environment.get("HOME")
    try:
        if not Path(folder).is_absolute():  # as XDG has it: any other is to be ignored
            folder = f"{home}/.config" if home else str(Path("~/.config").expanduser())
    except RuntimeError:
        return None
    return Path(folder) / "trunkline" / "settings.toml"


def read_settings_file(environment: Mapping[str, str]) -> SettingsFile:
    """Read the file; raises ConfigurationError, naming it and what is wrong with it."""
    path = settings_path(environment)
    try:
        data = None if path is None else path.read_bytes()
    except OSError:  # as good as none, for a user who may not read it
        data = None
    if data is None:
        return SettingsFile()
    import tomllib  # only for those who have the file

    try:
        told: dict[str, Any] = tomllib.loads(data.decode())
        if "path" in told:
            raise msgspec.ValidationError("Object contains unknown field `path`")
        found = msgspec.convert(told, SettingsFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"The settings file {path}: {error}.") from error
    return msgspec.structs.replace(found, path=path)

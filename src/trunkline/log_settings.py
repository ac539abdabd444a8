"""Whether calls are logged on this machine, where, for how long: from words to values.

The environment is passed in; nothing is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from trunkline.errors import ConfigurationError, InvalidInputError
from trunkline.settings_file import SettingsFile

_OFF = frozenset({"0", "false", "no", "off"})
_ON = frozenset({"1", "true", "yes", "on"})
_DAYS = re.compile(r"(\d{1,6})\s*(?:d|days?)")
_CALLS = re.compile(r"(\d{1,12})(?:\s*calls?)?")


LogWish: TypeAlias = bool | str | os.PathLike[str] | None
"""A client's `log=`: a file, the usual one, none; None leaves it to the settings."""


class Keep(msgspec.Struct, frozen=True):
    """How much of the log is kept; None is no limit."""

    days: int | None = None
    calls: int | None = None


KEEP = Keep(days=30)
ARGUMENT = "the argument log="


class LogSettings(msgspec.Struct, frozen=True):
    """What is logged where no client says otherwise."""

    wanted: bool = False
    file: str | None = None
    """Where the log is, or would be; None for a user without a home who names no file."""
    origin: str = "default"
    """What said whether, and where."""
    content: bool = False
    """Whether prompts and answers are kept."""
    keep: Keep = KEEP


def read_log_settings(environment: Mapping[str, str], told: SettingsFile) -> LogSettings:
    """Return what the environment and the settings file say; raises ConfigurationError."""
    place = f"the settings file {told.path}"
    log, usual = told.log, usual_file(environment)
    wanted, file, origin = False, usual, "default"
    if log.file is not None:
        wanted, origin = log.file is not False, place
        file = _expanded(log.file, environment) if isinstance(log.file, str) else usual
    said = environment.get("TRUNKLINE_LOG", "").strip()
    if said:
        origin = "the environment variable TRUNKLINE_LOG"
        wanted = said.lower() not in _OFF
        if said.lower() not in _OFF | _ON:
            file = _expanded(said, environment)
    content = _flag(environment, "TRUNKLINE_LOG_CONTENT", default=bool(log.content))
    kept = environment.get("TRUNKLINE_LOG_KEEP", "").strip()
    keep = KEEP
    if kept:
        keep = read_keep(kept, "The environment variable TRUNKLINE_LOG_KEEP")
    elif log.keep is not None:
        keep = read_keep(log.keep, f"The settings file {told.path}, log.keep")
    return LogSettings(wanted, file, origin, content, keep)


def log_wanted(settings: LogSettings, wish: LogWish, *, content: bool | None) -> LogSettings:
    """Return what a client that was made with `log` and `log_content` logs; raises InvalidInputError."""
    if content is not None:
        settings = msgspec.structs.replace(settings, content=content)
    if isinstance(wish, bool):
        settings = msgspec.structs.replace(settings, wanted=wish, origin=ARGUMENT)
    elif wish is not None:
        if not isinstance(wish, (str, os.PathLike)) or not os.fspath(wish):
            raise InvalidInputError(f"log is {wish!r}; a path, True or False is expected.")
        file = str(Path(os.fspath(wish)).expanduser())
        settings = msgspec.structs.replace(settings, wanted=True, file=file, origin=ARGUMENT)
    if settings.wanted and settings.file is None:
        raise InvalidInputError(
            "There is no home directory for the log of calls.", hint="Name a file: log=PATH."
        )
    return settings


def usual_file(environment: Mapping[str, str]) -> str | None:
    """Return where the log is unless somebody says otherwise: in XDG's state directory."""
    folder = environment.get("XDG_STATE_HOME", "")
    try:
        if not Path(folder).is_absolute():
            folder = _expanded("~/.local/state", environment)
    except ConfigurationError:
        return None
    return f"{folder}/trunkline/calls.db"


def read_keep(text: str, place: str) -> Keep:
    """Read `30d`, `10000 calls` or `forever`; raises ConfigurationError."""
    said = text.strip().lower()
    if said == "forever":
        return Keep()
    days, calls = _DAYS.fullmatch(said), _CALLS.fullmatch(said)
    if days is not None and int(days[1]) > 0:
        return Keep(days=int(days[1]))
    if calls is not None and int(calls[1]) > 0:
        return Keep(calls=int(calls[1]))
    raise ConfigurationError(
        f"{place}: {text!r} does not say how much is kept. Write days (30d), a number of calls "
        "(10000) or forever."
    )


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    said = environment.get(name, "").strip().lower()
    if said and said not in _OFF | _ON:
        raise ConfigurationError(f"The environment variable {name} is {said!r}; write 1 or 0.")
    return said in _ON if said else default


def _expanded(path: str, environment: Mapping[str, str]) -> str:
    home = environment.get("HOME")
    if home and path.startswith("~/"):
        return home + path[1:]
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise ConfigurationError(
            "There is no home directory for the log of calls. Name a file in TRUNKLINE_LOG."
        ) from error

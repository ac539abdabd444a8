"""The configuration from its four places: defaults, file, environment, command line.

What was read says of each value where it is from. The environment is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from trunkline.errors import ConfigurationError, InvalidInputError
from trunkline.gateway.config import Config, Upstream
from trunkline.gateway.config_environment import check_environment, file_warnings, transit_warnings
from trunkline.gateway.config_problems import Problem, Where, as_error, dotted, standing
from trunkline.gateway.config_rules import problems
from trunkline.gateway.config_toml import Written, read_file
from trunkline.gateway.config_values import convert, leaves
from trunkline.settings import ROUTER
from trunkline.store.urls import is_url
from trunkline.wire.message import parse_url

FILE = "trunkline.toml"
"""Looked for in the working folder."""
FILE_VARIABLE = "TRUNKLINE_CONFIG"
ROUTER_VARIABLE = "TRUNKLINE_ROUTER"
VARIABLES: dict[str, Where] = {
    "TRUNKLINE_HOST": ("listen", "host"),
    "TRUNKLINE_PORT": ("listen", "port"),
    "TRUNKLINE_WORKERS": ("listen", "workers"),
    "TRUNKLINE_TLS_CERTIFICATE": ("listen", "tls_certificate"),
    "TRUNKLINE_TLS_KEY": ("listen", "tls_key"),
    "TRUNKLINE_DRAIN_SECONDS": ("edge", "drain_seconds"),
    "TRUNKLINE_DEFAULT_UPSTREAM": ("default_upstream",),
    "TRUNKLINE_STORE": ("store", "path"),
    "TRUNKLINE_DURABILITY": ("store", "durability"),
}
"""Environment variables and the keys that they set."""
_STORE_PATH: Where = ("store", "path")
_STORE_URL: Where = ("store", "url")
_OPTIONS = {"store.path": "--store", "store.url": "--store"}
"""Options whose name is not the key's last word."""
_ROUTER_HOST = parse_url(ROUTER).host
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that was read and is sound."""

    config: Config
    origins: dict[str, str]
    """By the dotted name of each value, in words: `trunkline.toml, line 12`, `default`."""
    path: Path | None
    """The file that was read; None where there was none to read."""
    warnings: tuple[str, ...] = ()


def read_config(
    path: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any] = _NOTHING
) -> Loaded:
    """Read the configuration; raises ConfigurationError, which tells everything that is wrong.

    Without `path`, `trunkline.toml` in the working folder is read if it is there, else the file
    that TRUNKLINE_CONFIG names. The environment comes before the file and `flags`, by dotted
    name, before both; a flag that is None was not given.
    """
    found, unread = _find(path, environment)
    layers = _Layers(None if found is None else read_file(found))
    layers.add_environment(environment)
    layers.add_flags(flags)
    config, wrong = convert(layers.values, frozenset(layers.outside))
    config = layers.complete(config, environment)
    layers.refuse(standing(wrong, problems(config)))
    return Loaded(
        config,
        {dotted(where): layers.origin(where)[0] for where, _ in leaves(config)},
        found,
        (
            *unread,
            *(file_warnings(found, layers.file.mode, config) if found and layers.file else ()),
            *transit_warnings(config),
            *check_environment(config, environment),
        ),
    )


def _find(path: Path | None, environment: Mapping[str, str]) -> tuple[Path | None, tuple[str, ...]]:
    """Return the file to read, and what to say of one that is not read."""
    if path is not None:
        return path, ()
    here, named = Path(FILE), environment.get(FILE_VARIABLE, "").strip()
    if here.exists():
        unread = f"{FILE} in this folder is read; {named}, which {FILE_VARIABLE} names, is not."
        same = not named or Path(named).resolve() == here.resolve()
        return here, () if same else (unread,)
    if named and not Path(named).exists():
        raise ConfigurationError(
            f"There is no configuration file {named}, which the environment variable "
            f"{FILE_VARIABLE} names."
        )
    return (Path(named) if named else None), ()


class _Layers:
    """Raw values, the later over the earlier, and where each is from."""

    def __init__(self, file: Written | None) -> None:
        self.file = file
        self.values: dict[str, Any] = {} if file is None else file.values
        self.outside: dict[Where, str] = {}
        """Where values are from that no file holds."""

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Take what variables say; an empty one says nothing."""
        for name, where in VARIABLES.items():
            value = environment.get(name, "").strip()
            if value:
                self._put(where, value, f"the environment variable {name}")

    def add_flags(self, flags: Mapping[str, Any]) -> None:
        """Take what options say."""
        for name, value in flags.items():
            if value is not None:
                where = tuple(name.split("."))
                option = _OPTIONS.get(name, f"--{where[-1].replace('_', '-')}")
                self._put(where, value, f"the option {option}")

    def _put(self, where: Where, value: Any, origin: str) -> None:
        if where == _STORE_PATH:
            where = self._only_store(str(value))
        table: Any = self.values
        for part in where[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                return  # the file has something else in its place, which is refused
        table[where[-1]] = value
        self.outside[where] = origin

    def _only_store(self, value: str) -> Where:
        """Return where a store's name belongs, and forget the one that it takes the place of."""
        where, other = (_STORE_URL, _STORE_PATH) if is_url(value) else (_STORE_PATH, _STORE_URL)
        store = self.values.get("store")
        if isinstance(store, dict):
            store.pop(other[-1], None)
            if where == _STORE_PATH:
                store.pop("password_env", None)
        self.outside.pop(other, None)
        return where

    def complete(self, config: Config, environment: Mapping[str, str]) -> Config:
        """Add what follows from the rest: Hugging Face as an upstream, kinds, a moved router."""
        upstreams = dict(config.upstreams)
        if config.default_upstream == "huggingface":
            upstreams.setdefault("huggingface", Upstream(kind="huggingface"))
        router = environment.get(ROUTER_VARIABLE, "").strip()
        for name, upstream in upstreams.items():
            changed = upstream
            if "kind" not in self._written(name):
                kind, reason = _kind(name, upstream)
                changed = msgspec.structs.replace(changed, kind=kind)
                self.outside["upstreams", name, "kind"] = reason
            if router and changed.kind == "huggingface":
                changed = msgspec.structs.replace(changed, base_url=router)
                origin = f"the environment variable {ROUTER_VARIABLE}"
                self.outside["upstreams", name, "base_url"] = origin
            upstreams[name] = changed
        return msgspec.structs.replace(config, upstreams=upstreams)

    def _written(self, name: str) -> Any:
        upstreams = self.values.get("upstreams")
        upstream = upstreams.get(name) if isinstance(upstreams, dict) else None
        return upstream if isinstance(upstream, dict) else {}

    def origin(self, where: Where) -> tuple[str, int]:
        """Return in words where a value is from, and its line, or 0."""
        if where in self.outside:
            return self.outside[where], 0
        line = self._line(where)
        if self.file is None or line is None:
            return "default", 0
        return f"{self.file.path}, line {line}", line

    def _line(self, where: Where) -> int | None:
        return None if self.file is None else self.file.lines.get(where)

    def refuse(self, wrong: Iterable[Problem]) -> None:
        """Raise an error that tells all problems, if there are any."""
        told = [self._and_who_read_it(problem) for problem in wrong]
        if told:
            raise as_error(told, self._blame)

    def _and_who_read_it(self, problem: Problem) -> Problem:
        private = self.file is None or not self.file.mode & 0o044
        if private or not problem.leaks or self._line(problem.where) is None:
            return problem
        says = f"{problem.says} Others on this machine can read the file: make a new key."
        return msgspec.structs.replace(problem, says=says)

    def _blame(self, where: Where) -> tuple[str, int]:
        """Return where to look for what is wrong, or missing, at a place."""
        within = (origin for place, origin in self.outside.items() if place[: len(where)] == where)
        if self._line(where) is None and (origin := next(within, None)) is not None:
            return origin, 0  # an unknown table that an option made
        for end in range(len(where), 0, -1):
            said, line = self.origin(where[:end])
            if said != "default":
                return said, line
        return ("The configuration" if self.file is None else str(self.file.path)), 0


def _kind(name: str, upstream: Upstream) -> tuple[Any, str]:
    """Return the kind of an upstream that does not say it, and why."""
    if upstream.provider is not None:
        return "provider", "follows from provider"
    if name == "huggingface":
        return "huggingface", "follows from the name"
    if upstream.base_url is not None and _is_router(upstream.base_url):
        return "huggingface", "follows from base_url"
    return "openai", "default"


def _is_router(url: str) -> bool:
    try:
        parsed = parse_url(url)
    except InvalidInputError:
        return False  # which is told where addresses are looked at
    return parsed.host == _ROUTER_HOST and parsed.target.rstrip("/") in ("", "/v1")

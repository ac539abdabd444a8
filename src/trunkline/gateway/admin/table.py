"""One route of the admin API as a row: where, who may, what goes in, what comes out.

Whoever serves, documents or tests the API walks the same rows. No HTTP library is known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from trunkline.gateway.admin.parts import AdminParts
from trunkline.store.records import Key, Role

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
_PATH = re.compile(r"/admin(/([a-z.]+|\{[a-z_]+\}))+")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No fields: what routes take that take nothing."""


class Csv(msgspec.Struct, frozen=True):
    """An answer that is a table in text."""

    text: str
    name: str
    """Of the file that a browser saves it as."""


class Visit(msgspec.Struct, frozen=True):
    """One request, read and allowed."""

    parts: AdminParts
    rows: tuple[Row, ...]
    caller: Key
    now: float
    path: dict[str, str]
    """The path's variables."""
    query: Any
    """As the row's `query`."""
    body: Any
    """As the row's `body`."""


class Row(msgspec.Struct, frozen=True):
    """A route."""

    method: Method
    path: str
    roles: tuple[Role, ...]
    """Who may use it; one that nobody named may not."""
    answer: Callable[[Visit], Any]
    """A coroutine function runs on the event loop, any other in a thread."""
    gives: Any
    """The type of the answer."""
    summary: str
    body: type[msgspec.Struct] = Nothing
    query: type[msgspec.Struct] = Nothing
    status: int = 200
    changes: bool = False
    """Whether keys or accounts are others afterwards. Such requests are answered one by one."""
    csv: bool = False
    """Whether the answer may also be a Csv."""

    def __post_init__(self) -> None:
        """Refuse a row that would be open to nobody in particular; raises ValueError."""
        if not self.roles or "caller" in self.roles:
            raise ValueError(f"{self.method} {self.path} does not say which roles may use it.")
        if not _PATH.fullmatch(self.path):
            raise ValueError(f"{self.path} is no path of the admin API.")

    @property
    def variables(self) -> list[str]:
        """Names of the path's variables."""
        return re.findall(r"\{([a-z_]+)\}", self.path)

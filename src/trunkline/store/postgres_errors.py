"""What went wrong with PostgreSQL, told as StoreErrors: what happened, where, what to do.

Neither passwords nor values are in what is said: PostgreSQL's details and the driver's own texts
repeat values, so they are left out.
"""

from __future__ import annotations

import ssl

import asyncpg
import msgspec

from trunkline.store.seam import (
    StoreConflictError,
    StoreError,
    StoreMissingError,
    StoreValueError,
)

TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    msgspec.MsgspecError,
)
"""What the driver and the reading of rows raise. TimeoutError is an OSError, UnicodeError a ValueError."""

_BY_STATE: dict[str, str] = {
    "28": "the user name or the password was refused; check store.url and store.password_env, and the "
    "server's pg_hba.conf",
    "3D000": "the server has no such database; create it (createdb), or name another in store.url",
    "42501": "this user may not do that; let it own the database and its tables",
    "25006": "it can only be read: the server is a standby, or set to read only; use the primary",
    "57014": "it took too long and was broken off; look what holds the database, or raise "
    "store.statement_seconds",
    "57P01": "the server was shut down or restarted; it is tried again by itself",
    "57P02": "the server crashed and restarts; it is tried again by itself",
    "57P03": "the server is starting or stopping; it is tried again by itself",
    "25P03": "a transaction stood still for too long and was broken off",
    "53300": "the server has no connection left; raise its max_connections, or lower store.connections",
    "53100": "the server's disk is full; free some space, then it goes on by itself",
    "53": "the server ran out of something; look at its log",
    "40": "others wanted the same at the same time; it is tried again by itself",
    "42P01": "it is empty or not up to date; migrate it (`trunkline db migrate`)",
    "42703": "it is empty or not up to date; migrate it (`trunkline db migrate`)",
    "08": "the connection was lost; it is tried again by itself",
    "58": "the server's disk or system failed; look at its log",
    "XX": "the server found damage or a mistake of its own; look at its log",
}
"""By SQLSTATE, or by its class."""
_CONFLICT, _MISSING = "23505", "23503"
_BROKEN = ("08", "25006", "57P", "XX", "58", "25P03")
"""After these a connection is not used again: the next one may reach another server."""
_AGAIN = ("40001", "40P01")


def explained(error: BaseException, place: str) -> StoreError:
    """Return the StoreError that tells what one of TROUBLE means; chain it with `from`."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_server(error, place)
    if isinstance(error, msgspec.MsgspecError):
        return StoreError(
            f"The store {place} holds a record that cannot be read; something else than Trunkline "
            "wrote to it: put a backup in its place."
        )
    if isinstance(error, asyncpg.ClientConfigurationError):
        return StoreError(
            f"The store {place} cannot be reached: store.url cannot be used ({error})."
        )
    if isinstance(error, (ValueError, OverflowError)) and not isinstance(error, ssl.SSLError):
        return StoreValueError(f"The store {place} cannot keep a value: {_of_value(error)}.")
    if isinstance(error, TimeoutError):
        return unanswered(place)
    if isinstance(error, OSError):
        said = error.strerror or type(error).__name__
        return StoreError(
            f"The store {place} does not answer ({said}); check that PostgreSQL runs there, that this "
            "machine reaches it, and store.url."
        )
    return StoreError(
        f"The store {place}: the connection was lost ({type(error).__name__}); it is tried again by "
        "itself."
    )


def unanswered(place: str) -> StoreError:
    """Return what is said of a server that is silent."""
    return StoreError(
        f"The store {place} does not answer in time; check that PostgreSQL runs there, that this "
        "machine reaches it, and how busy it is."
    )


def is_broken(error: BaseException) -> bool:
    """Tell whether the connection that an error came from is of no more use."""
    if isinstance(error, asyncpg.PostgresError):
        return _state(error).startswith(_BROKEN)
    return isinstance(error, (OSError, EOFError, asyncpg.InternalClientError)) or (
        isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
    )


def is_passing(error: BaseException) -> bool:
    """Tell whether the same transaction may well succeed when it is tried again at once."""
    return isinstance(error, asyncpg.PostgresError) and _state(error) in _AGAIN


def _state(error: asyncpg.PostgresError) -> str:
    return str(getattr(error, "sqlstate", None) or "08006")


def _of_server(error: asyncpg.PostgresError, place: str) -> StoreError:
    state = _state(error)
    said = getattr(error, "message", None) or type(error).__name__
    if state == _CONFLICT:
        return StoreConflictError(f"The store {place} has that already: {said}.")
    if state == _MISSING:
        return StoreMissingError(f"The store {place} has no key of that id: {said}.")
    if state.startswith(("22", "23", "54")):
        return StoreValueError(f"The store {place} cannot keep a value: {said}.")
    meaning = _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or "PostgreSQL refused"
    return StoreError(f"The store {place}: {meaning} ({said}).")


def _of_value(error: BaseException) -> str:
    """Say what a value is, without the value."""
    inner = error.__cause__ or error
    if isinstance(inner, UnicodeError):
        return "a text is not Unicode"
    if isinstance(inner, OverflowError):
        return "a number is too large"
    return "it is of the wrong type"

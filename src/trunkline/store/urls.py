"""URLs of databases: whether one names a database, and how it is shown. Pure.

Everything of a URL may be shown but its password.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SCHEMES = ("postgresql", "postgres")
_USERINFO = re.compile(r"(?<=://)([^/?#:@]*):([^/?#]*)@")
_PARAMETER = re.compile(r"(?<=[?&])(password|passfile|sslpassword)=[^&#]*", re.IGNORECASE)
HIDDEN = "****"


def is_url(text: str) -> bool:
    """Tell whether a store is named by a URL, and not by a file."""
    return "://" in text


def masked(url: str) -> str:
    """Return a URL without its password."""
    shown = _USERINFO.sub(rf"\1:{HIDDEN}@", url)
    return _PARAMETER.sub(rf"\1={HIDDEN}", shown)


def place_of(url: str) -> str:
    """Return where a database is, for messages: host, port and name."""
    authority, _, rest = url.partition("://")[2].partition("/")
    hosts = authority.rpartition("@")[2].partition("?")[0]
    name = rest.partition("?")[0]
    return f"{hosts or 'localhost'}/{name}".rstrip("/")


def wrong_with(url: str) -> str | None:
    """Say what is wrong with a database's URL; None where nothing is."""
    if url.partition("://")[0] not in SCHEMES:
        return "it does not begin with postgresql://"
    try:
        # Several hosts are for the driver to read; one has to be sound.
        if "," not in url:
            urlsplit(url).port  # noqa: B018 - raises where it is none
    except ValueError:
        return "its host or port cannot be read"
    if "@" in url.partition("://")[2].partition("/")[2].partition("?")[0]:
        return "a / or @ in its user or password has to be written as %2F or %40"
    if not url.partition("://")[2].strip("/"):
        return "it names no host and no database"
    return None


def wrong_with_redis(url: str) -> str | None:
    """Say what is wrong with a URL of Redis; None where nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "its host or port cannot be read"
    if parts.scheme not in {"redis", "rediss", "unix"}:
        return "it does not begin with redis://, rediss:// or unix://"
    if parts.scheme == "unix":
        return None if parts.path else "it names no socket"
    if not parts.hostname or port == 0:
        return "it names no host"
    database = parts.path.strip("/")
    if database and not database.isdigit():
        return "behind the host a number is wanted, that of a database, and nothing else"
    return None


def redis_place(url: str) -> str:
    """Return where a Redis server is, for messages."""
    rest = url.partition("://")[2].partition("?")[0]
    return rest.rpartition("@")[2] or "its URL"

"""URLs of databases: whether one names a database, and how it is shown. Pure.

Everything of a URL may be shown but its password.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

SCHEMES = ("postgresql", "postgres")
HIDDEN = "****"
_HOST = r"(?:\[[0-9A-Fa-f:.%]*\]|[^\[\]:@,/?#]*)(?::[0-9]*)?"
_SOUND = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>[^:@/?#]*)(?P<password>:[^/?#]*)?@)?"
    rf"(?P<rest>{_HOST}(?:,{_HOST})*(?:/[^?#@]*)?)"
    r"(?:\?(?P<query>[^#@]*))?"
)
"""What is read with certainty: nothing but its password can be one."""
_MEANT = re.compile(r"postgres(?:ql)?:|[^/]*:.*@", re.IGNORECASE)
"""What is meant as a URL though it is none: taken for a file's name, its password would be shown."""
_SECRET = re.compile(r"pass|secret|key", re.IGNORECASE)
_NESTED = re.compile(r"://|:.*@", re.DOTALL)
"""What tells of a URL in a part of one."""
_STRAY = "a / ? # or @ in its user or password has to be written as %2F, %3F, %23 or %40"


def is_url(text: str) -> bool:
    """Tell whether a store is named by a URL, and not by a file."""
    return "://" in text or _MEANT.match(text) is not None


def masked(url: str) -> str:
    """Return a URL without its password; one that is not read with certainty is not shown at all."""
    found = _SOUND.fullmatch(url)
    if found is None or _has_url(found["user"] or "") or _has_url(found["rest"]):
        return HIDDEN
    shown = f"{found['scheme']}://"
    if found["user"] is not None:
        shown += found["user"] + ("" if found["password"] is None else f":{HIDDEN}") + "@"
    shown += found["rest"]
    if found["query"] is None:
        return shown
    return f"{shown}?{'&'.join(map(_masked_parameter, found['query'].split('&')))}"


def _masked_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if _SECRET.search(unquote(name)) or _has_url(value):
        return f"{name}{equals}{HIDDEN}"
    return parameter


def _has_url(part: str) -> bool:
    return _NESTED.search(unquote(part)) is not None


def _has_stray_at(url: str) -> bool:
    """Tell whether an @ is where it may be the end of a password that is not written as it has to be."""
    authority, *rest = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)
    return "@" in "".join(rest) or authority.count("@") > 1


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
    if _has_stray_at(url):
        return _STRAY
    if _SOUND.fullmatch(url) is None:
        return "a part of it cannot be read"
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
    if _has_stray_at(url) and parts.scheme != "unix":
        return _STRAY
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

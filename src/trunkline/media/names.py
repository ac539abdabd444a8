"""File names as forms carry them: harmless, and with the ending that the content's type has."""

from __future__ import annotations

import re
from urllib.parse import unquote

from trunkline.media.sniff import Kind

_LONGEST = 100
_ENDING = re.compile(r"(?<=.)\.[a-zA-Z0-9]{1,5}$")


def file_name(source: str | None, kind: Kind | None) -> str | None:
    """Return the last part of a path or name with the ending that `kind` has.

    None where it is no name that can stand in a header: empty, too long, with quotes or
    characters that do not print.
    """
    name = re.split(r"[/\\]", source or "")[-1].strip().lstrip(".")
    if not name or not name.isprintable() or '"' in name or "'" in name:
        return None
    if kind is not None and kind.suffixes and not name.lower().endswith(kind.suffixes):
        name = _ENDING.sub("", name) + kind.suffixes[0]
    return name if len(name) <= _LONGEST else None


def name_in_url(url: str) -> str:
    """Return the last part of a URL's path, as its server names the file."""
    _, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    return unquote(path.rpartition("/")[2])


def without_query(url: str) -> str:
    """Return a URL for an error: without its query, which may hold a signature, and not too long."""
    return url.partition("?")[0][:200]

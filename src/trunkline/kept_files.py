"""Small files that programs of one user share: beside the catalog, replaced whole, one writer at a time."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Generator
from pathlib import Path

from trunkline.settings import ROUTER, Settings

_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


def beside_catalog(settings: Settings, what: str) -> Path | None:
    """Return the path of a router's file of something; None for a user without a home."""
    catalog = settings.catalog_file.value
    if catalog is None:
        return None
    url = settings.router_url.rstrip("/").removesuffix("/v1")
    name = "" if url == ROUTER else "-" + _UNSAFE.sub("-", url.partition("://")[2])
    return Path(catalog).with_name(f"{what}{name}.json")


def replace_file(path: Path, data: bytes) -> None:
    """Write a file; whoever reads meanwhile sees the old one or the new one. Raises OSError.

    Nobody but the owner may read it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - Path.open takes no mode bits
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def alone(path: Path) -> Generator[None]:
    """Have `path` for oneself among programs that ask so."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("wb") as file:
        try:
            import fcntl
        except ImportError:  # Windows: the last writer counts
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file lets go
        yield

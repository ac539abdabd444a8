"""The file of marks: which providers answer otherwise than their peers, kept between runs."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from trunkline.errors import InvalidResponseError
from trunkline.routing.marks import Mark, read_marks, write_marks
from trunkline.settings import ROUTER, Settings

_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


def load_marks(path: Path | None) -> tuple[Mark, ...]:
    """Return the marks kept at `path`; none where there is no such file.

    Raises InvalidResponseError, naming the file, where there is one that cannot be read.
    """
    if path is None:
        return ()
    try:
        return read_marks(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, InvalidResponseError) as error:
        raise InvalidResponseError(
            f"The file of marks {path} cannot be read: {error}. Mend it, or delete it to start anew."
        ) from error


def save_marks(path: Path, marks: Iterable[Mark]) -> None:
    """Keep marks; whoever reads meanwhile sees the old file or the new one. Raises OSError.

    Nobody but the owner may read it: the evidence quotes prompts and answers.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - Path.open takes no mode bits
            file.write(write_marks(marks))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def change_marks(
    path: Path, change: Callable[[tuple[Mark, ...]], Iterable[Mark]]
) -> tuple[Mark, ...]:
    """Read the marks, change them and keep them, one process at a time; return what is kept."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path.with_name(f".{path.name}.lock")):
        marks = tuple(change(load_marks(path)))
        save_marks(path, marks)
    return marks


def marks_file(settings: Settings) -> Path | None:
    """Return where marks are kept: beside the catalog, a file for each router.

    None for a user without a home.
    """
    catalog = settings.catalog_file.value
    if catalog is None:
        return None
    url = settings.router_url.rstrip("/").removesuffix("/v1")
    name = "" if url == ROUTER else "-" + _UNSAFE.sub("-", url.partition("://")[2])
    return Path(catalog).with_name(f"marks{name}.json")


@contextlib.contextmanager
def _alone(lock: Path) -> Generator[None]:
    with lock.open("wb") as file:
        try:
            import fcntl
        except ImportError:  # Windows: the last writer counts
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file lets go
        yield

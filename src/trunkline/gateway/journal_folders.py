"""Where a process writes its journal: the folder itself, or a numbered one in it where there are several.

The numbers have no meaning: a process takes the first folder that no other has locked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from trunkline.errors import ConfigurationError
from trunkline.gateway.journal_files import FolderLock

_MOST = 1000
"""Processes of one machine on one folder."""
_log = logging.getLogger(__name__)


def take_whole(folder: Path) -> FolderLock:
    """Lock a folder for a gateway that shares its store with no other; raises ConfigurationError.

    Its workers, if it has any, have numbered folders within.
    """
    try:
        return FolderLock(folder)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"Another gateway uses the store beside {folder}. One gateway serves a SQLite file; end "
            "that one, or give this one another store (store.path or --store)."
        ) from error
    except OSError as error:
        raise _unusable(folder, error) from error


def take_numbered(folder: Path) -> tuple[FolderLock, Path]:
    """Lock the first numbered folder that is free; raises ConfigurationError."""
    for number in range(_MOST):
        own = folder / str(number)
        try:
            return FolderLock(own), own
        except BlockingIOError:
            continue
        except OSError as error:
            raise _unusable(own, error) from error
    raise ConfigurationError(f"All of {_MOST} folders in {folder} are in use by other processes.")


def unused(folder: Path, *, itself: bool) -> Iterator[Path]:
    """Yield each folder of journals that nobody writes to, locked meanwhile; `itself` among them."""
    numbered = [path for path in folder.glob("[0-9]*") if path.name.isdigit() and path.is_dir()]
    for path in [*([folder] if itself else []), *sorted(numbered)]:
        try:
            lock = FolderLock(path)
        except BlockingIOError:
            continue  # somebody else's, who brings in what is there
        except OSError as error:
            _log.warning(
                "a journal's folder cannot be opened: what it may have is not brought in",
                extra={"path": str(path), "reason": str(error.strerror)},
            )
            continue
        try:
            yield path
        finally:
            lock.release()


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The journal's folder {folder} cannot be used ({error.strerror}); let this user write "
        "there, or put the store elsewhere (store.path or --store)."
    )

"""The file of marks: which providers answer otherwise than their peers, kept between runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from trunkline.errors import InvalidResponseError
from trunkline.kept_files import alone, beside_catalog, replace_file
from trunkline.routing.marks import Mark, read_marks, write_marks
from trunkline.settings import Settings


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
    replace_file(path, write_marks(marks))


def change_marks(
    path: Path, change: Callable[[tuple[Mark, ...]], Iterable[Mark]]
) -> tuple[Mark, ...]:
    """Read the marks, change them and keep them, one process at a time; return what is kept."""
    with alone(path):
        marks = tuple(change(load_marks(path)))
        save_marks(path, marks)
    return marks


def marks_file(settings: Settings) -> Path | None:
    """Return where marks are kept: beside the catalog, a file for each router.

    None for a user without a home.
    """
    return beside_catalog(settings, "marks")

"""How many examples property tests try, fewer in the usual run than where there is time, and where."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PERCENT = int(os.environ.get("TRUNKLINE_TEST_EXAMPLES", "40"))
"""Of those that a test asks for."""


def often(count: int) -> int:
    """Return how many examples to try of `count`; five at least."""
    return max(count * PERCENT // 100, min(count, 5))


def new_folder() -> Path:
    """Return a new folder, in memory where there is such a place: a disk may be slow hundreds of times."""
    memory = "/dev/shm"  # noqa: S108 - mkdtemp makes what nobody else may read
    return Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))

"""What type checkers make of cassettes. Read by mypy and pyright, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from trunkline.testing import Cassette, CassetteError, LeftOverError, NoMatchError, record, replay


def cassettes() -> None:
    """Both context managers, and their errors."""
    with record("c.json", secrets=["Bluebird"]) as recorded:
        assert_type(recorded, Cassette)
    with replay(Path("c.json"), match="lenient", mode="once") as cassette:
        assert_type(cassette, Cassette)
        assert_type(cassette.requests, list[dict[str, Any]])
        assert_type(cassette.play_count, int)
    with replay("c.json", match="exact"):  # type: ignore[arg-type]
        pass
    found: list[type[CassetteError]] = [NoMatchError, LeftOverError]
    assert_type(found, list[type[CassetteError]])

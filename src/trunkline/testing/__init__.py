"""For tests of programs that use Trunkline: a sandbox that answers, calls recorded and replayed.

Installing Trunkline makes the fixtures known to pytest; nothing else is loaded until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trunkline.testing.cassettes import Cassette as Cassette
    from trunkline.testing.cassettes import record as record
    from trunkline.testing.cassettes import replay as replay
    from trunkline.testing.errors import CassetteError as CassetteError
    from trunkline.testing.errors import CassetteFileError as CassetteFileError
    from trunkline.testing.errors import LeftOverError as LeftOverError
    from trunkline.testing.errors import NoMatchError as NoMatchError

try:
    from trunkline.testing.plugin import TOKEN as TOKEN
    from trunkline.testing.plugin import pytest_addoption as pytest_addoption
    from trunkline.testing.plugin import pytest_configure as pytest_configure
    from trunkline.testing.plugin import pytest_runtest_makereport as pytest_runtest_makereport
    from trunkline.testing.plugin import trunkline_cassette as trunkline_cassette
    from trunkline.testing.plugin import trunkline_sandbox as trunkline_sandbox
except ImportError:  # no pytest: cassettes work without
    pass

__all__ = [
    "Cassette",
    "CassetteError",
    "CassetteFileError",
    "LeftOverError",
    "NoMatchError",
    "record",
    "replay",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first needed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "errors" if name.endswith("Error") else "cassettes"
    return getattr(import_module(f"{__name__}.{home}"), name)

"""What goes wrong with cassettes. No APIError among them: nothing retries or passes over these."""

from __future__ import annotations

from trunkline.errors import TrunklineError


class CassetteError(TrunklineError):
    """A cassette cannot be used, or does not fit what the program under test does."""


class CassetteFileError(CassetteError, ValueError):
    """A cassette's file is not there, or is none."""


class NoMatchError(CassetteError, AssertionError):
    """The program asked for what was not recorded.

    `asked` says for what, `differences` in which fields it differs from the nearest that was.
    """

    def __init__(self, message: str, asked: str = "", differences: tuple[str, ...] = ()) -> None:
        """Keep the facts."""
        super().__init__(message)
        self.asked = asked
        self.differences = differences


class LeftOverError(CassetteError, AssertionError):
    """The program did not ask for all that was recorded; `left` says for what not."""

    def __init__(self, message: str, left: tuple[str, ...] = ()) -> None:
        """Keep the facts."""
        super().__init__(message)
        self.left = left

"""The interactions of a cassette, handed out to requests; what is asked beyond them is an error."""

from __future__ import annotations

import threading
from pathlib import Path

from trunkline.testing.errors import LeftOverError, NoMatchError
from trunkline.testing.interactions import Interaction, written_request
from trunkline.testing.matching import (
    Match,
    Written,
    alike,
    differences,
    line_of,
    nearness,
    same,
    told,
)
from trunkline.testing.scrub import Scrubber
from trunkline.wire.message import HttpRequest

_MOST = 20
"""Left-overs that are told."""


class CassetteDeck:
    """Answers requests from what was recorded. Safe from several threads."""

    def __init__(
        self,
        interactions: list[Interaction],
        match: Match,
        *,
        path: Path,
        scrub: Scrubber,
        adds: bool,
    ) -> None:
        """Hand out `interactions`; with `adds`, what is not among them may be asked for real."""
        self.interactions = interactions
        self.played: list[int] = []
        """The places of those that were handed out, in that order."""
        self.unmatched: list[NoMatchError] = []
        self._used: set[int] = set()
        self._match: Match = match
        self._path = path
        self._scrub = scrub
        self._adds = adds
        self._lock = threading.Lock()

    def draw(self, request: HttpRequest) -> Interaction | None:
        """Return what answers `request`; None where it may be sent. Raises NoMatchError."""
        with self._lock:
            self._scrub.learn(request.headers)
            asked = written_request(request, self._scrub)
            found = self._find(asked)
            if found is not None:
                self._used.add(found)
                self.played.append(found)
                return self.interactions[found]
            if self._adds:
                return None
            self.unmatched.append(self._refusal(asked))
            raise self.unmatched[-1]

    @property
    def left(self) -> list[int]:
        """The places of those that nobody asked for."""
        return [n for n in range(len(self.interactions)) if n not in self._used]

    def check_all_played(self) -> None:
        """Raise LeftOverError where something is left that was to be asked for."""
        left = tuple(f"{n + 1}. {line_of(self.interactions[n].request)}" for n in self.left)
        if self._match == "lenient" or self._adds or not left:
            return
        shown = "\n".join(f"  {line}" for line in left[:_MOST])
        more = f"\n  and {len(left) - _MOST} more" if len(left) > _MOST else ""
        raise LeftOverError(
            f"{len(left)} of the {len(self.interactions)} requests in {self._path} were not asked "
            f"for:\n{shown}{more}\n"
            "If the program does not need them any more, record it anew: "
            f"record({str(self._path)!r}). match='lenient' lets them be.",
            left,
        )

    def _find(self, asked: Written) -> int | None:
        if self._match == "lenient":
            return self._find_alike(asked)
        fresh = self.left if self._adds else self.left[:1]
        return next((n for n in fresh if same(self.interactions[n].request, asked)), None)

    def _find_alike(self, asked: Written) -> int | None:
        """Return the best fit: the same before one alike, and each one unused before it is used."""
        fits = [n for n, it in enumerate(self.interactions) if alike(it.request, asked)]
        equal = [n for n in fits if same(self.interactions[n].request, asked)]
        fresh = [n for n in equal if n not in self._used]
        if equal:
            return fresh[0] if fresh else equal[-1]
        fresh = [n for n in fits if n not in self._used]
        return max(
            fresh or fits,
            key=lambda n: (nearness(self.interactions[n].request, asked), -n),
            default=None,
        )

    def _refusal(self, asked: Written) -> NoMatchError:
        total, left = len(self.interactions), self.left
        strict = self._match == "strict"
        where = "is left" if not left else f"number {left[0] + 1} of {total} is next"
        lines = [f"What is asked was not recorded: {line_of(asked)}."]
        if not total:
            lines.append(f"The cassette {self._path} is empty.")
        elif strict:
            lines.append(f"In {self._path} {'nothing ' if not left else ''}{where}.")
        near = left[:1] if strict and left else list(range(total))
        best = max(
            near, key=lambda n: (nearness(self.interactions[n].request, asked), -n), default=None
        )
        found: tuple[str, ...] = ()
        if best is not None:
            recorded = self.interactions[best].request
            found = told(differences(recorded, asked))
            lines.append(f"{'That' if strict and left else 'The nearest'} is {line_of(recorded)}.")
            lines += [f"  {line}" for line in found] or ["  It is the same, and has been used."]
        lines += self._advice(asked)
        return NoMatchError("\n".join(lines), line_of(asked), found)

    def _advice(self, asked: Written) -> list[str]:
        later = [n for n in self.left[1:] if same(self.interactions[n].request, asked)]
        advice = []
        if later and self._match == "strict":
            advice.append(
                f"It was recorded as number {later[0] + 1}: calls at the same time may come in "
                "another order, which match='lenient' allows."
            )
        anew = f"Record it anew with record({str(self._path)!r})"
        return [*advice, f"{anew}, or add what is missing with replay(..., mode='new_episodes')."]

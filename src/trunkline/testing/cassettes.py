"""Recording a program's calls into a file, and answering them from it.

`record` lets every request of every client through and writes what came of it; `replay` answers from
the file, without a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

from trunkline.errors import ConfigurationError
from trunkline.interposed import interposed
from trunkline.routing.carry import Flow
from trunkline.settings import secret_values
from trunkline.testing.cassette_file import read_cassette, read_rows, write_cassette
from trunkline.testing.deck import CassetteDeck
from trunkline.testing.interactions import written_answer, written_request
from trunkline.testing.matching import Match
from trunkline.testing.recording import AsyncRecording, Note, Recording, Tape
from trunkline.testing.replaying import AsyncReplaying, Replaying, without_races, without_waits
from trunkline.testing.scrub import Scrubber
from trunkline.transport.seam import AsyncTransport, Transport
from trunkline.types import Secret

T = TypeVar("T")
Mode = Literal["none", "once", "new_episodes", "all"]
StrPath = str | os.PathLike[str]

MODES: tuple[Mode, ...] = ("none", "once", "new_episodes", "all")
_MATCHES: tuple[Match, ...] = ("strict", "lenient")
STAND_IN = Secret("hf_" + "replayed" * 2, "the cassette")
"""Goes along where a program has no token, so that it comes as far as asking."""
_PAYER, _NAME = "x-hf-bill-to", 3
"""Who pays, and the letters from which on that is taken for a name."""


class Cassette:
    """A cassette in use: how much was recorded, and how much of it was asked for."""

    def __init__(
        self, path: Path, scrub: Scrubber, deck: CassetteDeck | None, tape: Tape | None
    ) -> None:
        """Answer from `deck` and write to `tape`, where they are."""
        self.path = path
        self.scrub = scrub
        self.deck = deck
        self.tape = tape
        self.forgiving = False
        """Whether nothing is to be said at the end: the test has failed by itself."""
        self._remembered: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def __len__(self) -> int:
        """Return how many interactions there are."""
        recorded = len(self.tape.notes) if self.tape else 0
        return recorded + (len(self.deck.interactions) if self.deck else 0)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What was recorded as asked, in the form that the file has."""
        before = [it.request for it in self.deck.interactions] if self.deck else []
        notes = self.tape.notes if self.tape else []
        for note in notes:
            self.scrub.learn(note.request.headers)
        return before + [written_request(note.request, self.scrub) for note in notes]

    @property
    def play_count(self) -> int:
        """How many requests were answered from the file."""
        return len(self.deck.played) if self.deck else 0

    @property
    def all_played(self) -> bool:
        """Whether everything in the file was asked for."""
        return not (self.deck and self.deck.left)

    @property
    def token(self) -> Secret | None:
        """What stands in for a token; where requests are really sent, nothing does."""
        return STAND_IN if self.tape is None else None

    def blocking(self, transport: Transport) -> Transport:
        """Return what is asked in place of `transport`."""
        line = Recording(transport, self.tape) if self.tape else transport
        return Replaying(self.deck, line) if self.deck else line

    def awaiting(self, transport: AsyncTransport) -> AsyncTransport:
        """Return what is asked in place of `transport`."""
        line = AsyncRecording(transport, self.tape) if self.tape else transport
        return AsyncReplaying(self.deck, line) if self.deck else line

    def flow(self, flow: Flow[T]) -> Flow[T]:
        """Return `flow` without races, and without waits where nothing is really sent."""
        flow = without_races(flow)
        return flow if self.tape else without_waits(flow)

    def apart(self, owner: object, make: Callable[[], T]) -> T:
        """Return what `owner` remembers while this is in use: the same look-ups each time."""
        found: T = self._remembered.setdefault(owner, make())
        return found


def record(path: StrPath, *, secrets: Iterable[str] = ()) -> AbstractContextManager[Cassette]:
    """Write every request of the block, and what came of it, to a file at its end.

    A context manager; a file that is there is replaced. Credentials, cookies, user ids and whatever
    looks like a key stay out of it; name in `secrets` what else has to.
    """
    return replay(path, mode="all", secrets=secrets)


@contextmanager
def replay(
    path: StrPath,
    match: Match = "strict",
    *,
    mode: Mode = "none",
    secrets: Iterable[str] = (),
) -> Generator[Cassette]:
    """Answer every request of the block from a file, without a network and without waiting.

    A context manager. With `match="strict"` requests have to be the same, JSON by its value, and in
    the same order, each once, and all of them have to come; with "lenient" method, path and model
    have to be the same, in any order and as often as wanted. `mode` is what vcrpy calls it: "none"
    never asks anybody, "once" records where there is no file, "new_episodes" records what is
    missing, "all" records everything anew. Raises NoMatchError, LeftOverError, CassetteFileError.
    """
    where = _checked(path, match, mode)
    scrub = Scrubber((*secret_values(), *secrets))
    cassette = _loaded(where, match, mode, scrub)
    try:
        with interposed(cassette):
            yield cassette
    except BaseException:
        _keep(cassette)
        raise
    _keep(cassette)
    deck = cassette.deck
    if deck is not None and not cassette.forgiving:
        if deck.unmatched:  # the program went on as if nothing had been
            raise deck.unmatched[0]
        deck.check_all_played()


def _checked(path: StrPath, match: str, mode: str) -> Path:
    for name, value, known in (("match", match, _MATCHES), ("mode", mode, MODES)):
        if value not in known:
            raise ConfigurationError(f"{name} is {value!r}; one of {', '.join(known)} is expected.")
    return Path(path)


def _loaded(path: Path, match: Match, mode: Mode, scrub: Scrubber) -> Cassette:
    there = path.exists()
    anew = mode == "all" or (mode == "once" and not there)
    adds = mode == "new_episodes"
    if anew or (adds and not there):
        return Cassette(path, scrub, None, Tape())
    deck = CassetteDeck(read_cassette(path), match, path=path, scrub=scrub, adds=adds)
    return Cassette(path, scrub, deck, Tape() if adds else None)


def _keep(cassette: Cassette) -> None:
    """Write what was recorded, behind what was there."""
    if cassette.tape is None:
        return
    notes = cassette.tape.notes
    if cassette.deck is not None and not notes:
        return
    before = read_rows(cassette.path) if cassette.deck is not None else []
    write_cassette(cassette.path, [*before, *_written(notes, cassette.scrub)])


def _written(notes: list[Note], scrub: Scrubber) -> list[dict[str, Any]]:
    answers = [note.answer() for note in notes]
    for note, answer in zip(notes, answers, strict=True):  # all secrets first, then the texts
        scrub.learn(note.request.headers)
        scrub.learn(answer.headers.items(), sent=False)
    rows: list[dict[str, Any]] = []
    for note, answer in zip(notes, answers, strict=True):
        headers = note.request.headers
        payers = [text for name, text in headers if name == _PAYER and len(text) >= _NAME]
        request = written_request(note.request, scrub)
        rows.append({"request": request, "answer": written_answer(answer, scrub, payers)})
    return rows

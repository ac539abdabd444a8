"""What was measured, as values that are written and read again: samples and the run they belong to."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from trunkline.errors import InvalidInputError
from trunkline.routing.health import Outcome
from trunkline.types.receipt import TokenSource

FORM = "trunkline.bench/1"


class Call(msgspec.Struct, frozen=True):
    """A call of a tool, as it was answered."""

    name: str
    arguments: str


class Answer(msgspec.Struct, frozen=True):
    """What a provider answered."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: the tokens went into reasoning, say."""
        return not self.text.strip() and not self.calls

    @property
    def ran_out(self) -> bool:
        """Whether the limit on tokens came before it said anything, so that it tells nothing."""
        return self.finish == "length" and self.is_empty

    def shown(self) -> str:
        """Return it as text."""
        spelt = " ".join(f"{call.name}({call.arguments})" for call in self.calls)
        return f"{self.text.strip()} {spelt}".strip()


class Sample(msgspec.Struct, frozen=True):
    """One call, and what came of it. None is unknown."""

    provider: str
    prompt: str
    run: int
    began: float
    """Seconds since the run began."""
    seconds: float
    """To the end of the answer, or to the error."""
    first_token: float | None = None
    """Seconds to the first text, reasoning or call of a tool."""
    throughput: float | None = None
    """Tokens a second, from the first token to the last."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: TokenSource = "unknown"
    cost: Decimal | None = None
    """US dollars, exact."""
    cost_is: str = ""
    """How the cost came about, or why it is unknown."""
    served_by: str | None = None
    answer: Answer | None = None
    error: str | None = None
    """Class of the error; None where the call was answered."""
    message: str = ""
    """What the error said, without what looks like a secret."""
    outcome: Outcome = "good"
    """What the call's end says of its place: an error of the caller's own says nothing bad."""
    wrong: str | None = None
    """What is wrong with the answer, where it was expected to be another."""
    judged: bool = False
    """Whether there was anything to hold the answer against."""


class Place(msgspec.Struct, frozen=True):
    """A provider's offer of the model, as the catalog told it when the run began."""

    provider: str
    input_price: Decimal | None = None
    """US dollars for a million tokens."""
    output_price: Decimal | None = None
    context: int | None = None
    tools: bool | None = None
    structured: bool | None = None
    skipped: str | None = None
    """Why it was not asked."""


class Settings(msgspec.Struct, frozen=True):
    """How a run was made."""

    runs: int
    concurrency: int
    max_tokens: int
    timeout: float
    cap: Decimal | None = None


class Asked(msgspec.Struct, frozen=True):
    """A prompt as a report shows it."""

    name: str
    text: str
    looks_at: str = ""
    expected: str | None = None
    weight: float = 1.0


class Finding(msgspec.Struct, frozen=True):
    """A prompt to which one place answers otherwise than it should, with what was said."""

    provider: str
    prompt: str
    kind: Literal["wrong", "differs"]
    what: str
    said: str
    peers: dict[str, str] = {}
    weight: float = 1.0


class Odd(msgspec.Struct, frozen=True):
    """A place that stands out, and why."""

    provider: str
    reason: str
    findings: tuple[Finding, ...]


class Pair(msgspec.Struct, frozen=True):
    """How two places agree over all prompts that both answered."""

    first: str
    second: str
    similarity: float
    exact: float
    """Part of the answers that are the same once normalised."""
    compared: int


class Run(msgspec.Struct, frozen=True):
    """One measurement, whole: all that a report is made of."""

    model: str
    began: datetime
    ended: datetime
    router: str
    catalog: str
    """Where the prices are from, and of when."""
    settings: Settings
    places: tuple[Place, ...]
    prompts: tuple[Asked, ...]
    samples: tuple[Sample, ...]
    pairs: tuple[Pair, ...] = ()
    odd: tuple[Odd, ...] = ()
    notes: tuple[str, ...] = ()
    spent: Decimal = Decimal(0)
    """What is known to have been spent."""
    unsure: Decimal = Decimal(0)
    """What calls of unknown cost can have cost beyond that."""
    form: str = FORM

    def of(self, provider: str) -> list[Sample]:
        """Return the samples of one place."""
        return [sample for sample in self.samples if sample.provider == provider]

    @property
    def asked(self) -> list[Place]:
        """The places that were asked."""
        return [place for place in self.places if place.skipped is None]


def write_run(run: Run, figures: Any = None) -> bytes:
    """Write a run as JSON; `figures`, what was worked out of it, go in beside it and are not read."""
    body: dict[str, Any] = msgspec.to_builtins(run, builtin_types=(datetime,))
    if figures is not None:
        body["figures"] = figures
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def read_run(data: bytes, name: str) -> Run:
    """Read what `write_run` wrote; raises InvalidInputError that names the file."""
    try:
        run = msgspec.json.decode(data, type=Run)
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
        OverflowError,
        ValueError,
    ) as error:
        raise InvalidInputError(f"{name} is no run of `trunkline bench --json`: {error}") from error
    if run.form != FORM:
        raise InvalidInputError(
            f"{name} is of the form {run.form!r}; this Trunkline reads {FORM!r}."
        )
    return run

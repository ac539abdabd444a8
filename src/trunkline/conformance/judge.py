"""Whether what a client got of a fault is right: a row, the truth and an outcome in, a verdict out. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trunkline.conformance.outcome import Outcome, Said, Shape, Tokens, Told
from trunkline.conformance.rows import BLAME, TRUE_STATUSES, Row, VerdictName
from trunkline.sandbox.fault_http import STRANGE

_LEAST_SECRET = 8
"""Characters from which a credential is looked for: shorter ones are found by chance."""


class Truth(msgspec.Struct, frozen=True):
    """What happened at the upstream."""

    said: Said = Said()
    """What its answer says without the fault."""
    asked: int = 1
    """How often it was asked for this call."""
    secret: str = ""
    """The credential that it was sent."""
    followed: str = ""
    """What was sent along where a redirect to another host was followed: the credential, the prompt."""
    left: bool = True
    """Whether it saw the client go, of an answer without end."""


class Verdict(msgspec.Struct, frozen=True):
    """One fault's verdict."""

    name: VerdictName
    why: str
    expected: bool


def judge(row: Row, shape: Shape, truth: Truth, outcome: Outcome) -> Verdict:
    """Return the verdict."""
    name, why = _judge(row, shape, truth, outcome)
    expected = name in row.may and (truth.asked > 0)
    return Verdict(name, why, expected)


_Found = tuple[VerdictName, str]


def _judge(row: Row, shape: Shape, truth: Truth, outcome: Outcome) -> _Found:
    leaked = _leaked(row, truth, outcome)
    if leaked:
        return "wrong", leaked
    if truth.asked == 0 and outcome.ended == "error":
        return "safe error", "the sandbox was not asked, so nothing is known of this fault"
    return _ENDINGS[outcome.ended](row, shape, truth, outcome)


def _leaked(row: Row, truth: Truth, outcome: Outcome) -> str:
    secret = truth.secret.encode()
    if len(secret) >= _LEAST_SECRET and secret in outcome.raw:
        return "the credential for the upstream is in the answer"
    if STRANGE.encode() in outcome.raw:
        return "somebody else's answer"
    if truth.followed:
        return f"a redirect to another host was followed, with {truth.followed}"
    shown = next((mark for mark in row.hidden if mark in outcome.head), b"")
    return f"a header of the upstream went on to the client: {shown.decode()}" if shown else ""


# how it ended


def _finished(row: Row, shape: Shape, truth: Truth, outcome: Outcome) -> _Found:
    if "pass" not in row.may:
        ended = f"finish reason {outcome.said.finish!r}" if outcome.said.finish else "[DONE]"
        ended = ended if shape == "stream" or outcome.said.finish else "status 200"
        return "wrong", f"called finished ({ended}), and it is not: {row.why}"
    wrong = _difference(row, shape, truth, outcome.said)
    return ("wrong", wrong) if wrong else ("pass", row.why)


def _ended(_: Row, __: Shape, ___: Truth, ____: Outcome) -> _Found:
    return "wrong", "a cut stream ends as if it were whole: no finish reason, no error"


def _error(row: Row, _: Shape, truth: Truth, outcome: Outcome) -> _Found:
    error = outcome.error
    if error is None:
        return "wrong", "an error without words"
    wrong = _untrue(row, error) or _changed_start(row, truth, outcome.said)
    if wrong:
        return "wrong", wrong
    where = "an error in the stream" if error.in_stream else f"status {error.status}"
    words = "" if error.message else ", without a message in OpenAI's form"
    return "safe error", f"{where}{words}: {row.why}"


def _broken(row: Row, _: Shape, truth: Truth, outcome: Outcome) -> _Found:
    if truth.asked == 0:
        return "wrong", "the connection breaks, and the sandbox was not asked"
    if row.told not in ("upstream", "busy", "late", "either"):
        return "wrong", f"the connection breaks, where the truth is that {BLAME[row.told]}"
    wrong = _changed_start(row, truth, outcome.said)
    return ("wrong", wrong) if wrong else ("safe error", "the connection breaks; clients raise")


def _limit(row: Row, _: Shape, truth: Truth, __: Outcome) -> _Found:
    if not row.leaves:
        return "hang", "no end by the limit"
    if not truth.left:
        return "wrong", "the client left, and the upstream is still asked"
    return "pass", "goes on as the upstream does, and ends when the client leaves"


def _garbage(_: Row, __: Shape, ___: Truth, outcome: Outcome) -> _Found:
    return "wrong", outcome.garbage


_ENDINGS: dict[str, Callable[[Row, Shape, Truth, Outcome], _Found]] = {
    "finished": _finished,
    "ended": _ended,
    "error": _error,
    "broken": _broken,
    "limit": _limit,
    "garbage": _garbage,
}


# errors


def _untrue(row: Row, error: Told) -> str:
    """Return what is untrue about an error, if anything."""
    status = error.status
    if status is not None and status not in TRUE_STATUSES[row.told]:
        polite = row.told == "rate" and status == 503 and error.retry_after is not None
        if not polite:
            return f"status {status}, where the truth is that {BLAME[row.told]}"
    early = row.wait is not None and error.retry_after is not None
    if early and (error.retry_after or 0.0) < (row.wait or 0.0) - 1.0:
        return f"says to come back after {error.retry_after:g} s; the upstream said {row.wait:g} s"
    return ""


def _changed_start(row: Row, truth: Truth, said: Said) -> str:
    """Return what is wrong with the part that came in front of an error."""
    if (
        row.calls
        or row.leaves
        or any(f"{f}{truth.said.text}".startswith(said.text) for f in row.front)
    ):
        return ""
    return f"the text before the error is not the upstream's: {said.text[:60]!r}"


# answers


def _difference(row: Row, shape: Shape, truth: Truth, said: Said) -> str:
    """Return in what an answer differs from the truth, if it does."""
    if truth.asked == 0:
        return "an answer that no upstream gave"
    return (
        _wrong_text(row, truth, said)
        or _wrong_calls(row, said)
        or _wrong_finish(row, truth, said)
        or _wrong_tokens(row, shape, truth, said)
    )


def _wrong_text(row: Row, truth: Truth, said: Said) -> str:
    text = "" if row.wordless or row.calls else truth.said.text
    if any(said.text == front + text for front in row.front):
        return ""
    if not said.text:
        return "the text is gone"
    cut = any((front + text).startswith(said.text) for front in row.front)
    what = "the text is cut, and called whole" if cut else "the text is another one"
    return f"{what}: {said.text[-60:]!r}"


_ARGUMENTS = ('{"city":"Paris"}', '{"city":"Tokyo"}')
"""What the sandbox's two calls say, in one way to write it."""


def _wrong_calls(row: Row, said: Said) -> str:
    wanted = _ARGUMENTS[: row.calls]
    found = sorted(call.arguments.replace('": "', '":"') for call in said.calls)
    if found != sorted(wanted):
        return f"the tool calls are others: {', '.join(found)[:90] or 'none'}"
    if any(not call.name for call in said.calls):
        return "a tool call without a name"
    ids = {call.id for call in said.calls}
    if len(ids) != len(said.calls) and not row.one_id:
        return "two tool calls have one id"
    return ""


def _wrong_finish(row: Row, truth: Truth, said: Said) -> str:
    right = row.finishes or (("tool_calls",) if row.calls else (truth.said.finish,))
    if said.finish in right:
        return ""
    told = " or ".join(repr(finish) for finish in right)
    return f"the finish reason is {said.finish!r}; the upstream's is {told}"


def _wrong_tokens(row: Row, shape: Shape, truth: Truth, said: Said) -> str:
    apart = row.calls and shape == "stream"  # their upstream tells none: `usage-missing` is a row
    if said.tokens is None or said.estimated or apart:
        return ""
    told = _told_tokens(row, truth)
    if told is None:
        return f"tokens that the upstream did not tell, unmarked: {_counts(said.tokens)}"
    if any(None not in (a, b) and a != b for a, b in zip(said.tokens, told, strict=True)):
        return f"tokens are {_counts(said.tokens)}; the upstream told {_counts(told)}"
    return ""


def _told_tokens(row: Row, truth: Truth) -> Tokens | None:
    if row.tokens == "unknown":
        return None
    if row.tokens == "last":
        return (11, truth.said.chunks - 1, None)  # which do not add up to its total
    return truth.said.tokens if row.tokens == "good" else row.tokens


def _counts(tokens: Tokens) -> str:
    return "+".join("?" if n is None else str(n) for n in tokens[:2]) + f"={tokens[2]}"

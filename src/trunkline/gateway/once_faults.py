"""What is said of requests that name themselves and cannot be done, or done again. Pure."""

from __future__ import annotations

from trunkline.gateway.refusals import Fault
from trunkline.store.claims import ClaimState

LONGEST = 255
OFF = Fault(
    400,
    "idempotency_off",
    "This gateway does not take Idempotency-Key: its operator has turned that off, and without it a "
    "request could be done twice. Leave the header out, or ask for idempotency.enabled.",
)
UNFIT = Fault(
    400,
    "invalid_idempotency_key",
    f"Idempotency-Key has to be 1 to {LONGEST} printable ASCII characters; a random UUID is one.",
)
REUSED = Fault(
    422,
    "idempotency_key_reused",
    "This Idempotency-Key was used for another request: another path, or another body. Send the first "
    "request's exact bytes again, or a new key with this one.",
)
IN_PROGRESS = Fault(
    409,
    "idempotency_in_progress",
    "The first request with this Idempotency-Key is still being answered. Send it again in a while.",
    retry_after=1.0,
)
UNKNOWN = Fault(
    409,
    "idempotency_outcome_unknown",
    "The first request with this Idempotency-Key was sent, and then broken off: what came of it is not "
    "known, and it is not sent again. The ledger has it under the id {call}. To ask anew, use a new key.",
)
LARGE = Fault(
    409,
    "idempotency_answer_not_kept",
    "The first request with this Idempotency-Key was answered, with more than is kept of an answer "
    "(idempotency.max_bytes), and is not sent again. The ledger has it under the id {call}. To ask "
    "anew, use a new key.",
)
DOWN = Fault(
    503,
    "idempotency_unavailable",
    "Whether this Idempotency-Key was used before cannot be looked up now, so nothing was sent. Try again.",
    retry_after=2.0,
)
_OF_STATE: dict[ClaimState, Fault] = {"unknown": UNKNOWN, "large": LARGE, "running": IN_PROGRESS}
FINAL = frozenset({UNKNOWN.code, LARGE.code, REUSED.code})
"""What no client needs to try again, though its status may say so."""


def of_state(state: ClaimState, call: str) -> Fault:
    """Return what is said of a request whose first one has no answer to be told again."""
    fault = _OF_STATE[state]
    more = {"original_request_id": call}
    message = fault.message.format(call=call)
    return Fault(fault.status, fault.code, message, retry_after=fault.retry_after, more=more)

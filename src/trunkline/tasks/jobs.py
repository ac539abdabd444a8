"""Jobs that were submitted before: waiting for one again, after a crash or a time-out, and cancelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from trunkline.routing.ask import Ask
from trunkline.types.job import Job, parse_job

if TYPE_CHECKING:
    from trunkline.calls import Calls
    from trunkline.types.parameters import TaskOptions


def resume_job(calls: Calls, job: Job | str, **options: Unpack[TaskOptions]) -> Ask[Any]:
    """Go on waiting for a job, given as it is or as `str(job)`; brings what its task brings.

    The call needs the same kind of token as the one that submitted it. Raises JobError and
    APIError.
    """
    found = parse_job(job)
    ask = calls.ask(found.task, found.model, None, {}, options)
    return msgspec.structs.replace(ask, what="resume", job=found)


def cancel_job(calls: Calls, job: Job | str, **options: Unpack[TaskOptions]) -> Ask[bool]:
    """Cancel a job: True if its provider takes that, False where it cannot or is over already.

    Raises APIError.
    """
    found = parse_job(job)
    ask = calls.ask(found.task, found.model, None, {}, options)
    return msgspec.structs.replace(ask, what="cancel", job=found)

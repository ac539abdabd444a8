"""A provider's asynchronous job: what is needed to find it again, and how it goes."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlencode

import msgspec

from trunkline.errors import InvalidInputError
from trunkline.types.receipt import Receipt

_SCHEME = "job:"
SERVED_JOB = "served"
"""In place of a provider: a job on a server of the caller's own, at the call's `api_base`."""
_DECODINGS = 4
"""How often a path may be percent-encoded before it is taken for an attempt to hide something."""


class Job(msgspec.Struct, frozen=True):
    """A job at a provider. `str(job)` is all that a later process needs to resume it.

    It holds no credential.
    """

    provider: str
    task: str
    """The Hub's name of the task: `text-to-video`."""
    model: str
    """The model string that was called."""
    id: str
    """The provider's id of the job."""
    path: str
    """Path and query below the provider's address, under which the job is asked after."""

    def __str__(self) -> str:
        """Return `job:provider/task/id?model=...&path=...`."""
        told = urlencode({"model": self.model, "path": self.path})
        return f"{_SCHEME}{self.provider}/{self.task}/{quote(self.id, safe='')}?{told}"


def parse_job(text: str | Job) -> Job:
    """Read what `str(job)` wrote; raises InvalidInputError for anything else.

    The path goes to the provider's own address only, whatever it says.
    """
    job = text if isinstance(text, Job) else _read(text)
    if job is None or not stays_below(job.path):
        raise InvalidInputError(
            f"{str(text)[:120]!r} is no job.",
            hint="Give the whole text that str(job) returned: job:<provider>/<task>/<id>?...",
        )
    return job


def stays_below(path: str) -> bool:
    """Tell whether a path leads nowhere but below the address that it is put behind.

    Dots that lead upwards are looked for in what a server may make of it, too: decoded, and
    decoded again. What cannot stand in a request line is refused as well.
    """
    shown = path
    for _ in range(_DECODINGS):
        if ".." in shown or "\\" in shown or not shown.isprintable():
            return False
        decoded = unquote(shown)
        if decoded == shown:
            break
        shown = decoded
    else:
        return False
    fit = path.isascii() and "#" not in path and not any(c.isspace() for c in path)
    return fit and not path.startswith("/") and "://" not in path.partition("?")[0]


def _read(text: object) -> Job | None:
    if not isinstance(text, str) or not text.startswith(_SCHEME):
        return None
    place, _, query = text.removeprefix(_SCHEME).partition("?")
    provider, _, rest = place.partition("/")
    task, _, job_id = rest.partition("/")
    told = parse_qs(query, max_num_fields=16) if query.count("&") < 16 else {}
    model, path = told.get("model", [""])[0], told.get("path", [""])[0]
    if not (provider and task and job_id and model and path):
        return None
    return Job(provider, task, model, unquote(job_id), path)


class JobAccepted(msgspec.Struct, frozen=True):
    """A job that a provider has accepted, where nobody waits for its end."""

    job: Job
    receipt: Receipt | None = None


class JobLook(msgspec.Struct, frozen=True):
    """What was told of a job that was asked after once; one that failed is an error instead."""

    done: bool
    state: str
    """The provider's own word; `submitted` while it has told none."""


class JobProgress(msgspec.Struct, frozen=True):
    """How a job goes, as a progress callback is told."""

    job: Job
    state: str
    """The provider's own word: `IN_QUEUE`, `processing`; `submitted` while it has told none."""
    seconds: float
    """Since the call began."""
    polls: int
    """How often the provider has been asked; 0 right after it accepted the job."""
    position: int | None = None
    """Place in the queue, where told."""

"""A provider's asynchronous job: what is needed to find it again, and how it goes."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlencode

import msgspec

from trunkline.errors import InvalidInputError

_SCHEME = "job:"


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
    if isinstance(text, Job):
        return text
    place, mark, query = text.removeprefix(_SCHEME).partition("?")
    provider, _, rest = place.partition("/")
    task, _, job_id = rest.partition("/")
    told = parse_qs(query)
    model, path = told.get("model", [""])[0], told.get("path", [""])[0]
    fits = text.startswith(_SCHEME) and mark and provider and task and job_id and model and path
    if not fits or not path.isascii() or any(c.isspace() for c in path) or ".." in path:
        raise InvalidInputError(
            f"{text[:120]!r} is no job.",
            hint="Give the whole text that str(job) returned: job:<provider>/<task>/<id>?...",
        )
    return Job(provider, task, model, unquote(job_id), path)


class JobProgress(msgspec.Struct, frozen=True):
    """How a job goes, as a progress callback is told."""

    job: Job
    state: str
    """The provider's own word: `IN_QUEUE`, `processing`."""
    seconds: float
    """Since the call began."""
    polls: int
    """How often the provider has been asked."""
    position: int | None = None
    """Place in the queue, where told."""

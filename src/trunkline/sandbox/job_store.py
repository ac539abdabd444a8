"""Jobs that the sandbox has accepted. They have no clock: each poll brings one a step on."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Any, Literal

import msgspec

Stage = Literal["queued", "running", "done", "failed", "moderated", "cancelled", "lost"]

_ENDS: dict[str, Stage] = {
    "job-cancelled": "cancelled",
    "job-failed": "failed",
    "job-lost": "lost",
    "job-moderated": "moderated",
}
"""What becomes of a job, by the fault that was asked for; otherwise it is done."""
_MORE = 10


class Job(msgspec.Struct):
    """One job, and how often it was asked after."""

    id: str
    provider: str
    model: str
    outcome: str
    """Name of the fault that it was submitted with; empty for none."""
    result: Any
    """What it will have made."""
    number: int
    polls: int = 0
    cancelled: bool = False


class Jobs:
    """The last jobs, by their ids. Safe to use from several threads."""

    def __init__(self, polls: int = 2, keep: int = 1000) -> None:
        """Have each job answer `polls` polls before it ends; keep the last `keep`."""
        self._polls = polls
        self._keep = keep
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    @property
    def quick(self) -> bool:
        """Whether jobs are done at their first poll."""
        return self._polls == 0

    def add(self, mark: str, provider: str, model: str, outcome: str, result: Any) -> Job:
        """Accept a job; its id depends on `mark`, which stands for the request, and its number."""
        with self._lock:
            self._count += 1
            number = self._count
            name = hashlib.blake2b(f"{mark}\0{number}".encode(), digest_size=16).hexdigest()
            job = Job(name, provider, model, outcome, result, number)
            self._jobs[name] = job
            if len(self._jobs) > self._keep:
                self._jobs.popitem(last=False)
        return job

    def find(self, provider: str, job_id: str) -> Job | None:
        """Return a provider's job; None where there is none, or it was lost."""
        with self._lock:
            job = self._jobs.get(job_id)
        known = job is not None and job.provider == provider and job.outcome != "job-lost"
        return job if known else None

    def poll(self, job: Job) -> Stage:
        """Ask after a job, which brings it a step on, and return where it is now."""
        with self._lock:
            job.polls += 1
        return self.stage(job)

    def stage(self, job: Job) -> Stage:
        """Return where a job is, without bringing it on."""
        if job.cancelled:
            return "cancelled"
        takes = self._polls + (_MORE if job.outcome == "job-slow" else 0)
        if job.outcome == "job-endless" or job.polls <= takes:
            return "queued" if job.polls <= 1 else "running"
        return _ENDS.get(job.outcome, "done")

    def cancel(self, job: Job) -> bool:
        """Cancel a job; returns False for one that has ended."""
        with self._lock:
            if self.stage(job) not in ("queued", "running"):
                return False
            job.cancelled = True
        return True

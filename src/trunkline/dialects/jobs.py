"""Asynchronous jobs: how each provider's queue is read, as data. Asking is the flow's affair."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

import msgspec

from trunkline.wire.message import parse_url

State = Literal["pending", "done", "failed", "cancelled", "moderated"]


class JobForm(msgspec.Struct, frozen=True):
    """How jobs of one provider are followed. Places in answers are written `data.urls.get`."""

    id_at: str
    """The job's id in the answer that accepts it. An answer without one is the result itself."""
    state_at: str
    """The job's state, in the accepting answer and in those to polls."""
    done: frozenset[str]
    failed: frozenset[str] = frozenset()
    cancelled: frozenset[str] = frozenset()
    """Every other state, and none at all, is pending."""
    path: str = ""
    """Path to poll, below the provider's address, with `{id}`."""
    url_at: str | None = None
    """Or the place of a URL in the accepting answer whose path is polled, on the provider's own
    address: its host is never believed."""
    status: str = ""
    """What is added to that path to ask for the state."""
    fetch_result: bool = False
    """Whether the result lies under the path itself, once done, and not in the last poll."""
    routed_query: str = ""
    """Query that every request has when it goes through Hugging Face."""
    cancel: tuple[str, str] | None = None
    """Method, and what is added to the path, to cancel a job."""
    reason_at: tuple[str, ...] = ()
    """Where a failed job says why."""
    flagged_at: str | None = None
    """Where an answer says, with `true`, that its content was moderated away."""
    position_at: str | None = None
    first: float = 0.5
    """Seconds before the first poll; each wait is `growth` times the one before."""
    growth: float = 1.3
    longest: float = 5.0

    def wait(self, polls: int) -> float:
        """Return the seconds to wait before poll number `polls`, counted from 0."""
        return min(self.longest, self.first * self.growth ** min(polls, 40))

    def state(self, answer: Any) -> State:
        """Return what an answer says of its job."""
        told = look(answer, self.state_at)
        if told in self.done:
            return "done"
        if told in self.cancelled:
            return "cancelled"
        if told in self.failed:
            return "moderated" if moderated(self.reason(answer)) else "failed"
        return "pending"

    def reason(self, answer: Any) -> str:
        """Return why a job failed, in the provider's words; empty where it says nothing."""
        found = (look(answer, place) for place in self.reason_at)
        return next((text if isinstance(text, str) else str(text) for text in found if text), "")

    def job_id(self, answer: Any) -> str | None:
        """Return the id of the job that an answer accepts; None where it accepts none."""
        told = look(answer, self.id_at)
        return str(told) if isinstance(told, (str, int)) and told != "" else None

    def job_path(self, answer: Any, job_id: str) -> str:
        """Return the path, and query, under which a job is asked after."""
        told = look(answer, self.url_at) if self.url_at else None
        if isinstance(told, str) and told:
            return parse_url(told).target.lstrip("/")
        return self.path.replace("{id}", quote(job_id, safe=""))


def look(answer: Any, place: str) -> Any:
    """Return what lies at a place such as `data.outputs.0`; None where nothing does."""
    found = answer
    for key in place.split("."):
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


_FLAGS = ("nsfw", "moderat", "sensitive", "content policy", "content_policy", "safety", "flagged")


def moderated(reason: str) -> bool:
    """Tell whether a failure's text says that the content was refused."""
    text = reason.lower()
    return any(flag in text for flag in _FLAGS)

"""Asynchronous jobs: how each provider's queue is read, as data. Asking is the flow's affair."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from trunkline.errors import InvalidInputError, InvalidResponseError
from trunkline.types.job import stays_below
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
    refused: frozenset[str] = frozenset()
    """States that say that the content was refused. Every state that is in none of these sets, and
    none at all, is pending."""
    path: str = ""
    """Path to poll, below the provider's address, with `{id}`."""
    url_at: str | None = None
    """Or the place of a URL in the accepting answer whose path is polled, on the provider's own
    address: its host is never believed."""
    status: str = ""
    """What is added to that path to ask for the state."""
    fetch_result: bool = False
    """Whether the result lies under the path itself, once done, and not in the last poll."""
    content: str = ""
    """What is added to the path to fetch the file itself, where the server keeps it there."""
    routed_query: str = ""
    """Query that every request has when it goes through Hugging Face."""
    cancel: tuple[str, str] | None = None
    """Method, and what is added to the path, to cancel a job."""
    reason_at: tuple[str, ...] = ()
    """Where a failed job says why."""
    early_at: str | None = None
    """Where an accepting answer that was held back until the work was done has its result: with
    something there it is the result itself, though it still calls itself pending (Replicate)."""
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
        if not isinstance(told, str):
            return "pending"
        if told in self.done:
            return "done"
        if told in self.cancelled:
            return "cancelled"
        if told in self.refused:
            return "moderated"
        if told in self.failed:
            return "moderated" if moderated(self.reason(answer)) else "failed"
        return "pending"

    def reason(self, answer: Any) -> str:
        """Return why a job failed, in the provider's words; empty where it says nothing."""
        found = (look(answer, place) for place in self.reason_at)
        return next((text if isinstance(text, str) else str(text) for text in found if text), "")

    def job_id(self, answer: Any) -> str | None:
        """Return the id of the job that an answer accepts; None where it accepts none."""
        told = self.any_id(answer)
        early = look(answer, self.early_at) if self.early_at else None
        return told if not early or self.state(answer) != "pending" else None

    def any_id(self, answer: Any) -> str | None:
        """Return the id of the job that an answer tells of, though it may have its result already."""
        told = look(answer, self.id_at)
        if isinstance(told, bool) or not isinstance(told, (str, int)) or told == "":
            return None
        return str(told)

    def job_path(self, answer: Any, job_id: str) -> str:
        """Return the path, and query, under which a job is asked after.

        Raises InvalidResponseError where the answer does not tell it, or tells one that could lead
        elsewhere at the provider's address.
        """
        told = look(answer, self.url_at) if self.url_at else None
        path = self.path.replace("{id}", quote(job_id, safe=""))
        if isinstance(told, str) and told:
            path = _path_of(told)
        if not path or not stays_below(path):
            raise InvalidResponseError(
                f"The provider accepted job {job_id!r} and does not tell where to ask after it.",
                body=answer,
            )
        return path


def _path_of(url: str) -> str:
    """Return path and query of a URL, or of what stands alone as a path; empty for neither."""
    whole = f"https://nowhere{url}" if url.startswith("/") else url
    try:
        return parse_url(whole).target.lstrip("/")
    except InvalidInputError:
        return ""


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


_FLAGS = re.compile(
    r"nsfw|moderated|moderation|flagged|unsafe|inappropriate|prohibited content"
    r"|(?<!case)(?<!case.)sensitive|content.?polic|safety (checker|filter|system)",
    re.IGNORECASE,
)


def moderated(reason: str) -> bool:
    """Tell whether a failure's text says that the content was refused."""
    return _FLAGS.search(reason) is not None

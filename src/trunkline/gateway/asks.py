"""A gateway's calls of tasks, as the SDK makes them: nothing passed over, nothing fetched unasked.

What the SDK would do for a program's own user it does not do for a stranger's request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.routing.ask import Ask
from trunkline.types.job import Job, JobProgress

if TYPE_CHECKING:
    from trunkline.calls import Calls

Asking = Callable[["Calls"], Ask[Any]]


class Manner(msgspec.Struct, frozen=True):
    """How calls are made for clients."""

    address: str | None = None
    """Where a provider itself is to be found, in place of its usual address; or below which OpenAI's
    paths lie on a server."""
    served: bool = False
    """Whether it is such a server; it is asked once which engine it runs."""
    fetch: bool = False
    """Whether files that clients name by URL are fetched, from public addresses."""
    most: int = 128 * 1024 * 1024
    """Bytes of a file that a model made."""


class Wished(msgspec.Struct, frozen=True):
    """A call of a task, in the SDK's words."""

    task: str
    model: str
    inputs: Any
    parameters: Mapping[str, Any]
    extra: Mapping[str, Any] = {}
    """Fields that go into the request as they are."""
    download: bool = True
    """Whether files are wanted as bytes; otherwise URLs will do."""
    wait: bool = True
    """Whether a job is followed to its end."""
    tell: Callable[[JobProgress], object] | None = None
    """Told how a job goes."""


def asking(manner: Manner, wished: Wished) -> Asking:
    """Return what makes the call, once a client is there to be asked for it."""
    options: dict[str, Any] = {
        "download": wished.download,
        "max_bytes": manner.most,
        "on_progress": wished.tell,
        **({"extra_body": wished.extra} if wished.extra else {}),
    }

    def ask(calls: Calls) -> Ask[Any]:
        made = calls.ask(wished.task, wished.model, wished.inputs, wished.parameters, options)
        return _strictly(made, manner, wait=wished.wait)

    return ask


def asking_after(manner: Manner, job: Job, what: Any) -> Asking:
    """Return what asks after a job once (`look`), brings its result (`resume`), or cancels it."""

    def ask(calls: Calls) -> Ask[Any]:
        made = calls.ask(job.task, job.model, None, {}, {"max_bytes": manner.most})
        made = msgspec.structs.replace(made, what=what, job=job)
        return _strictly(made, manner, wait=True)

    return ask


def _strictly(made: Ask[Any], manner: Manner, *, wait: bool) -> Ask[Any]:
    call = msgspec.structs.replace(
        made.journey.call,
        wait=wait,
        strict=True,
        inputs_from="public" if manner.fetch else "nowhere",
    )
    places = msgspec.structs.replace(made.places, address=manner.address)
    if manner.served and manner.address is not None:
        base = manner.address.rstrip("/").removesuffix("/v1")  # which would name an engine
        places = msgspec.structs.replace(places, api_base=base)
    journey = msgspec.structs.replace(made.journey, call=call)
    return msgspec.structs.replace(made, journey=journey, places=places)

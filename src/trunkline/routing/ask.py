"""A call of a task, checked and ready for its flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

from trunkline.providers.targets import Places
from trunkline.routing.carry import Journey
from trunkline.types.job import Job
from trunkline.types.tasks import TaskCall

if TYPE_CHECKING:
    from trunkline.routing.policy import Policy

R = TypeVar("R")


class Ask(msgspec.Struct, Generic[R], frozen=True):
    """A call of a task, checked and ready for its flow; R is what it will bring."""

    journey: Journey[TaskCall]
    places: Places
    finish: Callable[[Any], R] | None = None
    """What is still to do with the result, without I/O."""
    what: Literal["call", "resume", "look", "cancel", "info"] = "call"
    """To call; to go on with `job`, ask after it once or cancel it; to ask what runs at the address."""
    route: Policy | None = None
    """Who may carry it out, in which order; None is whom the model string names."""
    job: Job | None = None
    """A job that was submitted before."""

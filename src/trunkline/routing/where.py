"""Where a task's call goes: what the model string, the credential, the Hub and the server say."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from trunkline.errors import (
    APIConnectionError,
    InvalidInputError,
    ModelNotSupportedError,
    NotFoundError,
)
from trunkline.model_id import ModelId
from trunkline.providers.choosing import choose
from trunkline.providers.engines import Engine, Engines, Seekers, engine_base, named_engine
from trunkline.providers.mapping import ModelMap
from trunkline.providers.served import PIPELINE_TASKS
from trunkline.providers.spec import Target
from trunkline.providers.targets import Places
from trunkline.providers.task_targets import (
    Way,
    choose_way,
    knows,
    provider_target,
    sandbox_target,
    served_target,
)
from trunkline.routing.carry import Journey, check_time
from trunkline.routing.look_up import find_engine, find_map
from trunkline.routing.needs import Need
from trunkline.types.job import SERVED_JOB, Job
from trunkline.types.tasks import TaskCall

Finding = Generator[Need, Any, tuple[Target, float]]


def find_target(journey: Journey[TaskCall], places: Places, seekers: Seekers) -> Finding:
    """Find where a call goes, asking the Hub or the server at most once; raises APIError."""
    call = journey.call
    if call.model.scheme == "sandbox":
        return sandbox_target(call.task, call.model), journey.start
    if places.api_base is not None:
        return (yield from _served(journey, places, places.api_base, seekers.engines))
    way = choose_way(call.task, call.model, places)
    if not way.mapped:
        return provider_target(call.task, way, places, None, seekers.hub), journey.start
    found, now = yield from find_map(
        journey.maps,
        way.name,
        journey.hub_secret(way.secret),
        timeouts=call.timeouts,
        now=journey.start,
        end=journey.end,
    )
    serving = None if found is None else _chosen(found, call.task, way)
    if serving is None and way.provider is None:
        check_time(journey, now, f"The Hub did not tell in time who serves {way.name}.")
        raise APIConnectionError(
            f"The Hub could not be asked which provider serves {way.name}.",
            model=str(call.model),
            hint="Try again, or name a provider: huggingface/<provider>/<org>/<model>.",
        )
    return provider_target(call.task, way, places, serving, seekers.hub), now


def _chosen(found: ModelMap, task: str, way: Way) -> Any:
    """Return who serves the model. With a provider's own key the Hub need not know the model."""
    if way.via == "direct" and all(row.provider != way.provider for row in found.servings):
        return None
    return choose(found, task, way.provider, knows)


def _served(journey: Journey[TaskCall], places: Places, api_base: str, engines: Engines) -> Finding:
    call = journey.call
    base = engine_base(api_base)
    engine = places.engine or named_engine(api_base)
    pooled = bool(call.parameters.get("pooling"))
    first = engine or ("tei" if call.task == "sparse-embedding" else "openai")  # a guess, to ask
    target = served_target(call.task, call.model, places, base, first, pooled=pooled)
    if engine is not None:
        return target, journey.start
    told, now = yield from find_engine(
        engines, api_base, target, timeouts=call.timeouts, now=journey.start, end=journey.end
    )
    target = served_target(call.task, call.model, places, base, told.kind, pooled=pooled)
    return msgspec.structs.replace(target, max_batch=told.max_batch or target.max_batch), now


def other_target(
    journey: Journey[TaskCall], places: Places, target: Target, error: NotFoundError
) -> Target | None:
    """Return where else on a server to try, which has no route of OpenAI's for a task.

    The toolkits behind dedicated endpoints take tasks at the address itself, and tell nobody what
    they are. None where the caller has said what runs there, or where the model is what is missing.
    """
    call, api_base = journey.call, places.api_base
    told = api_base is None or places.engine is not None or named_engine(api_base) is not None
    if told or target.via != "served" or isinstance(error, ModelNotSupportedError):
        return None
    route = PIPELINE_TASKS.get(call.task)
    if api_base is None or route is None or target.route is route or error.status != 404:
        return None
    return served_target(call.task, call.model, places, engine_base(api_base), "pipeline")


def keep_pipeline(engines: Engines, api_base: str, target: Target, now: float) -> None:
    """Remember that a server takes tasks at its address itself."""
    engines.keep(engines.key(api_base, target), Engine("pipeline"), now)


def find_info(
    journey: Journey[TaskCall], places: Places, engines: Engines
) -> Generator[Need, Any, Engine]:
    """Find out what runs at an address, asking there at most once an hour.

    Raises InvalidInputError without an address, APIConnectionError where nobody could be asked.
    """
    if places.api_base is None:
        raise InvalidInputError("There is no address.", hint="Give the endpoint's as api_base=.")
    call, base = journey.call, engine_base(places.api_base)
    target = served_target(call.task, call.model, places, base, "openai")
    told, now = yield from find_engine(
        engines, places.api_base, target, timeouts=call.timeouts, now=journey.start, end=journey.end
    )
    if told.guessed:
        check_time(journey, now, f"{base} did not tell in time what runs there.")
        raise APIConnectionError(
            f"{base} could not be asked what runs there.",
            hint="Is the server running there, and is the token one that it takes?",
        )
    return told


def job_target(journey: Journey[TaskCall], job: Job, places: Places, seekers: Seekers) -> Target:
    """Return the target of a job that was submitted before, at the provider that has it.

    Raises InvalidInputError with an `api_base`: what is meant for that server goes nowhere else.
    """
    call = journey.call
    if (job.provider == SERVED_JOB) is not (places.api_base is not None):
        raise _elsewhere(job, places)
    if places.api_base is not None:
        base = engine_base(places.api_base)
        return served_target(job.task, call.model, places, base, "openai")
    if call.model.scheme == "sandbox":
        return _inside(job, call.model)
    pinned = msgspec.structs.replace(call.model, provider=job.provider, policy=None)
    way = choose_way(job.task, pinned, places)
    return provider_target(job.task, way, places, None, seekers.hub)


def _inside(job: Job, model: ModelId) -> Target:
    name = f"{job.provider}/inside/{model.name}"
    return sandbox_target(job.task, msgspec.structs.replace(model, name=name))


def _elsewhere(job: Job, places: Places) -> InvalidInputError:
    if places.api_base is None:
        return InvalidInputError(
            "The job is at a server of one's own, and the call names none.",
            hint="Give its address as api_base=, as when the job was submitted.",
        )
    return InvalidInputError(
        f"The job is at {job.provider}, and this call goes to {places.api_base}.",
        hint="Leave out api_base=, and give the token that the job was submitted with.",
    )

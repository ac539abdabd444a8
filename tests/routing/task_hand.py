"""Tasks driven by hand: a call of any task, with what the Hub tells known beforehand."""

from __future__ import annotations

from typing import Any

from hand import START, TOKEN, Hand

from trunkline.model_id import parse, parse_served
from trunkline.providers.engines import Engines, Seekers
from trunkline.providers.mapping import ModelMap, ModelMaps, Serving
from trunkline.providers.targets import Places
from trunkline.routing.ask import Ask
from trunkline.routing.carry import Journey
from trunkline.routing.needs import Send
from trunkline.routing.retry import Retry
from trunkline.routing.task_flow import ask_flow
from trunkline.types import Secret, Timeouts
from trunkline.types.job import Job
from trunkline.types.tasks import TaskCall

HUB = "https://hub.example"
ROUTER = "https://router.example/v1"
KEY = Secret("key-of-ones-own", "the argument token=")


def task_ask(
    task: str = "text-to-image",
    inputs: Any = "a cat",
    *,
    model: str = "huggingface/fal-ai/org/m",
    served: tuple[Serving, ...] = (),
    secret: Secret | None = TOKEN,
    retries: int = 2,
    deadline: float | None = None,
    chance: float = 0.0,
    places: dict[str, Any] | None = None,
    job: Job | None = None,
    cancel: bool = False,
    look: bool = False,
    **call: Any,
) -> Ask[Any]:
    """Return a call of a task, ready for its flow, with `served` as the Hub's answer."""
    where = {"explicit": False, "secret": secret, **(places or {})}
    parsed = parse_served(model) if where.get("api_base") else parse(model)
    maps = ModelMaps(HUB)
    if served:
        key = maps.key(parsed.name, secret)
        maps.keep(key, ModelMap(parsed.name, served), START)
    made = TaskCall(
        task,
        parsed,
        inputs,
        deadline=deadline,
        max_retries=retries,
        **{"timeouts": Timeouts(total=600.0), **call},
    )
    retry = Retry(retries, lambda: chance)
    journey = Journey(made, retry, START, maps, lambda given: given)
    what: Any = "cancel" if cancel else "look" if look else "resume" if job else "call"
    return Ask(journey, Places(ROUTER, **where), what=what, job=job)


def carry_task(hand: Hand, *args: Any, **options: Any) -> Any:
    """Carry a call by hand and return its result; raises what it raises."""
    return hand.run(ask_flow(task_ask(*args, **options), Seekers(Engines(), HUB)))


def asked(hand: Hand) -> list[str]:
    """Return every request as `METHOD url`."""
    return [f"{send.request.method} {send.request.url}" for send in hand.sends]


def header(send: Send, name: str) -> str | None:
    return dict(send.request.headers).get(name)

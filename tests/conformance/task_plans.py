"""From a recorded exchange to the call that would have made it, or why there is none.

Inputs are taken back from the request where it was kept; otherwise small ones that fit the answer
stand in for them.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from golden_tasks import ARGUMENTS
from recordings import Exchange, tasks
from wishes import words

from trunkline.types.media import Blob
from trunkline.types.tasks import TASKS

TOKENS = {"router": "hf_testtoken", "legacy": "hf_testtoken", "direct": "direct-key"}
HUB_NAME = "org/recorded"
TASK_OF = {
    "conversational-legacy": "text-generation",  # the API before chats: a text and those before it
    "error-model-not-found": "fill-mask",
}
"""Names of the collection, and the tasks that they are calls of."""

ELSEWHERE = {
    "cohere-native-chat": "Cohere's own API of chats, which is not spoken here",
    "cohere-native-embed": "Cohere's own API of embeddings, which is not spoken here",
    "model-list": "a provider's list of models: no task",
    "tokenize": "Cohere's tokenizer: no task",
}
"""Recorded exchanges that no function of ours would make."""

POLLED = "black-forest-labs"
"""The provider whose polls were recorded too."""
SHORT = 1.02
"""Seconds for a job whose end was not recorded. Its last second is for asking once more."""


@dataclass(frozen=True, eq=False)
class Plan:
    """One call, and the exchanges that it gets for an answer."""

    exchanges: tuple[Exchange, ...]
    """The answer to the request, and those to the polls after it, in their order."""
    task: str
    model: str
    named: str
    """The model's name at the provider."""
    inputs: Any
    parameters: dict[str, Any]
    options: dict[str, Any]
    job: str | None = None
    """A job that is resumed, where only its polls were recorded."""

    def __str__(self) -> str:
        return str(self.exchanges[0])

    @property
    def first(self) -> Exchange:
        return self.exchanges[0]

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]

    @property
    def served(self) -> bool:
        """Whether the call goes to an address of its own, so that no provider is known of it."""
        return "api_base" in self.options

    @property
    def waits(self) -> bool:
        """Whether the answer is a job."""
        return self.job is not None or len(self.exchanges) > 1 or self.first.status == 202

    @property
    def raw(self) -> bool:
        """Whether the inputs are several where our function takes one: a raw call of the task."""
        return isinstance(self.inputs, list) and self.task != "feature-extraction"

    @property
    def call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        first, named = words(self.task, self.inputs, self.parameters)
        return first, {**named, **self.options}

    @property
    def function(self) -> str:
        return TASKS[self.task].function


@cache
def plans() -> tuple[Plan, ...]:
    """Return a call for every exchange that one of our functions would make, jobs with their polls."""
    spoken = [e for e in tasks() if e.task not in ELSEWHERE]
    jobs: dict[str, list[Exchange]] = {}
    for exchange in spoken:
        if exchange.provider == POLLED:
            jobs.setdefault(_job_id(exchange), []).append(exchange)
    alone = [_plan(e) for e in spoken if e.provider != POLLED]
    return (*alone, *(_job_plan(job_id, found) for job_id, found in jobs.items()))


def _job_id(exchange: Exchange) -> str:
    told: str = exchange.json["id"]
    return told


def _job_plan(job_id: str, found: list[Exchange]) -> Plan:
    """Return a job's plan: its acceptance if it was recorded, then its polls as they went."""
    accepted = [e for e in found if e.method == "POST"]
    polls = sorted((e for e in found if e.method == "GET"), key=lambda e: e.json["progress"] or 9)
    plan = replace(_plan((*accepted, *polls)[0]), exchanges=(*accepted, *polls))
    if plan.last.json.get("result") is None:
        plan.options["deadline"] = SHORT
    if accepted:
        return plan
    path = urlsplit(polls[0].url)._replace(scheme="", netloc="").geturl().lstrip("/")
    where = f"job:{plan.first.provider}/{plan.task}/{job_id}"
    return replace(plan, job=f"{where}?model={plan.model}&path={path.replace('&', '%26')}")


def _plan(exchange: Exchange) -> Plan:
    task = TASK_OF.get(exchange.task, exchange.task)
    inputs, parameters = _wish(exchange, task)
    options: dict[str, Any] = {"token": TOKENS[exchange.transport], "max_retries": 0}
    if exchange.provider == "hf-inference":
        name = re.split(r"/models/|/pipeline/[\w-]+/", exchange.url)[1]
        model = f"hf-inference/{name}" if "/" in name else f"{name}:hf-inference"
    else:
        name = _provider_name(exchange)
        model = f"{exchange.provider}/{HUB_NAME}"
    if exchange.status == 202:
        options["deadline"] = SHORT
    if task == "text-generation" and exchange.provider == "hf-inference":
        # its completions were not recorded; what was is the pipeline at the model's own address
        model = name
        options |= {"api_base": exchange.url, "engine": "pipeline"}
    if task == "feature-extraction" and _of_tokens(exchange):
        parameters = {**parameters, "pooling": "mean"}
    return Plan((exchange,), task, model, name, inputs, parameters, options)


def _of_tokens(exchange: Exchange) -> bool:
    return exchange.body.startswith(b"[[")


def _provider_name(exchange: Exchange) -> str:
    path = urlsplit(exchange.url).path.lstrip("/")
    if exchange.transport == "router":
        path = path.removeprefix(f"{exchange.provider}/")
    asked = _asked(exchange)
    if exchange.provider == "fal-ai":
        return path
    if exchange.provider == "replicate":
        found = re.fullmatch("v1/models/(.+)/predictions", path)
        return found[1] if found else f"owner/model:{asked['version']}"
    if exchange.provider == "black-forest-labs":
        return "flux-dev"
    return asked.get("model") or asked.get("model_name") or "nameless"


def _asked(exchange: Exchange) -> dict[str, Any]:
    """Return the recorded body where it is a JSON object that is whole."""
    try:
        asked = json.loads(exchange.asked or "null")
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


# wishes


_FORMS = {
    "document-question-answering": {"image", "question"},
    "question-answering": {"context", "question"},
    "sentence-similarity": {"sentences", "source_sentence"},
    "table-question-answering": {"query", "table"},
    "tabular-classification": {"data"},
    "tabular-regression": {"data"},
    "visual-question-answering": {"image", "question"},
}
"""What the inputs have that are objects."""

_FILE = re.compile(r"(?:iVBOR|ZkxhQ|/9j/)[A-Za-z0-9+/]*={0,2}")
"""Base64 of a PNG, a FLAC or a JPEG, even if its end is gone."""


def _wish(exchange: Exchange, task: str) -> tuple[Any, dict[str, Any]]:
    asked = _asked(exchange)
    inputs, parameters = ARGUMENTS[task]
    if exchange.provider != "hf-inference":
        within = asked.get("input")
        fields = {**asked, **(within if isinstance(within, dict) else {})}
        told = (fields.get(name) for name in ("prompt", "text", "input", "inputs"))
        names = ("seed", "num_inference_steps", "num_frames", "negative_prompt", "width", "height")
        inputs = next((text for text in told if isinstance(text, str) and text), inputs)
        parameters = {name: fields[name] for name in names if name in fields}
    else:
        inputs = _inputs(task, asked, _fitting(exchange, task, inputs))
        given = asked.get("parameters") or {}
        parameters = {**_needed(task), **{k: v for k, v in given.items() if k != "model"}}
        if isinstance(labels := parameters.get("candidate_labels"), str):
            parameters["candidate_labels"] = labels.split(",")  # as transformers takes them too
    return _with_file(exchange.asked, inputs), parameters


def _inputs(task: str, asked: dict[str, Any], otherwise: Any) -> Any:
    """Return the recorded inputs where they have the form that the task's have."""
    told = asked.get("inputs")
    form = _FORMS.get(task)
    if form is not None:
        told = told or asked
        found = {name: value for name, value in told.items() if name in form}
        return found if set(found) == form else otherwise
    if task == "text-generation" and isinstance(told, dict):
        return told.get("text", otherwise)
    if isinstance(otherwise, (Blob, dict)) or not told or isinstance(told, dict):
        return otherwise
    return otherwise if isinstance(told, list) and not isinstance(told[0], str) else told


def _fitting(exchange: Exchange, task: str, inputs: Any) -> Any:
    """Return inputs of which there are as many as the answer has values."""
    if exchange.status != 200:
        return inputs
    if task == "sentence-similarity":
        return {"source_sentence": "a", "sentences": ["b"] * len(exchange.json)}
    if task.startswith("tabular-"):
        return {"data": {"A": ["1"] * len(exchange.json)}}
    return inputs


def _needed(task: str) -> dict[str, Any]:
    return {"candidate_labels": ["a", "b"]} if task.startswith("zero-shot-") else {}


def _with_file(asked: str, inputs: Any) -> Any:
    """Return the inputs with the recorded file in the place of ours."""
    found = _FILE.search(asked)
    if found is None:
        return inputs
    text = found[0][: len(found[0]) // 4 * 4]
    kinds = {"i": "image/png", "Z": "audio/flac", "/": "image/jpeg"}
    blob = Blob(base64.b64decode(text), kinds[text[0]])
    if isinstance(inputs, dict) and "image" in inputs:
        return {**inputs, "image": blob}
    return blob if isinstance(inputs, Blob) else inputs

"""Replicate, emulated: predictions that answer at once where they are short, and are asked after."""

from __future__ import annotations

from typing import Any

from trunkline.sandbox.arrivals import NoFileError
from trunkline.sandbox.asking import task_of
from trunkline.sandbox.job_results import VIDEO_TASKS, Made, Order, make, pixels
from trunkline.sandbox.job_store import Job, Stage
from trunkline.sandbox.models import MODELS
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.visit import Visit

PROVIDER = "replicate"
_API = "https://api.replicate.com/v1/predictions"
_TASKS = (
    "automatic-speech-recognition",
    "image-to-image",
    "text-to-image",
    "text-to-speech",
    "text-to-video",
)
_STATES: dict[Stage, str] = {
    "queued": "starting",
    "running": "processing",
    "done": "succeeded",
    "failed": "failed",
    "moderated": "failed",
    "cancelled": "canceled",
}
_REASONS: dict[Stage, str] = {
    "failed": "Prediction failed: CUDA out of memory",
    "moderated": "NSFW content detected. Try running it again, or try a different prompt.",
}
_LONG = ("job-endless", "job-lost", "job-slow", "job-poll-503")
"""Faults of which something is to be seen only by asking again."""


def by_model(visit: Visit, parts: dict[str, str]) -> Reply:
    """Take a prediction of an official model, named in the path."""
    return _submit(visit, parts["model"], parts["model"])


def by_version(visit: Visit, _: dict[str, str]) -> Reply:
    """Take a prediction of a version of a model, named in the body."""
    if "model" in visit.asked:
        raise _invalid("", "Additional property model is not allowed", "additional_property")
    version = visit.asked.get("version")
    if not isinstance(version, str) or not version:
        raise _invalid("version", "version is required", "required")
    return _submit(visit, _versioned(version), version)


def ask_after(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far a prediction is."""
    job = _find(visit, parts)
    stage = visit.jobs.poll(job)
    if job.outcome == "job-poll-503" and job.polls == 1:
        return json_reply(503, {"detail": "Service unavailable", "status": 503})
    return json_reply(200, _prediction(job, stage))


def cancel(visit: Visit, parts: dict[str, str]) -> Reply:
    """Cancel a prediction; one that has ended stays as it is."""
    job = _find(visit, parts)
    visit.jobs.cancel(job)
    return json_reply(200, _prediction(job, visit.jobs.stage(job)))


def _submit(visit: Visit, model: str, asked_for: str) -> Reply:
    given = visit.asked.get("input")
    if not isinstance(given, dict):
        raise _invalid("input", "input is required", "required")
    task = task_of(visit, PROVIDER, model, _TASKS) or _guess(given, asked_for)
    needed = {"automatic-speech-recognition": "audio", "text-to-speech": "text"}.get(task, "prompt")
    if task == "image-to-image":
        needed = "image" if "image" in given else "input_image"
    if not isinstance(given.get(needed), str) or not given[needed]:
        raise _invalid(f"input.{needed}", f"{needed} is required", "required")
    made = _make(visit, task, given, needed)
    mark = visit.mark(visit.head.path, visit.body)
    job = visit.jobs.add(mark, PROVIDER, model, visit.fault, made)
    waits = visit.head.headers.get("prefer", "").startswith("wait")
    short = task not in VIDEO_TASKS or visit.jobs.quick
    if waits and short and visit.fault not in _LONG:
        job.polls = 1_000_000  # as if it had been asked after until it ended
    return json_reply(201, _prediction(job, visit.jobs.stage(job)))


def _make(visit: Visit, task: str, given: dict[str, Any], needed: str) -> Made:
    reads = task in ("automatic-speech-recognition", "image-to-image")
    files = (given[needed],) if reads else ()
    width, height = (pixels(given.get(name), d) for name, d in (("width", 1024), ("height", 768)))
    prompt = str(given.get("prompt") or given.get("text") or "")
    try:
        return make(visit, Order(task, prompt, files, width, height))
    except NoFileError as error:
        raise _invalid(
            f"input.{needed}", f"Does not match format 'uri': {error}", "format"
        ) from error


def _versioned(version: str) -> str:
    """Return the whole name of a version: the model, a colon and the version."""
    bare = version.rpartition(":")[2]
    found = (offer.own_name for model in MODELS.values() for offer in model.served)
    return next((name for name in found if name.endswith(f":{bare}")), version)


def _guess(given: dict[str, Any], model: str) -> str:
    """Return what a model that is none is asked, as far as the request tells."""
    if "audio" in given:
        return "automatic-speech-recognition"
    if "text" in given:
        return "text-to-speech"
    if "image" in given or "input_image" in given:
        return "image-to-image"
    return "text-to-video" if "video" in model else "text-to-image"


def _find(visit: Visit, parts: dict[str, str]) -> Job:
    job = visit.jobs.find(PROVIDER, parts["id"])
    if job is None:
        told = {"title": "Not Found", "detail": "The requested resource could not be found."}
        raise RefusedError(404, {**told, "status": 404})
    return job


def _prediction(job: Job, stage: Stage) -> dict[str, Any]:
    model, _, version = job.model.partition(":")
    done = stage == "done"
    return {
        "id": job.id,
        "model": model,
        "version": version or "hidden",
        "input": {"prompt": job.result.prompt} if job.result.prompt else {},
        "logs": "",
        "output": _output(job.result) if done else None,
        "data_removed": False,
        "error": _REASONS.get(stage),
        "status": _STATES[stage],
        "created_at": "2026-10-29T12:00:00.000Z",
        "urls": {
            "get": f"{_API}/{job.id}",
            "cancel": f"{_API}/{job.id}/cancel",
            "stream": f"https://stream.replicate.com/v1/files/{job.id}",
        },
    }


def _output(made: Made) -> Any:
    """Write what was made as the models of its task do: a URL, a list of them, or an object."""
    if made.task == "automatic-speech-recognition":
        segment = {"start": 0.0, "end": made.seconds, "text": made.text}
        told = {"detected_language": "english", "translation": None, "segments": [segment]}
        return {"transcription": made.text, **told}
    return [made.url] if made.task == "text-to-image" and made.url else made.url


def _invalid(field: str, why: str, kind: str) -> RefusedError:
    where = f"{field.partition('.')[0]}: " if "." in field else ""
    told = {"type": kind, "field": field, "description": why}
    body = {"detail": f"- {where}{why}\n", "status": 422, "title": "Input validation failed"}
    refused = RefusedError(422, {**body, "invalid_fields": [told]})
    typed = ("content-type", "application/problem+json")
    return RefusedError.carrying(Reply(422, (typed,), refused.reply.steps))

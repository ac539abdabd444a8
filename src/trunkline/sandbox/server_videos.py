"""Videos on a server of one's own, in OpenAI's form: a job, and its file beside it."""

from __future__ import annotations

from typing import Any

from trunkline.sandbox import media_files
from trunkline.sandbox.answers import CREATED
from trunkline.sandbox.arrivals import NoFileError, arrived
from trunkline.sandbox.asking import task_of
from trunkline.sandbox.completions import refused
from trunkline.sandbox.forms import BROKEN, Upload
from trunkline.sandbox.job_store import Job, Stage
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.visit import Visit

_SERVER = "server"
_TASKS = ("text-to-video", "image-to-video", "image-text-to-video")
_STATES: dict[Stage, str] = {"queued": "queued", "running": "in_progress", "done": "completed"}
_REASONS: dict[Stage, str] = {
    "failed": "CUDA out of memory",
    "moderated": "Content flagged as potentially sensitive.",
    "cancelled": "The job was cancelled",
}


def submit(visit: Visit, _: dict[str, str]) -> Reply:
    """Queue a video."""
    asked = visit.asked
    if BROKEN in asked:
        raise refused(f"The form cannot be read: {asked[BROKEN]}.")
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise refused("You must provide a model parameter.", "model")
    task_of(visit, "openai", model, _TASKS)
    if not asked.get("prompt"):
        raise refused("'prompt' is missing.", "prompt")
    first = asked.get("input_reference")
    try:
        if first is not None:
            arrived(first.content if isinstance(first, Upload) else first, kind="image", bare=True)
    except NoFileError as error:
        raise refused(f"'input_reference' is no image: {error}.", "input_reference") from error
    mark = visit.mark(model, visit.body)
    told = {name: asked.get(name) for name in ("size", "seconds")}
    job = visit.jobs.add(mark, _SERVER, model, visit.fault, {"mark": mark, **told})
    return json_reply(200, _video(job, "queued"))


def state(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far a video is."""
    job = _find(visit, parts["id"])
    return json_reply(200, _video(job, visit.jobs.poll(job)))


def content(visit: Visit, parts: dict[str, str]) -> Reply:
    """Give a video that is done."""
    job = _find(visit, parts["id"])
    if visit.jobs.stage(job) != "done":
        raise refused("The video is not ready yet.", "id", status=404)
    return media_files.typed(media_files.mp4(job.result["mark"]), "mp4")


def drop(visit: Visit, parts: dict[str, str]) -> Reply:
    """Call a video off, or forget it."""
    job = _find(visit, parts["id"])
    visit.jobs.cancel(job)
    return json_reply(200, {"id": job.id, "object": "video.deleted", "deleted": True})


def _find(visit: Visit, job_id: str) -> Job:
    job = visit.jobs.find(_SERVER, job_id)
    if job is None:
        message = f"No video with the id {job_id!r}."
        raise RefusedError(404, {"error": {"message": message, "code": "not_found"}})
    return job


def _video(job: Job, stage: Stage) -> dict[str, Any]:
    reason = _REASONS.get(stage)
    return {
        "id": job.id,
        "object": "video",
        "created_at": CREATED,
        "model": job.model,
        "status": _STATES.get(stage, "failed"),
        "progress": 100 if stage == "done" else 0,
        "size": job.result["size"],
        "seconds": job.result["seconds"],
        "error": None if reason is None else {"code": stage, "message": reason},
    }

"""The queues of WaveSpeed, Together, Z.ai and Novita, emulated: what is taken, and how it goes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from trunkline.sandbox.answers import CREATED
from trunkline.sandbox.arrivals import NoFileError
from trunkline.sandbox.asking import task_of
from trunkline.sandbox.completions import refused
from trunkline.sandbox.job_results import Made, Order, make, pixels
from trunkline.sandbox.job_store import Job, Stage
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.visit import Visit

_PICTURES = (
    "image-text-to-image",
    "image-text-to-video",
    "image-to-image",
    "image-to-video",
    "text-to-image",
    "text-to-video",
)
_FRAME = 61440
"""Characters that Together takes for a frame."""
_FAILED = "CUDA out of memory"
_FLAGGED = "Content flagged as potentially sensitive. Please try different prompts or images."
_CANCELLED = "The task was cancelled"
_REASONS: dict[Stage, str] = {
    "failed": _FAILED,
    "moderated": _FLAGGED,
    "cancelled": _CANCELLED,
}


# WaveSpeed


def wavespeed_submit(visit: Visit, parts: dict[str, str]) -> Reply:
    """Queue a picture or a video."""
    asked, model = visit.asked, parts["model"]
    task = task_of(visit, "wavespeed", model, _PICTURES) or _guess(asked, model)
    prompt = asked.get("prompt") or ""
    if "image" in task and task != "text-to-image":
        files = asked.get("images") or [asked.get("image")]
        if not files[0]:
            raise RefusedError(400, {"code": 400, "message": "image is required", "data": None})
    elif not prompt:
        raise RefusedError(400, {"code": 400, "message": "prompt is required", "data": None})
    else:
        files = []
    width, height = (pixels(asked.get(name), d) for name, d in (("width", 1024), ("height", 768)))
    try:
        shown = tuple(map(str, files))
        made = make(visit, Order(task, str(prompt), shown, width, height, bare=True))
    except NoFileError as error:
        message = f"invalid image: {error}"
        raise RefusedError(400, {"code": 400, "message": message, "data": None}) from error
    job = _add(visit, "wavespeed", model, made)
    return json_reply(200, _wavespeed(job, "created"))


def wavespeed_result(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far a task is."""
    told = {"code": 404, "message": "prediction not found", "data": None}
    job = _find(visit, "wavespeed", parts["id"], told)
    stage = visit.jobs.poll(job)
    _check_poll(job, {"code": 503, "message": "service unavailable", "data": None})
    names = {"queued": "created", "running": "processing", "done": "completed"}
    return json_reply(200, _wavespeed(job, names.get(stage, "failed"), stage))


def _wavespeed(job: Job, name: str, stage: Stage = "queued") -> dict[str, Any]:
    flagged = [stage == "moderated"] if name in ("completed", "failed") else []
    place = f"https://api.wavespeed.ai/api/v3/predictions/{job.id}/result"
    data = {
        "id": job.id,
        "model": job.model,
        "outputs": [job.result.url] if stage == "done" and job.result.url else [],
        "urls": {"get": place},
        "has_nsfw_contents": flagged,
        "status": name,
        "created_at": "2026-10-29T12:00:00.000Z",
        "error": _REASONS.get(stage, ""),
        "executionTime": 1000 if stage == "done" else 0,
        "timings": {"inference": 900 if stage == "done" else 0},
    }
    return {"code": 200, "message": "success", "data": data}


def _guess(asked: dict[str, Any], model: str) -> str:
    """Return what a model that is none is asked, as far as the request tells."""
    made = "video" if "video" in model else "image"
    return f"image-to-{made}" if asked.get("image") else f"text-to-{made}"


# Together


def together_submit(visit: Visit, _: dict[str, str]) -> Reply:
    """Queue a video."""
    asked, model = visit.asked, _named_model(visit, "together")
    frames = asked.get("frame_images") or []
    task = task_of(visit, "together", model, ("text-to-video", "image-to-video"))
    task = task or ("image-to-video" if frames else "text-to-video")
    files = [row.get("input_image") for row in frames if isinstance(row, dict)]
    if task == "text-to-video" and not asked.get("prompt"):
        raise refused("prompt is required", "prompt")
    if task == "image-to-video" and not files:
        raise refused("frame_images is required", "frame_images")
    if any(len(str(file)) > _FRAME for file in files):
        raise refused(f"Range of input length should be [1, {_FRAME}]", "frame_images")
    order = Order(task, str(asked.get("prompt") or ""), tuple(map(str, files)))
    job = _add(visit, "together", model, _made(visit, order))
    return json_reply(200, _together(job, "queued"))


def together_status(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far a video is."""
    message = f"Video job {parts['id']} not found"
    told = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
    job = _find(visit, "together", parts["id"], told)
    stage = visit.jobs.poll(job)
    _check_poll(job, {"error": {"message": "Service unavailable", "type": "server_error"}})
    names = {"queued": "queued", "running": "in_progress", "done": "completed"}
    names["cancelled"] = "cancelled"
    body = _together(job, names.get(stage, "failed"))
    if stage == "done":
        body["outputs"] = {"cost": 0.1, **({"video_url": job.result.url} if job.result.url else {})}
    elif stage in _REASONS:
        body["error"] = {"code": stage, "message": _REASONS[stage]}
    return json_reply(200, body)


def _together(job: Job, name: str) -> dict[str, Any]:
    told = {"id": job.id, "object": "video", "model": job.model, "status": name}
    return {**told, "created_at": CREATED, "seconds": "2", "size": "1024x768"}


# Z.ai


def zai_submit(visit: Visit, _: dict[str, str]) -> Reply:
    """Queue a picture."""
    asked, model = visit.asked, _named_model(visit, "zai-org")
    task_of(visit, "zai-org", model, ("text-to-image",))
    if not asked.get("prompt"):
        raise RefusedError(400, {"error": {"code": "1214", "message": "prompt cannot be empty"}})
    size = str(asked.get("size") or "").split("x")
    width, height = (
        map(int, size) if len(size) == 2 and all(map(str.isdigit, size)) else (1024, 768)
    )
    made = _made(visit, Order("text-to-image", str(asked["prompt"]), (), width, height))
    job = _add(visit, "zai-org", model, made)
    return json_reply(200, _zai(job, "PROCESSING"))


def zai_result(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far a picture is."""
    told = {"error": {"code": "1211", "message": "Task does not exist"}}
    job = _find(visit, "zai-org", parts["id"], told)
    stage = visit.jobs.poll(job)
    _check_poll(job, {"error": {"code": "1305", "message": "Service overloaded"}})
    if stage in ("queued", "running"):
        return json_reply(200, _zai(job, "PROCESSING"))
    if stage == "done":
        images = [{"url": job.result.url}] if job.result.url else []
        return json_reply(200, {**_zai(job, "SUCCESS"), "image_result": images})
    code = "1301" if stage == "moderated" else "1234"
    error = {"code": code, "message": _REASONS[stage]}
    return json_reply(200, {**_zai(job, "FAIL"), "error": error})


def _zai(job: Job, name: str) -> dict[str, Any]:
    return {"model": job.model, "id": job.id, "request_id": job.id[::-1], "task_status": name}


# Novita


def novita_submit(visit: Visit, parts: dict[str, str]) -> Reply:
    """Queue a video."""
    job = _add(visit, "novita", parts["model"], _novita_made(visit, parts["model"]))
    return json_reply(200, {"task_id": job.id})


def novita_at_once(visit: Visit, parts: dict[str, str]) -> Reply:
    """Make a video without a queue."""
    made = _novita_made(visit, parts["model"])
    return json_reply(200, {"video": {"video_url": made.url, "video_type": "mp4"}})


def _novita_made(visit: Visit, model: str) -> Made:
    task_of(visit, "novita", model, ("text-to-video",))
    if not visit.asked.get("prompt"):
        raise _novita_wrong("prompt is required")
    return _made(visit, Order("text-to-video", str(visit.asked["prompt"])))


def novita_result(visit: Visit, _: dict[str, str]) -> Reply:
    """Tell how far a video is."""
    job_id = parse_qs(visit.head.query).get("task_id", [""])[0]
    told = {"code": 404, "reason": "NOT_FOUND", "message": "task not found", "metadata": {}}
    job = _find(visit, "novita", job_id, told)
    stage = visit.jobs.poll(job)
    _check_poll(job, {"code": 503, "reason": "UNAVAILABLE", "message": "try again"})
    names = {"queued": "QUEUED", "running": "PROCESSING", "done": "SUCCEED"}
    done = stage == "done"
    task = {
        "task_id": job.id,
        "task_type": "TXT_TO_VIDEO",
        "status": f"TASK_STATUS_{names.get(stage, 'FAILED')}",
        "reason": _REASONS.get(stage, ""),
        "eta": 0,
        "progress_percent": 100 if done else 0,
    }
    video = {"video_url": job.result.url, "video_url_ttl": "3600", "video_type": "mp4"}
    videos = [video] if done and job.result.url else []
    return json_reply(200, {"extra": {}, "task": task, "images": [], "videos": videos})


def minimax_submit(visit: Visit, _: dict[str, str]) -> Reply:
    """Queue a video for a picture and a text."""
    model = _named_model(visit, "novita")
    task_of(visit, "novita", model, ("image-text-to-video",))
    rows = [row for row in visit.asked.get("content") or () if isinstance(row, dict)]
    prompts = [row.get("text") for row in rows if row.get("type") == "text"]
    images = [row.get("image_url") for row in rows if row.get("type") == "image_url"]
    if not prompts and not images:
        raise _novita_wrong("content is required")
    urls = tuple(str(image.get("url")) for image in images if isinstance(image, dict))
    order = Order("image-text-to-video", str(prompts[0] if prompts else ""), urls)
    try:
        made = make(visit, order)
    except NoFileError as error:
        raise _novita_wrong(f"invalid image: {error}") from error
    return json_reply(200, {"task_id": _add(visit, "novita", model, made).id})


def minimax_result(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far such a video is."""
    told = {"code": 404, "reason": "NOT_FOUND", "message": "task not found", "metadata": {}}
    job = _find(visit, "novita", parts["id"], told)
    stage = visit.jobs.poll(job)
    _check_poll(job, {"code": 503, "reason": "UNAVAILABLE", "message": "try again"})
    names = {"done": "succeeded", "moderated": "failed"}
    task: dict[str, Any] = {"id": job.id, "model": job.model, "status": names.get(stage, stage)}
    if stage == "done" and job.result.url:
        task["content"] = {"url": job.result.url}
    elif stage in _REASONS:
        task["error"] = {"code": stage, "message": _REASONS[stage]}
    return json_reply(200, {"task": task})


def _novita_wrong(message: str) -> RefusedError:
    told = {"code": 400, "reason": "INVALID_REQUEST_BODY", "message": message, "metadata": {}}
    return RefusedError(400, told)


# all of them


def _made(visit: Visit, order: Order) -> Made:
    try:
        return make(visit, order)
    except NoFileError as error:
        raise refused(f"An image cannot be read: {error}.") from error


def _add(visit: Visit, provider: str, model: str, made: Made) -> Job:
    mark = visit.mark(visit.head.path, visit.body)
    return visit.jobs.add(mark, provider, model, visit.fault, made)


def _find(visit: Visit, provider: str, job_id: str, missing: dict[str, Any]) -> Job:
    job = visit.jobs.find(provider, job_id)
    if job is None:
        raise RefusedError(404, missing)
    return job


def _check_poll(job: Job, unavailable: dict[str, Any]) -> None:
    if job.outcome == "job-poll-503" and job.polls == 1:
        raise RefusedError(503, unavailable)


def _named_model(visit: Visit, provider: str) -> str:
    model = visit.asked.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(400, {"error": f"Model not supported by provider {provider}"})
    return model

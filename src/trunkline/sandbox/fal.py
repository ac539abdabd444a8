"""fal, emulated: models that answer at once, and its queue, as Hugging Face's router reaches both."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import msgspec

from trunkline.sandbox import media_files
from trunkline.sandbox.arrivals import NoFileError
from trunkline.sandbox.asking import task_of
from trunkline.sandbox.job_results import IMAGE_TASKS, VIDEO_TASKS, Made, Order, make, pixels
from trunkline.sandbox.job_store import Job
from trunkline.sandbox.media_tasks import b64
from trunkline.sandbox.reply import RefusedError, Reply, json_reply
from trunkline.sandbox.visit import Visit

PROVIDER = "fal-ai"
_HOST = "https://queue.fal.run"
_TASKS = (
    "audio-to-audio",
    "automatic-speech-recognition",
    "image-segmentation",
    "image-text-to-image",
    "image-text-to-video",
    "image-to-image",
    "image-to-video",
    "text-to-audio",
    "text-to-image",
    "text-to-speech",
    "text-to-video",
)
_UNMAPPED = re.compile(r"data:audio/(?:wav|webm|mp3)[;,]")
"""Types of `data:` URLs that fal does not know: its own names for them are others."""
_MODERATED = "The content could not be processed because it was flagged by a content checker."
_FAILED = "Generation failed: CUDA out of memory"


def submit(visit: Visit, parts: dict[str, str]) -> Reply:
    """Make something at once, or queue it where the query asks for that."""
    model = parts["model"]
    made = _make(visit, model)
    if not _queued(visit):
        if visit.fault in ("job-failed", "job-moderated", "job-cancelled"):
            raise _failure(visit.fault)
        return json_reply(200, _result(made))
    mark = visit.mark(visit.head.path, visit.body)
    job = visit.jobs.add(mark, PROVIDER, model, visit.fault, made)
    place = f"{_HOST}/{'/'.join(model.split('/')[:2])}/requests/{job.id}"
    return json_reply(200, {"status": "IN_QUEUE", "queue_position": 0, **_urls(job, place)})


def status(visit: Visit, parts: dict[str, str]) -> Reply:
    """Tell how far a job is; one that failed is complete, too."""
    job = _find(visit, parts)
    stage = visit.jobs.poll(job)
    if job.outcome == "job-poll-503" and job.polls == 1:
        return json_reply(503, {"detail": "Service temporarily unavailable"})
    place = f"{_HOST}/{parts['app']}/requests/{job.id}"
    if stage in ("queued", "running"):
        position = {"queue_position": 0} if stage == "queued" else {"logs": None}
        name = "IN_QUEUE" if stage == "queued" else "IN_PROGRESS"
        return json_reply(202, {"status": name, **position, **_urls(job, place)})
    return json_reply(
        200, {"status": "COMPLETED", "logs": None, "metrics": {}, **_urls(job, place)}
    )


def result(visit: Visit, parts: dict[str, str]) -> Reply:
    """Give a job's result, or what went wrong with it."""
    job = _find(visit, parts)
    stage = visit.jobs.stage(job)
    if stage in ("queued", "running"):
        raise RefusedError(400, {"detail": "Request is still in progress"})
    if stage != "done":
        raise _failure(f"job-{stage}")
    return json_reply(200, _result(job.result))


def cancel(visit: Visit, parts: dict[str, str]) -> Reply:
    """Cancel a job."""
    if visit.jobs.cancel(_find(visit, parts)):
        return json_reply(202, {"status": "CANCELLATION_REQUESTED"})
    raise RefusedError(400, {"status": "ALREADY_COMPLETED"})


def _queued(visit: Visit) -> bool:
    return parse_qs(visit.head.query).get("_subdomain") == ["queue"]


def _find(visit: Visit, parts: dict[str, str]) -> Job:
    if not _queued(visit):
        what = f"{visit.head.method} {visit.head.path.removeprefix(f'/{PROVIDER}/')}"
        raise RefusedError(400, {"error": f"Not allowed to {what} for provider {PROVIDER}"})
    job = visit.jobs.find(PROVIDER, parts["id"])
    if job is None:
        raise RefusedError(404, {"detail": "Request not found"})
    return job


def _urls(job: Job, place: str) -> dict[str, Any]:
    return {
        "request_id": job.id,
        "response_url": place,
        "status_url": f"{place}/status",
        "cancel_url": f"{place}/cancel",
    }


def _failure(outcome: str) -> RefusedError:
    if outcome == "job-moderated":
        told = {"loc": ["body", "prompt"], "msg": _MODERATED, "type": "content_policy_violation"}
        return RefusedError(422, {"detail": [told]})
    if outcome == "job-cancelled":
        return RefusedError(400, {"detail": "Request was cancelled"})
    return RefusedError(500, {"detail": _FAILED})


def _make(visit: Visit, model: str) -> Made:
    asked = visit.asked
    task = task_of(visit, PROVIDER, model, _TASKS) or _guess(asked, model)
    needed = _NEEDED.get(task, "prompt")
    if not isinstance(asked.get(needed), str) or not asked[needed]:
        detail = {"loc": ["body", needed], "msg": "field required", "type": "value_error.missing"}
        raise RefusedError(422, {"detail": [detail]})
    _check_loras(asked)
    files = [asked[name] for name in ("image_url", "audio_url") if asked.get(name)]
    if any(isinstance(file, str) and _UNMAPPED.match(file) for file in files):
        raise RefusedError(400, {"detail": "Unsupported data URL"})
    named = asked.get("image_size")
    size = named if isinstance(named, dict) else asked
    width, height = (pixels(size.get(name), d) for name, d in (("width", 1024), ("height", 768)))
    prompt = str(asked.get("prompt") or asked.get("text") or "")
    try:
        made = make(visit, Order(task, prompt, tuple(map(str, files)), width, height))
    except NoFileError as error:
        told = {"loc": ["body", needed], "msg": f"Failed to read the file: {error}"}
        raise RefusedError(422, {"detail": [{**told, "type": "file_download_error"}]}) from error
    if task == "image-segmentation" and asked.get("sync_mode") and made.url:
        mask = b64(media_files.mask(made.width, made.height))
        return msgspec.structs.replace(made, url=f"data:image/png;base64,{mask}")
    return made


_NEEDED = {
    "audio-to-audio": "audio_url",
    "automatic-speech-recognition": "audio_url",
    "image-segmentation": "image_url",
    "image-to-image": "image_url",
    "image-to-video": "image_url",
    "text-to-speech": "text",
}


def _check_loras(asked: dict[str, Any]) -> None:
    for index, lora in enumerate(asked.get("loras") or ()):
        if not isinstance(lora, dict) or not isinstance(lora.get("path"), str):
            told = {"loc": ["body", "loras", index, "path"], "msg": "str type expected"}
            raise RefusedError(422, {"detail": [{**told, "type": "type_error.str"}]})


def _guess(asked: dict[str, Any], model: str) -> str:
    """Return what a model that is none is asked, as far as the request tells."""
    if "audio_url" in asked:
        return "automatic-speech-recognition"
    if "text" in asked:
        return "text-to-speech"
    made = "video" if "video" in model else "image"
    if asked.get("sync_mode") and "image_url" in asked:
        return "image-segmentation"
    return f"image-to-{made}" if "image_url" in asked else f"text-to-{made}"


def _result(made: Made) -> dict[str, Any]:
    """Write a result as the models of its task do."""
    if made.task == "automatic-speech-recognition":
        chunk = {"timestamp": [0.0, made.seconds], "text": made.text, "speaker": None}
        return {"text": made.text, "chunks": [chunk], "inferred_languages": ["en"]}
    file = {"url": made.url, "content_type": media_files.TYPES.get(made.kind)}
    if made.task == "image-segmentation":
        return {"image": {**file, "width": made.width, "height": made.height}}
    if made.task in IMAGE_TASKS:
        images = [{**file, "width": made.width, "height": made.height}] if made.url else []
        told = {"timings": {"inference": 1.0}, "seed": int(made.mark[:8], 16)}
        return {"images": images, **told, "has_nsfw_concepts": [False], "prompt": made.prompt}
    if not made.url:
        return {}
    if made.task in VIDEO_TASKS:
        return {"video": {**file, "file_name": "output.mp4"}}
    if made.task == "text-to-audio":
        return {"audio_file": {**file, "file_name": "output.wav"}}
    text = {"text": made.prompt} if made.task == "audio-to-audio" else {}
    return {"audio": file, **text}

"""What each provider that queues says, from the accepted job to its file; small and by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

from trunkline.providers.mapping import Serving

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24
MP4 = b"\0\0\0\x18ftypmp42" + b"\0" * 24


class Form(NamedTuple):
    """One provider's manner."""

    provider: str
    task: str
    own: str
    """Its name of the model."""
    submit: str
    """Path of the submission, as routed."""
    poll: str
    """Path of the polls."""
    accepted: Any
    pending: tuple[Any, ...]
    done: Any
    fetched: Any = None
    """What lies under the job itself, where the result is not in the last poll."""
    file: bytes = PNG
    inputs: Any = "a cat"
    direct: str = ""
    """Address for calls with the provider's own key, where a job can only be had there."""
    parameters: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it

    @property
    def model(self) -> str:
        return f"huggingface/{self.provider}/org/m"

    @property
    def served(self) -> tuple[Serving, ...]:
        return (Serving(self.provider, self.own, self.task, "live"),)


def file_at(origin: str, name: str = "made.png") -> str:
    return f"{origin}/{name}?signature=secret"


def forms(files: str) -> list[Form]:
    """Return every form, with result files at the origin `files`."""
    image, video = file_at(files), file_at(files, "made.mp4")
    fal_job = "fal-ai/flux/requests/r-1"
    fal = {"request_id": "r-1", "response_url": f"https://evil.example/{fal_job}"}
    replicate = {
        "id": "p1",
        "urls": {"get": "https://evil.example/v1/predictions/p1"},
        "output": None,
        "error": None,
    }
    wavespeed_at = "api/v3/predictions/w1/result"
    wavespeed = {"id": "w1", "urls": {"get": f"https://evil.example/{wavespeed_at}"}, "outputs": []}
    bfl = {"id": "b1", "polling_url": "https://evil.example/v1/get_result?id=b1"}
    return [
        Form(
            "fal-ai",
            "text-to-image",
            "fal-ai/flux/dev",
            "fal-ai/flux/dev?_subdomain=queue",
            f"{fal_job}/status?_subdomain=queue",
            {**fal, "status": "IN_QUEUE", "queue_position": 2},
            ({"status": "IN_QUEUE", "queue_position": 1}, {"status": "IN_PROGRESS"}),
            {"status": "COMPLETED"},
            {"images": [{"url": image}]},
        ),
        Form(
            "replicate",
            "text-to-image",
            "org/model",
            "v1/models/org/model/predictions",
            "v1/predictions/p1",
            {**replicate, "status": "starting"},
            ({**replicate, "status": "starting"}, {**replicate, "status": "processing"}),
            {**replicate, "status": "succeeded", "output": [image]},
        ),
        Form(
            "wavespeed",
            "text-to-image",
            "org/model",
            "api/v3/org/model",
            wavespeed_at,
            {"code": 200, "data": {**wavespeed, "status": "created"}},
            (
                {"data": {**wavespeed, "status": "created"}},
                {"data": {**wavespeed, "status": "processing"}},
            ),
            {"data": {**wavespeed, "status": "completed", "outputs": [image]}},
        ),
        Form(
            "together",
            "text-to-video",
            "org/model",
            "v2/videos",
            "v2/videos/t1",
            {"id": "t1"},
            ({"id": "t1", "status": "queued"}, {"id": "t1", "status": "in_progress"}),
            {"id": "t1", "status": "completed", "outputs": {"video_url": video}},
            file=MP4,
        ),
        Form(
            "zai-org",
            "text-to-image",
            "glm-image",
            "api/paas/v4/async/images/generations",
            "api/paas/v4/async-result/z1",
            {"id": "z1", "task_status": "PROCESSING"},
            ({"task_status": "PROCESSING"}, {"task_status": "PROCESSING"}),
            {"task_status": "SUCCESS", "image_result": [{"url": image}]},
        ),
        Form(
            "novita",
            "text-to-video",
            "wan-t2v",
            "v3/async/wan-t2v",
            "v3/async/task-result?task_id=n1",
            {"task_id": "n1"},
            (
                {"task": {"status": "TASK_STATUS_QUEUED"}},
                {"task": {"status": "TASK_STATUS_PROCESSING"}},
            ),
            {"task": {"status": "TASK_STATUS_SUCCEED"}, "videos": [{"video_url": video}]},
            file=MP4,
        ),
        Form(
            "novita",
            "image-text-to-video",
            "MiniMax-H3",
            "v3/minimax/v2/video_generation",
            "v3/minimax/v2/query/video_generation/n2",
            {"task_id": "n2"},
            ({"task": {"status": "queueing"}}, {"task": {"status": "processing"}}),
            {"task": {"status": "succeeded", "content": {"url": video}}},
            file=MP4,
            inputs=None,
            parameters={"prompt": "a cat"},
        ),
        Form(
            "black-forest-labs",
            "text-to-image",
            "flux-dev",
            "v1/flux-dev",
            "v1/get_result?id=b1",
            bfl,
            ({"id": "b1", "status": "Pending"}, {"id": "b1", "status": "Pending"}),
            {"id": "b1", "status": "Ready", "result": {"sample": image}},
            direct="https://api.us1.bfl.ai",
        ),
    ]

"""Queued tasks in the sandbox: every provider's jobs, from being taken to every way they end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from samples import b64, below, data_url, look, png

from trunkline.sandbox import Reply, Sandbox
from trunkline.sandbox.job_store import Jobs

PICTURE = data_url(png())


def said(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


class Queue:
    """One provider's queue: how to submit to it, ask after a job, and read what comes."""

    def __init__(self, submit: str, body: dict[str, Any], **places: Any) -> None:
        self.submit, self.body, self.places = submit, body, places

    def take(self, asker: Any, fault: str = "", status: int = 200) -> Any:
        headers = {"x_sandbox_fault": fault} if fault else {}
        reply = asker.post(self.submit, self.body, **headers)
        assert reply.status == status, reply.body
        return said(reply)

    def poll(self, asker: Any, job: Any) -> tuple[str, str | None, str | None]:
        """Return state, URL of the result and reason, as far as they are told."""
        reply = asker.get(self.places["poll"](job))
        assert reply.status in (200, 202), reply.body
        answer = said(reply)
        found = (look(answer, place) for place in self.places["at"])
        state, url, reason = found
        return state, url, reason


QUEUES = {
    "replicate": Queue(
        "/replicate/v1/models/wavespeedai/wan-2.1-t2v-480p/predictions",
        {"input": {"prompt": "a dog"}},
        poll=lambda job: below("replicate", job["urls"]["get"]),
        at=("status", "output", "error"),
    ),
    "wavespeed": Queue(
        "/wavespeed/api/v3/wavespeed-ai/wan-2.1/t2v-480p",
        {"prompt": "a dog"},
        poll=lambda job: below("wavespeed", job["data"]["urls"]["get"]),
        at=("data.status", "data.outputs.0", "data.error"),
    ),
    "together": Queue(
        "/together/v2/videos",
        {"prompt": "a dog", "model": "Wan-AI/Wan2.1-T2V-14B"},
        poll=lambda job: f"/together/v2/videos/{job['id']}",
        at=("status", "outputs.video_url", "error.message"),
    ),
    "zai-org": Queue(
        "/zai-org/api/paas/v4/async/images/generations",
        {"model": "glm-image", "prompt": "a dog", "size": "64x32"},
        poll=lambda job: f"/zai-org/api/paas/v4/async-result/{job['id']}",
        at=("task_status", "image_result.0.url", "error.message"),
    ),
    "novita": Queue(
        "/novita/v3/async/wan-t2v",
        {"prompt": "a dog"},
        poll=lambda job: f"/novita/v3/async/task-result?task_id={job['task_id']}",
        at=("task.status", "videos.0.video_url", "task.reason"),
    ),
    "minimax": Queue(
        "/novita/v3/minimax/v2/video_generation",
        {
            "model": "MiniMax-H3",
            "content": [
                {"type": "text", "text": "a dog"},
                {"type": "image_url", "image_url": {"url": PICTURE}, "role": "first_frame"},
            ],
        },
        poll=lambda job: f"/novita/v3/minimax/v2/query/video_generation/{job['task_id']}",
        at=("task.status", "task.content.url", "task.error.message"),
    ),
}
"""Every queue but fal's, whose result lies in a place of its own."""

STATES = {
    "replicate": ("starting", "processing", "succeeded", "failed", "canceled"),
    "wavespeed": ("created", "processing", "completed", "failed", "failed"),
    "together": ("queued", "in_progress", "completed", "failed", "cancelled"),
    "zai-org": ("PROCESSING", "PROCESSING", "SUCCESS", "FAIL", "FAIL"),
    "novita": (
        "TASK_STATUS_QUEUED", "TASK_STATUS_PROCESSING", "TASK_STATUS_SUCCEED",
        "TASK_STATUS_FAILED", "TASK_STATUS_FAILED",
    ),
    "minimax": ("queued", "running", "succeeded", "failed", "cancelled"),
}  # fmt: skip
EACH = pytest.mark.parametrize("name", QUEUES)


def taken(name: str, asker: Any, fault: str = "") -> Any:
    return QUEUES[name].take(asker, fault, 201 if name == "replicate" else 200)


@EACH
def test_a_job_is_queued_then_running_then_done(asker, name: str) -> None:
    job = taken(name, asker)
    told = [QUEUES[name].poll(asker, job) for _ in range(4)]
    queued, running, done, _, _ = STATES[name]
    assert [state for state, _, _ in told] == [queued, running, done, done]
    assert [bool(url) for _, url, _ in told] == [False, False, True, True]
    url = told[-1][1]
    assert isinstance(url, str)
    assert url.startswith("http://127.0.0.1/files/")


@EACH
@pytest.mark.parametrize(("polls", "before"), [(0, 0), (1, 1), (5, 5)])
def test_how_many_polls_a_job_takes_is_a_setting(
    ask_with, name: str, polls: int, before: int
) -> None:
    asker = ask_with(Sandbox(job_polls=polls))
    job = taken(name, asker)
    states = [QUEUES[name].poll(asker, job)[0] for _ in range(before + 1)]
    done = STATES[name][2]
    assert states.count(done) == 1
    assert states[-1] == done


@EACH
@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("job-failed", 3, "out of memory"),
        ("job-moderated", 3, ("NSFW", "sensitive")),
        ("job-cancelled", 4, None),
    ],
)
def test_a_job_ends_as_its_fault_says_in_its_providers_words(
    asker, name: str, fault: str, state: int, words: Any
) -> None:
    job = taken(name, asker, fault)
    told = [QUEUES[name].poll(asker, job) for _ in range(3)]
    assert told[0][0] == STATES[name][0]
    assert told[2][0] == STATES[name][state]
    assert told[2][1] is None
    if words:
        reason = told[2][2]
        assert reason
        assert any(word in reason for word in (words if isinstance(words, tuple) else (words,)))


@EACH
def test_a_lost_job_is_not_found_though_it_was_taken(asker, name: str) -> None:
    job = taken(name, asker, "job-lost")
    assert asker.get(QUEUES[name].places["poll"](job)).status == 404


@EACH
def test_a_job_may_never_end_or_take_its_time(asker, name: str) -> None:
    queue = QUEUES[name]
    endless, slow = taken(name, asker, "job-endless"), taken(name, asker, "job-slow")
    assert {queue.poll(asker, endless)[0] for _ in range(40)} <= set(STATES[name][:2])
    states = [queue.poll(asker, slow)[0] for _ in range(13)]
    assert states.count(STATES[name][2]) == 1


@EACH
def test_a_done_job_may_have_made_nothing_and_a_poll_may_fail(asker, name: str) -> None:
    queue = QUEUES[name]
    job = taken(name, asker, "job-no-output")
    assert [queue.poll(asker, job)[:2] for _ in range(3)][2] == (STATES[name][2], None)
    shaky = taken(name, asker, "job-poll-503")
    assert asker.get(queue.places["poll"](shaky)).status == 503
    assert queue.poll(asker, shaky)[0] == STATES[name][1]


@EACH
def test_only_its_own_account_and_provider_find_a_job(asker, name: str) -> None:
    job = taken(name, asker)
    place = QUEUES[name].places["poll"](job)
    assert asker.get(place, authorization="").status == 401
    other = taken("together" if name != "together" else "zai-org", asker)
    mixed = place.replace(_id_in(job), _id_in(other))
    assert asker.get(mixed).status == 404


def _id_in(job: Any) -> str:
    found = job.get("id") or job.get("task_id") or job["data"]["id"]
    assert isinstance(found, str)
    return found


@EACH
def test_ids_depend_on_request_seed_and_number(ask_with, name: str) -> None:
    one, same = ask_with(Sandbox(seed=1)), ask_with(Sandbox(seed=1))
    first = _id_in(taken(name, one))
    assert first == _id_in(taken(name, same))
    assert first != _id_in(taken(name, one))
    assert first != _id_in(taken(name, ask_with(Sandbox(seed=2))))


def test_together_takes_small_frames_only(asker) -> None:
    body = {
        "model": "Wan-AI/Wan2.1-I2V-14B",
        "frame_images": [{"input_image": PICTURE, "frame": "first"}],
    }
    assert asker.post("/together/v2/videos", body).status == 200
    body["frame_images"] = [{"input_image": "A" * 61441}]
    refused = asker.post("/together/v2/videos", body)
    assert refused.status == 400
    assert b"Range of input length should be [1, 61440]" in refused.body


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("/wavespeed/api/v3/wavespeed-ai/flux-dev", {}),
        ("/wavespeed/api/v3/wavespeed-ai/flux-kontext-dev", {"prompt": "x"}),
        ("/wavespeed/api/v3/wavespeed-ai/flux-kontext-dev", {"image": "hello", "prompt": "x"}),
        ("/wavespeed/api/v3/no/such", {"prompt": "x"}),
        ("/together/v2/videos", {"model": "Wan-AI/Wan2.1-T2V-14B"}),
        ("/together/v2/videos", {"prompt": "x"}),
        ("/zai-org/api/paas/v4/async/images/generations", {"model": "glm-image"}),
        ("/novita/v3/async/wan-t2v", {}),
        ("/novita/v3/minimax/v2/video_generation", {"model": "MiniMax-H3"}),
        ("/novita/v3/async/no-such", {"prompt": "x"}),
    ],
)
def test_what_cannot_be_made_is_refused(asker, place: str, body: dict[str, Any]) -> None:
    assert asker.post(place, body).status == 400


def test_novita_makes_a_video_without_a_queue_too(asker) -> None:
    found = said(asker.post("/novita/v3/hf/wan-t2v", {"prompt": "x"}))
    assert found["video"]["video_url"].endswith(".mp4")


@EACH
@pytest.mark.parametrize("fault", ["job-failed", "503"])
def test_a_models_name_asks_for_the_same_faults(asker, name: str, fault: str) -> None:
    queue = QUEUES[name]
    models = {"replicate": "models/{}/predictions", "wavespeed": "api/v3/{}", "novita": "async/{}"}
    path, body = queue.submit, dict(queue.body)
    if "model" in body:
        body["model"] = f"org/fault-{fault}"
    else:
        start = path.partition(models[name].partition("{")[0])[0]
        path = start + models[name].format(f"org/fault-{fault}")
    reply = asker.post(path, body)
    if fault == "503":
        assert reply.status == 503
        return
    told = [queue.poll(asker, said(reply)) for _ in range(3)]
    assert told[2][0] == STATES[name][3]


def test_a_fault_may_strike_one_job_and_spare_the_next(asker) -> None:
    queue = QUEUES["together"]
    ends = []
    for _ in range(3):
        job = queue.take(asker, "job-failed;times=1")
        ends.append([queue.poll(asker, job)[0] for _ in range(3)][2])
    assert ends == ["failed", "completed", "failed"]


def test_only_the_last_jobs_are_kept() -> None:
    jobs = Jobs(polls=0, keep=2)
    made = [jobs.add("mark", "p", "m", "", None) for _ in range(3)]
    assert [jobs.find("p", job.id) for job in made] == [None, *made[1:]]


def test_a_path_that_is_not_on_a_providers_list_is_refused(asker) -> None:
    for provider, path in (("replicate", "v1/files"), ("wavespeed", "api/v2/x"), ("groq", "v1/x")):
        refused = asker.post(f"/{provider}/{path}", {})
        assert said(refused) == {"error": f"Not allowed to POST {path} for provider {provider}"}
    put = asker.request("PUT", "/replicate/v1/predictions/1", b"", {})
    assert said(put)["error"].startswith("Not allowed to PUT")


def test_wavespeed_takes_base64_alone_and_in_a_data_url(asker) -> None:
    where = "/wavespeed/api/v3/wavespeed-ai/flux-kontext-dev"
    for image in (b64(png()), PICTURE, "https://example.org/a.png"):
        body = {"prompt": "x", "image": image, "images": [image]}
        assert asker.post(where, body).status == 200

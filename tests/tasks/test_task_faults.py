"""What fails on the way: answers, jobs and files that go wrong, and time that runs out."""

from __future__ import annotations

import pytest
from task_rows import Call

from loopback import Upstream
from trunkline import Client, errors
from trunkline.sandbox import SandboxServer
from trunkline.settings import Settings

FAULTS: dict[str, tuple[type[errors.APIError], str]] = {
    "402": (errors.PaymentRequiredError, "billing"),
    "403": (errors.PermissionDeniedError, "permission"),
    "404": (errors.NotFoundError, "does not exist"),
    "429-int": (errors.RateLimitError, "Rate limit"),
    "500": (errors.InternalServerError, "CUDA"),
    "503": (errors.ServiceUnavailableError, "overloaded"),
    "503-loading": (errors.ModelLoadingError, "being loaded"),
    "504": (errors.GatewayTimeoutError, "web page"),
    "html-200": (errors.InvalidResponseError, "cannot be read"),
    "empty-200": (errors.InvalidResponseError, "cannot be read"),
    "no-answer": (errors.APIConnectionError, "closed the connection"),
    "cut-length": (errors.APIConnectionError, "in the middle"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_has_its_class_its_place_and_one_attempt(
    call: Call, server: SandboxServer, fault: str
) -> None:
    kind, said = FAULTS[fault]
    model = f"huggingface/together/text-to-image/fault-{fault}"
    with pytest.raises(kind, match=said) as caught:
        call("image_generation", model, "a cat", deadline=5)
    error = caught.value
    assert (error.provider, error.model) == ("together", f"text-to-image/fault-{fault}")
    assert len(error.attempts) == 1
    assert [seen.method for seen in server.requests if seen.status][:2] == ["GET", "POST"]


def test_a_failure_that_passes_is_tried_again(settings: Settings, server: SandboxServer) -> None:
    with Client("hf_good", settings=settings, max_retries=2) as client:
        found = client.image_generation("huggingface/together/text-to-image/fault-flaky-503", "x")
    assert [attempt.status for attempt in found.receipt.attempts] == [503, 200]


JOBS: dict[str, tuple[type[errors.APIError], str]] = {
    "job-failed": (errors.JobFailedError, "CUDA out of memory"),
    "job-moderated": (errors.JobModeratedError, r"flagged|NSFW"),
    "job-lost": (errors.JobLostError, "does not know the job"),
    "job-endless": (errors.JobUnfinishedError, r"within 0\.05 s(.|\n)*resume_job\('job:"),
    "job-poll-503": (errors.ServiceUnavailableError, "resume_job"),
    "job-no-output": (errors.InvalidResponseError, "no output|no video|no file"),
}
QUEUES = ("fal-ai", "novita", "replicate", "together", "wavespeed")


@pytest.mark.parametrize("provider", QUEUES)
@pytest.mark.parametrize("fault", JOBS)
def test_a_job_that_brings_nothing_says_why_and_can_be_found_again(
    call: Call, fault: str, provider: str
) -> None:
    kind, said = JOBS[fault]
    model = f"huggingface/{provider}/text-to-video/fault-{fault}"
    deadline = 0.05 if fault == "job-endless" else 5
    with pytest.raises(kind, match=said) as caught:
        call("text_to_video", model, "a dog", deadline=deadline)
    assert caught.value.provider == provider
    assert caught.value.job is not None
    assert caught.value.job.model == model


@pytest.mark.parametrize("provider", QUEUES)
def test_a_cancelled_job_is_told_from_one_that_failed(call: Call, provider: str) -> None:
    with pytest.raises(errors.JobCancelledError, match="cancelled"):
        call("text_to_video", f"huggingface/{provider}/text-to-video/fault-job-cancelled", "a dog")


STRAYS: dict[str, tuple[type[errors.APIError], str]] = {
    "file-html": (errors.InvalidResponseError, "web page"),
    "file-404": (errors.NotFoundError, "could not be fetched"),
    "file-empty": (errors.InvalidResponseError, "is empty"),
    "file-short": (errors.APIConnectionError, "in the middle"),
    "file-huge": (errors.InvalidResponseError, "larger than 1,000,000 bytes"),
    "file-endless": (errors.InvalidResponseError, "larger than 1,000,000 bytes"),
    "file-redirect-http": (errors.InvalidResponseError, "it is not https"),
    "file-redirect-private": (errors.InvalidResponseError, "is not fetched"),
    "file-redirect-private-tls": (errors.InvalidResponseError, "address is a private one"),
    "file-url-http": (errors.InvalidResponseError, "it is not https"),
    "file-url-private": (errors.InvalidResponseError, "is not fetched"),
    "file-url-private-tls": (errors.InvalidResponseError, "address is a private one"),
}


@pytest.mark.parametrize("fault", STRAYS)
def test_a_file_that_is_none_or_lies_elsewhere_is_not_taken(call: Call, fault: str) -> None:
    kind, said = STRAYS[fault]
    model = f"huggingface/fal-ai/text-to-video/fault-{fault}"
    with pytest.raises(kind, match=said) as caught:
        call("text_to_video", model, "a dog", max_bytes=1_000_000)
    assert caught.value.provider == "fal-ai"
    assert caught.value.job is not None
    left = call("text_to_video", model, "a dog", download=False)
    assert left.url and left.content is None
    with pytest.raises(errors.InvalidResponseError, match="not fetched"):
        _ = left.bytes


def test_time_runs_out_by_timeout_and_by_deadline(call: Call) -> None:
    model = "huggingface/together/text-to-image/fault-stall-head"
    with pytest.raises(errors.Timeout) as caught:
        call("image_generation", model, "a cat", timeout=0.1)
    assert not isinstance(caught.value, errors.DeadlineExceeded)
    with pytest.raises(errors.DeadlineExceeded, match="deadline"):
        call("image_generation", model, "a cat", deadline=0.1)


def test_a_server_that_is_not_there_is_said_to_be_away(call: Call) -> None:
    gone = Upstream()
    url = gone.url
    gone.close()
    with pytest.raises(errors.APIConnectionError, match="refused the connection"):
        call("embedding", "m", "hello", api_base=url, engine="openai")


def test_an_error_under_a_good_status_is_the_error_that_it_says(client: Client) -> None:
    with pytest.raises(errors.ServiceUnavailableError) as caught:
        client.embedding("huggingface/together/feature-extraction/fault-json-error-200", "a")
    assert caught.value.provider == "together"

"""Jobs of every provider that queues, through both clients and over sockets."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from faces import Face
from job_forms import PNG, forms
from loopback import PATIENCE, Gone, open_sockets, sockets_settle, whole
from queues import Queue, says
from trunkline import AsyncClient, Client, drive, errors
from trunkline.errors import APIError, InvalidInputError
from trunkline.providers.queued import QUEUED
from trunkline.providers.spec import Route
from trunkline.providers.table import PROVIDERS
from trunkline.routing.task_flow import ask_flow
from trunkline.tasks.image import image_generation
from trunkline.transport.blocking import BlockingTransport
from trunkline.types.job import JobProgress

TOKEN = "hf_abcdefghijklmnop"
FORMS = forms("")
each = pytest.mark.parametrize(
    "number", range(len(FORMS)), ids=[f"{f.provider}-{f.task}" for f in FORMS]
)
FAL, REPLICATE, WAVESPEED = 0, 1, 2


def _quick(route: Route) -> Route:
    if route.shape.job is None:
        return route
    form = msgspec.structs.replace(route.shape.job, first=0.002, growth=1.0)
    return msgspec.structs.replace(route, shape=msgspec.structs.replace(route.shape, job=form))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider, routes in QUEUED.items():
        quick = {task: _quick(route) for task, route in routes.items()}
        monkeypatch.setitem(QUEUED, provider, quick)


@pytest.fixture
def queue(serve: Any) -> Queue:
    return Queue(serve)


class Shop:
    """One provider's queue on loopback, and calls to it."""

    def __init__(self, queue: Queue, number: int, patch: pytest.MonkeyPatch) -> None:
        form = self.form = forms(queue.origin)[number]
        self.queue = queue
        self.base = "" if form.direct else f"/{form.provider}"
        if form.direct:
            row = msgspec.structs.replace(PROVIDERS[form.provider], base_url=queue.origin)
            patch.setitem(PROVIDERS, form.provider, row)
        queue.maps(form.provider, form.own, form.task)
        self.submit = f"POST {self.base}/{form.submit}"
        self.poll = f"GET {self.base}/{form.poll}"
        self.result = self.poll.replace("/status", "")
        name = "made.png" if form.file == PNG else "made.mp4"
        self.file = f"GET /{name}?signature=secret"
        queue.on(self.submit, says(form.accepted))
        queue.on(self.poll, *(says(one) for one in (*form.pending, form.done)))
        if form.fetched is not None:
            queue.on(self.result, says(form.fetched))
        queue.on(self.file, whole(form.file, content_type="application/octet-stream"))

    def client(self, face: Face, **options: Any) -> Any:
        key = "own-key" if self.form.direct else TOKEN
        return face.client(token=key, settings=self.queue.settings(), **options)

    def call(self, face: Face, client: Any = None, **options: Any) -> Any:
        """Carry out a call of the form's task."""
        form = self.form
        if form.task == "text-to-image":
            name, arguments = "image_generation", ["a cat"]
        else:
            name = form.task.replace("-", "_")
            arguments = ["a cat"]
        method = getattr(client or self.client(face), name)
        return face.run(method(form.model, *arguments, **options))


@pytest.fixture
def shop(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Shop]:
    return lambda number: Shop(queue, number, monkeypatch)


@each
def test_a_job_goes_from_its_submission_to_its_file(face: Face, shop: Any, number: int) -> None:
    at = shop(number)
    made = at.call(face)
    media = made if at.form.file != PNG else made.image
    assert media.content == at.form.file
    assert media.media_type == ("image/png" if at.form.file == PNG else "video/mp4")
    fetched = [] if at.form.fetched is None else [at.result]
    assert at.queue.asked() == [at.submit, at.poll, at.poll, at.poll, *fetched, at.file]
    assert made.receipt.provider == at.form.provider


@each
def test_the_token_is_shown_to_the_provider_alone(face: Face, shop: Any, number: int) -> None:
    at = shop(number)
    cookie = "set_cookie"
    at.queue.on(at.submit, says(at.form.accepted, **{cookie: "session=1"}))
    client = at.client(face, bill_to="org", session_id="s", extra_headers={"x-mine": "1"})
    at.call(face, client)
    *asked, file = [r for r in at.queue.seen if "/api/models" not in r.target]
    auth = "x-key" if at.form.direct else "authorization"
    assert all(auth in r.headers and r.headers["x-mine"] == "1" for r in asked)
    assert sorted(file.headers) == ["accept", "accept-encoding", "host", "user-agent"]
    assert not any("cookie" in r.headers for r in at.queue.seen)


def test_a_polling_address_elsewhere_is_not_even_connected_to(
    face: Face, shop: Any, serve: Any
) -> None:
    evil = serve()
    at = shop(FAL)
    url = f"http://127.0.0.1:{evil.port}/fal-ai/flux/requests/r-1"
    at.queue.on(at.submit, says({**at.form.accepted, "response_url": url}))
    assert at.call(face).image.content == PNG
    assert evil.visits == []


# telling, cancelling, resuming


class Enough(Exception):
    """What a caller raises."""


@pytest.mark.parametrize("number", [FAL, REPLICATE])
def test_what_progress_raises_cancels_the_job(face: Face, shop: Any, number: int) -> None:
    at = shop(number)
    told: list[JobProgress] = []

    def stop(progress: JobProgress) -> None:
        told.append(progress)
        if progress.polls:
            raise Enough

    with pytest.raises(Enough):
        at.call(face, on_progress=stop)
    assert [p.polls for p in told] == [0, 1]
    assert at.queue.asked()[:2] == [at.submit, at.poll]
    method = "PUT" if number == FAL else "POST"
    place = "/fal-ai/fal-ai/flux/requests/r-1/cancel?_subdomain=queue"
    place = place if number == FAL else "/replicate/v1/predictions/p1/cancel"
    assert at.queue.asked()[2:] == [f"{method} {place}"]


@each
def test_a_job_is_resumed_in_a_fresh_client(face: Face, shop: Any, number: int) -> None:
    at = shop(number)
    told: list[JobProgress] = []

    def stop(progress: JobProgress) -> None:
        told.append(pickle.loads(pickle.dumps(progress)))
        raise Enough

    with pytest.raises(Enough):
        at.call(face, on_progress=stop)
    for job in (told[0].job, str(told[0].job)):
        at.queue.seen.clear()
        at.queue.on(at.poll, says(at.form.pending[1]), says(at.form.done))
        made = face.run(at.client(face).resume_job(job))
        assert (made if at.form.file != PNG else made.image).content == at.form.file
        assert at.queue.asked(hub=True)[:2] == [at.poll, at.poll]


def test_a_job_is_resumed_in_another_process(shop: Any) -> None:
    at = shop(FAL)
    with Client(token=TOKEN, settings=at.queue.settings(), max_retries=0) as client:
        at.queue.on(at.poll, says({"error": "down"}, 502), says(at.form.done))
        with pytest.raises(errors.BadGatewayError) as caught:
            client.image_generation(at.form.model, "a cat")
    program = "import sys, trunkline; print(trunkline.resume_job(sys.argv[1]).image.content[:4])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(caught.value.job)],
        env={**os.environ, **at.queue.environment, "HF_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout == f"{PNG[:4]!r}\n", done.stderr


@pytest.mark.parametrize("job", ["", "r-1", "job:fal-ai/text-to-image/r-1", None, 3])
@pytest.mark.parametrize("name", ["resume_job", "cancel_job"])
def test_what_is_no_job_is_refused(face: Face, queue: Queue, name: str, job: Any) -> None:
    client = face.client(token=TOKEN, settings=queue.settings())
    with pytest.raises(InvalidInputError, match="is no job"):
        face.run(getattr(client, name)(job))


@pytest.mark.parametrize(
    "path", ["//127.0.0.1:1/x", "http%3A//127.0.0.1%3A1/x", "a/%252e%252e/b", "a%0d%0aHost:+evil"]
)
def test_a_job_that_was_tampered_with_is_refused(face: Face, queue: Queue, path: str) -> None:
    client = face.client(token=TOKEN, settings=queue.settings())
    with pytest.raises(InvalidInputError, match="is no job"):
        face.run(client.resume_job(f"job:fal-ai/text-to-image/r-1?model=org/m&path={path}"))
    assert queue.seen == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (says({"status": "CANCELLATION_REQUESTED"}, 202), True),
        (says({"status": "ALREADY_COMPLETED"}, 400), False),
        (says({"detail": "Not Found"}, 404), False),
        (says({"error": "Unauthorized"}, 401), errors.AuthenticationError),
    ],
)
def test_cancelling_says_whether_it_came_in_time(
    face: Face, shop: Any, answer: bytes, outcome: Any
) -> None:
    at = shop(FAL)
    place = "/fal-ai/fal-ai/flux/requests/r-1"
    at.queue.on(f"PUT {place}/cancel?_subdomain=queue", answer)
    job = f"job:fal-ai/text-to-image/r-1?model=org/m&path={place[8:]}"
    cancelling = at.client(face).cancel_job
    if isinstance(outcome, bool):
        assert face.run(cancelling(job)) is outcome
    else:
        with pytest.raises(outcome):
            face.run(cancelling(job))


# trouble


def test_trouble_between_polls_is_got_over(face: Face, shop: Any) -> None:
    at = shop(WAVESPEED)

    def resets(visit: Any) -> None:
        visit.reset()

    def breaks_off(visit: Any) -> None:
        visit.send(says(at.form.done)[:-9])
        visit.close()

    page = whole(b"<html><title>502</title></html>", 502, content_type="text/html")
    busy = says({"error": "slow down"}, 429, retry_after="0")
    at.queue.on(
        at.poll, resets, says(at.form.pending[0]), page, breaks_off, busy, says(at.form.done)
    )
    assert at.call(face, max_retries=3).image.content == PNG
    assert at.queue.asked().count(at.submit) == 1


@each
def test_a_submission_whose_answer_is_lost_is_not_repeated(
    face: Face, shop: Any, number: int
) -> None:
    at = shop(number)
    client = at.client(face)
    at.call(face, client)  # leaves connections behind that could be used
    at.queue.seen.clear()

    def resets(visit: Any) -> None:
        visit.reset()

    at.queue.on(at.submit, resets)
    with pytest.raises(errors.APIConnectionError, match="may have been accepted"):
        at.call(face, client)
    assert at.queue.asked() == [at.submit]


def test_a_busy_provider_is_asked_again_to_take_a_job(face: Face, shop: Any) -> None:
    at = shop(REPLICATE)
    busy = says({"detail": "busy"}, 429, retry_after="0")
    at.queue.on(
        at.submit, busy, says({"detail": "no"}, 503, retry_after="0"), says(at.form.accepted)
    )
    assert len(at.call(face).receipt.attempts) == 3


def test_a_deadline_ends_the_wait_and_leaves_the_job(face: Face, shop: Any) -> None:
    at = shop(FAL)
    at.queue.on(at.poll, says(at.form.pending[1]))
    began = time.monotonic()
    with pytest.raises(errors.JobUnfinishedError) as caught:
        at.call(face, deadline=0.2)
    assert time.monotonic() - began < PATIENCE
    assert caught.value.job is not None
    at.queue.on(at.poll, says(at.form.done))
    made = face.run(at.client(face).resume_job(str(caught.value.job)))
    assert made.image.content == PNG


def test_a_lost_job_is_an_error_of_its_own(face: Face, shop: Any) -> None:
    at = shop(FAL)
    at.queue.on(at.poll, says({"detail": "Request not found"}, 404))
    with pytest.raises(errors.JobLostError) as caught:
        at.call(face)
    assert pickle.loads(pickle.dumps(caught.value)).job == caught.value.job


# files


def holds(*pieces: bytes) -> Callable[[Any], None]:
    """Begin an answer, and wait for the client to leave."""

    def script(visit: Any) -> None:
        visit.send(*pieces)
        visit.note("sent")
        visit.until_gone()
        visit.note("gone")
        raise Gone

    return script


def breaks_off(visit: Any) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n" + PNG)
    visit.close()


ENDLESS = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"8\r\n\x89PNG\r\n\x1a\n\r\n" * 9
)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (holds(b"HTTP/1.1 200 OK\r\ncontent-length: 65\r\n\r\n"), "larger than 64 bytes"),
        (holds(ENDLESS), "larger than 64 bytes"),
        (breaks_off, "in the middle of its answer"),
        (whole(b"<html></html>", content_type="image/png"), "a web page"),
        (says({"error": "expired"}), "JSON"),
        (whole(b"", content_type="image/png"), "empty"),
    ],
)
def test_a_file_that_is_none_is_an_error(face: Face, shop: Any, answer: Any, said: str) -> None:
    at = shop(FAL)
    at.queue.on(at.file, answer)
    with pytest.raises(APIError, match=said) as caught:
        at.call(face, max_retries=0, max_bytes=64)
    assert "secret" not in str(caught.value)
    assert caught.value.job is not None
    kind = errors.APIConnectionError if answer is breaks_off else errors.InvalidResponseError
    assert isinstance(caught.value, kind)


def test_a_file_that_redirects_to_another_port_here_is_not_fetched(
    face: Face, shop: Any, serve: Any
) -> None:
    other = serve()
    at = shop(FAL)
    there = f"http://127.0.0.1:{other.port}/made.png"
    at.queue.on(at.file, says(None, 302, location=there))
    with pytest.raises(errors.InvalidResponseError, match="not https"):
        at.call(face)
    assert other.visits == []


def test_redirects_on_the_same_server_are_followed_three_times(face: Face, shop: Any) -> None:
    at = shop(FAL)
    at.queue.on(at.file, says(None, 302, location="/1"))
    at.queue.on("GET /1", says(None, 303, location="2"))
    at.queue.on("GET /2", says(None, 308, location=f"{at.queue.origin}/3"))
    at.queue.on("GET /3", whole(PNG, content_type="image/png"))
    assert at.call(face).image.content == PNG
    at.queue.on("GET /3", says(None, 302, location="/1"))
    with pytest.raises(errors.InvalidResponseError, match="redirects"):
        at.call(face)


def test_files_can_be_left_where_they_are(face: Face, shop: Any) -> None:
    at = shop(FAL)
    image = at.call(face, download=False).image
    assert image.url == f"{at.queue.origin}/made.png?signature=secret"
    assert image.content is None
    assert at.file not in at.queue.asked()


# leaving


@pytest.mark.parametrize("where", ["polling", "downloading"])
def test_a_call_that_is_cancelled_hangs_up_at_once(
    runner: asyncio.Runner, shop: Any, where: str
) -> None:
    at = shop(FAL)
    held = at.poll if where == "polling" else at.file
    at.queue.on(held, holds(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", PNG))

    async def leave() -> None:
        client = AsyncClient(token=TOKEN, settings=at.queue.settings())
        before = open_sockets()
        call = asyncio.ensure_future(client.image_generation(at.form.model, "a cat"))
        await asyncio.to_thread(at.queue.upstream.wait, "sent")
        held_by = open_sockets()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(at.queue.upstream.wait, "gone")
        assert await asyncio.to_thread(sockets_settle, held_by - 2)  # both ends of one connection
        await client.close()
        assert await asyncio.to_thread(sockets_settle, before)

    runner.run(leave())
    assert at.queue.asked()[-1] == held  # nothing more, and no cancelling either


def test_a_call_that_is_cancelled_between_polls_asks_no_more(
    runner: asyncio.Runner, shop: Any
) -> None:
    at = shop(FAL)
    at.queue.on(at.poll, says(at.form.pending[1]))

    async def leave() -> None:
        async with AsyncClient(token=TOKEN, settings=at.queue.settings()) as client:
            polled = asyncio.Event()
            made = client.image_generation(
                at.form.model, "a cat", on_progress=lambda p: p.polls > 2 and polled.set()
            )
            call = asyncio.ensure_future(made)
            await polled.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    runner.run(leave())
    assert not any("cancel" in line for line in at.queue.asked())


def test_ctrl_c_between_polls_leaves_the_job_alone(shop: Any) -> None:
    at = shop(FAL)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with Client(token=TOKEN, settings=at.queue.settings()) as client:
        ask = image_generation(client._calls, at.form.model, "a cat")
        transport = BlockingTransport()
        with pytest.raises(KeyboardInterrupt):
            flow = ask_flow(ask, client._calls.seekers)
            drive.run(flow, transport, client._calls.renew, sleep=interrupt)
        transport.close()
    assert at.queue.asked() == [at.submit]

"""A job as text: what `str` writes is read again, and nothing else is."""

from __future__ import annotations

import pickle
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.errors import InvalidInputError
from trunkline.types.job import Job, parse_job, stays_below
from trunkline.wire.message import below, parse_url

JOB = Job("fal-ai", "text-to-video", "huggingface/fal-ai/org/m", "r-1", "fal-ai/x/requests/r-1")
names = st.text("abc-0", min_size=1)
texts = st.text(st.characters(codec="utf-8"), min_size=1)


def test_a_job_is_one_line_that_says_where_it_is() -> None:
    assert str(JOB) == (
        "job:fal-ai/text-to-video/r-1?model=huggingface%2Ffal-ai%2Forg%2Fm"
        "&path=fal-ai%2Fx%2Frequests%2Fr-1"
    )


@given(names, names, texts, texts)
def test_what_str_writes_is_read_again(provider: str, task: str, model: str, job_id: str) -> None:
    job = Job(provider, task, model, job_id, "v1/get?id=1&sig=a%2Bb==")
    text = str(job)
    assert parse_job(text) == job
    assert text.isascii() and text.isprintable() and " " not in text


def test_a_job_is_taken_as_it_is_and_survives_pickling_and_json() -> None:
    assert parse_job(JOB) is JOB
    assert pickle.loads(pickle.dumps(JOB)) == JOB
    assert msgspec.json.decode(msgspec.json.encode(JOB), type=Job) == JOB


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job:",
        "r-1",
        "https://evil.example/job",
        "job:fal-ai/text-to-video/r-1",
        "job:fal-ai/text-to-video/?model=m&path=p",
        "job:fal-ai//r-1?model=m&path=p",
        "job:/text-to-video/r-1?model=m&path=p",
        "job:fal-ai/text-to-video/r-1?model=m",
        "job:fal-ai/text-to-video/r-1?path=p",
        "job:fal-ai/text-to-video/r-1?model=&path=p",
        " " + str(JOB),
        str(JOB)[1:],
        "job:a/b/c?model=m&" + "path=p&" * 2000,
        b"job:fal-ai/text-to-video/r-1?model=m&path=p",
        None,
        7,
        {"id": "r-1"},
    ],
)
def test_what_is_no_job_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInputError, match="is no job") as caught:
        parse_job(text)
    assert "str(job)" in str(caught.value)
    assert len(caught.value.message) < 200


WRONG = [
    "https://evil.example/x",
    "ftp://x",
    "//evil.example/x",
    "/x",
    "../x",
    "a/../x",
    "a/..",
    "%2e%2e/x",
    "%2E%2E%2fx",
    "a/.%2e/x",
    "%252e%252e/x",
    "%25252525252e%25252525252e/x",
    "a\\..\\b",
    "a%5cb",
    "a\r\nhost: evil.example",
    "a%0d%0ahost:evil",
    "a\nb",
    "a b",
    "a\tb",
    "a\0b",
    "a%00b",
    "a#b",
    "é",
    "a\u2028b",
]


@pytest.mark.parametrize("path", WRONG)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    told = urlencode({"model": "org/m", "path": path})
    for job in (f"job:fal-ai/text-to-video/r-1?{told}", Job("fal-ai", "t", "org/m", "1", path)):
        with pytest.raises(InvalidInputError):
            parse_job(job)


@pytest.mark.parametrize(
    "path",
    [
        "v1/predictions/p1",
        "v1/get_result?id=1&polling=https://x/y",
        "fal-ai/flux/requests/0-1",
        "v2/videos/a%2Fb",
        "a/@evil.example/b",
        "user:pass@evil.example",
        "a/./b",
    ],
)
def test_a_path_that_stays_below_is_taken(path: str) -> None:
    assert stays_below(path)


ROUTER = parse_url("https://router.example/fal-ai")
paths = st.text(min_size=1) | st.lists(
    st.sampled_from(["..", ".", "/", "%2e", "%2F", "%25", "@", "//", "evil.example", "a", ":"])
).map("".join)


@given(paths)
@example("%2e%2e/%2e%2e")
@example("..;/x")
def test_whatever_path_is_taken_it_ends_below_the_providers_address(path: str) -> None:
    if not stays_below(path):
        return
    whole = str(below(ROUTER, path))
    parts = urlsplit(whole)
    assert (parts.scheme, parts.netloc) == ("https", "router.example")
    seen = whole
    for _ in range(6):
        steps = urlsplit(seen).path.replace("\\", "/").split("/")
        assert ".." not in steps
        assert steps[1] == "fal-ai"
        seen = unquote(seen)
    assert all(32 < ord(c) < 127 for c in whole)

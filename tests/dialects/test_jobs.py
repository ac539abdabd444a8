"""How a provider's queue is read: states, ids, paths, waits, and answers that make no sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.dialects.jobs import JobForm, look, moderated
from trunkline.errors import InvalidResponseError
from trunkline.types.job import Job, parse_job

FORM = JobForm(
    id_at="job.id",
    state_at="job.state",
    done=frozenset({"ok"}),
    failed=frozenset({"bad"}),
    cancelled=frozenset({"gone"}),
    refused=frozenset({"blocked"}),
    path="jobs/{id}",
    url_at="job.links.0",
    reason_at=("error.message", "error"),
    early_at="made",
)

KEYS = st.sampled_from(["job", "id", "state", "links", "error", "message", "made", "0", "x"])
STATES = st.sampled_from(["ok", "bad", "gone", "blocked", "https://a/b", "/c?d", "..", ""])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | STATES
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner),
    max_leaves=12,
)


def _told(state: Any, **fields: Any) -> dict[str, Any]:
    return {"job": {"id": "1", "state": state}, **fields}


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (_told("ok"), "done"),
        (_told("bad"), "failed"),
        (_told("bad", error="NSFW content detected"), "moderated"),
        (_told("bad", error={"message": "flagged as sensitive"}), "moderated"),
        (_told("gone", error="flagged"), "cancelled"),
        (_told("blocked"), "moderated"),
        (_told("warming up"), "pending"),
        (_told(None), "pending"),
        (_told(["ok"]), "pending"),
        (_told({"ok": 1}), "pending"),
        ({}, "pending"),
        (None, "pending"),
        ("ok", "pending"),
    ],
)
def test_what_an_answer_says_of_its_job(answer: Any, state: str) -> None:
    assert FORM.state(answer) == state


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_told("bad", error={"message": "no memory"}), "no memory"),
        (_told("bad", error="no disk"), "no disk"),
        (_told("bad", error=["a", "b"]), "['a', 'b']"),
        (_told("bad", error={"message": "", "code": 7}), "{'message': '', 'code': 7}"),
        (_told("bad"), ""),
        ([], ""),
    ],
)
def test_a_failed_job_says_why_where_it_says_it(answer: Any, reason: str) -> None:
    assert FORM.reason(answer) == reason


@pytest.mark.parametrize(
    ("told", "job_id"),
    [("a/b", "a/b"), (17, "17"), (0, "0"), ("", None), (None, None), (True, None), ([], None)],
)
def test_a_job_has_an_id_that_is_text_or_a_number(told: Any, job_id: str | None) -> None:
    assert FORM.job_id({"job": {"id": told}}) == job_id


def test_an_answer_with_its_result_in_it_is_no_job_though_it_calls_itself_pending() -> None:
    assert FORM.job_id(_told("at work", made=["file"])) is None
    assert FORM.job_id(_told("at work", made=None)) == "1"
    assert FORM.job_id(_told("at work", made=[])) == "1"
    assert FORM.job_id(_told("bad", made=["half a file"])) == "1"  # what failed is no result


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("https://elsewhere.example/v2/jobs/1?a=b", "v2/jobs/1?a=b"),
        ("http://elsewhere.example:99//jobs/1", "jobs/1"),
        ("/v2/jobs/1", "v2/jobs/1"),
        (None, "jobs/a%2Fb%3Fc"),
        ("", "jobs/a%2Fb%3Fc"),
        (5, "jobs/a%2Fb%3Fc"),
    ],
)
def test_of_a_url_that_an_answer_names_only_the_path_is_taken(link: Any, path: str) -> None:
    assert FORM.job_path({"job": {"links": [link]}}, "a/b?c") == path


@pytest.mark.parametrize(
    "link",
    [
        "https://a.example/../../v1/secrets",
        "/..",
        "ftp://a.example/x",
        "no url",
        "https://a.example",
    ],
)
def test_a_url_that_leads_nowhere_or_astray_is_refused(link: str) -> None:
    with pytest.raises(InvalidResponseError, match="does not tell where to ask") as caught:
        FORM.job_path({"job": {"links": [link]}}, "1")
    assert caught.value.body == {"job": {"links": [link]}}


def test_an_id_cannot_climb_out_of_its_path() -> None:
    with pytest.raises(InvalidResponseError):
        FORM.job_path({}, "..")


def test_waits_grow_to_a_limit_and_never_overflow() -> None:
    form = JobForm("id", "state", frozenset(), first=1.0, growth=2.0, longest=5.0)
    assert [form.wait(n) for n in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert form.wait(10**9) == 5.0


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("a.b", 1),
        ("list.1.c", 2),
        ("list.9", None),
        ("list.c", None),
        ("a.b.c", None),
        ("none", None),
    ],
)
def test_a_place_is_looked_up_through_objects_and_lists(place: str, found: Any) -> None:
    assert look({"a": {"b": 1}, "list": [0, {"c": 2}]}, place) == found


@pytest.mark.parametrize(
    "reason",
    [
        "NSFW content detected. Try running it again.",
        "The input or output was flagged as sensitive. (E005)",
        "Content Moderated",
        "content_policy_violation",
        "Your content policies forbid it",
        "Safety checker triggered",
        "input contains inappropriate content",
    ],
)
def test_refused_content_is_told_from_other_failures(reason: str) -> None:
    assert moderated(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "out of memory",
        "names are case-sensitive",
        "case sensitive",
        "moderate load",
        "thread safety",
    ],
)
def test_other_failures_are_not_taken_for_refused_content(reason: str) -> None:
    assert not moderated(reason)


@given(JSON)
def test_no_answer_breaks_the_reading_of_a_job(answer: Any) -> None:
    assert FORM.state(answer) in {"pending", "done", "failed", "cancelled", "moderated"}
    assert isinstance(FORM.reason(answer), str)
    job_id = FORM.job_id(answer)
    assert job_id is None or (isinstance(job_id, str) and job_id)


@given(JSON, st.text(min_size=1))
def test_a_path_is_one_that_a_job_can_be_resumed_with_or_refused(answer: Any, job_id: str) -> None:
    try:
        path = FORM.job_path(answer, job_id)
    except InvalidResponseError:
        return
    job = Job("fal-ai", "text-to-video", "fal-ai/org/m", job_id, path)
    assert parse_job(str(job)) == job

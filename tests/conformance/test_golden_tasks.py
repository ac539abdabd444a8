"""The task requests of Hugging Face's own clients are ours too, or the difference is listed here.

With the chats of test_golden.py these are all of their golden requests.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from golden_tasks import (
    KEYS,
    NEEDS_LEAVE,
    NO_KEYWORD,
    NONSENSE,
    PROVIDERS_NAME,
    KeepingTransport,
    Row,
    ask,
    beside_keywords,
    ours,
    rows,
)
from recordings import JAVASCRIPT, PYTHON, needs_oracle, oracle
from test_openai_shaped_golden import DIFFERENCES as OF_OPENAIS_FORMS
from test_queued_golden import DIFFERENCES as OF_QUEUES
from test_queued_golden import WAV, Request

from trunkline.dialects.multipart import read_form
from trunkline.errors import APIError, ModelNotSupportedError, UnsupportedParamsError
from trunkline.providers.queued import QUEUED

pytestmark = [needs_oracle, pytest.mark.usefixtures("no_login")]

ROWS = rows()


@dataclass(frozen=True)
class Difference:
    """Rows whose request is not ours, what ours is instead, and why."""

    reason: str
    applies: Callable[[Row], bool]
    ours: Callable[[Row, Request], Request]
    rows: int


def _by_the_hubs_name(row: Row, request: Request) -> Request:
    url = request.url.replace(PROVIDERS_NAME, row.repo)
    if row.task != "text-generation":
        return replace(request, url=url)
    return replace(request, url=url, body={**request.body, "model": row.repo})


def _completion(row: Row, request: Request) -> Request:
    body = {"model": row.repo, "prompt": "hello", "max_tokens": 7, "temperature": 0.1}
    return replace(request, url=f"{request.url}/v1/completions", body=body)


def _typed(row: Row, request: Request) -> Request:
    headers = {**request.headers, "content-type": row.inputs.media_type}
    return replace(request, headers=headers)


def _as_json(_row: Row, request: Request) -> Request:
    headers = {**request.headers, "content-type": "application/json"}
    body = {"inputs": base64.b64encode(request.body).decode()}
    return replace(request, headers=headers, body=body)


def _sends_bytes(row: Row) -> bool:
    return row.client == "py" and isinstance(row.sent.body, bytes)


HF_INFERENCE = (
    Difference(
        "the JavaScript client maps hf-inference's models like another provider's; it serves the "
        "Hub's models under their own names, as the Python client has it",
        lambda row: row.client == "js" and row.provider == "hf-inference",
        _by_the_hubs_name,
        56,
    ),
    Difference(
        "huggingface_hub posts a prompt to the model itself; the JavaScript client, which leads, to "
        "its completions",
        lambda row: row.client == "py" and row.place == ("hf-inference", "text-generation"),
        _completion,
        2,
    ),
    Difference(
        "huggingface_hub sends bytes without a type; we look what they are and say so",
        lambda row: _sends_bytes(row) and row.task != "image-segmentation",
        _typed,
        16,
    ),
    Difference(
        "huggingface_hub sends a picture to be segmented as bytes, if there are no parameters; the "
        "JavaScript client always as JSON",
        lambda row: _sends_bytes(row) and row.task == "image-segmentation",
        _as_json,
        2,
    ),
)


def _of_a_queue(row: Any) -> Difference:
    def applies(asked: Row) -> bool:
        queued = asked.task in QUEUED.get(asked.provider, {})
        return queued and row.applies(asked)

    return Difference(f"{row.name}: {row.reason}", applies, row.ours, row.rows)


def _of_openais_forms(row: Any) -> Difference:
    def applies(asked: Row) -> bool:
        return asked.client == row.client and asked.place in row.rows

    def change(_asked: Row, request: Request) -> Request:
        return replace(request, **vars(row.change(request)))

    return Difference(row.reason, applies, change, 2 * len(row.rows))


DIFFERENCES = (
    *HF_INFERENCE,
    *map(_of_openais_forms, OF_OPENAIS_FORMS),
    *map(_of_a_queue, OF_QUEUES),
)
"""What differs is written down beside the shapes too; here it is what a client sends."""


def refused(row: Row) -> bool:
    """Tell of the requests that cannot work: groq serves no completions; its chat takes no prompt."""
    return row.place == ("groq", "text-generation")


def _differences(row: Row) -> list[Difference]:
    return [difference for difference in DIFFERENCES if difference.applies(row)]


@pytest.mark.parametrize("row", [row for row in ROWS if not refused(row)], ids=str)
def test_our_request_is_theirs_but_for_the_listed_differences(row: Row):
    expected = row.sent
    for difference in _differences(row):
        assert difference.ours(row, expected) != expected, "no difference any more"
        expected = difference.ours(row, expected)

    hub, last, sent = ours(row)

    assert last.method == "POST"
    assert sent.url == expected.url
    assert sent.headers == expected.headers
    assert sent.body == expected.body
    lookup = f"https://huggingface.co/api/models/{row.repo}?expand=inferenceProviderMapping"
    assert [str(asked.url) for asked in hub] == ([lookup] if row.provider != "hf-inference" else [])
    told = [dict(asked.headers).get("authorization") for asked in hub]
    assert told == [f"Bearer {KEYS['hf']}" if row.key == "hf" else None] * len(hub)


@pytest.mark.parametrize("row", [row for row in ROWS if refused(row)], ids=str)
def test_a_request_that_cannot_work_is_refused_before_anything_is_sent(row: Row):
    transport = KeepingTransport(row)
    with pytest.raises(ModelNotSupportedError, match="groq does not serve text-generation"):
        ask(row, transport)
    assert transport.requests == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.place in NEEDS_LEAVE], ids=str)
def test_a_parameter_that_a_provider_does_not_take_is_not_dropped_in_silence(row: Row):
    transport = KeepingTransport(row)
    with pytest.raises(UnsupportedParamsError, match="num_inference_steps") as caught:
        ask(row, transport, drop_params=False)
    assert caught.value.provider == row.provider
    assert [request.method for request in transport.requests] == ["GET"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.nonsense], ids=str)
def test_what_is_no_input_for_its_task_our_functions_refuse(row: Row):
    sensible = replace(row, client="")
    transport = KeepingTransport(row)
    with pytest.raises((APIError, TypeError)):
        ask(sensible, transport)
    assert transport.requests == []


def test_a_form_carries_the_recording():
    found = [
        [part.content for part in read_form(last.body, dict(last.headers)["content-type"])][-1]
        for row in ROWS
        if "multipart/form-data" in row.sent.headers.get("content-type", "")
        for _, last, _ in [ours(row)]
    ]
    assert found == [WAV.content] * 6


def test_every_difference_has_as_many_rows_as_it_says():
    for difference in DIFFERENCES:
        assert sum(map(difference.applies, ROWS)) == difference.rows, difference.reason


def test_every_golden_request_is_covered():
    kinds = Counter(
        "refused" if refused(row) else "different" if _differences(row) else "identical"
        for row in ROWS
    )
    assert kinds == {"identical": 214, "different": 132, "refused": 2}
    assert Counter(row.client for row in ROWS) == {"py": 164, "js": 184}
    assert len(ROWS) + len(oracle(PYTHON)) + len(oracle(JAVASCRIPT)) == 510


def test_these_are_not_asked_for_by_the_keywords_of_our_functions():
    """A few wishes go another way, which is said where they do: each is in the rows."""
    raw = [row for row in ROWS if row.nonsense]
    assert {row.task for row in raw} == set(NONSENSE)
    extra = {(row.task, name) for row in ROWS if row not in raw for name in beside_keywords(row)}
    assert extra == NO_KEYWORD
    dropped = [row for row in ROWS if row.place in NEEDS_LEAVE]
    assert (len(raw), len(dropped)) == (28, 4)

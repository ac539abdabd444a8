"""Every recorded error answer of the other tasks is read into an error that says what happened."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from recordings import Exchange, digest, needs_recordings, other_errors

from trunkline import errors
from trunkline.dialects.failures import error_for, read_failure

pytestmark = needs_recordings
REFUSED = other_errors()
every_refusal = pytest.mark.parametrize("exchange", REFUSED, ids=str)

COLLECTION = "609f6b3a24bc9a6f"
COUNTED = digest(REFUSED) == COLLECTION
counted = pytest.mark.skipif(not COUNTED, reason="another collection of recordings")

CLASSES = {
    "BadRequestError": 11,
    "ContextWindowExceededError": 6,
    "ModelLoadingError": 17,
    "ModelNotSupportedError": 1,
    "NotFoundError": 8,
    "RateLimitError": 1,
    "ServiceUnavailableError": 1,
    "UnprocessableEntityError": 14,
    "UnsupportedParamsError": 9,
}

OTHER_MEANINGS = (
    (400, r"`model_kwargs` are not used by the model", errors.UnsupportedParamsError),
    (400, r"^\S+ is not supported for now\. Available model list", errors.ModelNotSupportedError),
    (422, r"`inputs` tokens \+ `max_new_tokens` must be <=", errors.ContextWindowExceededError),
    (503, r"^Model \S+ is currently loading$", errors.ModelLoadingError),
)
"""Texts that mean something narrower than their status does."""


@every_refusal
def test_an_error_answer_has_the_class_of_its_status_or_a_listed_meaning(exchange: Exchange):
    raised = _raised(exchange)
    listed = [
        kind
        for status, text, kind in OTHER_MEANINGS
        if status == exchange.status and re.search(text, raised.message)
    ]
    of_status = errors.class_for_status(exchange.status)
    if COUNTED or listed:
        assert type(raised) is (listed[0] if listed else of_status)
    else:
        assert isinstance(raised, (of_status, *(kind for _, _, kind in OTHER_MEANINGS)))
    assert raised.status == exchange.status


@every_refusal
def test_its_message_is_the_servers_and_no_raw_page(exchange: Exchange):
    raised = _raised(exchange)
    assert raised.message.strip()
    assert not re.search(r"<(html|!doctype|body)", raised.message, re.IGNORECASE)
    assert len(raised.message) <= 2000
    told = json.loads(exchange.body) if exchange.body[:1] == b"{" else exchange.body.decode()
    assert any(text[:2000] in raised.message for text in _texts(told)), raised.message
    assert raised.message in str(raised)


@every_refusal
def test_a_loading_model_says_when_to_come_back(exchange: Exchange):
    told = json.loads(exchange.body) if exchange.body[:1] == b"{" else {}
    if "estimated_time" in told:
        assert _raised(exchange).retry_after == told["estimated_time"]


@counted
def test_the_classes_are_these():
    assert dict(Counter(type(_raised(exchange)).__name__ for exchange in REFUSED)) == CLASSES


def _raised(exchange: Exchange) -> errors.APIError:
    return error_for(read_failure(exchange.status, exchange.header, exchange.body))


def _texts(told: object) -> list[str]:
    if isinstance(told, str):
        return [told.strip()] if told.strip() else []
    inner = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return [text for item in inner for text in _texts(item)]

"""Ids of videos: whole for who gave them out, nothing for anybody else."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway.video_ids import Ticket, read_id, write_id
from trunkline.types.job import Job

SEAL = bytes(range(32))
JOB = Job("fal-ai", "text-to-video", "huggingface/fal-ai/a/b", "req-1", "a/b/requests/req-1")
TICKET = Ticket("key_1", "huggingface", JOB, "a/b:fal-ai", 1_795_929_570, "640x360", "4")
WORD = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)


def job(path: str) -> Ticket:
    return Ticket("key_1", "huggingface", Job("p", "t", "m", "i", path), "m", 1)


@given(WORD, WORD, WORD, st.text(max_size=40), st.integers(0, 2**40), st.none() | WORD)
def test_a_ticket_comes_back_as_it_was(
    key: str, upstream: str, path: str, model: str, created: int, size: str | None
) -> None:
    ticket = Ticket(key, upstream, Job("p", "t", "m", "i", path), model, created, size)
    found = write_id(SEAL, ticket)
    assert read_id(SEAL, found) == ticket
    assert found.isascii() and not set(found) & set("/?#%+= ")
    assert read_id(b"another seal", found) is None


@given(st.data())
def test_an_id_that_was_changed_anywhere_is_none(data: st.DataObject) -> None:
    found = write_id(SEAL, TICKET)
    place = data.draw(st.integers(0, len(found) - 1))
    letter = data.draw(st.sampled_from("ABCabc019-_"))
    changed = found[:place] + letter + found[place + 1 :]
    assert (read_id(SEAL, changed) == TICKET) is (changed == found)
    assert read_id(SEAL, found[:place]) is None
    assert read_id(SEAL, found + letter) is None


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda b: urlsafe_b64encode(b).decode()))
def test_what_nobody_gave_out_is_none(text: str) -> None:
    assert read_id(SEAL, text) is None
    assert read_id(SEAL, f"video_{text}") is None


@pytest.mark.parametrize(
    "path",
    ["../x", "a/%2e%2e/b", "/abs", "a b", "http://example.org/", "a\\b", "a#b", "%252e%252e/"],
)
def test_not_even_our_own_signature_makes_a_path_lead_elsewhere(path: str) -> None:
    assert read_id(SEAL, write_id(SEAL, job(path))) is None


def test_an_id_is_no_longer_than_a_path_may_be() -> None:
    assert len(write_id(SEAL, TICKET)) < 500
    assert read_id(SEAL, write_id(SEAL, job("x" * 5000))) is None


def test_nothing_of_the_seal_is_in_an_id() -> None:
    told = urlsafe_b64decode(write_id(SEAL, TICKET).removeprefix("video_") + "==")
    assert SEAL[:8] not in told

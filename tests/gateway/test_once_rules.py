"""What a request's name stands for, and which ends of a call are told again: values, no gateway."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.gateway.config import Idempotency
from trunkline.gateway.once import Once, claim_of, state_of, without
from trunkline.gateway.once_faults import FINAL, LONGEST, UNFIT, of_state
from trunkline.store.claims import Claim
from trunkline.store.records import Entry
from trunkline.store.seam import StoreError


def a_request(body: bytes = b"{}", key: str = "key_a", name: bytes = b"n", **head: Any) -> Any:
    given: dict[str, Any] = {"method": b"POST", "path": b"/v1/x", "query": b""}
    lines = {b"idempotency-key": name, **head.pop("headers", {})}
    return SimpleNamespace(
        head=SimpleNamespace(headers=lines, **(given | head)),
        caller=SimpleNamespace(key=SimpleNamespace(id=key)),
        body=body,
        id="req_1",
    )


def test_a_claim_is_for_exactly_what_is_asked_for():
    same = claim_of(a_request(), "boot")
    assert claim_of(a_request(headers={b"user-agent": b"x"}), "boot") == same
    for other in (
        a_request(b"{} "),
        a_request(path=b"/v1/y"),
        a_request(method=b"PUT"),
        a_request(query=b"a=b"),
    ):
        claim = claim_of(other, "boot")
        assert claim.id == same.id
        assert claim.request != same.request


@given(st.tuples(st.text(max_size=5), st.binary(max_size=5)), st.data())
def test_names_of_different_callers_never_meet(one: tuple[str, bytes], data: Any):
    other = data.draw(st.tuples(st.text(max_size=5), st.binary(max_size=5)).filter(one.__ne__))
    first, second = (claim_of(a_request(key=k, name=n), "b") for k, n in (one, other))
    assert first.id != second.id


FORM = b'--%b\r\ncontent-disposition: form-data; name="file"\r\n\r\n%b\r\n--%b--\r\n'


def a_form(boundary: bytes, content: bytes) -> Any:
    kind = b"multipart/form-data; boundary=" + boundary
    return a_request(FORM % (boundary, content, boundary), headers={b"content-type": kind})


def test_a_forms_boundary_which_is_new_in_each_try_is_no_part_of_what_is_asked_for():
    one, other = a_form(b"abc", b"sound"), a_form(b"xyzxyz", b"sound")
    assert claim_of(one, "b").request == claim_of(other, "b").request
    assert claim_of(a_form(b"abc", b"noise"), "b").request != claim_of(one, "b").request


@given(st.lists(st.binary(max_size=8)), st.binary(min_size=1, max_size=4), st.data())
def test_a_boundary_is_found_wherever_pieces_are_cut(texts: list[bytes], mark: bytes, data: Any):
    body = mark.join(texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert b"".join(without(pieces, mark)) == body.replace(mark, b"")
    assert b"".join(without(pieces, b"")) == body


def an_entry(**fields: Any) -> Entry:
    entry = Entry("req_1", "b", "k", None, None, "chat", "m", False, 1.0, 10)
    given = {"state": "settled", "status": 200, "outcome": "ok", "cost": 5, "first_byte": 0.1}
    for name, value in (given | fields).items():
        setattr(entry, name, value)
    return entry


@pytest.mark.parametrize(
    ("fields", "kept", "state"),
    [
        ({}, {}, "answered"),
        ({}, {"large": True}, "large"),
        ({"cost": None}, {}, "answered"),
        ({"state": "open", "first_byte": None}, {}, None),
        ({"outcome": "refused", "status": 502, "cost": 0, "first_byte": None}, {}, None),
        ({"outcome": "cancelled", "status": 499, "cost": 0, "first_byte": None}, {}, None),
        ({"outcome": "refused", "status": 429, "cost": 0}, {}, None),
        ({"outcome": "refused", "status": 500, "cost": 0}, {}, "answered"),
        ({"outcome": "failed", "status": 504, "cost": None, "first_byte": None}, {}, "answered"),
        ({"outcome": "truncated"}, {}, "answered"),
        ({"outcome": "failed", "error": "gateway_stopping"}, {}, "unknown"),
        ({"outcome": "cancelled", "status": 499}, {"answered": False, "large": True}, "large"),
        ({"outcome": "cancelled", "status": 499}, {"answered": False}, "unknown"),
    ],
)
def test_what_was_begun_is_told_again_and_nothing_else(
    fields: dict[str, Any], kept: dict[str, Any], state: str | None
):
    answer: Any = SimpleNamespace(**({"answered": True, "large": False} | kept))
    assert state_of(an_entry(**fields), answer) == state


def test_what_is_final_says_which_call_it_was_and_the_rest_when_to_ask_again():
    for state in ("unknown", "large"):
        fault = of_state(state, "req_7")
        assert fault.code in FINAL
        assert "req_7" in fault.message
        assert fault.more == {"original_request_id": "req_7"}
        assert fault.retry_after is None
    assert of_state("running", "req_7").retry_after == 1.0
    assert str(LONGEST) in UNFIT.message


class Broken:
    """A store that cannot be reached, until it can."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.done: list[Claim] = []

    def fulfil(self, claim: Claim) -> bool:
        self.failures -= 1
        if self.failures >= 0:
            raise StoreError("down")
        self.done.append(claim)
        return True

    def release(self, claim: Claim) -> None:
        raise AssertionError("what was done is not given back")

    def purge_claims(self) -> int:
        raise StoreError("down")


def test_a_store_that_fails_to_purge_is_asked_again_and_one_that_ends_is_not_waited_for():
    async def work() -> None:
        store: Any = Broken(10**6)
        once = Once(store, Idempotency(), "b", lives=lambda _: True, refused=lambda _: None)
        await once.purge()
        claim = Claim(b"i", b"r", "req_1", "b", "answered", body=b"x" * 100)
        once._begin(once._settle(claim, claim))
        await asyncio.sleep(0)
        assert once._held == 100
        await once.close()
        assert once._held == 0
        assert store.done == []

    asyncio.run(work())

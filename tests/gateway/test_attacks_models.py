"""Names of models made to cost time or memory: refused before anybody looks at them twice."""

from __future__ import annotations

import time

from raw import Wire, ask, chat, get, post, resident
from running import Gateway

MIB = 1 << 20


def test_a_name_longer_than_any_is_refused(gateway: Gateway) -> None:
    key = gateway.new_key(scope={"models": ["org/*"]})
    for secret in (key, gateway.admin_key):
        answer = ask(gateway, post(chat(model="org/" + "a" * 5000), secret))
        assert (answer.status, answer.error["param"]) == (400, "model")
        assert len(answer.body) < 1000


def test_names_that_are_refused_are_not_kept(gateway: Gateway) -> None:
    key = gateway.new_key(scope={"models": ["org/*"]})
    with Wire(gateway) as wire:
        wire.ask(post(chat(model="x" * MIB), key))
        before = resident(gateway)
        for number in range(100):
            wire.ask(post(chat(model=f"{number:04}" + "x" * MIB), key))
    assert resident(gateway) - before < 32 * MIB


def test_no_name_makes_a_scope_of_many_stars_slow(gateway: Gateway) -> None:
    key = gateway.new_key(scope={"models": ["*a*a*a*a*a*a*a*a*b"]})
    began = time.monotonic()
    answer = ask(gateway, post(chat(model="a" * 400), key))
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    assert ask(gateway, get("/health/live")).status == 200
    assert time.monotonic() - began < 10
    assert ask(gateway, post(chat(model="caaaaaaaaacb"), key)).error["code"] == "model_not_found"

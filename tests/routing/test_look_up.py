"""Asking the Hub and engines: once for many calls, in the background where that will do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from asking import (
    ASKED,
    HUB,
    INFO,
    KNOWN,
    LIMIT,
    NOW,
    OLD,
    TEI_INFO,
    TOKEN,
    Hand,
    asking,
    fails,
    says,
    silent,
    urls,
)

from trunkline.providers.engines import Engine, Engines
from trunkline.providers.mapping import ModelMaps
from trunkline.providers.memory import GRACE, LIFETIME, PATIENCE
from trunkline.providers.spec import Target
from trunkline.routing.look_up import find_engine
from trunkline.routing.needs import Send, Wait
from trunkline.types import Timeouts
from trunkline.wire.message import parse_url


@pytest.fixture
def maps() -> ModelMaps:
    return ModelMaps(HUB)


# one call


def test_the_hub_is_asked_once_an_hour(maps) -> None:
    hand = Hand(says(), says())
    assert hand.find(maps) == hand.find(maps) == KNOWN
    assert urls(hand) == [ASKED]
    send = hand.sends[0]
    assert (send.target.via, send.target.secret, send.until) == ("direct", None, NOW + LIMIT)
    hand.now = NOW + LIFETIME + GRACE + 1
    assert hand.find(maps) == KNOWN
    assert len(hand.sends) == 2


def test_each_token_has_its_own_answer(maps) -> None:
    hand = Hand(says(), says({**INFO, "inferenceProviderMapping": {}}))
    assert hand.find(maps, TOKEN) == KNOWN
    assert hand.find(maps).servings == ()
    assert hand.find(maps, TOKEN) == KNOWN
    sent = [dict(send.request.headers).get("authorization") for send in hand.sends]
    assert sent == [f"Bearer {TOKEN.value}", None]


@pytest.mark.parametrize(
    "outcome",
    [says({}, 500), says({}, 429), says({}, 403), says(b"<html>"), says([]), fails(), silent],
    ids=["500", "429", "403", "no JSON", "no object", "no connection", "silent"],
)
def test_a_hub_that_tells_nothing_is_asked_again_after_a_minute(maps, outcome) -> None:
    hand = Hand(outcome, says())
    assert hand.find(maps) is None
    assert hand.find(maps) is None
    assert len(hand.sends) == 1
    hand.now += PATIENCE
    assert hand.find(maps) == KNOWN


def test_a_failure_can_be_forgotten(maps) -> None:
    hand = Hand(fails(), says())
    assert hand.find(maps, TOKEN) is None
    maps.forget(maps.key("org/m", TOKEN))
    assert hand.find(maps, TOKEN) == KNOWN


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (says({"error": "x"}, 404, x_error_code="RepoNotFound"), "missing"),
        (says({"error": "Invalid username or password."}, 401), "refused"),
        (says({"error": "x"}, 403, x_error_code="GatedRepo"), "gated"),
        (says({"id": "org/m"}), "unmapped"),
    ],
)
def test_a_refusal_is_an_answer_and_lasts_a_minute(maps, outcome, problem) -> None:
    hand = Hand(outcome, says())
    assert [hand.find(maps).problem for _ in range(2)] == [problem] * 2
    hand.now += PATIENCE
    assert hand.find(maps) == KNOWN
    assert not hand.later


def test_the_calls_own_end_is_kept_and_is_no_failure_of_the_hub(maps) -> None:
    hand = Hand(silent, says())
    assert hand.find(maps, end=NOW + 2) is None
    assert hand.now == hand.sends[0].until == NOW + 2
    assert hand.find(maps) == KNOWN


# renamed repositories


@pytest.mark.parametrize(
    "location", ["/api/models/new/m?expand=x", f"{HUB}/api/models/new/m?expand=x"]
)
def test_a_renamed_model_is_followed_with_its_token(maps, location: str) -> None:
    hand = Hand(says(b"Redirecting", 307, location=location), says())
    assert hand.find(maps, TOKEN) == KNOWN
    assert urls(hand)[1] == f"{HUB}/api/models/new/m?expand=x"
    first, second = hand.sends
    assert second.request.headers == first.request.headers
    assert second.until == first.until
    assert hand.find(maps, TOKEN) == KNOWN
    assert len(hand.sends) == 2


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/api/models/new/m",
        "//elsewhere.example/api/models/new/m",
        "http://hub.example/api/models/new/m",
        "https://hub.example:444/api/models/new/m",
        "https://me@hub.example/x",
        "https://[bad",
        "ftp://hub.example/x",
        "/a b",
        "/\u00fc",
        "",
        ASKED,
    ],
)
def test_a_redirect_to_anywhere_else_is_not_followed(maps, location: str) -> None:
    hand = Hand(says(b"", 307, location=location))
    assert hand.find(maps, TOKEN) is None
    assert urls(hand) == [ASKED]


def test_three_redirects_are_followed_and_no_more(maps) -> None:
    hops = [says(b"", 307, location=f"/{n}") for n in range(4)]
    hand = Hand(*hops, says())
    assert hand.find(maps) is None
    assert len(hand.sends) == 4
    maps.forget(maps.key("org/m", None))
    hand = Hand(*hops[:3], says())
    assert hand.find(maps) == KNOWN


# stale answers


def test_a_stale_map_is_used_and_asked_for_in_the_background(maps) -> None:
    maps.keep(maps.key("org/m", None), OLD, NOW)
    hand = Hand(says(), now=NOW + LIFETIME)
    assert [hand.find(maps) for _ in range(3)] == [OLD] * 3
    assert (len(hand.later), hand.sends) == (1, [])
    hand.run(hand.later[0])
    assert hand.find(maps) == KNOWN
    assert (len(hand.later), len(hand.sends)) == (1, 1)


def test_the_background_is_not_bound_by_the_call_that_began_it(maps) -> None:
    maps.keep(maps.key("org/m", None), OLD, NOW)
    hand = Hand(says(), now=NOW + LIFETIME)
    assert hand.find(maps, end=hand.now + 0.01) == OLD
    hand.run(hand.later[0])
    assert hand.sends[0].until == NOW + LIFETIME + LIMIT


def test_a_stale_map_outlives_a_failed_refresh(maps) -> None:
    maps.keep(maps.key("org/m", None), OLD, NOW)
    hand = Hand(fails(), says(), now=NOW + LIFETIME)
    assert hand.find(maps) == OLD
    hand.run(hand.later[0])
    assert hand.find(maps) == OLD
    assert len(hand.later) == 1
    hand.now += PATIENCE
    assert hand.find(maps) == OLD
    hand.run(hand.later[1])
    assert hand.find(maps) == KNOWN


def test_a_refresh_that_never_ran_is_made_good(maps) -> None:
    maps.keep(maps.key("org/m", None), OLD, NOW)
    hand = Hand(now=NOW + LIFETIME)
    hand.find(maps)
    hand.later[0].close()
    hand.find(maps)
    assert len(hand.later) == 1
    hand.now += LIMIT + 5
    hand.find(maps)
    assert len(hand.later) == 2


# one flight for many


def test_who_comes_second_waits_for_the_first(maps) -> None:
    first = asking(maps, None, NOW)
    send = next(first)
    second = asking(maps, None, NOW)
    hand = Hand()
    told: Any = None
    for _ in range(12):
        need = second.send(told)
        told = hand.answer(need)
    assert not hand.sends
    assert hand.waits[0] == 0.005
    assert hand.waits == sorted(hand.waits)
    assert hand.waits[-1] == 0.05
    with pytest.raises(StopIteration):
        first.send(says(takes=0.0)(send, hand.now))
    with pytest.raises(StopIteration) as end:
        second.send(told)
    assert end.value.value == (KNOWN, told)


def test_who_waits_does_not_wait_beyond_its_own_end(maps) -> None:
    next(asking(maps, None, NOW))  # held by nobody: closed at once
    first = asking(maps, None, NOW)
    next(first)
    hand = Hand()
    assert hand.find(maps, end=NOW + 0.3) is None
    assert hand.now == pytest.approx(NOW + 0.3)
    assert not hand.sends
    first.close()


def test_who_waits_hears_of_a_failure_and_does_not_ask_too(maps) -> None:
    first = asking(maps, None, NOW)
    send = next(first)
    second = asking(maps, None, NOW)
    assert isinstance(next(second), Wait)
    with pytest.raises(StopIteration):
        first.send(fails()(send, NOW))
    with pytest.raises(StopIteration) as end:
        second.send(NOW + 0.2)
    assert end.value.value == (None, NOW + 0.2)


@pytest.mark.parametrize("how", ["closed", "raised into"])
def test_when_the_first_gives_up_another_takes_over(maps, how: str) -> None:
    first = asking(maps, None, NOW)
    next(first)
    second = asking(maps, None, NOW)
    assert isinstance(next(second), Wait)
    if how == "closed":
        first.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            first.throw(KeyboardInterrupt())
    assert isinstance(second.send(NOW + 1), Send)
    second.close()


def test_when_the_first_is_never_heard_of_again_another_takes_over(maps) -> None:
    first = asking(maps, None, NOW)
    next(first)
    hand = Hand(says())
    assert hand.find(maps) == KNOWN
    assert NOW + LIMIT < hand.now < NOW + LIMIT + 2
    first.close()
    assert hand.find(maps) == KNOWN
    assert len(hand.sends) == 1


def test_an_answer_that_comes_between_looking_and_claiming_is_taken() -> None:
    class Late(ModelMaps):
        def claim(self, *args: Any) -> Any:
            claim = super().claim(*args)
            self.keep(self.key("org/m", None), KNOWN, NOW)
            return claim

    hand = Hand()
    maps = Late(HUB)
    assert hand.find(maps) == KNOWN
    assert not hand.sends
    key = maps.key("org/m", None)
    assert maps.claim(key, NOW, NOW + 1) is not None, "the claim was not given back"


# engines


def engine(hand: Hand, engines: Engines, base: str = f"{HUB}/v1") -> Engine:
    target = Target(parse_url(f"{HUB}/v1/embeddings"), "m", "served", secret=TOKEN)
    flow = find_engine(engines, base, target, timeouts=Timeouts(), now=hand.now, end=math.inf)
    found, now = hand.run(flow)
    assert now == hand.now
    return found


def test_an_engine_is_asked_once_for_all_its_routes() -> None:
    hand, engines = Hand(says(TEI_INFO)), Engines()
    found = engine(hand, engines)
    assert (found.kind, found.model, found.max_batch, found.guessed) == ("tei", "org/e", 32, False)
    assert engine(hand, engines, HUB) == engine(hand, engines, f"{HUB}/embed") == found
    assert urls(hand) == [f"{HUB}/info"]
    assert dict(hand.sends[0].request.headers)["authorization"] == f"Bearer {TOKEN.value}"


@pytest.mark.parametrize(
    "outcome",
    [says({}, 404), says({}, 405), says({"some": "thing"}), says(b"<html>")],
    ids=["404", "405", "other JSON", "page"],
)
def test_a_server_without_info_is_an_openai_server(outcome) -> None:
    hand, engines = Hand(outcome), Engines()
    found = engine(hand, engines)
    assert (found.kind, found.guessed) == ("openai", False)
    hand.now += LIFETIME - 1
    assert engine(hand, engines) == found


@pytest.mark.parametrize(
    "outcome",
    [fails(), silent, says({}, 401), says({}, 503), says(b"", 307, location="/elsewhere")],
    ids=["no connection", "silent", "401", "503", "redirect"],
)
def test_an_engine_that_cannot_be_asked_is_guessed_for_a_minute(outcome) -> None:
    hand, engines = Hand(outcome, says(TEI_INFO)), Engines()
    assert engine(hand, engines) == engine(hand, engines) == Engine(guessed=True)
    assert len(hand.sends) == 1
    hand.now += PATIENCE
    assert engine(hand, engines).kind == "tei"

"""The router's list of models: read whatever it leaves out, fetched with or without a token."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from trunkline.catalog import ModelEntry, Offer, Pricing, fetch_models, models_url, read_models
from trunkline.errors import APIConnectionError, InvalidResponseError, ServiceUnavailableError
from trunkline.sandbox import InProcessTransport, Sandbox
from trunkline.sandbox.inprocess import InProcessExchange
from trunkline.settings import Settings, read_settings
from trunkline.types import Secret, Timeouts
from trunkline.wire.message import HttpRequest


def _read(*rows: object) -> list[ModelEntry]:
    return read_models(json.dumps({"object": "list", "data": rows}).encode())


def _offer(**told: object) -> Offer:
    return _read({"id": "a/b", "providers": [{"provider": "p", **told}]})[0].providers[0]


@pytest.fixture
def settings() -> Settings:
    return read_settings({})


def test_what_is_missing_is_unknown_and_never_zero() -> None:
    assert _offer() == Offer("p")
    assert Offer("p").pricing == Pricing(None, None)
    assert _read({"id": "a/b"}) == [ModelEntry("a/b")]


def test_a_whole_row_is_read() -> None:
    offer = _offer(
        status="live", context_length=131072, pricing={"input": 0.9299999999999999, "output": 1},
        is_free=False, supports_tools=True, supports_structured_output=False,
        first_token_latency_ms=120.5, throughput=320, is_model_author=True,
    )  # fmt: skip
    assert offer == Offer(
        "p", "live", 131072, Pricing(Decimal("0.93"), Decimal(1)), is_free=False, supports_tools=True,
        supports_structured_output=False, first_token_latency_ms=120.5, throughput=320.0,
        is_model_author=True,
    )  # fmt: skip
    assert offer.live


@pytest.mark.parametrize("odd", [None, "text", -1, True, [], {}])
def test_a_field_of_another_kind_is_unknown(odd: object) -> None:
    offer = _offer(
        status=None, context_length=odd, pricing={"input": odd, "output": odd}, throughput=odd,
        first_token_latency_ms=odd,
    )  # fmt: skip
    assert offer == Offer("p")


def test_numbers_written_as_text_are_numbers() -> None:
    assert _offer(pricing={"input": "0.5"}).pricing.input == Decimal("0.5")


def test_rows_without_a_name_are_left_out() -> None:
    assert [m.id for m in _read(None, {}, {"id": ""}, {"id": 5}, {"id": "a/b"})] == ["a/b"]
    assert _read({"id": "a/b", "providers": [None, {}, {"provider": 1}]})[0].providers == ()
    assert _read({"id": "a/b", "providers": "none", "architecture": []}) == [ModelEntry("a/b")]


def test_a_bare_list_is_a_list() -> None:
    assert read_models(b'[{"id": "a/b"}]') == [ModelEntry("a/b")]


@pytest.mark.parametrize("data", [b"", b"<html>", b"{}", b'{"data": {}}', b"5"])
def test_what_is_no_list_is_an_error(data: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        read_models(data)


@pytest.mark.parametrize(
    "base", ["https://r.example", "https://r.example/", "https://r.example/v1"]
)
def test_the_list_is_found_with_and_without_v1(base: str) -> None:
    assert str(models_url(base)) == "https://r.example/v1/models"


def test_the_list_is_fetched_with_hugging_faces_token_only(settings: Settings) -> None:
    transport = InProcessTransport()
    for secret, sent in (
        (None, None),
        (Secret("sk-other", "a test"), None),
        (Secret("hf_good", "a test"), "Bearer hf_good"),
    ):
        models = fetch_models(settings, transport, secret)
        assert len(models) > 10
        assert transport.requests[-1].headers.get("authorization") == sent


def test_a_token_that_is_refused_is_left_out(settings: Settings) -> None:
    class Refusing(InProcessTransport):
        """Refuses whoever shows a token."""

        def open(self, request: HttpRequest, timeouts: Timeouts, until: float) -> InProcessExchange:
            told = dict(request.headers)
            self.sandbox = Sandbox(fault="401" if "authorization" in told else None)
            return super().open(request, timeouts, until)

    assert fetch_models(settings, Refusing(), Secret("hf_old", "a test"))


def test_an_error_says_who_refused_what(settings: Settings) -> None:
    transport = InProcessTransport(Sandbox(fault="503"))
    with pytest.raises(
        ServiceUnavailableError, match=r"router\.huggingface\.co refuses /v1/models"
    ):
        fetch_models(settings, transport)


def test_an_answer_that_is_cut_is_an_error(settings: Settings) -> None:
    with pytest.raises(APIConnectionError):
        fetch_models(settings, InProcessTransport(Sandbox(fault="cut-length")))

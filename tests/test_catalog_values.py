"""The catalog as a value: what it says of a model, how old it is, and what it does not know."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from trunkline.catalog import (
    Catalog,
    ModelEntry,
    Offer,
    Pricing,
    catalog_file,
    model_info,
    models,
    read_file,
    router_catalog,
    shipped,
    supports,
    write_file,
)
from trunkline.errors import InvalidInputError, InvalidResponseError, NotFoundError
from trunkline.providers.table import PROVIDERS
from trunkline.settings import ROUTER

WHEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def a_catalog(*entries: ModelEntry) -> Catalog:
    return Catalog(entries, "router", WHEN)


def an_entry(*offers: Offer, name: str = "org/model", **more) -> ModelEntry:
    return ModelEntry(name, providers=offers, **more)


def test_a_catalog_says_where_it_is_from_and_how_old_it_is() -> None:
    catalog = a_catalog(an_entry())
    assert catalog.age(WHEN + timedelta(hours=2)) == timedelta(hours=2)
    assert repr(catalog) == "Catalog(1 models, router, 2026-11-24 12:00Z)"


def test_a_model_is_found_whatever_the_case_of_its_letters() -> None:
    catalog = a_catalog(an_entry(name="Org/Model"))
    assert model_info(catalog, "huggingface/org/mODEL").id == "Org/Model"
    assert catalog.find("org/other") is None


def test_a_provider_in_the_name_narrows_what_is_told() -> None:
    catalog = a_catalog(an_entry(Offer("groq"), Offer("novita")))
    assert model_info(catalog, "org/model:novita").providers == (Offer("novita"),)
    assert model_info(catalog, "huggingface/groq/org/model").providers == (Offer("groq"),)
    assert model_info(catalog, "org/model:together").providers == ()
    assert len(model_info(catalog, "org/model:cheapest").providers) == 2


def test_an_unknown_model_is_an_error_with_the_nearest_names() -> None:
    catalog = a_catalog(an_entry(name="meta-llama/Llama-3.3-70B-Instruct"), an_entry(name="x/y"))
    with pytest.raises(NotFoundError) as caught:
        model_info(catalog, "meta-lama/Llama-3.3-70B-Instruct:groq")
    assert caught.value.hint == "Did you mean meta-llama/Llama-3.3-70B-Instruct?"
    with pytest.raises(NotFoundError) as caught:
        model_info(catalog, "somebody/else")
    assert caught.value.hint is None
    with pytest.raises(NotFoundError, match="router, 2026-11-24"):
        supports(catalog, "x/z", "tools")


def test_what_is_no_model_string_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        model_info(a_catalog(), "")


YES, NO, UNKNOWN = (Offer("p", "live", supports_tools=told) for told in (True, False, None))
DEAD = Offer("p", "error", supports_tools=False)


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ((YES, YES), True),
        ((YES, DEAD), True),
        ((NO, NO), False),
        ((YES, NO), None),
        ((YES, UNKNOWN), None),
        ((NO, UNKNOWN), None),
        ((UNKNOWN,), None),
        ((DEAD,), None),
        ((), None),
    ],
)
def test_the_routers_choice_can_what_all_live_providers_can(offers, answer) -> None:
    assert supports(a_catalog(an_entry(*offers)), "org/model:fastest", "tools") is answer


@pytest.mark.parametrize("told", [True, False, None])
def test_a_pinned_provider_counts_alone(told) -> None:
    catalog = a_catalog(
        an_entry(
            Offer("groq", "live", supports_tools=told, supports_structured_output=told),
            Offer("novita", "live", supports_tools=told is None),
        )
    )
    for capability in ("tools", "json_schema", "structured_output"):
        assert supports(catalog, "org/model:groq", capability) is told
    assert supports(catalog, "org/model:together", "tools") is None


def test_what_a_model_takes_is_told_by_its_modalities_or_is_unknown() -> None:
    seeing = a_catalog(an_entry(input_modalities=("text", "image"), reasoning=True))
    silent = a_catalog(an_entry())
    assert supports(seeing, "org/model", "vision") is True
    assert supports(seeing, "org/model", "audio") is False
    assert supports(seeing, "org/model", "reasoning") is True
    for capability in ("vision", "audio", "reasoning", "tools", "json_schema"):
        assert supports(silent, "org/model", capability) is None


def test_a_capability_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'flying' is no capability") as caught:
        supports(a_catalog(an_entry()), "org/model", "flying")
    assert "vision" in str(caught.value.hint)
    with pytest.raises(InvalidInputError):
        models(a_catalog(an_entry()), capability="flying")


def test_a_providers_name_may_be_written_in_any_case() -> None:
    catalog = a_catalog(an_entry(Offer("groq")))
    assert models(catalog, provider="Groq") == models(catalog, provider="groq") != []


def test_models_are_narrowed_by_words_provider_and_capability() -> None:
    catalog = a_catalog(
        an_entry(YES, Offer("q", "error"), name="a/Big-Instruct", input_modalities=("image",)),
        an_entry(NO, name="a/small-instruct", input_modalities=("text",)),
        an_entry(name="b/unserved"),
    )
    assert [m.id for m in models(catalog)] == ["a/Big-Instruct", "a/small-instruct", "b/unserved"]
    assert [m.id for m in models(catalog, "INSTRUCT big")] == ["a/Big-Instruct"]
    assert [m.id for m in models(catalog, provider="p")] == ["a/Big-Instruct", "a/small-instruct"]
    assert [m.id for m in models(catalog, capability="tools")] == ["a/Big-Instruct"]
    assert [m.id for m in models(catalog, capability="vision")] == ["a/Big-Instruct"]
    assert models(catalog, limit=1)[0].providers == (YES,)
    assert len(models(catalog, live=False)[0].providers) == 2


# the file


def _list(*names: str) -> bytes:
    rows = [
        {"id": name, "new_field": 1, "providers": [{"provider": "groq", "pricing": {"input": 0.1}}]}
        for name in names
    ]
    return json.dumps({"object": "list", "data": rows}).encode()


def test_a_list_is_kept_in_a_file_of_the_owners_alone(tmp_path: Path) -> None:
    path = catalog_file({"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert path is not None
    assert path == tmp_path / "cache" / "trunkline" / "models.json"
    write_file(path, _list("a/b"), ROUTER, WHEN)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["models.json"]
    kept = read_file(path)
    assert kept is not None
    assert (kept.source, kept.as_of, kept.router) == (f"file {path}", WHEN, ROUTER)
    assert kept.entries == router_catalog(_list("a/b"), ROUTER).entries
    assert json.loads(path.read_bytes())["data"][0]["new_field"] == 1  # for a later version


def test_a_list_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    for name in ("a/old", "a/new"):
        write_file(path, _list(name), ROUTER, WHEN)
    kept = read_file(path)
    assert kept is not None
    assert [entry.id for entry in kept.entries] == ["a/new"]


def test_a_list_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.mkdir()
    with pytest.raises(OSError):
        write_file(path, _list("a/b"), ROUTER, WHEN)
    assert [p.name for p in tmp_path.iterdir()] == ["models.json"]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"5", b"\xff", b'{"as_of": "2026-11-24T12:00:00+00:00"}',
        b'{"as_of": "yesterday", "router": "r", "data": []}',
        b'{"as_of": 5, "router": "r", "data": []}',
        b'{"as_of": "2026-11-24T12:00:00", "router": "r", "data": []}',
        b'{"as_of": "2026-11-24T12:00:00+00:00", "router": "r", "data": {}}',
        b'{"as_of": "2026-11-24T12:00:00+00:00", "router": 7, "data": []}',
        b'{"as_of": "2026-11-24T12:00:00+00:00", "router": "\xff", "data": []}',
        b'{"as_of": "0001-01-01T00:00:00+14:00", "router": "r", "data": []}',
        b'{"as_of": "2026-11-24T12:00:00+00:00", "router": "r", "data": ' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_none(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    assert read_file(path) is None
    path.write_bytes(data)
    assert read_file(path) is None


def test_another_routers_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    write_file(path, _list("a/b"), "https://router.example", WHEN)
    assert read_file(path, "https://router.example") is not None
    assert read_file(path, ROUTER) is None


def test_an_empty_list_is_no_catalog() -> None:
    with pytest.raises(InvalidResponseError, match="empty"):
        router_catalog(b'{"data": []}', ROUTER)


# the snapshot


def test_the_snapshot_has_real_prices_and_says_of_when_and_from_where() -> None:
    snapshot = shipped()
    assert snapshot.source.startswith("snapshot shipped with Trunkline ")
    assert snapshot.as_of.tzinfo is UTC
    offers = [offer for entry in snapshot.entries for offer in entry.providers]
    priced = [offer for offer in offers if offer.pricing.input is not None]
    assert len(snapshot.entries) > 100
    assert len(priced) > 150
    assert all(offer.origin for offer in offers)
    groq = model_info(snapshot, "groq/meta-llama/Llama-3.3-70B-Instruct:groq").providers[0]
    assert groq.pricing == Pricing(Decimal("0.59"), Decimal("0.79"))


def test_the_snapshot_knows_only_providers_that_are_routed_to() -> None:
    named = {offer.provider for entry in shipped().entries for offer in entry.providers}
    assert {name for name in named if name not in PROVIDERS or PROVIDERS[name].dropped} == set()


def test_no_price_of_the_snapshot_is_out_of_all_proportion() -> None:
    for entry in shipped().entries:
        for offer in entry.providers:
            for price in (offer.pricing.input, offer.pricing.output):
                assert price is None or Decimal("0.001") <= price <= 100, entry.id
            assert offer.context_length is None or 1024 <= offer.context_length <= 10_000_000


def test_the_snapshot_does_not_claim_to_know_who_is_live() -> None:
    assert {o.status for entry in shipped().entries for o in entry.providers} == {None}


def test_what_no_router_tells_of_a_model_is_taken_from_the_snapshot() -> None:
    reasons = next(entry for entry in shipped().entries if entry.reasoning)
    catalog = router_catalog(_list(reasons.id, "not/known"), ROUTER)
    assert supports(catalog, reasons.id, "reasoning") is True
    assert supports(catalog, "not/known", "reasoning") is None

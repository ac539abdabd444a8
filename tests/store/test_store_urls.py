"""URLs of databases: what is wrong with one, and that none is ever shown with its password."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.store.urls import is_url, masked, place_of, wrong_with

URLS = {
    "postgresql://db/x": ("postgresql://db/x", "db/x"),
    "postgres://ada@db:5433/x": ("postgres://ada@db:5433/x", "db:5433/x"),
    "postgresql://ada:sesame@db/x": ("postgresql://ada:****@db/x", "db/x"),
    "postgresql://ada:@db/x": ("postgresql://ada:****@db/x", "db/x"),
    "postgresql://:sesame@db/x": ("postgresql://:****@db/x", "db/x"),
    "postgresql://ada:a@b:c@db/x": ("postgresql://ada:****@db/x", "db/x"),
    "postgresql://ada:s@[::1]:5432/x": ("postgresql://ada:****@[::1]:5432/x", "[::1]:5432/x"),
    "postgresql://ada:s@one,two:5433/x": ("postgresql://ada:****@one,two:5433/x", "one,two:5433/x"),
    "postgresql:///x?host=/run": ("postgresql:///x?host=/run", "localhost/x"),
    "postgresql://db/x?password=sesame&sslmode=require": (
        "postgresql://db/x?password=****&sslmode=require",
        "db/x",
    ),
    "postgresql://db?PASSWORD=sesame": ("postgresql://db?PASSWORD=****", "db"),
}


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_shown_without_its_password(url: str):
    assert (masked(url), place_of(url)) == URLS[url]
    assert wrong_with(url) is None
    assert is_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://db/x",
        "gateway.db",
        "postgresql://",
        "postgresql:///",
        "postgresql://db:port/x",
        "postgresql://[::1/x",
        "postgresql://ada:pass/word@db/x",
        "postgresql://ada:12/word@db/x",
    ],
)
def test_what_is_no_databases_url_is_told(url: str):
    wrong = wrong_with(url)
    assert wrong
    assert "word" not in wrong.replace("password", "")


SAFE = st.text(st.characters(codec="utf-8"), min_size=8, max_size=20)


@given(SAFE)
def test_no_password_is_shown_whatever_it_is(password: str):
    written = quote(password, safe="")
    for url in (
        f"postgresql://ada:{written}@db.example:5432/x",
        f"postgresql://db.example/x?password={written}",
    ):
        assert wrong_with(url) is None
        for shown in (masked(url), place_of(url)):
            assert written not in shown
            assert password not in shown

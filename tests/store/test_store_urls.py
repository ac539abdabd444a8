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
        "postgresql://ada:12?word@db/x",
        "postgresql://ada:12#word@db/x",
        "postgresql://ada:wo@rd@db/x",
        "postgresql://db/postgresql://ada:word@db/x",
        "postgresql://db/x?host=a&password=wo@word",
        "postgresql:ada:word@db/x",
        "ada:word@db/x",
    ],
)
def test_what_is_no_databases_url_is_told(url: str):
    wrong = wrong_with(url)
    assert wrong
    assert "word" not in wrong.replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:sesame/x",
        "postgresql://ada:12?sesame@db/x",
        "postgresql://ada:12/sesame@db/x",
        "postgresql://ada:12#sesame@db/x",
        "postgresql://ada:open@sesame@db/x",
        "postgresql://ada%3Asesame%40db/x",
        "postgresql://db/postgresql://ada:sesame@db/x",
        "postgresql://db/postgresql%3A%2F%2Fada%3Asesame%40db%2Fx",
        "postgresql://db/ada%3Asesame%40db",
        "postgresql://db/x?dbname=postgresql://ada:sesame@db/x",
        "postgresql://db/x?dbname=postgresql%3A%2F%2Fada%3Asesame%40db",
        "postgresql://db/x?pass%77ord=sesame",
        "postgresql://db/x?sslmode=require#sesame",
        "postgresql:ada:sesame@db/x",
        "postgresql:/ada:sesame@db/x",
        "ada:sesame@db/x",
        "redis://ada:12?sesame@db/0",
        "redis://db/0?password=sesame",
    ],
)
def test_a_password_that_is_where_none_belongs_is_not_shown(url: str):
    assert "sesame" not in masked(url)
    assert is_url(url)


@pytest.mark.parametrize("name", ["gateway.db", "/var/lib/a:b/gateway.db", "a@b.db", "a:b.db"])
def test_a_files_name_is_one(name: str):
    assert not is_url(name)


@given(st.text("ab:/@?#&=%[],.4", max_size=30), st.text("ab:/@?#&=%[],.4", max_size=30))
def test_a_password_is_shown_in_no_url_whatever_is_around_it(before: str, after: str):
    for start in ("postgresql://", "postgresql://ada:", "postgresql://db/"):
        url = f"{start}{before}:sesame@db{after}"
        assert "sesame" not in masked(url)
        assert is_url(url)
        if wrong_with(url) is None:
            assert "sesame" not in place_of(url)


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

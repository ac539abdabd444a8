"""Where the configuration puts the store and the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.errors import ConfigurationError
from trunkline.gateway.config_file import read_config
from trunkline.gateway.config_show import shown_json, shown_lines
from trunkline.gateway.stores import store_at, store_place
from trunkline.store.postgres import PostgresStore
from trunkline.store.sqlite import SqliteStore

URL = "postgresql://ada@db.example:5433/gateway"
SECRET_URL = "postgresql://ada:open%20sesame@db.example/gateway"
ENVIRONMENT = {"HF_TOKEN": "hf_of_the_test", "HOME": "/home/ada"}


def file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "trunkline.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "environment", "path", "journal"),
    [
        ("", {}, "/home/ada/.local/share/trunkline/gateway.db", None),
        ("", {"XDG_DATA_HOME": "/data"}, "/data/trunkline/gateway.db", None),
        ('store.path = "~/my.db"', {}, "/home/ada/my.db", None),
        (f'store.url = "{URL}"', {"TRUNKLINE_STORE": "/other.db"}, "/other.db", None),
        ('store.path = "/my.db"\nstore.journal = "~/j"', {}, "/my.db", "/home/ada/j"),
    ],
)
def test_a_file_has_its_journal_beside_it(
    tmp_path: Path, text: str, environment: dict[str, str], path: str, journal: str | None
):
    environment = ENVIRONMENT | environment
    config = read_config(file(tmp_path, text), environment).config
    place = store_place(config, environment)
    assert (str(place.path), place.url) == (path, None)
    assert str(place.journal) == (journal or f"{path}.journal")
    assert place.shown == path
    store = store_at(place, config.store)
    assert isinstance(store, SqliteStore)


@pytest.mark.parametrize(
    ("text", "environment", "journal"),
    [
        (f'store.url = "{URL}"', {}, "/home/ada/.local/share/trunkline/gateway.journal"),
        (f'store.url = "{URL}"', {"XDG_DATA_HOME": "/data"}, "/data/trunkline/gateway.journal"),
        (f'store.url = "{URL}"\nstore.journal = "/j"', {"HOME": ""}, "/j"),
        ('store.path = "/my.db"\nstore.journal = "/j"', {"TRUNKLINE_STORE": URL}, "/j"),
    ],
)
def test_a_database_has_its_journal_in_the_data_directory(
    tmp_path: Path, text: str, environment: dict[str, str], journal: str
):
    environment = ENVIRONMENT | environment
    config = read_config(file(tmp_path, text), environment).config
    place = store_place(config, environment)
    assert (place.path, place.url, place.password) == (None, URL, None)
    assert str(place.journal) == journal
    store = store_at(place, config.store)
    assert isinstance(store, PostgresStore)
    store.close()


def test_an_option_takes_the_place_of_the_files_database_and_the_other_way_round(tmp_path: Path):
    path = file(tmp_path, f'store.url = "{URL}"\nstore.password_env = "SECRET"')
    environment = ENVIRONMENT | {"SECRET": "open sesame"}
    config = read_config(path, environment, {"store.path": "/other.db"}).config
    assert (config.store.path, config.store.url) == ("/other.db", None)
    loaded = read_config(None, ENVIRONMENT | {"TRUNKLINE_STORE": "/my.db"}, {"store.path": URL})
    assert (loaded.config.store.path, loaded.config.store.url) == (None, URL)
    assert loaded.origins["store.url"] == "the option --store"


def test_the_password_is_in_the_variable_that_is_named(tmp_path: Path):
    path = file(tmp_path, f'store.url = "{URL}"\nstore.password_env = "SECRET"')
    environment = ENVIRONMENT | {"SECRET": "open sesame"}
    loaded = read_config(path, environment)
    assert loaded.warnings == ()
    assert store_place(loaded.config, environment).password == "open sesame"
    (warning,) = read_config(path, ENVIRONMENT).warnings
    assert "SECRET is not set: store.password_env says" in warning


def test_a_password_in_the_url_is_shown_nowhere_and_warned_of_where_others_can_read_it(
    tmp_path: Path,
):
    loaded = read_config(file(tmp_path, f'store.url = "{SECRET_URL}"'), ENVIRONMENT)
    assert loaded.warnings == ()
    hidden = "postgresql://ada:****@db.example/gateway"
    assert f'store.url = "{hidden}"' in list(shown_lines(loaded))
    assert hidden.encode() in shown_json(loaded)
    assert b"sesame" not in shown_json(loaded)
    assert store_place(loaded.config, ENVIRONMENT).shown == hidden
    assert loaded.config.store.url == SECRET_URL
    open_to_all = file(tmp_path, f'store.url = "{SECRET_URL}"', 0o644)
    (warning,) = read_config(open_to_all, ENVIRONMENT).warnings
    assert "Others on this machine can read" in warning
    assert "sesame" not in warning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('store.url = "mysql://ada:sesame@db/x"', "it does not begin with postgresql://"),
        ('store.url = "postgresql://ada:sesame@db:port/x"', "host or port cannot be read"),
        ('store.url = "postgresql://"', "it names no host and no database"),
        (f'store.url = "{SECRET_URL}"\nstore.path = "/my.db"', "are both set"),
        (f'store.path = "{SECRET_URL}"', "belongs into store.url"),
        ('store.password_env = "SECRET"', "is for store.url, which is not set"),
        (f'store.url = "{URL}"\nstore.password_env = "my sesame"', "name of an environment"),
        (f'store.url = "{URL}"\nstore.connections = 0', "allowed is 1 to"),
        (f'store.url = "{URL}"\nstore.statement_seconds = 0', "more than 0"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(tmp_path: Path, text: str, said: str):
    with pytest.raises(ConfigurationError) as caught:
        read_config(file(tmp_path, text), ENVIRONMENT)
    assert said in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_without_a_home_a_database_needs_a_journals_folder_to_be_named(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", _homeless)
    config = read_config(None, {"HF_TOKEN": "hf_of_the_test", "TRUNKLINE_STORE": URL}).config
    with pytest.raises(ConfigurationError, match=r"store\.journal"):
        store_place(config, {})


def _homeless(path: Path) -> Path:
    raise RuntimeError("no home")

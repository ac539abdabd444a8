"""The configuration from file, environment and options: which wins, and where each value is from."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import ConfigurationError
from trunkline.gateway.config import Config, Price, Route, Target, Upstream
from trunkline.gateway.config_environment import store_path
from trunkline.gateway.config_file import Loaded, read_config
from trunkline.gateway.config_show import shown_lines
from trunkline.gateway.config_values import leaves

LOGGED_IN = {"HF_TOKEN": "hf_of_the_test"}
FULL = """
[listen]
port = 8000

[upstreams.vllm]
base_url = "http://127.0.0.1:8000/v1"
models = ["org/model"]
prices."org/model" = { input = 0.1, output = "0.30", context = 32768 }
prices."*".input = 0

[upstreams.fast]
provider = "groq"
key_env = "GROQ_API_KEY"

[routes]
small.targets = [
  { upstream = "vllm", model = "org/model" },
  { upstream = "fast", model = "llama-3.1-8b" },
]
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str | bytes, name: str = "trunkline.toml") -> Path:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_without_anything_the_defaults_count_and_hugging_face_answers() -> None:
    loaded = read_config(None, LOGGED_IN)
    assert loaded.path is None
    assert loaded.warnings == ()
    assert loaded.config.upstreams == {"huggingface": Upstream(kind="huggingface")}
    assert loaded.config.listen == Config().listen
    assert loaded.origins["listen.port"] == "default"


def test_an_empty_file_is_one_that_changes_nothing() -> None:
    for text in ("", "\n", "# nothing\n", "\ufeff"):
        assert read_config(written(text), LOGGED_IN).config == read_config(None, LOGGED_IN).config


def test_every_value_says_where_it_is_from() -> None:
    environment = {**LOGGED_IN, "TRUNKLINE_HOST": "::1", "TRUNKLINE_STORE": " /var/lib/t.db "}
    loaded = read_config(written(FULL), environment, {"listen.port": 9000, "store.path": None})
    assert (loaded.config.listen.host, loaded.config.listen.port) == ("::1", 9000)
    assert loaded.config.store.path == "/var/lib/t.db"
    assert loaded.config.routes["small"].targets[1] == Target("fast", "llama-3.1-8b")
    for name, origin in {
        "listen.host": "the environment variable TRUNKLINE_HOST",
        "listen.port": "the option --port",
        "listen.connections": "default",
        "store.path": "the environment variable TRUNKLINE_STORE",
        "upstreams.vllm.base_url": "trunkline.toml, line 6",
        "upstreams.vllm.kind": "default",
        "upstreams.fast.kind": "follows from provider",
        'upstreams.vllm.prices."org/model".input': "trunkline.toml, line 8",
        'upstreams.vllm.prices."*".output': "default",
        "upstreams.huggingface.kind": "follows from the name",
        "routes.small.targets": "trunkline.toml, line 16",
    }.items():
        assert loaded.origins[name] == origin, name


def test_the_file_loses_to_the_environment_and_that_to_an_option() -> None:
    path = written("listen.port = 1001")
    port = {"TRUNKLINE_PORT": "1002"}
    assert read_config(path, {}).config.listen.port == 1001
    assert read_config(path, {"TRUNKLINE_PORT": ""}).config.listen.port == 1001
    assert read_config(path, port).config.listen.port == 1002
    assert read_config(path, port, {"listen.port": None}).config.listen.port == 1002
    loaded = read_config(path, port, {"listen.port": 1003, "store.path": "here.db"})
    assert loaded.config.listen.port == 1003
    assert loaded.origins["store.path"] == "the option --store"


def test_money_is_as_exact_as_it_was_written() -> None:
    prices = read_config(written(FULL), LOGGED_IN).config.upstreams["vllm"].prices
    assert prices == {
        "org/model": Price(Decimal("0.1"), Decimal("0.3"), 32768),
        "*": Price(Decimal(0)),
    }
    assert str(prices["org/model"].input) == "0.1"
    path = written("money.fixed_reserve = 0.1000000000000000055")
    with pytest.raises(ConfigurationError, match="more than 12 decimals"):
        read_config(path, {})


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("huggingface", "", "huggingface"),
        ("huggingface", 'base_url = "http://127.0.0.1:9/v1"', "huggingface"),
        ("hf", 'base_url = "https://router.huggingface.co/v1"', "huggingface"),
        ("hf", 'base_url = "https://router.huggingface.co"', "huggingface"),
        ("hf", 'base_url = "https://router.huggingface.co.example.org/v1"', "openai"),
        ("groq", 'provider = "groq"\nkey_env = "GROQ"', "provider"),
        ("x", 'base_url = "http://127.0.0.1:9/v1"', "openai"),
        ("huggingface", 'kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"', "openai"),
    ],
)
def test_the_kind_of_an_upstream_follows_from_the_rest(name: str, text: str, kind: str) -> None:
    loaded = read_config(written(f"[upstreams.{name}]\n{text}"), LOGGED_IN)
    assert loaded.config.upstreams[name].kind == kind


def test_hugging_face_is_not_there_where_another_upstream_is_the_default() -> None:
    text = 'default_upstream = "vllm"\nupstreams.vllm.base_url = "http://127.0.0.1:9/v1"'
    loaded = read_config(written(text), {})
    assert list(loaded.config.upstreams) == ["vllm"]
    assert loaded.warnings == ()  # and no token of Hugging Face is missed


def test_the_variable_that_moves_the_router_for_the_sdk_moves_it_here() -> None:
    moved = {"TRUNKLINE_ROUTER": "http://127.0.0.1:8377/v1"}
    for text in ("", 'upstreams.huggingface.base_url = "https://router.huggingface.co/v1"'):
        loaded = read_config(written(text), moved)
        assert loaded.config.upstreams["huggingface"].base_url == moved["TRUNKLINE_ROUTER"]
        origin = loaded.origins["upstreams.huggingface.base_url"]
        assert origin == "the environment variable TRUNKLINE_ROUTER"
        assert loaded.warnings == ()
    other = written('upstreams.vllm.base_url = "http://127.0.0.1:9/v1"')
    assert read_config(other, moved).config.upstreams["vllm"].base_url == "http://127.0.0.1:9/v1"
    with pytest.raises(ConfigurationError, match="variable TRUNKLINE_ROUTER: upstreams.huggingf"):
        read_config(None, {"TRUNKLINE_ROUTER": "router:80"})


# which file


def test_the_file_of_this_folder_is_read_and_else_the_one_that_a_variable_names() -> None:
    named = written("listen.port = 1", "other.toml")
    variable = {**LOGGED_IN, "TRUNKLINE_CONFIG": str(named)}
    assert read_config(None, variable).config.listen.port == 1
    assert read_config(None, variable).path == named
    here = written("listen.port = 2")
    loaded = read_config(None, variable)
    assert (loaded.config.listen.port, loaded.path) == (2, here)
    assert "other.toml, which TRUNKLINE_CONFIG names, is not" in loaded.warnings[0]
    assert read_config(named, {}).config.listen.port == 1
    same = {**LOGGED_IN, "TRUNKLINE_CONFIG": str(here.resolve())}
    assert read_config(None, same).warnings == ()


def test_a_file_that_was_named_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match=r"no configuration file missing\.toml"):
        read_config(Path("missing.toml"), {})
    with pytest.raises(ConfigurationError, match=r"missing\.toml, which .* TRUNKLINE_CONFIG names"):
        read_config(None, {"TRUNKLINE_CONFIG": "missing.toml"})


def test_the_store_lies_in_the_data_directory_unless_told() -> None:
    home = {"HOME": "/home/ada"}
    config = Config()
    assert store_path(config, home) == Path("/home/ada/.local/share/trunkline/gateway.db")
    told = {**home, "XDG_DATA_HOME": "/data"}
    assert store_path(config, told) == Path("/data/trunkline/gateway.db")
    relative = {**home, "XDG_DATA_HOME": "data"}  # which the specification says to ignore
    assert store_path(config, relative) == store_path(config, home)
    for written_path, path in (("x.db", "x.db"), ("~/x.db", "/home/ada/x.db"), ("/x", "/x")):
        configured = read_config(None, {**LOGGED_IN, "TRUNKLINE_STORE": written_path}).config
        assert store_path(configured, told) == Path(path)


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    config = read_config(None, {**LOGGED_IN, "TRUNKLINE_STORE": "~no-such-user/x.db"}).config
    with pytest.raises(ConfigurationError, match="TRUNKLINE_STORE"):
        store_path(config, {})


# what is shown can be read again


def reread(loaded: Loaded, **options: bool) -> Config:
    path = written("\n".join(shown_lines(loaded, **options)), "shown.toml")
    return read_config(path, LOGGED_IN).config


def test_what_is_shown_can_be_read_again() -> None:
    loaded = read_config(written(FULL), LOGGED_IN)
    assert reread(loaded) == reread(loaded, origin=True) == loaded.config
    assert set(loaded.origins) >= {"listen.port", "content.redact", "routes.small.targets"}
    assert len(loaded.origins) == len(list(leaves(loaded.config)))


_MODELS = st.text("ab\"'\\é.*/[=#", min_size=1, max_size=6)
_AMOUNTS = st.decimals(0, 1000, places=6)
_PRICES = st.dictionaries(_MODELS, st.builds(Price, _AMOUNTS, _AMOUNTS), max_size=3)
_ROUTES = st.dictionaries(
    _MODELS.filter(str.islower), st.builds(Target, st.just("huggingface"), _MODELS), max_size=3
)


@given(prices=_PRICES, routes=_ROUTES)
def test_names_and_prices_come_back_as_they_were(
    prices: dict[str, Price], routes: dict[str, Target]
) -> None:
    config = Config(
        upstreams={"huggingface": Upstream(kind="huggingface", prices=prices)},
        routes={name: Route((target,)) for name, target in routes.items()},
    )
    assert reread(Loaded(config, {}, None)) == config

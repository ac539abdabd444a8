"""Settings and tokens from an environment that is passed in, each knowing where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline import Client
from trunkline.errors import AuthenticationError, ConfigurationError, InvalidInputError
from trunkline.log_settings import Keep, read_keep
from trunkline.settings import (
    HUB,
    ROUTER,
    TokenSource,
    checked_secret,
    find_token,
    read_settings,
    token_path,
)
from trunkline.wire.message import parse_url

NOWHERE = {"HF_TOKEN_PATH": "/no/such/file"}


def written(path: Path, token: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token, encoding="utf-8")
    return path


def test_the_variables_come_before_the_file_and_in_their_order(tmp_path: Path) -> None:
    environment = {
        "HF_TOKEN": "hf_a",
        "HUGGING_FACE_HUB_TOKEN": "hf_b",
        "HUGGINGFACE_API_KEY": "hf_c",
        "HF_TOKEN_PATH": str(written(tmp_path / "token", "hf_d")),
    }
    for value, origin in [
        ("hf_a", "the environment variable HF_TOKEN"),
        ("hf_b", "the environment variable HUGGING_FACE_HUB_TOKEN"),
        ("hf_c", "the environment variable HUGGINGFACE_API_KEY"),
        ("hf_d", f"the file {tmp_path / 'token'}"),
    ]:
        found = find_token(environment)
        assert found is not None
        assert (found.value, found.origin) == (value, origin)
        environment.pop(origin.rpartition(" ")[2], None)


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HF_TOKEN_PATH": "{}/my-token"}, "my-token"),
        ({"HF_HOME": "{}/home"}, "home/token"),
        ({"XDG_CACHE_HOME": "{}/cache"}, "cache/huggingface/token"),
        ({"HF_TOKEN_PATH": "{}/a", "HF_HOME": "{}/b"}, "a"),
        ({"HF_HOME": "{}/b", "XDG_CACHE_HOME": "{}/c"}, "b/token"),
        ({"HF_HOME": "", "XDG_CACHE_HOME": "{}/c"}, "c/huggingface/token"),
    ],
)
def test_the_login_is_found_where_hugging_faces_tools_write_it(
    variables: dict[str, str], place: str, tmp_path: Path
) -> None:
    environment = {name: value.format(tmp_path) for name, value in variables.items()}
    assert token_path(environment) == tmp_path / place
    assert find_token(environment) is None
    written(tmp_path / place, "hf_login\n")
    found = find_token(environment)
    assert found is not None
    assert found.value == "hf_login"


def test_paths_may_begin_at_home() -> None:
    assert token_path({}) == Path.home() / ".cache/huggingface/token"
    assert token_path({"HF_HOME": "~/hf"}) == Path.home() / "hf/token"
    assert token_path({"HF_TOKEN_PATH": "~/t"}) == Path.home() / "t"


def test_a_user_without_a_home_has_no_login_and_keeps_no_catalog() -> None:
    nowhere = {"XDG_CACHE_HOME": "~nobody-of-this-name/cache"}
    assert find_token(nowhere) is None
    assert read_settings(nowhere).catalog_file.value is None
    with Client(settings=read_settings(nowhere)) as client:
        assert client.catalog(offline=True).entries


@pytest.mark.parametrize("value", ["hf_x", " hf_x ", "hf_x\n", "\r\nhf_x\r\n", "\thf_x"])
def test_white_space_around_a_found_token_is_forgiven(value: str, tmp_path: Path) -> None:
    for environment in (
        {"HF_TOKEN": value},
        {"HF_TOKEN_PATH": str(written(tmp_path / "token", value))},
    ):
        found = find_token(environment)
        assert found is not None
        assert found.value == "hf_x"


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_token_is_none(value: str, tmp_path: Path) -> None:
    assert find_token({"HF_TOKEN": value, **NOWHERE}) is None
    assert find_token({"HF_TOKEN_PATH": str(written(tmp_path / "token", value))}) is None
    found = find_token({"HF_TOKEN": value, "HUGGINGFACE_API_KEY": "hf_x"})
    assert found is not None


def test_a_file_that_cannot_be_read_is_no_login(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    assert find_token({"HF_TOKEN_PATH": str(tmp_path / "token")}) is None
    assert find_token({"HF_TOKEN_PATH": str(tmp_path)}) is None
    assert find_token(NOWHERE) is None


@pytest.mark.parametrize(
    "value",
    ["hf_se\ncret", "hf_se cret", "hf_se\tcret", "hf_se\0cret", "hf_s\u00e9cret", "hf_\u200bx"],
)
def test_a_token_that_would_break_a_header_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(AuthenticationError, match="environment variable HF_TOKEN") as caught:
        find_token({"HF_TOKEN": value})
    assert "cret" not in str(caught.value)
    assert "settings/tokens" in str(caught.value)
    with pytest.raises(AuthenticationError, match="token="):
        checked_secret(value, "the argument token=")


@pytest.mark.parametrize(("value", "says"), [("", "is empty"), ("hf_x\n", "line breaks")])
def test_a_token_that_is_passed_in_is_taken_as_it_is_or_refused(value: str, says: str) -> None:
    with pytest.raises(AuthenticationError, match=says):
        checked_secret(value, "the argument token=")


def test_a_token_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="is a bytes"):
        checked_secret(b"hf_x", "the argument token=")  # type: ignore[arg-type]


def test_a_source_reads_variables_each_time_and_the_file_once(tmp_path: Path) -> None:
    file = written(tmp_path / "token", "hf_old")
    environment = {"HF_TOKEN_PATH": str(file)}
    source = TokenSource(environment)
    old = source.current()
    assert old is not None
    assert old.value == "hf_old"
    written(file, "hf_new")
    assert source.current() == old
    environment["HF_TOKEN"] = "hf_variable"
    found = source.current()
    assert found is not None
    assert found.value == "hf_variable"
    del environment["HF_TOKEN"]
    assert source.current() == old
    renewed = source.renew(old)
    assert renewed is not None
    assert renewed.value == "hf_new"
    assert source.current() == renewed


def test_a_source_finds_a_login_made_after_it(tmp_path: Path) -> None:
    source = TokenSource({"HF_TOKEN_PATH": str(tmp_path / "token")})
    assert source.current() is None
    written(tmp_path / "token", "hf_x")
    assert source.current() is not None


def test_an_empty_environment_means_hugging_face_itself() -> None:
    settings = read_settings({})
    assert (settings.router_url, settings.hub_url) == (ROUTER, HUB)
    assert settings.router.origin == "default"
    assert (settings.bill_to.value, settings.bill_to.origin) == (None, "default")
    assert settings.proxies.choose(parse_url("https://h/")) is None


def test_each_setting_says_where_it_came_from() -> None:
    settings = read_settings(
        {
            "TRUNKLINE_ROUTER": " http://127.0.0.1:8377 ",
            "HF_ENDPOINT": "https://hub.example",
            "HF_BILL_TO": "my-org",
        }
    )
    assert settings.router_url == "http://127.0.0.1:8377"
    assert settings.hub_url == "https://hub.example"
    assert settings.bill_to.value == "my-org"
    assert settings.router.origin == "the environment variable TRUNKLINE_ROUTER"
    assert settings.hub.origin == "the environment variable HF_ENDPOINT"
    assert settings.bill_to.origin == "the environment variable HF_BILL_TO"


@pytest.mark.parametrize("name", ["TRUNKLINE_ROUTER", "HF_ENDPOINT"])
@pytest.mark.parametrize("value", ["localhost:80", "ftp://h", "https://u:hunter2@h", "https://"])
def test_an_address_that_is_none_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        read_settings({name: value})
    assert "hunter2" not in str(caught.value)


HTTP, HTTPS = parse_url("http://h.example/"), parse_url("https://h.example/")


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({"HTTPS_PROXY": "http://p:3128"}, None, ("p", 3128)),
        ({"https_proxy": "http://p:3128", "HTTPS_PROXY": "http://q:1"}, None, ("p", 3128)),
        ({"HTTP_PROXY": "http://p:3128"}, ("p", 3128), None),
        ({"ALL_PROXY": "p:3128"}, ("p", 3128), ("p", 3128)),
        ({"all_proxy": "http://p"}, ("p", 80), ("p", 80)),
        ({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, ("p", 1), ("q", 2)),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, None, ("::1", 3128)),
        ({"HTTPS_PROXY": ""}, None, None),
        # in a CGI script HTTP_PROXY is what a client wrote into its Proxy header
        ({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}, None, None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, ("p", 1), None),
    ],
)
def test_proxies_come_from_the_usual_variables(
    environment: dict[str, str], http: tuple[str, int] | None, https: tuple[str, int] | None
) -> None:
    proxies = read_settings(environment).proxies
    for url, wanted in ((HTTP, http), (HTTPS, https)):
        proxy = proxies.choose(url)
        assert (None if proxy is None else (proxy.host, proxy.port)) == wanted


def test_a_proxys_password_is_used_and_not_shown() -> None:
    proxy = read_settings({"HTTPS_PROXY": "http://me:hunter%402@p:3128"}).proxies.https
    assert proxy is not None
    assert proxy.authorization == "Basic bWU6aHVudGVyQDI="
    assert "hunter" not in repr(proxy)
    assert "bWU6" not in repr(read_settings({"HTTPS_PROXY": "http://me:hunter@p:3128"}))


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "socks5://me:hunter2@p:1080",
        "https://me:hunter2@p",
        "http://me:hunter2@",
        "http://me:hunter2@p:99999",
        "http://me:hunter2@p:port",
        "ftp://me:hunter2@p",
        "http://me:hunter2@[::1",
    ],
)
def test_a_proxy_that_cannot_be_used_names_its_variable_and_not_its_value(
    name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=name) as caught:
        read_settings({name: value})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "url", "bypassed"),
    [
        ("*", "https://h.example/", True),
        ("h.example", "https://h.example/", True),
        ("H.Example", "https://h.example/", True),
        ("h.example", "https://sub.h.example/", True),
        (".h.example", "https://sub.h.example/", True),
        (".h.example", "https://h.example/", True),
        ("*.h.example", "https://sub.h.example/", True),
        ("h.example", "https://oh.example/", False),
        ("h.example", "https://noth.example/", False),
        ("h.example", "https://h.example.org/", False),
        ("other, h.example ,more", "https://h.example/", True),
        ("h.example:8443", "https://h.example:8443/", True),
        ("h.example:8443", "https://h.example/", False),
        ("127.0.0.1", "http://127.0.0.1:8080/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://h.example/", False),
        ("10.0.0.1/8", "http://10.9.9.9/", True),
        ("::1", "http://[::1]:8080/", True),
        ("[::1]", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]:8080/", True),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("localhost", "http://localhost:8377/", True),
        ("", "https://h.example/", False),
        (",, ,", "https://h.example/", False),
        (".", "https://h.example/", False),
        ("not/a/network", "https://h.example/", False),
    ],
)
def test_no_proxy_is_kept_to(rule: str, url: str, bypassed: bool) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        proxies = read_settings({"ALL_PROXY": "http://p:1", name: rule}).proxies
        assert (proxies.choose(parse_url(url)) is None) is bypassed


# the local log


@pytest.mark.parametrize(
    ("said", "wanted", "file"),
    [
        ("", False, "{home}/.local/state/trunkline/calls.db"),
        ("1", True, "{home}/.local/state/trunkline/calls.db"),
        ("ON", True, "{home}/.local/state/trunkline/calls.db"),
        ("0", False, "{home}/.local/state/trunkline/calls.db"),
        ("/var/calls.db", True, "/var/calls.db"),
        ("~/calls.db", True, "{home}/calls.db"),
    ],
)
def test_the_log_is_off_on_or_somewhere(said: str, wanted: bool, file: str, tmp_path: Path) -> None:
    log = read_settings({"HOME": str(tmp_path), "TRUNKLINE_LOG": said}).log
    assert (log.wanted, log.file) == (wanted, file.format(home=tmp_path))
    assert log.content is False
    assert log.keep == Keep(days=30)


def with_file(home: Path, text: str) -> dict[str, str]:
    path = home / "trunkline" / "settings.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home)}


def test_the_settings_file_decides_where_the_environment_does_not(tmp_path: Path) -> None:
    text = '[log]\nfile = "~/mine.db"\ncontent = true\nkeep = "500 calls"\n'
    environment = with_file(tmp_path, text)
    log = read_settings(environment).log
    assert (log.wanted, log.file) == (True, str(tmp_path / "mine.db"))
    assert (log.content, log.keep) == (True, Keep(calls=500))
    assert "settings.toml" in log.origin
    told = {
        **environment,
        "TRUNKLINE_LOG": "0",
        "TRUNKLINE_LOG_CONTENT": "0",
        "TRUNKLINE_LOG_KEEP": "7d",
    }
    log = read_settings(told).log
    assert (log.wanted, log.content, log.keep) == (False, False, Keep(days=7))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[log]\nfil = true\n", "unknown field `fil`"),
        ("[logs]\nfile = true\n", "unknown field `logs`"),
        ("path = 'x'\n", "unknown field `path`"),
        ("[log]\ncontent = 'yes'\n", "Expected `bool"),
        ("[log\n", "settings.toml: "),
        ("[log]\nkeep = 'a while'\n", "'a while' does not say how much is kept"),
    ],
)
def test_a_settings_file_that_is_wrong_is_named(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="settings.toml") as caught:
        read_settings(with_file(tmp_path, text))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("30d", Keep(days=30)),
        ("1 day", Keep(days=1)),
        ("10000", Keep(calls=10000)),
        ("3 calls", Keep(calls=3)),
        ("Forever", Keep()),
    ],
)
def test_how_much_is_kept_is_days_or_calls_or_all(text: str, keep: Keep) -> None:
    assert read_keep(text, "here") == keep


@pytest.mark.parametrize("text", ["0d", "0", "a week", "-3", "30 s"])
def test_what_says_nothing_of_how_much_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="here"):
        read_keep(text, "here")


def test_a_flag_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TRUNKLINE_LOG_CONTENT"):
        read_settings({"HOME": str(tmp_path), "TRUNKLINE_LOG_CONTENT": "maybe"})


@pytest.mark.parametrize("wish", [3, "", b""])
def test_a_log_that_is_no_place_is_refused(wish: object) -> None:
    with pytest.raises(InvalidInputError, match="log is"):
        Client(log=wish, settings=read_settings({}))  # type: ignore[arg-type]

"""What is wrong with a configuration is said with its place, what is allowed, and all at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import trustme

from trunkline.errors import ConfigurationError
from trunkline.gateway.config import Config, Upstream
from trunkline.gateway.config_environment import check_environment
from trunkline.gateway.config_file import read_config

LOGGED_IN = {"HF_TOKEN": "hf_of_the_test"}
VLLM = '[upstreams.vllm]\nbase_url = "http://127.0.0.1:9/v1"\n'
SECRET = "hf_QwErTyUiOpAsDfGhJk"


def path_of(text: str | bytes, tmp_path: Path) -> Path:
    path = tmp_path / "trunkline.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(text: str | bytes, tmp_path: Path) -> str:
    """Return what is said of a file that is refused, its folder left out."""
    with pytest.raises(ConfigurationError) as caught:
        read_config(path_of(text, tmp_path), LOGGED_IN)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # unknown keys
        ("xyz = 1", "line 1: xyz is unknown. A configuration has listen, edge, queue, upstreams,"),
        ("\n[listen]\nprot = 1", "line 3: listen.prot is unknown. Did you mean 'port'? [listen] "),
        (f"{VLLM}base-url = 'x'", "Did you mean 'base_url'?"),
        (f"{VLLM}prices.x = {{ input = 1, ouput = 2 }}", "prices.x.ouput is unknown. Did you mean"),
        (
            "routes.a = { target = [] }",
            "line 1: routes.a.target is unknown. Did you mean 'targets'",
        ),
        # types
        ("listen = 3", "listen must be a table, [listen], not a whole number"),
        ("[listen]\nport = '80'", "line 2: listen.port must be a whole number, not text"),
        ("listen.port = true", "must be a whole number, not true or false"),
        ("listen.port = 80.5", "must be a whole number, not a number with a fraction"),
        ("listen.host = 1", "listen.host must be text in quotes, not a whole number"),
        ("content.store = 1", "content.store must be true or false, not a whole number"),
        ("content.redact = 'x'", "content.redact must be a list of texts, such as ['a', 'b']"),
        ("content.redact = [1]", "content.redact must be a list of texts"),
        ("edge.idle_seconds = 1979-05-27", "must be a number, not a date or time"),
        ("upstreams = []", "upstreams must be tables by name, [upstreams.NAME], not a list"),
        ("[[upstreams.vllm]]\nmodels = []", "upstreams.vllm must be a table, [upstreams.vllm]"),
        ("routes.a.targets = 'x'", "must be a list of tables, [{upstream = ..., model = ...}]"),
        (f"{VLLM}limits = {{ concurrency = 0 }}", "vllm.limits.concurrency is 0; allowed is 1 to"),
        (f"{VLLM}limits = {{ rpm = 1 }}", "upstreams.vllm.limits.rpm is unknown."),
        (
            f"{VLLM}providers.groq.limits = {{ concurrency = 1 }}",
            'upstreams.vllm.providers.groq is for kind = "huggingface" alone',
        ),
        (
            "[upstreams.huggingface]\nproviders.grok.limits = { concurrency = 1 }",
            "upstreams.huggingface.providers.grok is no provider known here. Did you mean 'groq'?",
        ),
        ("routes.a.targets = ['x']", "routes.a.targets[0] must be a table"),
        (
            "store.durability = 'proces'",
            "must be \"process\" or \"power\", not 'proces'. Did you mean 'process'?",
        ),
        ("unlisted_models = 3", 'must be "refuse" or "pass", not 3'),
        # ranges
        ("listen.port = 70000", "listen.port is 70000; allowed is 0 to 65535"),
        ("listen.port = -1", "listen.port is -1"),
        ("edge.idle_seconds = 0", "allowed is more than 0 and at most 31536000 seconds"),
        ("edge.idle_seconds = -0.5", "edge.idle_seconds is -0.5"),
        ("edge.idle_seconds = inf", "edge.idle_seconds is inf"),
        ("edge.idle_seconds = nan", "edge.idle_seconds is nan"),
        ("edge.idle_seconds = 1e999999999999999999999", "edge.idle_seconds is nan"),
        ("edge.body_bytes = 0", "edge.body_bytes is 0; allowed is 1 to"),
        ("edge.headers = 0", "edge.headers is 0"),
        ("content.retention_days = 0", "content.retention_days is 0"),
        (f"{VLLM}connections = 0", "upstreams.vllm.connections is 0"),
        (f"{VLLM}connect_seconds = 1e9", "upstreams.vllm.connect_seconds is 1000000000.0"),
        # money
        (f"{VLLM}prices.x.input = -1", "prices.x.input must be an amount of US dollars such as"),
        (f"{VLLM}prices.x.input = '$1'", "zero or more, not '$1'"),
        (f"{VLLM}prices.x.input = true", "not true or false"),
        (f"{VLLM}prices.x.input = nan", "not NaN"),
        (f"{VLLM}prices.x.input = 1_000_001", "allowed is 0 to 1000000 US dollars for a million"),
        (f"{VLLM}prices.x = {{ output = 1 }}", "line 3: upstreams.vllm.prices.x.input is missing"),
        (f"{VLLM}prices.x = {{ input = 1, context = 0 }}", "context is 0; allowed is 1 to"),
        ("money.fixed_reserve = 0", "money.fixed_reserve is 0; allowed is more than 0"),
        # names and addresses
        ("listen.host = 'http://0.0.0.0'", "allowed is an IP address or a host name alone"),
        ("listen.host = '[::1]'", "without brackets, port or http://"),
        ("listen.host = '1.2.3'", "listen.host is '1.2.3'"),
        ("listen.host = ''", "listen.host is empty"),
        ('store.path = "a\\nb"', "store.path contains line breaks or control characters"),
        ('store.path = "\\u0000"', "store.path contains line breaks or control characters"),
        ("store.path = ' x'", "store.path begins or ends with a space"),
        ("[listen]\ntls_certificate = 'x'", "line 1: listen.tls_key is missing: tls_certificate"),
        ("listen.tls_key = 'x'", "listen.tls_certificate is missing: tls_key is set"),
        (
            "listen.public_url = 'models.example.org'",
            "listen.public_url is no absolute http(s) URL",
        ),
        ("listen.public_url = 'https://a/?b=c'", "listen.public_url is no absolute http(s) URL"),
        ("[upstreams.x]", 'line 1: upstreams.x.base_url is missing: kind "openai" needs the add'),
        ("upstreams.'a/b'.base_url = 'http://h'", 'upstreams."a/b" cannot be a name'),
        ("upstreams.x.base_url = 'h:80/v1'", "is no absolute http(s) URL, such as"),
        ("upstreams.x.base_url = 'ftp://h/v1'", "does not begin with http:// or https://"),
        ("upstreams.x.base_url = 'http://h/#x'", "it has a fragment"),
        ("upstreams.x.base_url = 'http://u:geheim@h/'", "has a user or password in it"),
        ("upstreams.x.base_url = 'http://h/?api-key=geheim'", "has a key in its query"),
        ("upstreams.x.kind = 'provider'", 'kind "provider" needs one of baseten,'),
        ("upstreams.x.provider = 'grok'", "Did you mean 'groq'? There are baseten,"),
        ("upstreams.x.provider = 'groq'", "upstreams.x.key_env is missing: a provider's own addr"),
        (f"{VLLM}kind = 'openai'\nprovider = 'groq'", 'provider is for kind = "provider" alone'),
        (f"{VLLM}key_env = 'MY KEY'", "key_env must be the name of an environment variable"),
        (f"{VLLM}models = ['a', 'a']", "upstreams.vllm.models[1] is there twice"),
        (f"{VLLM}models = ['a b']", "models[0] is no model's name"),
        (f"{VLLM}prices.'a b'.input = 1", 'prices."a b" is no model\'s name'),
        ("default_upstream = 'vllm'", "no such upstream is configured. There is nothing."),
        (f"default_upstream = 'vlm'\n{VLLM}", "Did you mean 'vllm'? There is vllm."),
        # routes
        (
            f"{VLLM}[routes]\na.targets = [\n{{ upstream = 'vlm', model = 'x' }}]",
            "line 5: routes.a.targets[0].upstream is 'vlm', and no such upstream is configured. "
            "Did you mean 'vllm'? There is vllm and huggingface.",
        ),
        ("routes.a.targets = []", "routes.a.targets is empty"),
        ("[routes.a]", "line 1: routes.a.targets is missing"),
        ("routes.a.targets = [{ upstream = 'huggingface' }]", "targets[0].model is missing"),
        (
            "routes.'my model'.targets = [{ upstream = 'huggingface', model = 'x' }]",
            'routes."my model" cannot be a name: it is empty or has white space',
        ),
        (
            "[routes]\na.targets = [{ upstream = 'huggingface', model = 'x' }]\n"
            "A.targets = [{ upstream = 'huggingface', model = 'x' }]",
            "line 3: routes.A differs from another route in capitals alone",
        ),
        (
            f"{VLLM}models = ['m']\n"
            "[routes]\n'vllm/m'.targets = [{ upstream = 'vllm', model = 'x' }]",
            'line 5: routes."vllm/m" is also the name of a model that an upstream lists',
        ),
        (
            "routes.a.targets = [{ upstream = 'huggingface', model = 'x' }, "
            "{ upstream = 'huggingface', model = 'x' }]",
            "routes.a.targets[1] is the same as a target before it",
        ),
        # content
        ("content.redact = ['ok', '(']", "content.redact[1] is no regular expression: missing )"),
        ("content.redact = ['x*']", "content.redact[0] matches the empty text"),
    ],
)
def test_a_wrong_value_is_said_with_its_place_and_what_is_allowed(
    text: str, said: str, tmp_path: Path
) -> None:
    message = refused(text, tmp_path)
    assert said in message
    assert message.startswith("trunkline.toml, line ") or " errors.\n" in message
    assert "geheim" not in message


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = (
        "default_upstream = 'vlm'\n[listen]\nport = 'x'\nprot = 1\n[upstreams.vllm]\n"
        "base-url = 'http://h'\n[routes.a]\ntargets = [{ upstream = 'nowhere', modl = 'x' }]\n"
    )
    environment = {"TRUNKLINE_DRAIN_SECONDS": "soon"}
    with pytest.raises(ConfigurationError) as caught:
        read_config(path_of(text, tmp_path), environment, {"listen.host": "a b", "lsten.port": 1})
    first, *lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert first == "The configuration has 9 errors."
    places = [line.strip().partition(": ")[0] for line in lines]
    assert set(places[:3]) == {
        "the environment variable TRUNKLINE_DRAIN_SECONDS", "the option --host", "the option --port"
    }  # fmt: skip
    assert places[3:] == [f"trunkline.toml, line {line}" for line in (1, 3, 4, 6, 8, 8)]


@pytest.mark.parametrize(
    "text",
    [
        "[upstreams.vllm]\nbase-url = 'http://h'",
        "upstreams.vllm = 3\nroutes.a.targets = [{ upstream = 'vllm', model = 'x' }]",
        "upstream.vllm.base_url = 'http://h'\ndefault_upstream = 'vllm'",
        "routes.a = 3",
        "routes.a.targets = [{ upstream = 'huggingface', modl = 'x' }]",
        "[upstreams.vllm]\nbase_url = 3",
    ],
)
def test_what_only_follows_from_an_error_is_not_one_more(text: str, tmp_path: Path) -> None:
    assert "errors" not in refused(text, tmp_path)


# secrets


@pytest.mark.parametrize(
    "text",
    [
        f"{VLLM}key = 'short'",
        f"{VLLM}api_key = '{SECRET}'",
        f"{VLLM}key_env = '{SECRET}'",
        f"{VLLM}bill_to = '{SECRET}'",
        f"{VLLM}anything = '{SECRET}'",
        f"{VLLM}models = ['{SECRET}']",
        f"{VLLM}key_env = 'sk-proj-AbCdEfGhIjKlMnOp'",
        f"token = '{SECRET}'",
    ],
)
def test_a_key_in_the_file_is_refused_with_what_to_do_instead(text: str, tmp_path: Path) -> None:
    message = refused(text, tmp_path)
    assert 'key_env = "NAME_OF_THE_VARIABLE"' in message
    assert "AbCdEf" not in message
    assert SECRET[3:11] not in message


@pytest.mark.parametrize(
    "text",
    [
        f"{VLLM}key_env = 'abcdef0123456789abcdef0123456789'",
        f"upstreams.{SECRET}.base_url = 'http://h'\ndefault_upstream = 3",
        f"{SECRET} = 1\n{SECRET} = 2",
        f"a = {SECRET}",
        f"{VLLM}kind = '{SECRET}'",
        f"{VLLM}connect_seconds = '{SECRET}'",
        f"default_upstream = 'x-{SECRET}'",
        f"upstreams.x.base_url = '{SECRET}'",
        f"upstreams.x.base_url = 'http//u:{SECRET}@h'",
    ],
)
def test_what_looks_like_a_key_is_not_repeated_wherever_it_stands(
    text: str, tmp_path: Path
) -> None:
    message = refused(text, tmp_path)
    assert SECRET[3:11] not in message
    assert "abcdef01" not in message


def test_names_that_only_resemble_keys_are_names(tmp_path: Path) -> None:
    names = ["org/multitask-bert-base-uncased-v1", "org/sk-learn-for-everybody", "hf_small"]
    text = f"{VLLM}models = {names}\nkey_env = 'key_for_the_production_server'"
    upstream = read_config(path_of(text, tmp_path), LOGGED_IN).config.upstreams["vllm"]
    assert list(upstream.models) == names


def test_a_key_in_a_file_that_others_can_read_is_taken_for_known(tmp_path: Path) -> None:
    path = path_of(f"{VLLM}key = 'geheim'", tmp_path)
    for mode, known in ((0o600, False), (0o644, True), (0o640, True)):
        path.chmod(mode)
        with pytest.raises(ConfigurationError) as caught:
            read_config(path, LOGGED_IN)
        assert ("make a new key" in str(caught.value)) is known


# files that are no configuration


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a = 1\nb = \xff", "line 2: there are bytes that are no UTF-8"),
        ("listen.port = 1".encode("utf-16"), "is written in UTF-16. Save it as UTF-8"),
        (b"a = 1\n\nb = '\0'", "line 3: there is a NUL character"),
        (b"#" * 2_000_000, "is larger than 1024 KiB"),
        (b"a = " + b"[" * 50_000, "is nested too deeply"),
        (b"a = " + b"9" * 5000, "holds a number of too many digits"),
        (
            b"[listen]\nport = 1\n\nport = 2",
            "line 4: listen.port is there twice; the first is in l",
        ),
        (b"[listen]\n[edge]\n[listen]", "line 3: listen is there twice; the first is in line 1"),
        (b"listen = { port = 1, port = 2 }", "line 1: listen.port is there twice"),
        (
            b"\n[listen]\nhost = localhost",
            "line 3: this is no TOML: Invalid value (column 8). Text",
        ),
        (b"[listen]\nhost = 'x", "line 2: this is no TOML: Expected"),
        (b"listen: {}", "line 1: this is no TOML"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(
    data: bytes, said: str, tmp_path: Path
) -> None:
    message = refused(data, tmp_path)
    assert message.startswith("trunkline.toml")
    assert said in message


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is a directory\. Name the file in it"):
        read_config(tmp_path, {})


def test_a_path_that_no_system_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_config(Path("a\0b"), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said(tmp_path: Path) -> None:
    path = path_of("", tmp_path)
    path.chmod(0)
    with pytest.raises(ConfigurationError, match="may not be read by this user"):
        read_config(path, {})


# what is fine, and unwise


def warned(text: str, tmp_path: Path, environment: dict[str, str] = LOGGED_IN) -> tuple[str, ...]:
    return read_config(path_of(text, tmp_path), environment).warnings


def test_a_file_that_everybody_can_change_is_warned_of(tmp_path: Path) -> None:
    path = path_of("", tmp_path)
    path.chmod(0o666)
    [warning] = read_config(path, LOGGED_IN).warnings
    assert "Everybody on this machine can change" in warning


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str, tmp_path: Path) -> None:
    assert warned(f"listen.host = '{host}'", tmp_path) == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gateway.example.org"])  # noqa: S104 - the case
def test_a_network_without_tls_is_fine_and_warned_of(host: str, tmp_path: Path) -> None:
    [warning] = warned(f"listen.host = '{host}'", tmp_path)
    assert "TLS is off" in warning


def test_tls_answers_that_warning_and_its_files_must_be_there(tmp_path: Path) -> None:
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    text = f"[listen]\nhost = '0.0.0.0'\ntls_certificate = '{certificate}'\ntls_key = '{key}'"
    missing = warned(text, tmp_path)
    assert [warning.partition(":")[0] for warning in missing] == [
        "listen.tls_certificate cannot be read", "listen.tls_key cannot be read",
    ]  # fmt: skip
    made = trustme.CA().issue_cert("gateway.example.org")
    made.private_key_pem.write_to_path(key)
    made.cert_chain_pems[0].write_to_path(certificate)
    assert warned(text, tmp_path) == ()


def test_a_key_that_would_cross_a_network_in_clear_is_warned_of(tmp_path: Path) -> None:
    text = "[upstreams.x]\nbase_url = 'http://10.0.0.1/v1'\nkey_env = 'X_KEY'"
    environment = {**LOGGED_IN, "X_KEY": "geheim-1"}
    [warning] = warned(text, tmp_path, environment)
    assert "the key in X_KEY crosses the network in clear" in warned(text, tmp_path, environment)[0]
    assert "geheim" not in warning
    assert warned(text.replace("http:", "https:"), tmp_path, environment) == ()
    assert warned(text.replace("10.0.0.1", "127.0.0.1"), tmp_path, environment) == ()


def test_a_variable_that_is_not_set_is_a_warning_here_and_said_at_the_start(tmp_path: Path) -> None:
    text = f"{VLLM}key_env = 'VLLM_KEY'"
    loaded = read_config(path_of(text, tmp_path), LOGGED_IN)
    [said] = loaded.warnings
    assert said == (
        "The environment variable VLLM_KEY is not set: "
        "upstreams.vllm.key_env says that it holds the key."
    )
    assert check_environment(loaded.config, LOGGED_IN) == [said]
    assert check_environment(loaded.config, {**LOGGED_IN, "VLLM_KEY": "x"}) == []
    [said] = check_environment(loaded.config, {**LOGGED_IN, "VLLM_KEY": "ge heim"})
    assert "VLLM_KEY has line breaks, spaces" in said
    assert "heim" not in said.replace("geheim", "")


def test_a_token_of_hugging_face_is_missed_where_one_is_needed(tmp_path: Path) -> None:
    nobody = {"HF_TOKEN_PATH": str(tmp_path / "none")}

    def said(upstream: Upstream) -> list[str]:
        return check_environment(Config(upstreams={"huggingface": upstream}), nobody)

    [missing] = said(Upstream(kind="huggingface"))
    assert re.search(r"No Hugging Face token was found .* `hf auth login`", missing)
    assert said(Upstream(kind="huggingface", base_url="http://127.0.0.1:8377/v1")) == []
    assert said(Upstream(base_url="http://example.org/v1")) == []
    [wrong] = check_environment(
        Config(upstreams={"huggingface": Upstream(kind="huggingface")}), {"HF_TOKEN": "hf_a b"}
    )
    assert "HF_TOKEN" in wrong


@pytest.mark.parametrize(
    ("price", "says"),
    [
        ("{}", "is missing: the price of a million tokens, or `request`"),
        ("{ context = 5 }", "is missing: the price of a million tokens"),
        ("{ output = 1, request = 1 }", "is missing: the price of a million tokens"),
        ("{ request = -1 }", "an amount of US dollars"),
        ("{ request = 2000000 }", "US dollars for a call"),
        ("{ request = 0.01 }", None),
        ("{ request = 0 }", None),
        ("{ input = 1, request = 0.01 }", None),
    ],
)
def test_a_price_is_of_tokens_or_of_a_call(price: str, says: str | None, tmp_path: Path) -> None:
    path = tmp_path / "trunkline.toml"
    path.write_text(f'[upstreams.x]\nbase_url = "http://h/v1"\nprices."m" = {price}\n')
    if says is None:
        assert read_config(path, {}).config.upstreams["x"].prices["m"]
        return
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        read_config(path, {})

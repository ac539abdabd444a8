"""What a configuration needs of the machine it runs on: variables, files, folders, a network.

The environment is passed in. What is missing is said, never the value of what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trunkline.errors import AuthenticationError, ConfigurationError
from trunkline.gateway.config import Config, Upstream
from trunkline.gateway.config_rules import is_loopback
from trunkline.settings import checked_secret, find_token
from trunkline.store.urls import masked
from trunkline.wire.message import parse_url


def check_environment(config: Config, environment: Mapping[str, str]) -> list[str]:
    """Return what is missing for a start, as sentences: keys in variables, a token, TLS files."""
    return [
        *(
            said
            for name, upstream in config.upstreams.items()
            for said in _key(name, upstream, environment)
        ),
        *_store_password(config, environment),
        *_tls_files(config),
    ]


def store_path(config: Config, environment: Mapping[str, str]) -> Path:
    """Return the file of the store: as configured, else in XDG's data directory.

    Raises ConfigurationError for a user without a home directory.
    """
    if config.store.path is not None:
        return expanded(config.store.path, environment)
    return data_folder(environment) / "gateway.db"


def data_folder(environment: Mapping[str, str]) -> Path:
    """Return Trunkline's folder in XDG's data directory; raises ConfigurationError."""
    data = environment.get("XDG_DATA_HOME", "")
    if not Path(data).is_absolute():  # as XDG has it: any other is to be ignored
        data = "~/.local/share"
    return expanded(data, environment) / "trunkline"


def expanded(path: str, environment: Mapping[str, str]) -> Path:
    """Return a path with `~` as the home that the environment has; raises ConfigurationError."""
    home = environment.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return Path(home) / path[2:]
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            "There is no home directory to keep the store in. Set store.path or store.journal, "
            "or the environment variable TRUNKLINE_STORE."
        ) from error


def file_warnings(path: Path, mode: int, config: Config) -> Iterator[str]:
    """Yield what is unwise about a file's permissions."""
    if mode & 0o002:
        yield (
            f"Everybody on this machine can change {path}, and so send keys elsewhere. "
            f"`chmod o-w {path}` stops that."
        )
    store = config.store
    for key, url, env in (
        ("url", store.url, "password_env"),
        ("redis_url", store.redis_url, "redis_password_env"),
    ):
        if mode & 0o044 and url is not None and masked(url) != url:
            yield (
                f"Others on this machine can read {path}, and store.{key} has a password in it. Put "
                f"it into a variable and name that in store.{env}, or `chmod 600 {path}`."
            )


def transit_warnings(config: Config) -> Iterator[str]:
    """Yield what crosses a network in clear."""
    listen = config.listen
    if listen.tls_certificate is None and not is_loopback(listen.host):
        yield (
            f"listen.host is {listen.host} and TLS is off: keys, prompts and answers cross the "
            "network in clear. Set listen.tls_certificate and listen.tls_key, or put a proxy "
            "with TLS in front."
        )
    for name, upstream in config.upstreams.items():
        if upstream.base_url is None or upstream.key_env is None:
            continue
        url = parse_url(upstream.base_url)
        if url.scheme == "http" and not is_loopback(url.host):
            yield (
                f"upstreams.{name}.base_url begins with http://: the key in "
                f"{upstream.key_env} crosses the network in clear."
            )


def _key(name: str, upstream: Upstream, environment: Mapping[str, str]) -> Iterator[str]:
    variable = upstream.key_env
    if variable is None:
        if upstream.kind == "huggingface" and not _is_here(upstream.base_url):
            yield from _token(name, environment)
        return
    value = environment.get(variable, "").strip()
    if not value:
        yield (
            f"The environment variable {variable} is not set: "
            f"upstreams.{name}.key_env says that it holds the key."
        )
        return
    try:
        checked_secret(value, f"the environment variable {variable}")
    except AuthenticationError as error:
        yield error.message


def _store_password(config: Config, environment: Mapping[str, str]) -> Iterator[str]:
    store = config.store
    for key, variable, whose in (
        ("password_env", store.password_env, "the database's"),
        ("redis_password_env", store.redis_password_env, "Redis'"),
    ):
        if variable is not None and not environment.get(variable):
            yield (
                f"The environment variable {variable} is not set: store.{key} says that it holds "
                f"{whose} password."
            )


def _token(name: str, environment: Mapping[str, str]) -> Iterator[str]:
    try:
        found = find_token(environment)
    except AuthenticationError as error:
        yield error.message
        return
    if found is None:
        yield (
            f"No Hugging Face token was found for upstreams.{name}. Log in with `hf auth login`, "
            "set HF_TOKEN, or name another variable in key_env."
        )


def _is_here(base_url: str | None) -> bool:
    return base_url is not None and is_loopback(parse_url(base_url).host)


def _tls_files(config: Config) -> Iterator[str]:
    for name in ("tls_certificate", "tls_key"):
        path = getattr(config.listen, name)
        if path is None:
            continue
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            yield f"listen.{name} cannot be read: {error.strerror or error}: {path}."

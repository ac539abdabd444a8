"""Settings from the environment and the login of `hf auth login`, and where each came from.

Nothing below this floor reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from trunkline.errors import AuthenticationError, ConfigurationError, InvalidInputError
from trunkline.log_settings import LogSettings, read_log_settings
from trunkline.settings_file import read_settings_file
from trunkline.transport.proxy import Proxies, parse_proxy
from trunkline.types import Secret
from trunkline.wire.message import parse_url

ROUTER = "https://router.huggingface.co"
HUB = "https://huggingface.co"
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_API_KEY")
"""In the order in which they are looked at; the first with a value counts."""

Environment = Mapping[str, str]


class Setting(msgspec.Struct, frozen=True):
    """A value and, in words, where it came from."""

    value: str | None
    origin: str


class Settings(msgspec.Struct, frozen=True):
    """Where calls go and on whose account, each with its origin."""

    router: Setting
    hub: Setting
    bill_to: Setting
    proxies: Proxies
    catalog_file: Setting = Setting(None, "default")
    """Where `trunkline models refresh` keeps the router's list of models."""
    log: LogSettings = LogSettings()
    """Whether calls are logged on this machine, and where."""

    @property
    def router_url(self) -> str:
        """Base of the unified router."""
        return self.router.value or ROUTER

    @property
    def hub_url(self) -> str:
        """Base of the Hub."""
        return self.hub.value or HUB


def read_settings(environment: Environment | None = None) -> Settings:
    """Read what the environment sets; raises ConfigurationError, naming the variable.

    TRUNKLINE_ROUTER moves the router, HF_ENDPOINT the Hub, HF_BILL_TO names who pays, and the
    usual proxy variables (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) are kept to. TRUNKLINE_LOG
    and the user's settings file say whether calls are logged.
    """
    env = os.environ if environment is None else environment
    return Settings(
        router=_address(env, "TRUNKLINE_ROUTER", ROUTER),
        hub=_address(env, "HF_ENDPOINT", HUB),
        bill_to=_text(env, "HF_BILL_TO"),
        proxies=_proxies(env),
        catalog_file=_catalog_file(env),
        log=read_log_settings(env, read_settings_file(env)),
    )


def _catalog_file(env: Environment) -> Setting:
    path = catalog_path(env)
    told = "the environment variable XDG_CACHE_HOME" if env.get("XDG_CACHE_HOME") else "default"
    return Setting(None if path is None else str(path), told)


def catalog_path(environment: Environment) -> Path | None:
    """Return where the catalog is kept, in XDG's cache directory; None for a user without a home."""
    try:
        home = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        return None
    return home / "trunkline" / "models.json"


def find_token(environment: Environment | None = None) -> Secret | None:
    """Find the token that a user is logged in with; None without one.

    The environment first, then the file that `hf auth login` writes, at the path that
    huggingface_hub resolves. Raises AuthenticationError for a value that cannot be a token.
    """
    env = os.environ if environment is None else environment
    for name in TOKEN_VARIABLES:
        value = env.get(name, "").strip()
        if value:
            return checked_secret(value, f"the environment variable {name}")
    try:
        path = token_path(env)
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last: a user without a home
        return None
    return checked_secret(value, f"the file {path}") if value else None


def token_path(environment: Environment | None = None) -> Path:
    """Return where `hf auth login` keeps the token; raises RuntimeError where `~` is nowhere."""
    env = os.environ if environment is None else environment
    if env.get("HF_TOKEN_PATH"):
        return Path(env["HF_TOKEN_PATH"]).expanduser()
    home = env.get("HF_HOME") or f"{env.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(os.path.expandvars(home)).expanduser() / "token"


def checked_secret(value: str, origin: str) -> Secret:
    """Return a credential that is fit for a header; raises AuthenticationError, hiding the value.

    Nothing is trimmed here: what comes from a file or a variable has been, by who read it.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"The token from {origin} is a {type(value).__name__}, no string.")
    if not value or not value.isascii() or any(c.isspace() or not c.isprintable() for c in value):
        what = "is empty" if not value else "has line breaks, spaces or characters no token has"
        raise AuthenticationError(
            f"The token from {origin} {what}.",
            hint="Copy it again from https://huggingface.co/settings/tokens.",
        )
    return Secret(value, origin)


def _address(env: Environment, name: str, default: str) -> Setting:
    value = env.get(name, "").strip()
    if not value:
        return Setting(default, "default")
    try:
        parse_url(value)
    except InvalidInputError as error:
        raise ConfigurationError(f"The environment variable {name}: {error.message}") from error
    return Setting(value, f"the environment variable {name}")


def _text(env: Environment, name: str) -> Setting:
    value = env.get(name, "").strip()
    return Setting(value or None, f"the environment variable {name}" if value else "default")


def _proxies(env: Environment) -> Proxies:
    def find(*names: str) -> tuple[str, str] | None:
        return next(((env[n], n) for n in names if env.get(n)), None)

    # as curl does it: HTTP_PROXY in capitals may come from a CGI request's Proxy header
    http = find("http_proxy") or (None if "REQUEST_METHOD" in env else find("HTTP_PROXY"))
    https = find("https_proxy", "HTTPS_PROXY")
    every = find("all_proxy", "ALL_PROXY")
    no_proxy = find("no_proxy", "NO_PROXY")
    return Proxies(
        http=parse_proxy(*found) if (found := http or every) else None,
        https=parse_proxy(*found) if (found := https or every) else None,
        bypass=tuple(r.strip() for r in no_proxy[0].split(",") if r.strip()) if no_proxy else (),
    )


class TokenSource:
    """The token that a user is logged in with, looked up as often as is cheap.

    Variables are looked at for each call, so that setting one takes effect; the file is read once
    and again when the token in it has been refused.
    """

    def __init__(self, environment: Environment | None = None) -> None:
        """Look in `environment`, or in the process's own."""
        self._environment = environment
        self._in_file: Secret | None = None

    def current(self) -> Secret | None:
        """Return the token to use now; raises as find_token."""
        env = os.environ if self._environment is None else self._environment
        if self._in_file is not None and not any(env.get(name) for name in TOKEN_VARIABLES):
            return self._in_file
        found = find_token(self._environment)
        if found is not None and found.origin.startswith("the file"):
            self._in_file = found
        return found

    def renew(self, _refused: Secret) -> Secret | None:
        """Look again after a token was refused: it may have been replaced since."""
        self._in_file = None
        return self.current()


_OF_A_SECRET = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_CREDENTIALS")


def secret_values(environment: Environment | None = None) -> tuple[str, ...]:
    """Return the credentials that the environment and the login hold, by the names they have there.

    For who has to keep them out of something; whether they are any good is not looked at.
    """
    env = os.environ if environment is None else environment
    found = [
        value.strip()
        for name, value in env.items()
        if name in TOKEN_VARIABLES or name.upper().endswith(_OF_A_SECRET)
    ]
    try:
        found.append(token_path(env).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError, RuntimeError):
        pass  # nobody is logged in
    return tuple(value for value in found if value)

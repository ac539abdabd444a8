"""What `trunkline doctor` looks at, and what it makes of it: facts in, Checks out. No printing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from trunkline import model_id
from trunkline._version import __version__
from trunkline.catalog import ModelEntry, fetch_models, get
from trunkline.cli.inert import hide_secrets, inert_line
from trunkline.errors import APIError, AuthenticationError, TrunklineError
from trunkline.log_settings import LogSettings
from trunkline.providers.targets import Places, chat_target
from trunkline.settings import Environment, Settings, find_token, read_settings
from trunkline.store.call_log import CallLog
from trunkline.store.logged import LogFilter
from trunkline.store.seam import StoreError
from trunkline.transport.blocking import BlockingTransport
from trunkline.transport.proxy import Proxies
from trunkline.transport.seam import Transport
from trunkline.types import Secret
from trunkline.wire import strict_json
from trunkline.wire.message import parse_url

T = TypeVar("T")
Status = Literal["ok", "warning", "failed"]
NEEDED = "inference.serverless.write"
"""The permission by which a fine-grained token may call Inference Providers."""
_TOKENS_PAGE = "https://huggingface.co/settings/tokens"


class Check(msgspec.Struct, frozen=True):
    """One line of the list."""

    name: str
    status: Status
    says: str
    hint: str | None = None
    """What to do about it."""


def run_checks() -> Iterator[Check]:
    """Yield each check as soon as it is known; `failed` means that calls cannot work."""
    yield from versions()
    try:
        settings = read_settings()
    except TrunklineError as error:
        yield Check("settings", "failed", inert_line(str(error)), "Correct or unset the variable.")
        return
    yield proxy_check(settings.proxies, settings.router_url)
    yield log_check(settings.log)
    transport = BlockingTransport(proxies=settings.proxies)
    try:
        secret, found = token_check(settings)
        yield found
        yield router_check(settings, transport, secret)
        yield from hub_checks(settings, transport, secret)
    finally:
        transport.close()


def versions() -> Iterator[Check]:
    """Tell what is installed."""
    import platform  # slow to load

    yield Check("trunkline", "ok", __version__)
    yield Check("Python", "ok", f"{platform.python_version()} ({platform.system()})")
    for name in ("httptools", "msgspec"):
        yield Check(name, "ok", metadata.version(name))


def log_check(log: LogSettings) -> Check:
    """Tell whether calls are logged on this machine, and where; calls work without."""
    if not log.wanted or log.file is None:
        return Check("log", "ok", "calls are not logged")
    content = ", prompts and answers included" if log.content else ""
    told = f"calls are logged to {inert_line(log.file)} ({log.origin}){content}"
    path = Path(log.file)
    try:
        if path.exists():
            with closing(CallLog(path)) as opened:
                opened.calls(LogFilter(), 1)
    except StoreError as error:
        return Check("log", "warning", f"{told}, but that cannot be read", inert_line(str(error)))
    return Check("log", "ok", told)


def proxy_check(proxies: Proxies, router: str) -> Check:
    """Tell by which way the router is reached; a proxy's user and password stay out of it."""
    url = parse_url(router)
    proxy = proxies.choose(url)
    if proxy is not None:
        return Check("proxy", "ok", f"{proxy.host}:{proxy.port} for the router")
    passed_by = proxies.https if url.scheme == "https" else proxies.http
    return Check("proxy", "ok", "none for the router, by NO_PROXY" if passed_by else "none")


def token_check(
    settings: Settings, environment: Environment | None = None
) -> tuple[Secret | None, Check]:
    """Look for the token as calls do."""
    try:
        secret = find_token(environment)
        if secret is None:
            chat_target(model_id.parse("org/model"), Places(router=settings.router_url))
            return None, Check("token", "ok", "none, and none needed by a router on this machine")
    except AuthenticationError as error:
        return None, Check("token", "failed", error.message, error.hint)
    says = f"{secret.masked} from {secret.origin}"
    if secret.is_hugging_face:
        return secret, Check("token", "ok", says)
    hint = "It is sent to Hugging Face all the same; a provider's own key is passed as token=."
    return secret, Check("token", "warning", f"{says}, which does not begin with hf_", hint)


def router_check(settings: Settings, transport: Transport, secret: Secret | None) -> Check:
    """Ask the router for its models."""
    where = f"{settings.router_url}{_told(settings.router.origin)}"
    found = _timed(lambda: fetch_models(settings, transport, secret))
    if isinstance(found, APIError):
        return Check("router", "failed", f"{where}: {_why(found, secret)}", found.hint)
    models, seconds = found
    live = sum(1 for model in models if _is_live(model))
    return Check("router", "ok", f"{where} answers in {seconds * 1000:.0f} ms, {live} models live")


def hub_checks(settings: Settings, transport: Transport, secret: Secret | None) -> Iterator[Check]:
    """Ask the Hub whose token it is: what it may do and who pays."""
    where = f"{settings.hub_url}{_told(settings.hub.origin)}"
    url = parse_url(f"{settings.hub_url.rstrip('/')}/api/whoami-v2")
    found = _timed(lambda: get(transport, url, secret))
    if isinstance(found, APIError) and (found.status or 500) >= 500:
        hint = found.hint or "Chats do not need the Hub; calls with a provider's own key do."
        yield Check("Hub", "warning", f"{where}: {_why(found, secret)}", hint)
        return
    yield Check("Hub", "ok", f"{where} answers")
    if secret is None:
        yield bill_check(settings, None)
        return
    if isinstance(found, APIError):
        yield _refused(found, secret)
        return
    try:
        told = strict_json.decode(found[0])
    except strict_json.JsonError:
        told = None
    if not isinstance(told, dict):
        yield Check("account", "warning", "the Hub's answer cannot be read", "Try again later.")
        return
    yield from account_checks(told)
    yield bill_check(settings, told)


def account_checks(told: dict[str, Any]) -> Iterator[Check]:
    """Read `/api/whoami-v2`: user, role of the token, its permission, and whether it can pay."""
    token = _inner(_inner(told, "auth"), "accessToken")
    role = inert_line(str(token.get("role") or "unknown"))
    title = inert_line(str(token.get("displayName") or "unnamed"))
    plan = "PRO" if told.get("isPro") is True else "free plan"
    user = [inert_line(str(told.get("name") or "unknown")), plan]
    if isinstance(told.get("canPay"), bool):
        user.append("can pay" if told["canPay"] else "cannot pay beyond included credits")
    if orgs := org_names(told):
        user.append(f"organisations: {', '.join(orgs)}")
    yield Check("user", "ok", ", ".join(user))
    says = f"{role} (token {title!r})"
    if lacks_permission(token):
        hint = f"Allow it 'Make calls to Inference Providers' at {_TOKENS_PAGE}."
        yield Check("role", "failed", f"{says}, without permission to call providers", hint)
    else:
        yield Check("role", "ok", says)


def bill_check(settings: Settings, told: dict[str, Any] | None) -> Check:
    """Tell who pays, and whether the Hub knows them."""
    payer = settings.bill_to.value
    if payer is None:
        return Check("bill to", "ok", "the token's own account")
    says = f"{payer}{_told(settings.bill_to.origin)}"
    if told is None or payer in org_names(told):
        return Check("bill to", "ok", says)
    hint = "Check HF_BILL_TO; only a resource group's id may be missing from the organisations."
    return Check("bill to", "warning", f"{says}, which is none of your organisations", hint)


def org_names(told: dict[str, Any]) -> list[str]:
    """Return the organisations that whoami names."""
    orgs = told.get("orgs")
    rows = [org for org in orgs if isinstance(org, dict)] if isinstance(orgs, list) else []
    return [inert_line(org["name"]) for org in rows if isinstance(org.get("name"), str)]


def lacks_permission(token: dict[str, Any]) -> bool:
    """Tell whether a token is known not to be allowed to call providers."""
    grants = token.get("fineGrained")
    if token.get("role") != "fineGrained" or not isinstance(grants, dict):
        return False
    scoped = grants.get("scoped")
    lists = [grants.get("global")]
    if isinstance(scoped, list):
        lists += [row.get("permissions") for row in scoped if isinstance(row, dict)]
    return not any(NEEDED in granted for granted in lists if isinstance(granted, list))


def _refused(error: APIError, secret: Secret) -> Check:
    if error.status == 401:
        hint = f"It is expired, revoked or mistyped: make a new one at {_TOKENS_PAGE}."
        return Check("account", "failed", "the Hub does not accept the token", hint)
    says = f"the Hub does not tell: {_why(error, secret)}"
    return Check("account", "warning", says, error.hint or "Try again later.")


def _timed(ask: Callable[[], T]) -> tuple[T, float] | APIError:
    began = time.monotonic()
    try:
        return ask(), time.monotonic() - began
    except APIError as error:
        return error


def _why(error: APIError, secret: Secret | None) -> str:
    status = f" (status {error.status})" if error.status else ""
    said = inert_line(error.message) + status
    return hide_secrets(said, secret.value if secret else None)


def _told(origin: str) -> str:
    return "" if origin == "default" else f" from {origin}"


def _is_live(model: ModelEntry) -> bool:
    return any(offer.live for offer in model.providers)


def _inner(told: dict[str, Any], name: str) -> dict[str, Any]:
    inner = told.get(name)
    return inner if isinstance(inner, dict) else {}

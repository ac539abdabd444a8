"""From a model string and a credential to the target of a chat."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from trunkline.errors import AuthenticationError, InvalidInputError
from trunkline.model_id import ModelId
from trunkline.providers.spec import Provider, Target
from trunkline.providers.table import PROVIDERS
from trunkline.types import Secret
from trunkline.wire.message import Url, parse_url

CHAT_PATH = "/chat/completions"
PLACEHOLDER = "hf_sandbox"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HUGGING_FACE_HOSTS = (".huggingface.cloud", ".huggingface.co")
SANDBOX_URL = Url("sandbox", "sandbox", 0, "/v1/chat/completions")


class Places(msgspec.Struct, frozen=True):
    """What decides where a call goes, besides its model."""

    router: str
    """Base of the unified router, with or without `/v1`."""
    api_base: str | None = None
    secret: Secret | None = None
    """The credential to use."""
    explicit: bool = False
    """Whether the caller gave the credential with the call or the client."""
    direct: bool | None = None
    """Whether to go to the provider itself; None decides by the credential's form."""
    bill_to: str | None = None
    bill_to_explicit: bool = False
    session_id: str | None = None
    engine: str | None = None
    """What runs at `api_base`: `tei`, `tgi`, `openai`, `pipeline`; None has it found out."""
    address: str | None = None
    """Where a provider itself is to be found, in place of its usual address; or, of a server at
    `api_base`, the address below which OpenAI's paths lie."""


def chat_url(base: str) -> Url:
    """Complete the address of a chat server, as Hugging Face's clients do.

    `.../chat/completions` stays; `.../v1` gets `/chat/completions`; anything else gets
    `/v1/chat/completions`. A query string stays. Raises InvalidInputError for no http(s) URL.
    """
    url = parse_url(base)
    path, mark, query = url.target.partition("?")
    path = path.rstrip("/")
    if not path.endswith(CHAT_PATH):
        path += CHAT_PATH if path.endswith("/v1") else f"/v1{CHAT_PATH}"
    return msgspec.structs.replace(url, target=f"{path}{mark}{query}")


def chat_target(model: ModelId, places: Places) -> Target:
    """Return where a chat with `model` goes; nothing is asked and nothing sent.

    Raises AuthenticationError without a credential where one is needed, InvalidInputError where
    model and credential do not go together.
    """
    if model.scheme == "sandbox":
        return Target(SANDBOX_URL, model.name, "sandbox", headers=account_headers(places))
    if places.api_base is not None:
        return _served(model, places, places.api_base)
    check_names_model(model)
    secret = places.secret or placeholder(places.router)
    if secret is None:
        raise no_token()
    direct = places.direct
    if direct is None:  # what was found where Hugging Face's tokens are kept goes to Hugging Face
        direct = places.explicit and not secret.is_hugging_face
    if not direct:
        return _routed(model, places, secret)
    target = _direct(model, secret)
    if not places.explicit and not is_hugging_faces(target.url):
        raise AuthenticationError(
            f"direct=True goes to {target.provider} itself, and no key for it was given: the token "
            f"from {secret.origin} is Hugging Face's and is not sent there.",
            provider=target.provider,
            hint="Pass the provider's own key as token=.",
        )
    return target


def placeholder(router: str) -> Secret | None:
    """Return a stand-in for a token where the router is on this machine, so no Hugging Face.

    A sandbox asks for the form of a token only, so that programs run on it without having one.
    """
    if parse_url(router).host not in _LOOPBACK:
        return None
    return Secret(PLACEHOLDER, "no place: it stands in for one, as the router is on this machine")


def no_token() -> AuthenticationError:
    """Return the error for a call without a token; it names the ways to give one."""
    return AuthenticationError(
        "No Hugging Face token was found.",
        hint=(
            "Give one in any of three ways: run `hf auth login` once; set the environment "
            "variable HF_TOKEN; or pass token= to the call or the client. Tokens are made at "
            "https://huggingface.co/settings/tokens. Without one, model='sandbox/demo' answers."
        ),
    )


def _routed(model: ModelId, places: Places, secret: Secret) -> Target:
    name = f"{model.name}:{model.suffix}" if model.suffix else model.name
    url = chat_url(places.router)
    return Target(url, name, "router", model.provider, secret, headers=account_headers(places))


def _served(model: ModelId, places: Places, api_base: str) -> Target:
    url = chat_url(api_base)
    theirs = is_hugging_faces(url)
    # a token found lying about goes to Hugging Face's hosts only, over TLS only
    send = places.explicit or (theirs and url.scheme == "https")
    headers = account_headers(places, known_host=theirs)
    secret = places.secret if send else None
    return Target(url, model.name, "served", secret=secret, headers=headers)


def is_hugging_faces(url: Url) -> bool:
    """Tell whether a URL is on one of Hugging Face's hosts."""
    return url.host == "huggingface.co" or url.host.endswith(_HUGGING_FACE_HOSTS)


def _direct(model: ModelId, secret: Secret) -> Target:
    provider, name = own_provider(model)
    if provider is None:
        why = (
            "direct=True was given"
            if secret.is_hugging_face
            else f"the credential from {secret.origin} is not a Hugging Face token"
        )
        raise InvalidInputError(
            f"The call should go to a provider itself ({why}), and the model string names none.",
            model=str(model),
            hint=(
                "Name the provider (huggingface/<provider>/<org>/<model>), or pass direct=False "
                "if it is a Hugging Face token of another form (an organisation's, a JWT)."
            ),
        )
    row = PROVIDERS.get(provider)
    if row is None or row.chat_path is None:
        why = "serves no chat" if row else "is not known here, so its own address is not either"
        raise InvalidInputError(
            f"Provider {provider!r} {why}.",
            provider=provider,
            model=str(model),
            hint="Use a Hugging Face token, or give the provider's address as api_base=.",
        )
    return _to_provider(row, name, secret)


def _to_provider(row: Provider, name: str, secret: Secret) -> Target:
    path = (row.chat_path or "").replace("{model}", quote(name, safe="/"))
    return Target(
        parse_url(f"{row.base_url}/{path}"),
        name,
        "direct",
        row.name,
        secret,
        scheme=row.scheme,
        headers=row.headers,
        tune=row.tune,
        look_up=name if row.maps_models and name.count("/") == 1 else None,
    )


def own_provider(model: ModelId) -> tuple[str | None, str]:
    """Return the provider that a model string names, and the model's name without it."""
    if model.provider is None and model.name.startswith("openai/"):
        return "openai", model.name.removeprefix("openai/")
    return model.provider, model.name


def check_names_model(model: ModelId) -> None:
    """Raise InvalidInputError for a model string that is a provider and nothing else."""
    if "/" not in model.name and model.name in PROVIDERS:
        raise InvalidInputError(
            f"{model.name!r} is a provider; the model string names no model.",
            hint=f"Write huggingface/{model.name}/<org>/<model>.",
        )


def account_headers(places: Places, *, known_host: bool = True) -> tuple[tuple[str, str], ...]:
    """Return the headers that say who pays and which session a call belongs to."""
    headers: list[tuple[str, str]] = []
    if places.bill_to and (known_host or places.bill_to_explicit):
        headers.append(("x-hf-bill-to", places.bill_to))
    if places.session_id:
        headers.append(("x-hf-session-id", places.session_id))
    return tuple(headers)

"""Where a call goes, and with which credential: never a found token to a stranger's host."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trials import often
from trunkline.errors import AuthenticationError, InvalidInputError
from trunkline.model_id import parse, parse_served
from trunkline.providers.spec import Target
from trunkline.providers.table import PROVIDERS
from trunkline.providers.targets import Places, chat_target, chat_url
from trunkline.types import Secret

ROUTER = "https://router.huggingface.co"
CHAT = "https://router.huggingface.co/v1/chat/completions"
FOUND = Secret("hf_found", "the environment variable HF_TOKEN")
GIVEN = Secret("hf_given", "the argument token=")
KEY = Secret("gsk_key", "the argument token=")
JWT = Secret("eyJhbGciOi.J9", "the environment variable HF_TOKEN")


def target(model: str, secret: Secret | None = FOUND, **places: object) -> Target:
    """Return the target of a call; a credential counts as given when its origin says so."""
    read = parse_served if places.get("api_base") else parse
    explicit = secret is not None and secret.origin.startswith("the argument")
    places = {"router": ROUTER, "secret": secret, "explicit": explicit, **places}
    return chat_target(read(model), Places(**places))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://h/v1/chat/completions", "https://h/v1/chat/completions"),
        ("https://h/v1/chat/completions/", "https://h/v1/chat/completions"),
        ("https://h/odd/chat/completions", "https://h/odd/chat/completions"),
        ("https://h/v1", "https://h/v1/chat/completions"),
        ("https://h/v1/", "https://h/v1/chat/completions"),
        ("https://h/api/v1", "https://h/api/v1/chat/completions"),
        ("https://h", "https://h/v1/chat/completions"),
        ("https://h/", "https://h/v1/chat/completions"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/chat/completions"),
        ("https://h/custom", "https://h/custom/v1/chat/completions"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai/v1/chat/completions"),
        ("https://h/v1?api-version=2", "https://h/v1/chat/completions?api-version=2"),
        ("https://h?key=a/v1", "https://h/v1/chat/completions?key=a/v1"),
        ("https://h/chat/completions?a", "https://h/chat/completions?a"),
        ("https://h/v12", "https://h/v12/v1/chat/completions"),
    ],
)
def test_an_address_is_completed_as_hugging_faces_clients_do(base: str, url: str) -> None:
    assert str(chat_url(base)) == url
    assert str(chat_url(url)) == url


@given(st.from_regex(r"\A(/[a-z0-9]{1,4}){0,3}/?(\?[a-z=]{0,5})?\Z"))
@settings(max_examples=often(100), deadline=None)
def test_a_completed_address_stays_as_it_is(path: str) -> None:
    url = chat_url(f"https://h{path}")
    assert url.target.partition("?")[0].endswith("/chat/completions")
    assert chat_url(str(url)) == url


@pytest.mark.parametrize("base", ["h/v1", "ftp://h", "", "https://", "https://u:p@h/v1"])
def test_an_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(InvalidInputError):
        chat_url(base)


@pytest.mark.parametrize(
    ("model", "name", "provider"),
    [
        ("huggingface/together/deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1:together", "together"),
        ("org/name", "org/name", None),
        ("org/name:cheapest", "org/name:cheapest", None),
        ("org/name:auto", "org/name", None),
        ("org/name:groq", "org/name:groq", "groq"),
        ("huggingface/sambanova/org/name", "org/name:sambanova", "sambanova"),
        ("huggingface/brand-new/org/name", "org/name:brand-new", "brand-new"),
        ("openai/gpt-oss-20b", "openai/gpt-oss-20b", None),
        ("gpt2", "gpt2", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("secret", [FOUND, GIVEN])
def test_a_hugging_face_token_goes_to_the_unified_route(
    model: str, name: str, provider: str | None, secret: Secret
) -> None:
    found = target(model, secret)
    assert (str(found.url), found.model, found.provider) == (CHAT, name, provider)
    assert (found.via, found.secret, found.scheme) == ("router", secret, "Bearer")
    assert found.tune is None
    assert found.look_up is None


@pytest.mark.parametrize("router", [ROUTER, f"{ROUTER}/", f"{ROUTER}/v1", CHAT])
def test_the_router_may_be_given_with_or_without_its_path(router: str) -> None:
    assert str(target("org/name", router=router).url) == CHAT


DIRECT = {
    "groq/org/name": ("https://api.groq.com/openai/v1/chat/completions", "org/name", "org/name"),
    "cohere/a/b": ("https://api.cohere.com/compatibility/v1/chat/completions", "a/b", "a/b"),
    "together/a/b": ("https://api.together.xyz/v1/chat/completions", "a/b", "a/b"),
    "zai-org/zai-org/GLM-5.2": (
        "https://api.z.ai/api/paas/v4/chat/completions", "zai-org/GLM-5.2", "zai-org/GLM-5.2",
    ),
    "sambanova/a/b": ("https://api.sambanova.ai/v1/chat/completions", "a/b", "a/b"),
    "gpt2:groq": ("https://api.groq.com/openai/v1/chat/completions", "gpt2", None),
    "openai/gpt-4o": ("https://api.openai.com/v1/chat/completions", "gpt-4o", None),
    "openai/org/gpt": ("https://api.openai.com/v1/chat/completions", "org/gpt", None),
    "hf-inference/a/b": (
        "https://router.huggingface.co/hf-inference/models/a/b/v1/chat/completions", "a/b", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("model", "goes"), DIRECT.items())
@pytest.mark.parametrize(("secret", "direct"), [(KEY, None), (KEY, True), (GIVEN, True)])
def test_a_providers_own_key_goes_to_the_provider(
    model: str, goes: tuple[str, str, str | None], secret: Secret, direct: bool | None
) -> None:
    found = target(model, secret, direct=direct)
    assert (str(found.url), found.model, found.look_up) == goes
    assert (found.via, found.secret) == ("direct", secret)
    assert found.tune is PROVIDERS[found.provider or ""].tune
    assert found.headers == PROVIDERS[found.provider or ""].headers


def test_a_model_name_cannot_change_a_providers_path() -> None:
    found = target("hf-inference/a/b?x=1", KEY)
    assert found.url.target == "/hf-inference/models/a/b%3Fx%3D1/v1/chat/completions"


def test_a_key_that_looks_like_a_providers_goes_through_hugging_face_where_asked() -> None:
    found = target("groq/org/name", KEY, direct=False)
    assert (found.via, found.secret, found.model) == ("router", KEY, "org/name:groq")


@pytest.mark.parametrize("secret", [FOUND, JWT])
def test_a_token_found_lying_about_never_goes_to_a_provider(secret: Secret) -> None:
    assert target("groq/org/name", secret).via == "router"
    assert target("hf-inference/a/b", secret, direct=True).via == "direct"
    with pytest.raises(AuthenticationError, match="is not sent there") as caught:
        target("groq/org/name", secret, direct=True)
    assert secret.value not in str(caught.value)
    assert caught.value.provider == "groq"


@pytest.mark.parametrize(
    ("model", "direct", "says"),
    [
        ("org/name", None, "token= is not a Hugging Face token"),
        ("org/name:fastest", None, "the model string names none"),
        ("org/name", True, "the model string names none"),
        ("fal-ai/a/b", None, "'fal-ai' serves no chat"),
        ("brand-new/a/b", None, "'brand-new' is not known here"),
    ],
)
def test_a_key_without_a_provider_that_it_could_belong_to_is_refused(
    model: str, direct: bool | None, says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        target(model, KEY, direct=direct)
    assert caught.value.hint
    assert KEY.value not in str(caught.value)


def test_direct_with_a_hugging_face_token_and_no_provider_says_what_is_wrong() -> None:
    with pytest.raises(InvalidInputError, match="direct=True was given") as caught:
        target("org/name", GIVEN, direct=True)
    assert "is not a Hugging Face token" not in caught.value.message


@pytest.mark.parametrize("name", ["groq", "hf/together", "huggingface/sambanova"])
def test_a_provider_alone_is_no_model(name: str) -> None:
    with pytest.raises(InvalidInputError, match="is a provider") as caught:
        target(name)
    assert "/<org>/<model>" in str(caught.value)


def test_without_any_token_the_error_says_how_to_give_one() -> None:
    with pytest.raises(AuthenticationError) as caught:
        target("org/name", None)
    for way in ("hf auth login", "HF_TOKEN", "token=", "sandbox/"):
        assert way in str(caught.value)


def test_a_router_on_this_machine_needs_no_token() -> None:
    for router in ("http://127.0.0.1:8377", "http://localhost:8377/v1", "http://[::1]:8377"):
        found = target("org/name", None, router=router)
        assert found.via == "router"
        assert found.secret is not None
        assert found.secret.is_hugging_face
    assert target("org/name", GIVEN, router="http://127.0.0.1:8377").secret == GIVEN
    with pytest.raises(AuthenticationError):
        target("org/name", None, router="http://127.0.0.1.evil.example")


SERVED: list[tuple[str, bool]] = [
    ("https://router.huggingface.co/v1", True),
    ("https://huggingface.co/api", True),
    ("https://x.us-east-1.aws.endpoints.huggingface.cloud", True),
    ("https://me-space.hf.space", False),
    ("https://HUGGINGFACE.CO/v1", True),
    ("http://router.huggingface.co/v1", False),
    ("http://x.us-east-1.aws.endpoints.huggingface.cloud", False),
    ("https://api.groq.com/openai/v1", False),
    ("http://127.0.0.1:8080", False),
    ("https://huggingface.co.evil.example", False),
    ("https://evil-huggingface.co", False),
    ("https://evilhuggingface.co", False),
    ("https://huggingface.com", False),
    ("https://huggingface.cloud", False),
    ("https://evil.example/huggingface.co", False),
    ("https://evil.example/?x=.huggingface.co", False),
]


@pytest.mark.parametrize(("base", "theirs"), SERVED)
def test_a_token_found_lying_about_goes_to_hugging_faces_hosts_over_tls_only(
    base: str, theirs: bool
) -> None:
    assert target("tgi", FOUND, api_base=base).secret == (FOUND if theirs else None)
    assert target("tgi", GIVEN, api_base=base).secret == GIVEN
    assert target("tgi", KEY, api_base=base).secret == KEY
    assert target("tgi", None, api_base=base).secret is None


def test_a_server_of_ones_own_gets_the_model_by_its_own_name() -> None:
    found = target("openai/llama3:8b", api_base="http://127.0.0.1:11434/v1")
    assert (found.model, found.via, found.provider) == ("llama3:8b", "served", None)
    assert str(found.url) == "http://127.0.0.1:11434/v1/chat/completions"


def account(**places: object) -> dict[str, str]:
    return dict(target("org/name", **places).headers)  # type: ignore[arg-type]


def test_who_pays_and_which_session_are_headers_for_hugging_face() -> None:
    assert account() == {}
    assert account(bill_to="my-org", session_id="s-1") == {
        "x-hf-bill-to": "my-org",
        "x-hf-session-id": "s-1",
    }


def test_who_pays_is_told_to_strangers_only_where_the_call_says_so() -> None:
    server, endpoint = "https://h/v1", "https://x.endpoints.huggingface.cloud"
    assert account(bill_to="my-org", api_base=server) == {}
    assert account(bill_to="my-org", api_base=endpoint) == {"x-hf-bill-to": "my-org"}
    assert account(bill_to="my-org", bill_to_explicit=True, api_base=server) == {
        "x-hf-bill-to": "my-org"
    }
    direct = target("groq/a/b", KEY, bill_to="my-org", session_id="s")
    assert direct.headers == ()


def test_the_sandbox_needs_nothing() -> None:
    found = target("sandbox/org/name:x", None, bill_to="my-org")
    assert (found.via, found.model, found.secret) == ("sandbox", "org/name:x", None)
    assert found.headers == (("x-hf-bill-to", "my-org"),)

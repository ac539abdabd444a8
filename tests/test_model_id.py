"""Model strings: every form of the design page, both ways, and every way to get one wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.errors import InvalidInputError
from trunkline.model_id import ModelId, parse, parse_served

HUB = "huggingface"

FORMS = {
    "huggingface/together/deepseek-ai/DeepSeek-R1": ModelId(
        HUB, "deepseek-ai/DeepSeek-R1", "together"
    ),
    "huggingface/sambanova/Qwen/Qwen2.5-72B-Instruct": ModelId(
        HUB, "Qwen/Qwen2.5-72B-Instruct", "sambanova"
    ),
    "huggingface/meta-llama/Llama-3.3-70B-Instruct": ModelId(
        HUB, "meta-llama/Llama-3.3-70B-Instruct"
    ),
    "hf/groq/openai/gpt-oss-20b": ModelId(HUB, "openai/gpt-oss-20b", "groq"),
    "hf/org/name": ModelId(HUB, "org/name"),
    "org/name": ModelId(HUB, "org/name"),
    "groq/org/name": ModelId(HUB, "org/name", "groq"),
    "gpt2": ModelId(HUB, "gpt2"),
    "huggingface/gpt2": ModelId(HUB, "gpt2"),
    "gpt2:groq": ModelId(HUB, "gpt2", "groq"),
    "org/name:fastest": ModelId(HUB, "org/name", policy="fastest"),
    "huggingface/org/name:cheapest": ModelId(HUB, "org/name", policy="cheapest"),
    "hf/org/name:preferred": ModelId(HUB, "org/name", policy="preferred"),
    "org/name:groq": ModelId(HUB, "org/name", "groq"),
    "huggingface/groq/org/name:groq": ModelId(HUB, "org/name", "groq"),
    "some-new-provider/org/name": ModelId(HUB, "org/name", "some-new-provider"),
    "huggingface/replicate/a/b/c": ModelId(HUB, "a/b/c", "replicate"),
    "sandbox/demo": ModelId("sandbox", "demo"),
    "sandbox/org/name:with-colon": ModelId("sandbox", "org/name:with-colon"),
    # what other clients call "the router decides", which the router itself refuses as a suffix
    "org/name:auto": ModelId(HUB, "org/name"),
    "huggingface/auto/org/name": ModelId(HUB, "org/name"),
    "huggingface/groq/org/name:auto": ModelId(HUB, "org/name", "groq"),
}


@pytest.mark.parametrize(("text", "model"), FORMS.items())
def test_every_form_of_model_string_is_read(text: str, model: ModelId) -> None:
    assert parse(text) == model


@pytest.mark.parametrize("model", FORMS.values(), ids=str)
def test_the_full_form_parses_to_the_same_model(model: ModelId) -> None:
    assert parse(str(model)) == model


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("org/name", "huggingface/org/name"),
        ("hf/org/name:groq", "huggingface/groq/org/name"),
        ("org/name:cheapest", "huggingface/org/name:cheapest"),
        ("gpt2:groq", "huggingface/gpt2:groq"),
        ("sandbox/demo", "sandbox/demo"),
    ],
)
def test_the_full_form_names_everything(text: str, full: str) -> None:
    assert str(parse(text)) == full


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("groq/org/name", "groq"),
        ("org/name:groq", "groq"),
        ("org/name:fastest", "fastest"),
        ("org/name", None),
        ("org/name:auto", None),
    ],
)
def test_the_router_is_told_a_provider_or_a_policy_or_nothing(
    text: str, suffix: str | None
) -> None:
    assert parse(text).suffix == suffix


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no model"),
        ("huggingface/", "names no model"),
        ("hf/", "names no model"),
        ("sandbox/", "names no model"),
        ("groq/", "names no model"),
        ("huggingface/groq/org/", "names no model"),
        (":groq", "names no model"),
        ("huggingface/:fastest", "names no model"),
        ("org//name", "a part of it is empty"),
        ("/org/name", "a part of it is empty"),
        ("org/name:", "nothing follows the colon"),
        ("org/name:groq:fastest", "neither a provider nor a policy"),
        ("org/name:a/b", "neither a provider nor a policy"),
        ("groq/org/name:together", "names provider 'groq' and adds the suffix :together"),
        ("groq/org/name:fastest", "names provider 'groq' and adds the suffix :fastest"),
        ("org/na me", "white space or control characters"),
        ("org/name\n", "white space or control characters"),
        ("org/na\x00me", "white space or control characters"),
        ("org/na\u2028me", "white space or control characters"),
        ("org/na\ud800me", "white space or control characters"),
        (None, "it is a NoneType, not a string"),
        (b"org/name", "it is a bytes, not a string"),
        (["org/name"], "it is a list, not a string"),
    ],
)
def test_a_string_that_names_no_model_is_refused_with_the_forms_that_work(
    text: Any, says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        parse(text)
    assert "huggingface/<provider>/<org>/<model>" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("openai/gpt-4o", "gpt-4o"),
        ("openai/org/name", "org/name"),
        ("huggingface/tgi", "tgi"),
        ("hf/tgi", "tgi"),
        ("tgi", "tgi"),
        ("llama3:8b", "llama3:8b"),
        ("org/name:fastest", "org/name:fastest"),
        ("/models/tiny-llama", "/models/tiny-llama"),
        ("together/org/name", "together/org/name"),
    ],
)
def test_a_server_of_ones_own_gets_the_name_as_it_is(text: str, name: str) -> None:
    model = parse_served(text)
    assert model == ModelId("served", name)
    assert parse_served(str(model)) == model


@pytest.mark.parametrize("text", ["", "openai/", "hf/", "huggingface/", "a b", None])
def test_a_server_of_ones_own_needs_a_name_too(text: Any) -> None:
    with pytest.raises(InvalidInputError):
        parse_served(text)


SEGMENTS = st.sampled_from(
    [
        "org",
        "name",
        "groq",
        "auto",
        "hf",
        "huggingface",
        "openai",
        "sandbox",
        "fastest",
        "a.b-c",
        "é",
    ]
)


@given(
    segments=st.lists(SEGMENTS, min_size=1, max_size=5),
    suffix=st.none() | st.sampled_from(["fastest", "cheapest", "auto", "groq", "org"]),
)
@settings(deadline=None)
def test_whatever_parses_comes_back_from_its_full_form(
    segments: list[str], suffix: str | None
) -> None:
    text = "/".join(segments) + (f":{suffix}" if suffix else "")
    try:
        model = parse(text)
    except InvalidInputError:
        return
    assert parse(str(model)) == model


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse, parse_served):
        try:
            model = read(text)
        except InvalidInputError:
            continue
        assert model.name
        assert read(str(model)) == model

"""The sandbox's router: who may ask, who serves what, and how it is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.providers.table import PROVIDERS
from trunkline.sandbox import Pause, Reply, Sandbox
from trunkline.sandbox.models import MODELS, chat_models, serving_providers

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
MESSAGES = [{"role": "user", "content": "Hello"}]


def said(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def header(reply: Reply, name: str) -> str | None:
    return dict(reply.headers).get(name)


@pytest.mark.parametrize(
    "model",
    [
        "deepseek-ai/DeepSeek-R1:together",
        "Qwen/Qwen2.5-72B-Instruct:sambanova",
        LLAMA,
        "meta-llama/Llama-3.2-11B-Vision-Instruct:sambanova",
        f"{LLAMA}:sambanova",
    ],
)
def test_the_models_of_the_usual_snippets_answer(asker, model: str) -> None:
    reply = asker.chat(model)
    assert reply.status == 200
    assert said(reply)["choices"][0]["message"]["content"].startswith("[simulated]")


@pytest.mark.parametrize(
    ("suffix", "provider"),
    [
        ("", "cerebras"),
        (":fastest", "cerebras"),
        (":cheapest", "nscale"),
        (":preferred", "groq"),
        (":ovhcloud", "ovhcloud"),
    ],
)
def test_a_suffix_decides_who_serves(asker, suffix: str, provider: str) -> None:
    reply = asker.chat(LLAMA + suffix)
    assert header(reply, "x-inference-provider") == provider
    own = next(o.own_name for o in MODELS[LLAMA].served if o.provider == provider)
    assert said(reply)["model"] == own


def test_the_request_id_has_hugging_faces_form_and_is_the_same_each_time(asker) -> None:
    one, other = asker.chat(LLAMA), asker.chat(LLAMA)
    told = header(one, "x-request-id")
    assert told
    assert told == header(other, "x-request-id")
    assert told.startswith("Root=1-")
    assert len(told) == len("Root=1-00000000-000000000000000000000000;") + 36
    assert told != header(asker.chat(LLAMA, "Bye"), "x-request-id")


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({"authorization": ""}, 401, "Invalid username or password."),
        ({"authorization": "Bearer hf_invalid1"}, 401, "Invalid username or password."),
        ({"authorization": "Bearer sk-key"}, 401, "Invalid username or password."),
        ({"authorization": "hf_good"}, 401, "Invalid credentials in Authorization header"),
        ({"authorization": "Bearer hf_nocredits"}, 402, "You have depleted your monthly included"),
        ({"authorization": "Bearer hf_nopermission"}, 403, "This authentication method does not"),
        ({"x_hf_bill_to": "strangers"}, 401, "You are not allowed to bill"),
    ],
)
def test_an_account_that_may_not_is_refused_in_hugging_faces_words(
    asker, headers: dict[str, str], status: int, error: str
) -> None:
    body = {"model": LLAMA, "messages": MESSAGES}
    reply = asker.post("/v1/chat/completions", body, **headers)
    assert reply.status == status
    assert said(reply)["error"].startswith(error)


def test_an_organisation_of_the_account_may_be_billed(asker, ask_with) -> None:
    body = {"model": LLAMA, "messages": MESSAGES}
    paid = {"x_hf_bill_to": "sandbox-org"}
    assert asker.post("/v1/chat/completions", body, **paid).status == 200
    other = ask_with(Sandbox(orgs=["acme"]))
    assert other.post("/v1/chat/completions", body, x_hf_bill_to="acme").status == 200
    assert other.post("/v1/chat/completions", body, **paid).status == 401


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no/such", "The requested model 'no/such' is not supported by any provider you have"),
        (f"{LLAMA}:cohere", f"The requested model '{LLAMA}:cohere' is not supported"),
        (f"{LLAMA}:auto", "the provider you attempted to explicitly specify 'auto' is not a valid"),
        (f"{LLAMA}:nebius", "the provider you attempted to explicitly specify 'nebius' is not"),
        ("black-forest-labs/FLUX.1-dev", "The requested model 'black-forest-labs/FLUX.1-dev'"),
    ],
)
def test_a_model_that_nobody_serves_is_refused(asker, model: str, message: str) -> None:
    reply = asker.chat(model)
    error = said(reply)["error"]
    assert reply.status == 400
    assert error["message"].startswith(message)
    assert (error["code"], error["param"]) == ("model_not_supported", "model")


def test_a_wrong_body_is_refused_with_the_parameters_name(asker) -> None:
    reply = asker.chat(LLAMA, temperature="hot")
    assert reply.status == 400
    assert said(reply)["error"]["param"] == "temperature"
    assert asker.post("/v1/chat/completions", b"{").status == 400


CHATTING = sorted(
    name
    for name in serving_providers() & PROVIDERS.keys()
    if PROVIDERS[name].chat_path and name != "hf-inference"
)


@pytest.mark.parametrize("provider", CHATTING)
def test_each_provider_answers_on_its_own_path_and_no_other(asker, provider: str) -> None:
    own = next(o.own_name for m in chat_models() for o in m.served if o.provider == provider)
    path = PROVIDERS[provider].chat_path
    body = {"model": own, "messages": MESSAGES}
    reply = asker.post(f"/{provider}/{path}", body)
    assert reply.status == 200
    assert said(reply)["model"] == own
    assert header(reply, "x-inference-provider") is None
    wrong = asker.post(f"/{provider}/v9/chat/completions", body)
    assert wrong.status == 400
    assert said(wrong) == {
        "error": f"Not allowed to POST v9/chat/completions for provider {provider}"
    }
    assert asker.post(f"/{provider}/{path}", {}).status == 400
    assert asker.post(f"/{provider}/{path}", body, authorization="").status == 401
    unknown = asker.post(f"/{provider}/{path}", {**body, "model": "no/such"})
    assert unknown.status == 400
    assert said(unknown) == {"error": f"Model not supported by provider {provider}"}


def test_every_provider_that_chats_serves_something() -> None:
    routed = {row.name for row in PROVIDERS.values() if row.chat_path and not row.dropped}
    assert routed - {"openai"} <= serving_providers()
    assert "sambanova" in serving_providers()


def test_a_provider_that_is_not_routed_to_is_not_there(asker) -> None:
    for provider in ("nebius", "openai", "nobody"):
        assert asker.post(f"/{provider}/v1/chat/completions", {}).status == 404
        assert asker.get(f"/{provider}/v1/models").status == 404


def test_a_providers_models_may_be_read_and_nothing_else(asker) -> None:
    listed = said(asker.get("/together/v1/models"))["data"]
    assert {"id": "deepseek-ai/DeepSeek-R1", "object": "model"} in listed
    refused = asker.get("/together/v1/files")
    assert said(refused) == {"error": "Not allowed to GET v1/files for provider together"}


def test_hf_inference_answers_strangers_for_models_that_it_serves(asker) -> None:
    path = "/hf-inference/models/{}/v1/chat/completions"
    body = {"model": "dummy", "messages": MESSAGES}
    served = path.format("HuggingFaceTB/SmolLM3-3B")
    assert asker.post(served, body, authorization="").status == 200
    assert asker.post(served, {}).status == 400
    assert asker.post(served, body, authorization="Bearer hf_invalid").status == 401
    assert asker.post(path.format(LLAMA), body).body == b"Not Found"
    missing = asker.post(path.format("no/such"), body)
    assert (missing.status, said(missing)) == (404, {"error": "Model no/such does not exist"})
    assert asker.post(path.format("org/fault-503"), body).status == 503


def test_a_provider_refuses_what_it_does_not_take(asker) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    refused = said(asker.chat(f"{LLAMA}:nscale", tools=tools, tool_choice="auto"))["error"]
    assert refused["error_type"] == "UNSUPPORTED_OPENAI_PARAMS"
    assert refused["param"] == "tools, tool_choice"
    assert asker.chat(f"{LLAMA}:nscale").status == 200
    assert said(asker.chat(f"{LLAMA}:cerebras", store=False))["code"] == "wrong_api_format"
    assert asker.chat(f"{LLAMA}:groq", store=False).status == 200


def test_models_are_listed_to_anyone_in_the_routers_form(asker) -> None:
    listed = said(asker.get("/v1/models", authorization=""))
    assert listed["object"] == "list"
    by_name = {entry["id"]: entry for entry in listed["data"]}
    assert "black-forest-labs/FLUX.1-dev" not in by_name
    entry = by_name[LLAMA]
    assert entry["architecture"]["input_modalities"] == ["text"]
    offers = {offer["provider"]: offer for offer in entry["providers"]}
    assert offers["scaleway"]["pricing"]["input"] == 0.9299999999999999
    assert offers["ovhcloud"]["status"] == "error"
    assert "pricing" not in by_name["HuggingFaceTB/SmolLM3-3B"]["providers"][0]
    assert said(asker.get(f"/v1/models/{LLAMA}")) == entry
    assert asker.get("/v1/models/no/such").status == 404
    assert asker.get("/v1/models/black-forest-labs/FLUX.1-dev").status == 404


def test_routes_that_are_not_there_are_404_and_wrong_methods_405(asker) -> None:
    assert asker.get("/").status == 404
    assert asker.get("/v1/nothing").status == 404
    wrong = asker.get("/v1/chat/completions")
    assert wrong.status == 405
    assert header(wrong, "allow") == "POST"
    assert asker.request("HEAD", "/v1/models", b"", {}).status == 200


def test_a_pace_puts_pauses_between_tokens_and_before_a_whole_answer(ask_with) -> None:
    slow = ask_with(Sandbox(pace=100, delay=0.5))
    streamed = [s for s in slow.chat("sandbox/demo", stream=True).steps if isinstance(s, Pause)]
    assert streamed[0] == Pause(0.5)
    assert set(streamed[1:]) == {Pause(0.01)}
    whole = slow.chat("sandbox/demo")
    spent = said(whole)["usage"]["completion_tokens"]
    assert whole.before == (Pause(0.5 + 0.01 * spent),)
    assert slow.get("/v1/models").before == ()


def test_any_name_in_the_sandboxs_own_organisation_answers(asker) -> None:
    reply = asker.chat("sandbox/whatever")
    assert header(reply, "x-inference-provider") == "sandbox"
    assert said(reply)["model"] == "sandbox/whatever"

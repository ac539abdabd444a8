"""The sandbox's Hub."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trunkline.types.tasks import TASKS

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"


def said(reply: Any) -> Any:
    return msgspec.json.decode(reply.body)


def test_model_info_tells_who_serves_a_model_and_by_what_name(asker) -> None:
    for query in ("expand=inferenceProviderMapping", "expand[]=inferenceProviderMapping"):
        found = said(asker.get(f"/api/models/{LLAMA}?{query}"))
        assert set(found) == {"_id", "id", "inferenceProviderMapping"}
        assert found["inferenceProviderMapping"]["groq"] == {
            "isModelAuthor": False,
            "providerId": "llama-3.3-70b-versatile",
            "status": "live",
            "task": "conversational",
        }


def test_model_info_without_expand_is_the_usual_rest(asker) -> None:
    found = said(asker.get(f"/api/models/{LLAMA}"))
    assert found["pipeline_tag"] == "text-generation"
    assert "inferenceProviderMapping" not in found


def test_a_model_that_is_not_there_is_hidden_from_strangers(asker) -> None:
    known = asker.get("/api/models/no/such")
    assert (known.status, said(known)) == (404, {"error": "Repository not found"})
    stranger = asker.get("/api/models/no/such", authorization="")
    assert (stranger.status, said(stranger)) == (401, {"error": "Invalid username or password."})
    for reply in (known, stranger):
        assert dict(reply.headers)["x-error-code"] == "RepoNotFound"
        assert len([name for name, _ in reply.headers if name == "x-error-message"]) == 1


def test_lists_have_mappings_as_lists_and_can_be_narrowed(asker) -> None:
    found = said(asker.get("/api/models?expand=inferenceProviderMapping"))
    first = found[0]["inferenceProviderMapping"][0]
    assert {"provider", "hfModelId", "providerId", "status", "task"} <= set(first)
    cohere = said(asker.get("/api/models?inference_provider=cohere"))
    assert [model["id"] for model in cohere] == ["CohereLabs/aya-expanse-32b"]
    images = said(asker.get("/api/models?pipeline_tag=text-to-image&inference_provider=all"))
    assert images[0]["id"] == "black-forest-labs/FLUX.1-dev"
    assert "sandbox-org/served-by-nobody" not in [model["id"] for model in images]
    assert "sandbox-org/served-by-nobody" in [
        model["id"] for model in said(asker.get("/api/models?pipeline_tag=text-to-image"))
    ]
    assert len(said(asker.get("/api/models?search=llama&limit=2"))) == 2


def test_whoami_tells_the_account_of_the_token(asker) -> None:
    found = said(asker.get("/api/whoami-v2"))
    assert [org["name"] for org in found["orgs"]] == ["sandbox-org"]
    assert found["canPay"] is True
    assert found["auth"]["accessToken"]["role"] == "fineGrained"
    poor = said(asker.get("/api/whoami-v2", authorization="Bearer hf_nocredits"))
    assert poor["canPay"] is False
    bare = said(asker.get("/api/whoami-v2", authorization="Bearer hf_nopermission"))
    assert bare["auth"]["accessToken"]["fineGrained"]["scoped"][0]["permissions"] == []
    for bad in ("", "Bearer hf_invalid", "Bearer x"):
        assert asker.get("/api/whoami-v2", authorization=bad).status == 401


def test_tasks_name_a_model_each(asker) -> None:
    found = said(asker.get("/api/tasks"))
    assert found["text-to-image"]["widgetModels"] == ["black-forest-labs/FLUX.1-dev"]
    assert set(TASKS) - {"conversational"} <= set(found)


def offers(asker: Any, model: str) -> dict[str, Any]:
    found = said(asker.get(f"/api/models/{model}?expand=inferenceProviderMapping"))
    mapping: dict[str, Any] = found["inferenceProviderMapping"]
    return mapping


def test_a_lora_tells_its_weights(asker) -> None:
    assert offers(asker, "nerijs/pixel-art-xl")["fal-ai"] == {
        "isModelAuthor": False,
        "providerId": "fal-ai/lora",
        "status": "live",
        "task": "text-to-image",
        "type": "tag-filter",
        "adapter": "lora",
        "adapterWeightsPath": "pixel-art-xl.safetensors",
    }
    lora = offers(asker, "openfree/flux-chatgpt-ghibli-lora")
    assert lora["replicate"]["adapterWeightsPath"].endswith(".safetensors")
    assert "adapterWeightsPath" not in lora["wavespeed"]


def test_mappings_have_every_oddity_that_a_client_meets(asker) -> None:
    assert offers(asker, "Qwen/Qwen-Image")["fal-ai"]["status"] == "staging"
    assert offers(asker, "stabilityai/stable-diffusion-xl-base-1.0")["fal-ai"]["status"] == "error"
    assert list(offers(asker, "sandbox-org/served-by-a-stranger")) == ["nimbus-ai"]
    assert offers(asker, "sandbox-org/served-by-nobody") == {}
    assert [o["task"] for o in offers(asker, "sandbox-org/served-for-two-tasks").values()] == [
        "image-to-image",
        "text-to-image",
    ]
    gated = said(asker.get("/api/models/stabilityai/stable-diffusion-3.5-large"))
    assert gated["gated"] == "auto"


@pytest.mark.parametrize("query", ["", "?expand=inferenceProviderMapping"])
def test_a_renamed_repository_leads_to_its_new_name(asker, query: str) -> None:
    moved = asker.get(f"/api/models/bert-base-uncased{query}")
    place = f"/api/models/google-bert/bert-base-uncased{query}"
    assert (moved.status, dict(moved.headers)["location"]) == (307, place)
    assert moved.body.decode() == f"Temporary Redirect. Redirecting to {place}"
    assert asker.get(place).status == 200


def test_a_fault_under_a_tasks_name_is_served_by_all_who_serve_the_task(asker) -> None:
    found = offers(asker, "text-to-video/fault-job-failed")
    assert set(found) == {"fal-ai", "novita", "replicate", "together", "wavespeed"}
    assert {o["task"] for o in found.values()} == {"text-to-video"}
    assert {o["providerId"] for o in found.values()} == {"text-to-video/fault-job-failed"}
    assert set(offers(asker, "sandbox/image-text-to-video-demo")) == {
        "fal-ai",
        "novita",
        "wavespeed",
    }
    for name in ("org/fault-402", "text-to-video/something", "sandbox/demo"):
        assert asker.get(f"/api/models/{name}").status == 404


def test_a_partners_models_are_listed_by_task(asker) -> None:
    found = said(asker.get("/api/partners/fal-ai/models"))
    assert found["text-to-video"]["genmo/mochi-1-preview"]["providerId"] == "fal-ai/mochi-v1"
    assert found["text-to-image"]["nerijs/pixel-art-xl"]["adapterType"] == "lora"
    staging = said(asker.get("/api/partners/fal-ai/models?status=staging"))
    assert staging.keys() == {"text-to-image"}
    assert list(staging["text-to-image"]) == ["Qwen/Qwen-Image"]
    assert said(asker.get("/api/partners/nobody/models")) == {}

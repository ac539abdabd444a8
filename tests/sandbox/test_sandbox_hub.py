"""The sandbox's Hub."""

from __future__ import annotations

from typing import Any

import msgspec

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
    assert [model["id"] for model in images] == ["black-forest-labs/FLUX.1-dev"]
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

"""Where a task goes at an address of the caller's own, by the engine that is named."""

from __future__ import annotations

import pytest

from trunkline.dialects.pipelines import PIPELINES
from trunkline.model_id import ModelId
from trunkline.providers.targets import Places
from trunkline.providers.task_targets import served_target
from trunkline.wire.message import parse_url

BASE = parse_url("https://mine.example/models/org/m")
MODEL = ModelId("served", "org/m")


@pytest.mark.parametrize("task", PIPELINES)
def test_a_pipeline_gets_every_task_at_the_address_itself(task: str) -> None:
    target = served_target(task, MODEL, Places("https://router"), BASE, "pipeline")
    assert str(target.url) == str(BASE)
    assert target.route is not None
    assert target.route.shape is PIPELINES[task]


@pytest.mark.parametrize(
    ("engine", "path"),
    [("openai", "v1/completions"), ("tei", "v1/completions"), ("tgi", "generate")],
)
def test_another_engine_continues_a_prompt_at_a_path_of_its_own(engine: str, path: str) -> None:
    target = served_target("text-generation", MODEL, Places("https://router"), BASE, engine)
    assert str(target.url) == f"{BASE}/{path}"

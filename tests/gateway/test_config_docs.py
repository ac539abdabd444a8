"""The page on configuration names every key with its default, and its example can be loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.gateway.config import Config, Price, Route, Target, Upstream, UpstreamProvider
from trunkline.gateway.config_file import FILE_VARIABLE, ROUTER_VARIABLE, VARIABLES, read_config
from trunkline.gateway.config_problems import dotted
from trunkline.gateway.config_show import written
from trunkline.gateway.config_values import leaves

PAGE = (Path(__file__).parents[2] / "docs" / "gateway-configuration.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|", PAGE, re.MULTILINE))
NEEDED = {"routes.NAME.targets"}
EVERYTHING = Config(
    upstreams={
        "NAME": Upstream(prices={"MODEL": Price()}, providers={"PROVIDER": UpstreamProvider()})
    },
    routes={"NAME": Route((Target("NAME", "MODEL"),), weights={"TARGET": 1.0})},
)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_example_is_a_configuration(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trunkline.toml"
    path.write_text(text)
    loaded = read_config(path, {"HF_TOKEN": "hf_of_the_test", "GROQ_API_KEY": "gsk-of-the-test"})
    assert loaded.warnings == ()
    assert list(loaded.config.upstreams) == ["huggingface", "vllm", "groq"]
    assert list(loaded.config.routes) == ["small", "big/fast"]


def test_every_key_is_there_with_its_default() -> None:
    told = {name: default for name, default in ROWS.items() if not name.isupper()}
    expected = {
        dotted(where): "not set" if value is None else f"`{written(value)}`"
        for where, value in leaves(EVERYTHING)
    }
    expected |= dict.fromkeys(NEEDED, "needed")
    assert told == expected


def test_every_variable_is_there_with_what_it_sets() -> None:
    for name, where in VARIABLES.items():
        told, _, rest = ROWS[name].partition(", or ")
        assert told == f"`{dotted(where)}`"
        assert rest in ("", "`store.url` where it is a URL")
    assert {FILE_VARIABLE, ROUTER_VARIABLE} <= set(ROWS)

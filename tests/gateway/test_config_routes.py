"""What a configuration may say of the order of a route's targets, and what is refused with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.errors import ConfigurationError
from trunkline.gateway.config import Config
from trunkline.gateway.config_file import read_config

ROUTE = """
[upstreams.one]
base_url = "http://127.0.0.1:1/v1"
[routes.r]
targets = [{ upstream = "one", model = "m" }, { upstream = "one", model = "n", name = "n" }]
"""
OTHER = '[routes.{0}]\ntargets = [{{ upstream = "one", model = "x" }}]\nfallbacks = ["{1}"]\n'


def loaded(text: str, folder: Path) -> Config:
    path = folder / "trunkline.toml"
    path.write_text(text)
    return read_config(path, {"HF_TOKEN": "hf_of_the_test"}).config


def test_all_rules_are_read(tmp_path: Path) -> None:
    rules = """
order = "weighted"
weights = { n = 3, "one/m" = 0.5 }
max_price = 2
needs = ["tools"]
allow = ["one"]
fallbacks = ["one/other", "s"]
move_on = ["content"]
on_cut = "hold"
hold_seconds = 2
first_token_seconds = 4
hedge = true
"""
    config = loaded(ROUTE + rules + OTHER.format("s", "one/y"), tmp_path)
    route = config.routes["r"]
    assert route.weights == {"n": 3, "one/m": 0.5}
    assert (route.order, route.needs, route.on_cut) == ("weighted", ("tools",), "hold")
    assert config.default_route.order == "fixed"


@pytest.mark.parametrize(
    ("rules", "line", "says"),
    [
        ('order = "fast"', 6, 'must be "fixed", "fastest"'),
        ("needs = []", 6, "routes.r.needs is an empty list"),
        ('needs = ["tool"]', 6, "routes.r.needs is 'tool'; one of these is expected"),
        ("fallbacks = []", 6, "routes.r.fallbacks is an empty list"),
        ('order = "weighted"\nweights = { n = -1 }', 7, "-1"),
        ('order = "weighted"\nweights = { n = 0, "one/m" = 0 }', 7, "are all 0"),
        ('order = "weighted"\nweights = { o = 1 }', 7, "is the weight of no target"),
        ("weights = { n = 1 }", 4, "and its order is 'fixed'"),
        ('allow = ["a"]\ndeny = ["a"]', 4, "both allows and denies"),
        ("hold_seconds = 1", 4, "on_cut is 'error'"),
        ("first_token_seconds = 0", 6, "first_token_seconds is 0"),
        ("max_price = -1", 6, "max_price"),
        ('move_on = ["payment"]', 6, "routes.r.move_on is 'payment'"),
        ('fallbacks = ["r"]', 6, "lead back to the route itself: r -> r"),
        ('fallbacks = ["nobody"]', 6, "which is no route and no model"),
        (
            'fallbacks = ["s"]\n' + OTHER.format("s", "t") + OTHER.format("t", "r"),
            6,
            "lead back to the route itself: r -> s -> t -> r",
        ),
        ('[default_route]\norder = "cheap"', 7, "default_route.order"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, rules: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(ROUTE + rules, tmp_path)
    message = str(caught.value)
    assert says in message
    assert re.search(rf"line {line}\b", message), message


def test_two_targets_cannot_have_one_name(tmp_path: Path) -> None:
    text = ROUTE.replace('model = "m" }', 'model = "m", name = "n" }')
    with pytest.raises(ConfigurationError, match="for two targets"):
        loaded(text, tmp_path)

"""Results of tasks as values: JSON holds them, and they show themselves shortly."""

from __future__ import annotations

import json

from trunkline import Embedding, EmbeddingResponse, ImageResponse, Items, Label, Media, Segment


def test_a_file_is_dumped_in_openais_shape() -> None:
    picture = Media(b"\x89PNG", "image/png", "https://h/a.png", revised_prompt="a cat")
    dumped = ImageResponse([picture]).model_dump()["data"][0]
    assert json.loads(json.dumps(dumped)) == {
        "b64_json": "iVBORw==",
        "media_type": "image/png",
        "url": "https://h/a.png",
        "revised_prompt": "a cat",
    }
    assert Media(url="https://h/a.png").model_dump(exclude_none=True) == {"url": "https://h/a.png"}


def test_several_results_are_json_even_within_each_other() -> None:
    labels = Items([Label("cat", 0.5), Items([Label("dog")])])
    assert json.loads(labels.model_dump_json()) == [
        {"label": "cat", "score": 0.5},
        [{"label": "dog", "score": None}],
    ]
    mask = Items([Segment("cat", None, Media(b"\x89PNG", "image/png"))])
    assert json.loads(mask.model_dump_json(indent=2))[0]["mask"]["b64_json"] == "iVBORw=="


def test_what_is_long_or_not_there_is_not_shown() -> None:
    assert repr(Items([Label("cat", 0.5)])) == "[Label(label='cat', score=0.5)]"
    many = EmbeddingResponse([Embedding([0.5] * 384, i) for i in range(500)], model="m")
    assert repr(many) == "EmbeddingResponse(500 x 384 numbers, model=m, usage=None)"
    assert repr(EmbeddingResponse([])) == "EmbeddingResponse(0 x 0 numbers, model=None, usage=None)"

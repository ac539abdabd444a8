"""What every client is made to ask."""

from __future__ import annotations

import base64
from typing import Any

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
DEMO = "sandbox/demo"
"""Served in OpenAI's own form: the router sends LLAMA to a provider with ways of its own."""
VISION = "meta-llama/Llama-3.2-11B-Vision-Instruct"
SAID = "What is the weather in Paris?"
MESSAGES: Any = [{"role": "user", "content": SAID}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]
REPORT: Any = {
    "type": "object",
    "properties": {
        "sky": {"type": "string", "enum": ["clear", "cloudy"]},
        "degrees": {"type": "integer"},
        "windy": {"type": "boolean"},
    },
    "required": ["sky", "degrees", "windy"],
    "additionalProperties": False,
}
AS_REPORT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "report", "strict": True, "schema": REPORT},
}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SHOWN: Any = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": DATA_URL}},
            {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        ],
    }
]
SEEN = f"You showed me 2 images: image/png of {len(PNG)} bytes; one from example.org."


def fits_report(value: Any) -> bool:
    """Tell whether a decoded answer fits REPORT."""
    return (
        value.keys() == {"sky", "degrees", "windy"}
        and value["sky"] in ("clear", "cloudy")
        and type(value["degrees"]) is int
        and type(value["windy"]) is bool
    )

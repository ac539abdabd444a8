"""Requests in which any one value is another than it should be: each is read, or refused by its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from odd_values import ODD, places, with_another

from trunkline.dialects import (
    anthropic_server,
    openai_audio_server,
    openai_images_server,
    openai_server,
    openai_tasks_server,
    openai_videos_server,
    rerank_server,
    responses_server,
)
from trunkline.dialects.openai_rules import RequestError
from trunkline.gateway.asked import read_asked

URL = "data:image/png;base64,aaaa"
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
SCHEMA = {"name": "n", "schema": {}, "strict": True}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "aaaa", "format": "wav"}},
                {"type": "file", "file": {"file_data": "aaaa", "filename": "f"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": SCHEMA},
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "n": 1,
    "temperature": 0.5,
    "seed": 1,
    "stop": ["a"],
    "logit_bias": {"5": 1},
    "user": "u",
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "audio": {"voice": "v", "format": "wav"},
    "service_tier": "auto",
    "prediction": {"type": "content", "content": "x"},
    "reasoning_effort": "low",
    "parallel_tool_calls": True,
    "top_logprobs": 3,
    "logprobs": True,
}
MESSAGE: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"},
                },
                {"type": "image", "source": {"type": "url", "url": "https://a.b/c"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": False,
                    "content": [{"type": "text", "text": "a"}],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {}, "allowed_callers": ["direct"]}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["a"],
    "stream": True,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 3,
    "service_tier": "auto",
}
RESPONSE: dict[str, Any] = {
    "model": "m",
    "instructions": "i",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": URL, "detail": "low"},
            ],
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "m1",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "a", "annotations": []},
                {"type": "refusal", "refusal": "r"},
            ],
        },
        {
            "type": "reasoning",
            "id": "r",
            "encrypted_content": "e",
            "summary": [{"type": "summary_text", "text": "t"}],
            "content": [{"type": "reasoning_text", "text": "t"}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "x"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": "a"}],
        },
    ],
    "tools": [{"type": "function", **FUNCTION}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", **SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 5,
    "max_tool_calls": 3,
    "metadata": {"a": "b"},
    "store": False,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "truncation": "auto",
    "temperature": 0.5,
    "top_p": 0.5,
    "top_logprobs": 2,
    "user": "u",
    "background": False,
}
EMBEDDINGS = {"model": "m", "input": ["a"], "encoding_format": "float", "dimensions": 3}
COMPLETION: dict[str, Any] = {
    "model": "m",
    "prompt": ["a"],
    "max_tokens": 5,
    "n": 1,
    "stream": True,
    "stop": ["a"],
    "logprobs": 1,
    "echo": False,
    "suffix": None,
    "best_of": 1,
    "logit_bias": {"1": 2},
}
IMAGES: dict[str, Any] = {
    "model": "m",
    "prompt": "p",
    "n": 1,
    "size": "256x256",
    "response_format": "url",
    "quality": "auto",
    "style": "vivid",
    "output_format": "png",
    "seed": 1,
    "image": "x",
}
SPEECH = {"model": "m", "input": "a", "voice": "v", "response_format": "mp3", "speed": 1.0}
VIDEO = {"model": "m", "prompt": "p", "seconds": "4", "size": "256x256", "input_reference": "x"}
RERANK = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}
KEPT = {"model", "messages", "input", "prompt", "max_tokens", "query", "documents"}
Read = Callable[[Any], object]


def sent(body: object) -> bytes:
    return json.dumps(body).encode("utf-8", "surrogatepass")


CASES: dict[str, tuple[dict[str, Any], Read]] = {
    "chat": (CHAT, lambda body: read_asked(sent(body), "chat")),
    "completion": (COMPLETION, lambda body: read_asked(sent(body), "completions")),
    "embeddings": (EMBEDDINGS, lambda body: read_asked(sent(body), "embeddings")),
    "response": (RESPONSE, lambda body: read_asked(sent(body), "responses")),
    "message": (MESSAGE, lambda body: read_asked(sent(body), "messages")),
    "chat, carried": (CHAT, lambda body: openai_server.read_chat(sent(body))),
    "completion, carried": (COMPLETION, lambda b: openai_tasks_server.read_completions(sent(b))),
    "embeddings, carried": (EMBEDDINGS, lambda b: openai_tasks_server.read_embeddings(sent(b))),
    "response, carried": (RESPONSE, lambda body: responses_server.read_request(body)),
    "message, carried": (MESSAGE, lambda body: anthropic_server.read_request(sent(body))),
    "tokens of a message": (
        MESSAGE,
        lambda body: anthropic_server.read_request(sent(body), counting=True),
    ),
    "images": (IMAGES, openai_images_server.read_images),
    "images, by a form": (IMAGES, lambda b: openai_images_server.read_images(b, form=True)),
    "an edit": (IMAGES, lambda body: openai_images_server.read_image_edit(body, most=1000)),
    "speech": (SPEECH, openai_audio_server.read_speech),
    "a video": (VIDEO, lambda body: openai_videos_server.read_video(body, most=1000)),
    "ranks": (RERANK, rerank_server.read_rerank),
}


@pytest.mark.parametrize(("body", "read"), CASES.values(), ids=CASES)
def test_whichever_value_is_odd_a_request_is_read_or_refused(body: dict[str, Any], read: Read):
    for way in places(body):
        for odd in ODD:
            whole = with_another(body, way, odd)
            little = {name: whole[name] for name in whole if name in KEPT or name == way[0]}
            for changed in (whole, little):
                try:
                    read(changed)
                except RequestError as error:
                    assert error.message

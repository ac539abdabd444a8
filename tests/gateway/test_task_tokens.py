"""What tasks other than chats tell of tokens."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.gateway.tokens import Tokens, read_task_usage


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, Tokens()),
        ("5", Tokens()),
        ({}, Tokens()),
        ({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}, Tokens(3, 4)),
        ({"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}, Tokens(3, 0)),
        ({"total_tokens": 9}, Tokens(9)),
        ({"output_tokens": 4, "total_tokens": 9}, Tokens(None, 4)),
        ({"type": "duration", "seconds": 9}, Tokens()),
        ({"input_tokens": -1, "prompt_tokens": 5}, Tokens(5)),
        ({"input_tokens": "3"}, Tokens()),
        ({"input_tokens": True, "total_tokens": 2.0}, Tokens(2)),
        ({"input_tokens": 1 << 50}, Tokens()),
        ({"input_tokens_details": {"image_tokens": 5}, "input_tokens": 6}, Tokens(6)),
    ],
)
def test_counts_are_read_and_what_is_none_is_unknown(usage: Any, tokens: Tokens) -> None:
    assert read_task_usage(usage) == tokens

"""The vocabulary: plain frozen values, no behaviour beyond reading them."""

from trunkline.types.chat import Chat, MessageLike, Messages, Timeouts
from trunkline.types.completion import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionCall,
    FunctionDelta,
    Message,
    ToolCall,
    ToolCallDelta,
    markdown,
)
from trunkline.types.receipt import Attempt, AttemptRole, Receipt, TokenCount
from trunkline.types.record import Record
from trunkline.types.secret import Secret
from trunkline.types.usage import Usage

__all__ = [
    "Attempt",
    "AttemptRole",
    "Chat",
    "Choice",
    "Chunk",
    "ChunkChoice",
    "Completion",
    "Delta",
    "FunctionCall",
    "FunctionDelta",
    "Message",
    "MessageLike",
    "Messages",
    "Receipt",
    "Record",
    "Secret",
    "Timeouts",
    "TokenCount",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "markdown",
]

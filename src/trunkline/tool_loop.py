"""The tool loop: ask the model, run what it calls, tell it the results, until it answers.

One generator says what is needed; `run_tools` and `arun_tools` do it, blocking and awaiting.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from trunkline.dialects.messages import prepare_messages
from trunkline.errors import InvalidInputError, ToolRoundsExceeded
from trunkline.tools import Tool, read_function
from trunkline.typed_json import MisfitError, to_json
from trunkline.types import Completion, Message, Messages, ToolCall
from trunkline.wire import strict_json


class ChatClient(Protocol):
    """What `run_tools` needs of a client."""

    def chat(self, *args: Any, **kwargs: Any) -> Completion:
        """Answer `chat(model, messages, tools=..., **parameters)`."""
        ...


class AsyncChatClient(Protocol):
    """What `arun_tools` needs of a client."""

    async def chat(self, *args: Any, **kwargs: Any) -> Completion:
        """Answer `chat(model, messages, tools=..., **parameters)`."""
        ...


class CallMade(msgspec.Struct, frozen=True):
    """One tool call, done: what the model asked for and what it was told."""

    id: str
    name: str
    arguments: dict[str, Any] | str
    """As the model wrote them; text where they were no JSON object."""
    content: str
    """What the model was told."""
    result: Any = None
    """What the function returned."""
    error: str | None = None
    """Why there is no result."""


class ToolRun(msgspec.Struct, frozen=True):
    """A finished run."""

    completion: Completion
    """The answer that calls no tool."""
    messages: list[dict[str, Any]]
    """The whole conversation, that answer included: append a message for the next turn."""
    calls: tuple[CallMade, ...]
    completions: tuple[Completion, ...]
    """Every answer of the model, each with its receipt."""

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.completion.text


OnCall: TypeAlias = Callable[[CallMade], None]


def run_tools(
    model: str,
    messages: Messages,
    tools: Sequence[Callable[..., Any]],
    *,
    client: ChatClient | None = None,
    max_rounds: int = 10,
    on_call: OnCall | None = None,
    **parameters: Any,
) -> ToolRun:
    """Chat with a model that may call `tools`, typed Python functions, until it answers.

    Calls run one after another in this thread. What goes wrong in one (an unknown function,
    arguments that do not fit, an exception) is told to the model, as type and message. `on_call`
    gets each call when it is done. `parameters` are those of a chat; a `tool_choice` that forces a
    call holds for the first round. `client` is the default one where it is None.

    Raises ToolRoundsExceeded after `max_rounds` answers that all called tools, InvalidInputError
    for what cannot be a tool, and what a chat raises.
    """
    table = _table(tools, allow_async=False)
    loop = _loop(messages, table, max_rounds, parameters)
    if client is None:
        from trunkline.functions import default_client  # many users of the loop have their own

        client = default_client()
    schemas = [tool.wire for tool in table.values()]
    answer: Completion | list[CallMade] | None = None
    while True:
        try:
            need = loop.send(answer)
        except StopIteration as end:
            run: ToolRun = end.value
            return run
        if isinstance(need, _Question):
            answer = client.chat(model, need.messages, tools=schemas, **need.parameters)
        else:
            answer = [_reported(_run(call), on_call) for call in need.calls]


async def arun_tools(
    model: str,
    messages: Messages,
    tools: Sequence[Callable[..., Any]],
    *,
    client: AsyncChatClient | None = None,
    max_rounds: int = 10,
    on_call: OnCall | None = None,
    **parameters: Any,
) -> ToolRun:
    """`run_tools`, awaiting: calls of one round run at the same time.

    Async functions are awaited, others run in threads.
    """
    table = _table(tools, allow_async=True)
    loop = _loop(messages, table, max_rounds, parameters)
    if client is None:
        from trunkline.functions import default_async_client  # many users have their own

        client = default_async_client()
    schemas = [tool.wire for tool in table.values()]
    answer: Completion | list[CallMade] | None = None
    while True:
        try:
            need = loop.send(answer)
        except StopIteration as end:
            run: ToolRun = end.value
            return run
        if isinstance(need, _Question):
            answer = await client.chat(model, need.messages, tools=schemas, **need.parameters)
        else:
            answer = await asyncio.gather(*(_arun(call, on_call) for call in need.calls))


class _Question(msgspec.Struct, frozen=True):
    """The loop needs the model's answer, as a Completion."""

    messages: list[dict[str, Any]]
    parameters: dict[str, Any]


class _Pending(msgspec.Struct, frozen=True):
    """A call that is ready to run, or that cannot: then `invoke` is None."""

    id: str
    name: str
    arguments: dict[str, Any] | str
    invoke: Callable[[], Any] | None = None
    awaits: bool = False
    error: str = ""

    def done(self, result: Any) -> CallMade:
        """Return the call with its result; raises TypeError or ValueError if JSON cannot say it."""
        content = result if isinstance(result, str) else to_json(result)
        return CallMade(self.id, self.name, self.arguments, content, result=result)

    def failed(self, error: str) -> CallMade:
        """Return the call with its error."""
        told = to_json({"error": error})
        return CallMade(self.id, self.name, self.arguments, told, error=error)

    def raised(self, error: Exception) -> CallMade:
        """Return the call with what its function raised: type and message, and no traceback."""
        return self.failed(f"{type(error).__name__}: {error}"[:_MAX_ERROR])


_MAX_ERROR = 2000


class _Round(msgspec.Struct, frozen=True):
    """The loop needs these calls made, as a list of CallMade in the same order."""

    calls: list[_Pending]


_Loop: TypeAlias = Generator[_Question | _Round, Any, ToolRun]


def _loop(
    messages: Messages, table: dict[str, Tool], max_rounds: int, parameters: dict[str, Any]
) -> _Loop:
    """Check the input now, and return the loop."""
    if isinstance(max_rounds, bool) or not isinstance(max_rounds, int) or max_rounds < 1:
        raise InvalidInputError(f"max_rounds is {max_rounds!r}; 1 or more is expected.")
    for name, harmless in (("stream", False), ("response_model", None), ("n", 1)):
        if parameters.get(name) not in (None, harmless):
            raise InvalidInputError(
                f"run_tools has no use for {name}: it needs one whole answer a round.",
                hint="Leave it out, or write the loop with tool_schemas and client.chat.",
            )
    return _rounds(prepare_messages(messages), table, max_rounds, parameters)


def _rounds(
    messages: list[dict[str, Any]],
    table: dict[str, Tool],
    max_rounds: int,
    parameters: dict[str, Any],
) -> _Loop:
    readers = {name: tool.arguments_reader() for name, tool in table.items()}
    history = list(messages)
    completions: list[Completion] = []
    calls: list[CallMade] = []
    for _ in range(max_rounds):
        completion: Completion = yield _Question(list(history), parameters)
        completions.append(completion)
        if not completion.tool_calls:
            said = completion.choices[0].message if completion.choices else Message(content="")
            return ToolRun(
                completion, [*history, *prepare_messages([said])], tuple(calls), tuple(completions)
            )
        pending = [_prepared(call, table, readers) for call in completion.tool_calls]
        made: list[CallMade] = yield _Round(pending)
        calls += made
        history.append(_asked(completion))
        history += [{"role": "tool", "tool_call_id": c.id, "content": c.content} for c in made]
        if parameters.get("tool_choice") not in (None, "auto", "none"):
            parameters = {**parameters, "tool_choice": "auto"}  # a forced call would never end
    raise ToolRoundsExceeded(
        f"The model still calls tools after {max_rounds} rounds.",
        messages=history,
        completions=tuple(completions),
        model=completions[-1].model,
        hint="Raise max_rounds, or go on from error.messages, which has every result so far.",
    )


_Reader: TypeAlias = Callable[[str], tuple[list[Any], dict[str, Any]]]


def _prepared(call: ToolCall, table: dict[str, Tool], readers: dict[str, _Reader]) -> _Pending:
    """Decode a call's arguments into what its function takes."""
    name, text = call.function.name, call.function.arguments.strip() or "{}"
    arguments = _object(text)
    shown = text if arguments is None else arguments
    tool = table.get(name)
    if tool is None:
        known = ", ".join(table)
        return _Pending(call.id, name, shown, error=f"there is no tool {name!r}; there are {known}")
    try:
        placed, named = readers[name]("{}" if text == "null" else text)
    except MisfitError as error:
        return _Pending(call.id, name, shown, error=f"the arguments do not fit: {error}")
    invoke = functools.partial(tool.function, *placed, **named)
    return _Pending(call.id, name, shown, invoke, tool.awaits)


def _asked(completion: Completion) -> dict[str, Any]:
    """Return the assistant's message for the next round.

    Arguments that are no JSON object go back as `{}`: servers parse them for their templates, and
    fail on others. The tool's result says what was wrong with them.
    """
    (message,) = prepare_messages([completion.choices[0].message])
    calls = [
        call
        if _object(call["function"]["arguments"]) is not None
        else {**call, "function": {**call["function"], "arguments": "{}"}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = strict_json.decode(text)
    except strict_json.JsonError:
        return None
    return value if isinstance(value, dict) else None


def _table(tools: Sequence[Callable[..., Any]], *, allow_async: bool) -> dict[str, Tool]:
    """Read the functions; raises InvalidInputError for what cannot be called here."""
    table: dict[str, Tool] = {}
    for index, function in enumerate(tools):
        if not callable(function):
            raise InvalidInputError(
                f"tools[{index}] is a {type(function).__name__}, which cannot be called.",
                hint="Give the function itself; its schema is made from its types and docstring.",
            )
        tool = read_function(function)
        if tool.awaits and not allow_async:
            raise InvalidInputError(
                f"{tool.name} is an async function, which run_tools cannot await.",
                hint="Use arun_tools, or give a plain function.",
            )
        if tool.name in table:
            raise InvalidInputError(f"Two tools are called {tool.name!r}.", hint="Rename one.")
        table[tool.name] = tool
    if not table:
        raise InvalidInputError("tools is empty.", hint="Give at least one typed function.")
    return table


def _run(call: _Pending) -> CallMade:
    if call.invoke is None:
        return call.failed(call.error)
    try:
        return call.done(call.invoke())
    except Exception as error:  # whatever a tool raises is for the model to hear
        return call.raised(error)


async def _arun(call: _Pending, on_call: OnCall | None) -> CallMade:
    if call.invoke is None or not call.awaits:
        return _reported(await asyncio.to_thread(_run, call), on_call)
    try:
        made = call.done(await call.invoke())
    except Exception as error:  # as above
        made = call.raised(error)
    return _reported(made, on_call)


def _reported(made: CallMade, on_call: OnCall | None) -> CallMade:
    if on_call is not None:
        on_call(made)
    return made

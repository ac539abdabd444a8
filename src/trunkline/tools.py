"""Tools: wire dicts checked, and plain typed functions read as such. The loop is elsewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NotRequired, Required, TypedDict, get_origin, get_type_hints

import msgspec

from trunkline.docstrings import read_docstring
from trunkline.errors import InvalidInputError
from trunkline.typed_json import MisfitError, UnsupportedTypeError, reader, schemas_of
from trunkline.types.parameters import ToolLike
from trunkline.wire import strict_json

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_DICT_HINT = (
    'Write {"type": "function", "function": {"name": ..., "parameters": {...}}}, '
    "or give a typed Python function."
)


def tool_schemas(tools: Sequence[ToolLike]) -> list[dict[str, Any]]:
    """Return tools as their wire dicts: dicts checked, functions read.

    Raises InvalidInputError for what no server could take, and for a name that is there twice.
    """
    if isinstance(tools, (str, Mapping)) or callable(tools):
        raise InvalidInputError(f"tools is a {type(tools).__name__}, not a list.", hint=_DICT_HINT)
    schemas = [_schema(tool, index) for index, tool in enumerate(tools)]
    names = [schema["function"]["name"] for schema in schemas if schema["type"] == "function"]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f"Two tools are called {twice!r}.", hint="Rename one of them.")
    return schemas


def _schema(tool: Any, index: int) -> dict[str, Any]:
    if isinstance(tool, Mapping):
        return check_tool(tool, index)
    if callable(tool):
        return function_tool(tool)
    raise _wrong(index, f"is a {type(tool).__name__}, neither a dict nor a function")


def check_tool(tool: Mapping[str, Any], index: int = 0) -> dict[str, Any]:
    """Return a tool's wire dict as it is; raises InvalidInputError that names `tools[index]`.

    A type other than "function" is one of the tools that some providers bring along (a search, an
    interpreter); those are for the provider to check.
    """
    kind = tool.get("type")
    if kind != "function":
        if isinstance(kind, str) and kind:
            return dict(tool)
        raise _wrong(index, "has no type" if kind is None else f"has the type {kind!r}")
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise _wrong(index, "has no function")
    name = function.get("name")
    if not name:
        raise _wrong(index, "has no name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(index, f"is called {name!r:.80}, which is no {_NAME.pattern}")
    parameters = function.get("parameters")
    if parameters is not None and not _describes_object(parameters):
        raise _wrong(index, f"({name}) has parameters that are no schema of an object")
    return tool if isinstance(tool, dict) else dict(tool)


def _describes_object(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type", "object") == "object"


def _wrong(index: int, why: str) -> InvalidInputError:
    return InvalidInputError(f"tools[{index}] {why}.", hint=_DICT_HINT)


def function_tool(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a typed function as a tool's wire dict.

    The docstring's first paragraph describes it; parameters are described in any of the usual ways
    (Google, NumPy, `:param x:`, `Annotated[T, "text"]`). One without annotation takes anything,
    one with a default may be left out, `**kwargs` is never filled. Raises InvalidInputError for a
    function without a name, `*args`, and types that have no JSON schema.
    """
    return read_function(function).wire


class Tool(msgspec.Struct, frozen=True):
    """A function, and how to call it with what a model wrote."""

    function: Callable[..., Any]
    name: str
    wire: dict[str, Any]
    parameters: tuple[inspect.Parameter, ...]
    """Their annotations resolved."""

    @property
    def awaits(self) -> bool:
        """Whether it is an async function."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.function))

    def arguments_reader(self) -> Callable[[str], tuple[list[Any], dict[str, Any]]]:
        """Return a function that reads JSON as positional and keyword arguments.

        It raises MisfitError where they do not fit; an argument that the function lacks is one, too.
        """
        fields = {
            p.name: (Required if _required(p) else NotRequired)[p.annotation]
            for p in self.parameters
        }
        make: Any = TypedDict  # type checkers know only those written out
        kind = make(self.name, fields)
        read_typed, read_any = reader(kind, strict=False), reader(dict[str, Any])

        def read(text: str) -> tuple[list[Any], dict[str, Any]]:
            unknown = [name for name in read_any(text) if name not in fields]
            if unknown:
                known = ", ".join(fields) or "none"
                raise MisfitError(f"there is no argument {unknown[0]!r}; those that exist: {known}")
            return self._placed(read_typed(text))

        return read

    def _placed(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Tell positional-only arguments from the rest; a gap before one takes its default."""
        names = [p.name for p in self.parameters if p.kind is p.POSITIONAL_ONLY]
        while names and names[-1] not in values:
            names.pop()
        defaults = {p.name: p.default for p in self.parameters}
        return [values.pop(name, defaults[name]) for name in names], values


def read_function(function: Callable[..., Any]) -> Tool:
    """Read a typed function; raises InvalidInputError as `function_tool` does."""
    name = _name_of(function)
    parameters = _parameters(function, name)
    summary, said = read_docstring(inspect.getdoc(function))
    try:
        schemas, definitions = schemas_of([p.annotation for p in parameters])
    except UnsupportedTypeError as error:
        raise _unusable(name, f"a parameter's type has no JSON schema: {error}") from error
    properties: dict[str, Any] = {}
    for parameter, schema in zip(parameters, schemas, strict=True):
        text = _annotated_text(parameter.annotation) or said.get(parameter.name)
        described = {"description": text} if text else {}
        properties[parameter.name] = {**schema, **described, **_default(parameter)}
    wanted: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [p.name for p in parameters if _required(p)],
        "additionalProperties": False,
    }
    if definitions:
        wanted["$defs"] = definitions
    says = {"description": summary} if summary else {}
    wire = {"type": "function", "function": {"name": name, **says, "parameters": wanted}}
    return Tool(function, name, wire, tuple(parameters))


def _name_of(function: Any) -> str:
    name = getattr(function, "__name__", None)
    if isinstance(function, type) or not callable(function):
        raise _unusable(name or repr(function), "it is not a function")
    if not isinstance(name, str) or name == "<lambda>":
        raise _unusable(repr(function), "it has no name")
    if not _NAME.fullmatch(name):
        raise _unusable(name, f"its name is no {_NAME.pattern}")
    return name


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """Return what a model may fill, with annotations resolved; bound methods lack `self`."""
    try:
        found = list(inspect.signature(function).parameters.values())
        hints = get_type_hints(function, include_extras=True)
    except (ValueError, TypeError) as error:
        raise _unusable(name, f"its signature cannot be read: {error}") from error
    except NameError as error:
        raise _unusable(
            name, f"an annotation cannot be resolved: {error}; define that type at module level"
        ) from error
    for parameter in found:
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise _unusable(name, f"*{parameter.name} has no name for a model to use")
    if found and found[0].name == "self":
        raise _unusable(name, "it is a method without its object; give object.method")
    resolved = {name: Any if kind is object else kind for name, kind in hints.items()}
    return [
        p.replace(annotation=resolved.get(p.name, Any))
        for p in found
        if p.kind is not p.VAR_KEYWORD
    ]


def _required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


def _default(parameter: inspect.Parameter) -> dict[str, Any]:
    """Return the default for the schema, where JSON can say it and it says something."""
    if parameter.default is parameter.empty or parameter.default is None:
        return {}
    try:
        return {"default": strict_json.decode(strict_json.encode(parameter.default))}
    except strict_json.JsonError:
        return {}


def _annotated_text(annotation: Any) -> str | None:
    """Return the text beside a type: a plain string, or what pydantic and PEP 727 describe with."""
    if get_origin(annotation) is not Annotated:
        return None
    for note in annotation.__metadata__:
        for text in (
            note,
            getattr(note, "description", None),
            getattr(note, "documentation", None),
        ):
            if isinstance(text, str):
                return text
    return None


def _unusable(name: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"{name} cannot be a tool: {why}.",
        hint="Wrap it in a function (def) with typed, named parameters and a docstring.",
    )

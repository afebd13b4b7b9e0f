"""What would be right where the framework only says what is wrong: the words to choose from, the fields there are."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from msgspec import inspect

from dockbell.domain.errors import ConfigError

WHOLE = "body"
_BODY = "data"  # what the framework calls it
_NO_BODY = repr(_BODY)  # its message when there is none: the text of a KeyError
_EMPTY = "The body is empty: it must be a JSON object"
_NOT_ONE_OF = re.compile(r"Invalid enum value (?P<shown>.*)", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_ABSENT = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_WRONG = re.compile(
    r"Expected `(?P<wanted>[^`]*)`(?:, got `(?P<got>[^`]*)`)?"
    r"(?: of length (?P<side>[<>]=|==) (?P<size>\d+)| (?P<sign>[<>]=?) (?P<bound>[\d.e+-]+))?"
)
_NO_TIME = re.compile(r"Invalid RFC3339 encoded datetime|Expected `datetime`.*", re.DOTALL)
# What JSON's values are called among people.
_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_BOUNDS = {">=": "at least", "<=": "at most", "==": "exactly", ">": "above", "<": "below"}
_STEP = re.compile(r"[^.\[\]]+")


def explain(request: Request[Any, Any, State], key: str, message: str) -> tuple[str, str]:
    """The field as the caller knows it, and the message with what would be right."""
    parameters = request.route_handler.parsed_fn_signature.parameters
    field, known = key, parameters.get(_BODY)
    if key in parameters and key != _BODY:
        known = parameters[key]
        field, steps = getattr(known.kwarg_definition, "name", None) or key, []
    else:
        # Of a body the framework names the place within the body, except for the body itself.
        place = key.removeprefix(_BODY)
        field, steps = place or WHOLE, _STEP.findall(place)
    if known is None:
        return field, message
    kind = _at(inspect.type_info(known.raw), steps)
    if (found := _NOT_ONE_OF.fullmatch(message)) is not None and (words := _words(kind)):
        return field, f"{found['shown']} is not one of {', '.join(words)}"
    found = _WRONG.fullmatch(message)
    if found is not None and isinstance(kind, inspect.EnumType | inspect.LiteralType):
        got = "" if found["got"] is None else f", not {_named(found['got'])}"
        return field, f"It must be one of {', '.join(_words(kind))}{got}"
    inside = "" if field == WHOLE else f"{field}."
    if (found := _ABSENT.fullmatch(message)) is not None:
        return f"{inside}{found['name']}", "It is missing"
    found = _UNKNOWN.fullmatch(message)
    if found is not None and isinstance(kind, inspect.StructType):
        fields = ", ".join(one.encode_name for one in kind.fields)
        return f"{inside}{found['name']}", f"It is not known here. The fields are {fields}"
    return field, _plainly(message)


def check_query(request: Request[Any, Any, State]) -> None:
    """Raise ConfigError for a parameter of the query that the handler does not know: a filter with a slip lets all through."""
    if not request.scope["query_string"]:
        return
    known = _query_of(request.route_handler)
    for name in request.query_params:
        if name not in known:
            said = f"The parameters are {', '.join(known)}" if known else "There are none"
            raise ConfigError(f"It is not known here. {said}", field=name)


@cache
def _query_of(handler: BaseRouteHandler) -> Sequence[str]:
    return [
        one.kwarg_definition.name or name
        for name, one in handler.parsed_fn_signature.parameters.items()
        if isinstance(one.kwarg_definition, QueryParameter)
    ]


def _plainly(message: str) -> str:
    """What would be right, in place of the names of our types."""
    if _NO_TIME.fullmatch(message):
        return "It must be a time with its zone, such as 2026-03-14T12:00:00Z"
    found = _WRONG.fullmatch(message)
    if found is None:
        return _EMPTY if message == _NO_BODY else message
    wanted = f"It must be {_named(found['wanted'])}"
    if found["got"] is not None:
        return f"{wanted}, not {_named(found['got'])}"
    if found["size"] is not None:
        unit = "character" if found["wanted"] == "str" else "item"
        ending = "" if found["size"] == "1" else "s"
        return f"{wanted} of {_BOUNDS[found['side']]} {found['size']} {unit}{ending}"
    if found["bound"] is not None:
        bound = found["bound"].removesuffix(".0")
        of = "" if found["sign"] in {"<", ">"} else "of "
        return f"{wanted} {of}{_BOUNDS[found['sign']]} {bound}"
    return wanted


def _named(types: str) -> str:
    """The types, which stand with bars between, as people call them."""
    return " or ".join(_NAMES.get(one, one) for one in types.split(" | "))


def _at(kind: inspect.Type, steps: Sequence[str]) -> inspect.Type:
    """The type at this place inside of a type, as far as types are told there."""
    kind = _bare(kind)
    if not steps:
        return kind
    step, rest = steps[0], steps[1:]
    if isinstance(kind, inspect.StructType):
        inner = next((one.type for one in kind.fields if one.encode_name == step), None)
    else:
        inner = kind.item_type if isinstance(kind, inspect.CollectionType) else None
    return inspect.AnyType() if inner is None else _at(inner, rest)


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type without what may also be there: null, nothing, or notes of ours."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        real = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        return _bare(real[0]) if len(real) == 1 else kind
    return kind


def _words(kind: inspect.Type) -> Sequence[str]:
    match kind:
        case inspect.EnumType():
            return [str(one.value) for one in kind.cls]
        case inspect.LiteralType():
            return [str(one) for one in kind.values]
        # A list that is one argument of a query: the framework names the list and not the item.
        case inspect.CollectionType():
            return _words(_bare(kind.item_type))
        case _:
            return ()

"""JSON request bodies: which are taken, and the words that refuse the others (quay-compat 1.4)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from dockbell.domain.errors import DataError, InvalidRequestError
from dockbell.domain.late_dataclasses import dataclass

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


_MOST_SHOWN = 200
_MOST_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Property:
    """One key of a body. Several `names` are spellings of the same key; the first one given wins."""

    name: str
    type: str  # JSON's word: string, object, array, boolean, integer, number
    required: bool = False
    nullable: bool = False
    enum: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # other spellings
    most: int | None = None  # characters of a string


@dataclass(frozen=True, slots=True)
class Schema:
    """What a body must hold. Unknown keys are let through, as Quay does."""

    properties: tuple[Property, ...]

    def check(self, body: Any) -> dict[str, Any]:
        """The body with one spelling per key, or InvalidRequestError with Quay's first line.

        Missing keys are reported before wrong types, each in the order of the schema.
        """
        if not isinstance(body, dict):
            raise InvalidRequestError(f"{_shown(body)} is not of type 'object'")
        merged = dict(body)
        for known in self.properties:
            for spelling in known.also:
                if known.name not in merged and spelling in merged:
                    merged[known.name] = merged[spelling]
        for known in self.properties:
            if known.required and known.name not in merged:
                raise InvalidRequestError(f"{known.name!r} is a required property")
        for known in self.properties:
            if known.name in merged:
                _check_value(known, merged[known.name])
        return merged


def _shown(value: Any) -> str:
    """The value in Python's notation, as Quay shows it, but never a whole megabyte of it."""
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _check_value(known: Property, value: Any) -> None:
    if value is None and known.nullable:
        return
    wanted = _TYPES[known.type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise InvalidRequestError(f"{_shown(value)} is not of type {known.type!r}")
    if known.enum and value not in known.enum:
        raise InvalidRequestError(f"{_shown(value)} is not one of {list(known.enum)!r}")
    if known.most is not None and isinstance(value, str) and len(value) > known.most:
        raise InvalidRequestError(
            f"{known.name!r} is too long: {len(value)} characters, at most {known.most} are allowed"
        )


class WrongContentTypeError(DataError):
    """Did not attempt to load JSON data because the request Content-Type was not 'application/json'."""

    kind = "unsupported_media_type"


class MalformedBodyError(DataError):
    """The browser (or proxy) sent a request that this server could not understand."""


def _holds_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_holds_nul(one) for pair in value.items() for one in pair)
        case list():
            return any(_holds_nul(one) for one in value)
        case _:
            return False


def is_json(content_type: str) -> bool:
    """Whether this is `application/json` or `application/*+json`."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )


def parse_form(raw: bytes) -> Mapping[str, str]:
    """The fields of a form, each with its first value. Raise InvalidRequestError for one that cannot be read."""
    try:
        fields = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidRequestError("The form cannot be read") from None
    if any("\0" in text for pair in fields.items() for text in (pair[0], *pair[1])):
        raise InvalidRequestError("Text must not hold the character U+0000")
    return {name: values[0] for name, values in fields.items()}


def parse(raw: bytes, content_type: str) -> Any:
    """The decoded body, or an error in Quay's words."""
    if not is_json(content_type):
        raise WrongContentTypeError
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBodyError from error
    if value is None:
        raise InvalidRequestError("Missing JSON body")
    refuse_nul(raw, value)
    return value


def refuse_nul(raw: bytes, value: Any) -> None:
    """Raise InvalidRequestError if a text of this body, decoded to `value`, holds U+0000."""
    # PostgreSQL stores no such character, so SQLite must not either.
    if b"\\u0000" in raw and _holds_nul(value):
        raise InvalidRequestError("Text must not hold the character U+0000")

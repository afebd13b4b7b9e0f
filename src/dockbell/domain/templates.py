"""Webhook templates: JSON text with `${expression}` in its strings (quay-compat 4.5).

A string that is one expression takes the type of what is found: nothing gives null, one match its
value, several a list. In any other string an expression is replaced by text: `(none)` for nothing,
a list's elements joined by commas, `true` and `false`, and JSON text for all that is not a string.
"""

import json
from collections.abc import Mapping, Sequence

from dockbell.domain import jsonpath
from dockbell.domain.errors import TemplateError
from dockbell.domain.jsonpath import Match, Path, PathError, Search, TooMuchWorkError
from dockbell.domain.late_dataclasses import dataclass

LONGEST_TEMPLATE = 64 * 1024  # characters
DEEPEST_TEMPLATE = 64  # arrays and objects inside each other
MOST_EXPRESSIONS = 1000
LONGEST_OUTPUT = 1024 * 1024  # characters that expressions may add
MOST_STEPS = 100_000  # values that expressions may look at in one rendering
_MISSING = "(none)"


_json = json.JSONEncoder(allow_nan=False).encode
_readable_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def _text(value: object) -> str:
    """What a value becomes inside a longer string.

    Quay writes Python's own text (`['v1']`, `True`) and fails on lists of numbers: FIX Q20.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return _MISSING
    if isinstance(value, list) and value:
        return ",".join(_item(item) for item in value)
    return _item(value)


def _item(value: object) -> str:
    return value if isinstance(value, str) else _readable_json(value)


@dataclass(slots=True)
class _Rendering:
    """One rendering: the data, and how much may still be written."""

    search: Search
    room: int = LONGEST_OUTPUT

    def values(self, path: Path) -> list[object]:
        found = path.find(Match(self.search.root, None), self.search)
        return [match.value for match in found]

    def fitted(self, text: str) -> str:
        self.room -= len(text)
        if self.room < 0:
            raise TemplateError(
                f"The template's result is longer than {LONGEST_OUTPUT} characters."
            )
        return text

    def json(self, path: Path) -> str:
        values = self.values(path)
        if len(values) > 1:
            # One by one, so that a thousand matches of a large value stop in time.
            return "[" + ", ".join([self.fitted(_json(value)) for value in values]) + "]"
        return self.fitted(_json(values[0] if values else None))

    def text(self, path: Path, missing: str = _MISSING) -> str:
        values = self.values(path)
        if len(values) > 1:
            return ",".join([self.fitted(_item(value)) for value in values])
        if not values or values[0] is None:
            return missing
        return self.fitted(_text(values[0]))


@dataclass(frozen=True, slots=True)
class _Whole:
    """A string that is nothing but one expression."""

    path: Path

    def encoded(self, rendering: _Rendering) -> str:
        return rendering.json(self.path)

    def key(self, rendering: _Rendering) -> str:
        # Quay: as a key, nothing is the word null. Pinned by unit/domain/test_templates.py.
        return rendering.text(self.path, missing="null")


@dataclass(frozen=True, slots=True)
class _Mixed:
    """A string with expressions between other text."""

    parts: tuple[str | Path, ...]

    def encoded(self, rendering: _Rendering) -> str:
        return _json(self.key(rendering))

    def key(self, rendering: _Rendering) -> str:
        return "".join(
            part if isinstance(part, str) else rendering.text(part) for part in self.parts
        )


@dataclass(frozen=True, slots=True)
class _Object:
    """An object some of whose keys hold expressions. Of two keys that come out equal the last one counts."""

    items: tuple[tuple[str | _Whole | _Mixed, "tuple[_Piece, ...]"], ...]

    def encoded(self, rendering: _Rendering) -> str:
        rendered: dict[str, str] = {}
        for key, pieces in self.items:
            name = key if isinstance(key, str) else key.key(rendering)
            rendered[name] = _joined(pieces, rendering)
        return "{" + ", ".join(f"{_json(key)}: {text}" for key, text in rendered.items()) + "}"


_Piece = str | _Whole | _Mixed | _Object


def _joined(pieces: Sequence[_Piece], rendering: _Rendering) -> str:
    return "".join(
        piece if isinstance(piece, str) else piece.encoded(rendering) for piece in pieces
    )


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template. Between the expressions stands finished JSON text."""

    pieces: tuple[_Piece, ...]

    def render(self, data: Mapping[str, object]) -> bytes:
        """The JSON document for this data, in ASCII. Raise TemplateError if it would be too large."""
        rendering = _Rendering(Search(data, MOST_STEPS))
        try:
            return _joined(self.pieces, rendering).encode("ascii")
        except TooMuchWorkError:
            raise TemplateError(
                f"The template's expressions look at more than {MOST_STEPS} values."
            ) from None
        except (ValueError, RecursionError):
            raise TemplateError("The data has a value that JSON cannot hold.") from None


@dataclass(slots=True)
class _Compiler:
    """One compilation, and how many expressions it has met."""

    expressions: int = 0

    def path(self, expression: str) -> Path:
        if not expression.strip():
            raise TemplateError("Empty expression found", field="template")
        self.expressions += 1
        if self.expressions > MOST_EXPRESSIONS:
            raise TemplateError(
                f"Could not parse template: it has more than {MOST_EXPRESSIONS} expressions",
                field="template",
            )
        try:
            return jsonpath.parse(expression)
        except PathError as error:
            shown = expression if len(expression) <= jsonpath.LONGEST else f"{expression[:60]}…"
            raise TemplateError(
                f"For expression `{shown}`: {error}", field="template"
            ) from None

    def string(self, text: str) -> str | _Whole | _Mixed:
        parts: list[str | Path] = []
        end = 0
        while (opening := text.find("${", end)) >= 0 and (
            closing := text.find("}", opening)
        ) > 0:
            parts += [text[end:opening], self.path(text[opening + 2 : closing])]
            end = closing + 1
        match parts:
            case []:
                return text
            case ["", path] if end == len(text) and not isinstance(path, str):
                return _Whole(path)
            case _:
                return _Mixed((*parts, text[end:]))

    def pieces(self, value: object, depth: int = 1) -> list[_Piece]:
        if depth > DEEPEST_TEMPLATE:
            raise TemplateError(
                f"Could not parse template: it is nested deeper than {DEEPEST_TEMPLATE} levels",
                field="template",
            )
        if isinstance(value, str):
            compiled = self.string(value)
            return [_json(compiled) if isinstance(compiled, str) else compiled]
        if isinstance(value, list):
            pieces: list[_Piece] = ["["]
            for number, item in enumerate(value):
                pieces += [", "] if number else []
                pieces += self.pieces(item, depth + 1)
            return [*pieces, "]"]
        if isinstance(value, dict):
            return self.object_pieces(value, depth)
        return [_json(value)]

    def object_pieces(self, value: Mapping[str, object], depth: int) -> list[_Piece]:
        items = [
            (self.string(key), self.pieces(item, depth + 1)) for key, item in value.items()
        ]
        if not all(isinstance(key, str) for key, _ in items):
            return [_Object(tuple((key, _merged(pieces)) for key, pieces in items))]
        result: list[_Piece] = ["{"]
        for number, (key, pieces) in enumerate(items):
            result += [", "] if number else []
            result += [f"{_json(key)}: ", *pieces]
        return [*result, "}"]


def _merged(pieces: Sequence[_Piece]) -> tuple[_Piece, ...]:
    """The same with neighbouring texts put together, so that rendering has less to do."""
    merged: list[_Piece] = []
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        if texts:
            merged.append("".join(texts))
            texts = []
        merged.append(piece)
    if texts:
        merged.append("".join(texts))
    return tuple(merged)


def compile_template(text: str) -> Template:
    """The template that the text holds, or TemplateError in Quay's words."""
    if len(text) > LONGEST_TEMPLATE:
        raise TemplateError(
            f"Could not parse template: it is longer than {LONGEST_TEMPLATE} characters",
            field="template",
        )
    try:
        return Template(_merged(_Compiler().pieces(json.loads(text))))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise TemplateError(f"Could not parse template: {reason}", field="template") from None

"""The path expressions of webhook templates: Quay's dialect, that of jsonpath-rw 1.4 (quay-compat 4.5)."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from dockbell.domain.late_dataclasses import dataclass

LONGEST = 512  # characters of one expression
MOST_OPERATORS = 100  # in one expression, so that neither parsing nor searching nests deeply


class PathError(ValueError):
    """The expression is not valid."""


class TooMuchWorkError(Exception):
    """The expressions look at more of the data than one rendering may."""


class Match(NamedTuple):
    """A value that was found, and where: inside `parent`, which is None for the whole data."""

    value: object
    parent: "Match | None"


@dataclass(slots=True)
class Search:
    """One walk through one document. It raises TooMuchWorkError when `left` steps are used up."""

    root: object
    left: int

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooMuchWorkError


class Path(Protocol):
    """A parsed expression, or a part of one."""

    def find(self, start: Match, search: Search) -> list[Match]: ...


@dataclass(frozen=True, slots=True)
class _Root:
    def find(self, start: Match, search: Search) -> list[Match]:
        del start
        return [Match(search.root, None)]


@dataclass(frozen=True, slots=True)
class _This:
    def find(self, start: Match, search: Search) -> list[Match]:
        del search
        return [start]


@dataclass(frozen=True, slots=True)
class _Parent:
    def find(self, start: Match, search: Search) -> list[Match]:
        del search
        return [] if start.parent is None else [start.parent]


@dataclass(frozen=True, slots=True)
class _Fields:
    names: tuple[str, ...]

    def find(self, start: Match, search: Search) -> list[Match]:
        value = start.value
        if not isinstance(value, Mapping):
            return []
        names = tuple(value) if "*" in self.names else self.names
        search.spend(len(names))
        return [Match(value[name], start) for name in names if name in value]


@dataclass(frozen=True, slots=True)
class _Index:
    at: int

    def find(self, start: Match, search: Search) -> list[Match]:
        search.spend(1)
        value = start.value
        if not isinstance(value, list | str) or not -len(value) <= self.at < len(value):
            return []
        return [Match(value[self.at], start)]


@dataclass(frozen=True, slots=True)
class _Slice:
    start: int | None = None
    end: int | None = None

    def find(self, start: Match, search: Search) -> list[Match]:
        if start.value is None:
            return []
        # What is not a list counts as a list of one, so `name[*]` is the name.
        items = start.value if isinstance(start.value, list) else [start.value]
        chosen = items[self.start : self.end]
        search.spend(1 + len(chosen))
        return [Match(item, start) for item in chosen]


@dataclass(frozen=True, slots=True)
class _Child:
    left: Path
    right: Path

    def find(self, start: Match, search: Search) -> list[Match]:
        found = self.left.find(start, search)
        search.spend(1 + len(found))
        return [match for inner in found for match in self.right.find(inner, search)]


@dataclass(frozen=True, slots=True)
class _Descendants:
    left: Path
    right: Path

    def find(self, start: Match, search: Search) -> list[Match]:
        found: list[Match] = []
        waiting = self.left.find(start, search)[::-1]
        while waiting:  # a stack of our own: data may be nested deeper than Python calls may be
            match = waiting.pop()
            found += self.right.find(match, search)
            inner: list[object] = []
            if isinstance(match.value, list):
                inner = match.value
            elif isinstance(match.value, Mapping):
                inner = list(match.value.values())
            search.spend(1 + len(inner))
            waiting += [Match(value, match) for value in reversed(inner)]
        return found


@dataclass(frozen=True, slots=True)
class _Where:
    left: Path
    right: Path

    def find(self, start: Match, search: Search) -> list[Match]:
        found = self.left.find(start, search)
        search.spend(1 + len(found))
        return [match for match in found if self.right.find(match, search)]


@dataclass(frozen=True, slots=True)
class _Union:
    left: Path
    right: Path

    def find(self, start: Match, search: Search) -> list[Match]:
        found = self.left.find(start, search) + self.right.find(start, search)
        search.spend(1 + len(found))
        return found


class _Operator(NamedTuple):
    strength: int
    make: Callable[[Path, Path], Path]


# The later in this table, the tighter it binds: `a.b|c` is `a.(b|c)`.
_OPERATORS = {
    "DOUBLEDOT": _Operator(1, _Descendants),
    ".": _Operator(2, _Child),
    "|": _Operator(3, _Union),
    "WHERE": _Operator(5, _Where),
}

_NAMED: dict[str, Path] = {
    "$": _Root(),
    "*": _Fields(("*",)),
    "this": _This(),
    "parent": _Parent(),
}

_TOKEN = re.compile(
    r"""(?P<SPACE>[ \t]+)
    | (?P<NEWLINE>\n)
    | (?P<DOUBLEDOT>\.\.)
    | (?P<ID>[a-zA-Z_@][a-zA-Z0-9_@-]*)
    | (?P<NUMBER>-?[0-9]+)
    | '(?P<SINGLE>(?:[^'\\]|\\.)*)'
    | "(?P<DOUBLE>(?:[^"\\]|\\.)*)"
    | `(?P<NAMED_OPERATOR>(?:[^`\\]|\\.)*)`
    | (?P<LITERAL>[*.\[\]()$,:|&])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    column: int


def _tokens_of(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    line, line_start, at = 1, 0, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            # Quay: the words of its parser, with the space at the end. Pinned by unit/domain/test_jsonpath.py.
            raise PathError(
                f"Error on line {line}, col {at - line_start}: Unexpected character: {text[at]} "
            )
        kind, value = found.lastgroup or "", found.group(found.lastgroup or 0)
        if kind == "NEWLINE":
            line, line_start = line + 1, at
        elif kind in {"SINGLE", "DOUBLE", "NAMED_OPERATOR"}:
            plain = _ESCAPED.sub(r"\1", value)
            named = kind == "NAMED_OPERATOR"
            tokens.append(_Token(kind if named else "ID", plain, line, at - line_start))
        elif kind == "LITERAL":
            tokens.append(_Token(value, value, line, at - line_start))
        elif kind != "SPACE":
            kind = "WHERE" if value == "where" else kind
            tokens.append(_Token(kind, value, line, at - line_start))
        at = found.end()
    return tokens


_END = _Token("END", "", 0, 0)


@dataclass(slots=True)
class _Parser:
    tokens: list[_Token]
    at: int = 0
    operators: int = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self, *kinds: str) -> _Token:
        token = self.next
        if token.kind not in kinds:
            raise self.surprise()
        self.at += 1
        return token

    def surprise(self) -> PathError:
        token = self.next
        if token is _END:
            return PathError("the expression ends too early")
        if token.kind == "&":
            return PathError("the operator & is not supported")
        # Quay: the words of its parser. Pinned by unit/domain/test_jsonpath.py.
        return PathError(
            f"Parse error at {token.line}:{token.column} near token {token.text} ({token.kind})"
        )

    def count(self) -> None:
        self.operators += 1
        if self.operators > MOST_OPERATORS:
            raise PathError(f"it has more than {MOST_OPERATORS} operators")

    def path(self, strength: int = 0) -> Path:
        left = self.operand()
        while True:
            kind = self.next.kind
            if kind == "[" and strength == 0:
                # Brackets apply to all that stands left of them: `a|b[0]` is `(a|b)[0]`.
                self.count()
                left = _Child(left, self.brackets())
                continue
            operator = _OPERATORS.get(kind)
            if operator is None or operator.strength <= strength:
                return left
            self.count()
            self.at += 1
            left = operator.make(left, self.path(operator.strength))

    def operand(self) -> Path:
        if self.next.kind == "[":
            return self.brackets()
        token = self.take("$", "*", "ID", "NAMED_OPERATOR", "(")
        if token.kind == "ID":
            return self.fields(token)
        if token.kind == "(":
            self.count()
            inner = self.path()
            self.take(")")
            return inner
        if token.text not in _NAMED:
            raise PathError(
                f"Unknown named operator `{token.text}` at {token.line}:{token.column}"
            )
        return _NAMED[token.text]

    def fields(self, first: _Token) -> Path:
        names = [first.text]
        while self.next.kind == ",":
            self.at += 1
            names.append(self.take("ID").text)
        return _Fields(tuple(names))

    def brackets(self) -> Path:
        self.take("[")
        inner: Path
        if self.next.kind == "ID":
            inner = self.fields(self.take("ID"))
        elif self.next.kind == "*":
            self.at += 1
            inner = _Slice()
        else:
            start = self.number()
            if self.next.kind == ":":
                self.at += 1
                inner = _Slice(start, self.number())
            elif start is None:
                raise self.surprise()
            else:
                inner = _Index(start)
        self.take("]")
        return inner

    def number(self) -> int | None:
        return int(self.take("NUMBER").text) if self.next.kind == "NUMBER" else None


def parse(text: str) -> Path:
    """The path that the expression means, or PathError with what is wrong with it."""
    if len(text) > LONGEST:
        raise PathError(f"it is longer than {LONGEST} characters")
    parser = _Parser(_tokens_of(text))
    path = parser.path()
    if parser.next is not _END:
        raise parser.surprise()
    return path

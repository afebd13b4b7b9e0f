"""Conditions on what an event says: a closed language of JSON objects, checked when saved, bounded when asked.

    {"and": [{"path": "data.vulnerability.has_fix", "equals": true},
             {"not": {"path": "facts.platforms.*", "in": ["linux/arm64"]}}]}

A path leads to values: a name goes into an object, a number into a list, `*` into all that is there. A
condition on a path holds if it holds for any of the values; a list at its end counts as its elements too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from dockbell.domain.errors import ConfigError
from dockbell.domain.late_dataclasses import dataclass

ROOTS = ("data", "facts")
DEEPEST = 8  # conditions inside each other
MOST_CONDITIONS = 64
MOST_CHOICES = 100  # of one `in`, and of one `and` or `or`
LONGEST_TEXT = 512  # characters of a value or of a part of a path
LONGEST_PATH = 16  # parts
MOST_STEPS = 10_000  # values that all conditions may look at for one event; what needs more does not hold

_OPERATORS = ("equals", "in", "exists", "gt", "gte", "lt", "lte")
_SHAPES = (
    '{"path": "data…", "equals": …}, with in, exists, gt, gte, lt or lte in place of equals, '
    '{"and": […]}, {"or": […]} or {"not": {…}}'
)


class TooMuchWorkError(Exception):
    """The conditions look at more of the event than they may."""


@dataclass(slots=True)
class Look:
    """One event under the eyes of all conditions, and how many of its values they may still look at."""

    roots: Mapping[str, object]
    left: int = MOST_STEPS

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooMuchWorkError


class Condition(Protocol):
    def holds(self, look: Look) -> bool:
        """Whether the event is so. Raise TooMuchWorkError once too much was looked at."""
        ...


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[Condition, ...]

    def holds(self, look: Look) -> bool:
        return all(part.holds(look) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple[Condition, ...]

    def holds(self, look: Look) -> bool:
        return any(part.holds(look) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Not:
    part: Condition

    def holds(self, look: Look) -> bool:
        return not self.part.holds(look)


@dataclass(frozen=True, slots=True)
class _Exists:
    path: tuple[str, ...]
    wanted: bool

    def holds(self, look: Look) -> bool:
        return (next(_found(self.path, look), None) is not None) is self.wanted


@dataclass(frozen=True, slots=True)
class _Fits:
    path: tuple[str, ...]
    test: Callable[[object], bool]

    def holds(self, look: Look) -> bool:
        for (value,) in _found(self.path, look):
            if self.test(value):
                return True
            if isinstance(value, list):
                for item in value:
                    look.spend()
                    if self.test(item):
                        return True
        return False


def _found(path: Sequence[str], look: Look) -> Iterator[tuple[object]]:
    """The values at the end of the path, each in a tuple so that null is one too."""
    waiting: list[tuple[object, int]] = [(look.roots.get(path[0]), 1)]
    while waiting:
        value, place = waiting.pop()
        look.spend()
        if place == len(path):
            yield (value,)
            continue
        name = path[place]
        inner: Sequence[object] = ()
        if isinstance(value, Mapping):
            if name == "*":
                inner = list(value.values())
            elif name in value:
                inner = [value[name]]
        elif isinstance(value, list):
            if name == "*":
                inner = value
            elif name.isdecimal() and len(name) < LONGEST_PATH and int(name) < len(value):
                inner = [value[int(name)]]
        if len(inner) > look.left:
            raise TooMuchWorkError
        waiting.extend((one, place + 1) for one in reversed(inner))


def _is_among(wanted: Sequence[object]) -> Callable[[object], bool]:
    """As JSON has it: a number is never true or false."""
    keys = frozenset((isinstance(value, bool), value) for value in wanted)

    def test(value: object) -> bool:
        return (
            not isinstance(value, list | Mapping) and (isinstance(value, bool), value) in keys
        )

    return test


def _compare(operator: str, limit: str | float) -> Callable[[object], bool]:
    def test(value: object) -> bool:
        if isinstance(value, bool):
            return False
        if isinstance(limit, str):
            if not isinstance(value, str):
                return False
            order = (value > limit) - (value < limit)
        elif isinstance(value, int | float):
            order = (value > limit) - (value < limit)
        else:
            return False
        return {"gt": order > 0, "gte": order >= 0, "lt": order < 0, "lte": order <= 0}[
            operator
        ]

    return test


@dataclass(slots=True)
class _Compiler:
    """One compilation, and how many conditions it has met."""

    conditions: int = 0

    def condition(self, given: object, where: str, depth: int = 1) -> Condition:
        self.conditions += 1
        if self.conditions > MOST_CONDITIONS:
            raise _refused(where, f"there are more than {MOST_CONDITIONS} conditions")
        if depth > DEEPEST:
            raise _refused(where, f"conditions are nested deeper than {DEEPEST} levels")
        if not isinstance(given, Mapping):
            raise _refused(where, f"a condition is an object: {_SHAPES}")
        match sorted(given):
            case ["and"]:
                return _All(self.parts(given["and"], f"{where}.and", depth))
            case ["or"]:
                return _Any(self.parts(given["or"], f"{where}.or", depth))
            case ["not"]:
                return _Not(self.condition(given["not"], f"{where}.not", depth + 1))
            case [one, other] if "path" in {one, other}:
                operator = other if one == "path" else one
                if operator in _OPERATORS:
                    path = _path(given["path"], f"{where}.path")
                    return _on_path(path, operator, given[operator], f"{where}.{operator}")
            case _:
                pass
        keys = ", ".join(str(key)[:32] for key in sorted(given)[:8]) or "none"
        raise _refused(where, f"its keys are {keys}; a condition is {_SHAPES}")

    def parts(self, given: object, where: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_CHOICES:
            raise _refused(where, f"it must be a list of 1 to {MOST_CHOICES} conditions")
        return tuple(
            self.condition(one, f"{where}[{place}]", depth + 1)
            for place, one in enumerate(given)
        )


def _path(given: object, where: str) -> tuple[str, ...]:
    parts = given.split(".") if isinstance(given, str) else given
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _refused(
            where,
            'it must be a string with dots, such as "data.vulnerability.id", or a list of names',
        )
    if not parts or parts[0] not in ROOTS:
        raise _refused(where, "it must begin with data (the payload) or facts")
    if len(parts) > LONGEST_PATH:
        raise _refused(where, f"it has more than {LONGEST_PATH} parts")
    for place, part in enumerate(parts):
        if not part or len(part) > LONGEST_TEXT:
            raise _refused(
                where,
                f"part {place} must have 1 to {LONGEST_TEXT} characters; * stands for all",
            )
    return tuple(parts)


def _on_path(path: tuple[str, ...], operator: str, given: object, where: str) -> Condition:
    match operator:
        case "exists":
            if not isinstance(given, bool):
                raise _refused(where, "it must be true or false")
            return _Exists(path, given)
        case "equals":
            return _Fits(path, _is_among([_value(given, where)]))
        case "in":
            if not isinstance(given, list) or not 1 <= len(given) <= MOST_CHOICES:
                raise _refused(where, f"it must be a list of 1 to {MOST_CHOICES} values")
            values = [_value(one, f"{where}[{place}]") for place, one in enumerate(given)]
            return _Fits(path, _is_among(values))
        case _:
            if isinstance(given, bool) or not isinstance(given, str | int | float):
                raise _refused(
                    where, "it must be a number, or a string to compare strings with"
                )
            limit = _value(given, where)
            if not isinstance(limit, str | int | float):
                raise _refused(
                    where, "it must be a number, or a string to compare strings with"
                )
            return _Fits(path, _compare(operator, limit))


def _value(given: object, where: str) -> object:
    if isinstance(given, str) and len(given) > LONGEST_TEXT:
        raise _refused(where, f"it is longer than {LONGEST_TEXT} characters")
    if isinstance(given, list | Mapping):
        raise _refused(where, "it must be a string, a number, true, false or null")
    return given


def _refused(where: str, reason: str) -> ConfigError:
    return ConfigError(f"{where}: {reason}", field=where)


def compile_condition(given: object, where: str) -> Condition:
    """The condition that the document says, or ConfigError that names the place in it and what would be right."""
    return _Compiler().condition(given, where)

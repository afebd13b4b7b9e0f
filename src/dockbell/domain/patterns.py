"""Regular expressions of users, matched in time that grows with pattern times text and no faster.

Python's own engine can be made to run for years by a short pattern such as `(a+)+$`, and any
repository admin may write one. So the pattern becomes a program for a set of states that walks
over the text once. The language is Python's without back references, look-behind, conditions
and atomic parts; look-ahead works.
"""

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import lru_cache
from typing import NamedTuple

from dockbell.domain.late_dataclasses import dataclass

LONGEST_PATTERN = 256  # characters
LONGEST_TEXT = 512  # characters; a longer text does not match
MOST_INSTRUCTIONS = 1000  # what counted repeats may grow to
MOST_STEPS = 100_000  # of one match, about a tenth of a second; what needs more does not match


class PatternError(ValueError):
    """The pattern is not valid. `position` is the place in it, from 0, where that is known."""

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.position = position


class _Char(NamedTuple):
    """Goes on if the next character fits."""

    fits: Callable[[str], object]


class _Split(NamedTuple):
    """Goes on at both places."""

    first: int
    second: int


class _Assert(NamedTuple):
    """Goes on if the place in the text is of this kind: ^, $, or a letter as after a backslash."""

    kind: str


class _Look(NamedTuple):
    """Goes on if the program matches from here, or does not."""

    program: "tuple[_Instruction, ...]"
    wanted: bool


class _Done(NamedTuple):
    """The whole pattern has matched."""


_Instruction = _Char | _Split | _Assert | _Look | _Done


# A part of a program: its instructions, with targets counted from its own start.
_Code = list[_Instruction]


def _moved(code: _Code, by: int) -> _Code:
    return [
        _Split(one.first + by, one.second + by) if isinstance(one, _Split) else one
        for one in code
    ]


def _both(left: _Code, right: _Code) -> _Code:
    return left + _moved(right, len(left))


def _either(left: _Code, right: _Code) -> _Code:
    jump = len(left) + 2
    end = jump + len(right)
    return [_Split(1, jump), *_moved(left, 1), _Split(end, end), *_moved(right, jump)]


def _any_number(code: _Code) -> _Code:
    end = len(code) + 2
    return [_Split(1, end), *_moved(code, 1), _Split(0, 0)]


def _perhaps(code: _Code) -> _Code:
    return [_Split(1, len(code) + 1), *_moved(code, 1)]


_COUNTS = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_ATOM = re.compile(
    r"""\\(?:x[0-9a-fA-F]{2} | u[0-9a-fA-F]{4} | U[0-9a-fA-F]{8} | N\{[^}]*\} | 0[0-7]{0,2} | [0-3][0-7]{2} | .)
    | \[\^?\]?(?:\\.|[^\]\\])*\]
    | .""",
    re.VERBOSE | re.DOTALL,
)
_OPENING = re.compile(
    r"\((?:\?(?:P<\w+>|[:=!]|(?:[aimsux]+(?:-[imsx]+)?|-[imsx]+):|[aimsux]+\)|\#[^)]*\)))?"
)
_ASSERTIONS = {"^", "$", r"\A", r"\Z", r"\b", r"\B"}


@dataclass(slots=True)
class _Compiler:
    text: str
    at: int = 0
    flags: str = ""

    def alternatives(self) -> _Code:
        code = self.sequence()
        while self.text.startswith("|", self.at):
            self.at += 1
            code = self.bounded(_either(code, self.sequence()))
        return code

    def sequence(self) -> _Code:
        code: _Code = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            code = self.bounded(_both(code, self.repeated(self.atom())))
        return code

    def bounded(self, code: _Code) -> _Code:
        if len(code) > MOST_INSTRUCTIONS:
            raise PatternError("its counted repeats are too large")
        return code

    def repeated(self, code: _Code) -> _Code:
        counts = _COUNTS.match(self.text, self.at)
        sign = self.text[self.at : self.at + 1]
        if sign and sign in "*+?":
            self.at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif counts is not None and (counts[1] or (counts[2] and counts[3])):
            self.at = counts.end()
            low = int(counts[1] or 0)
            high = (int(counts[3]) if counts[3] else None) if counts[2] else low
        else:
            return code
        if self.text.startswith("+", self.at):
            raise PatternError("possessive repeats are not supported")
        if self.text.startswith("?", self.at):
            self.at += 1  # lazy or not makes no difference to whether it matches
        return self.times(code, low, high)

    def times(self, code: _Code, low: int, high: int | None) -> _Code:
        if max(low, high or 0) * max(len(code), 1) > MOST_INSTRUCTIONS:
            raise PatternError("its counted repeats are too large")
        result: _Code = []
        for _ in range(low):
            result = _both(result, code)
        if high is None:
            return _both(result, _any_number(code))
        rest: _Code = []
        for _ in range(high - low):
            rest = self.bounded(_perhaps(_both(code, rest)))
        return _both(result, rest)

    def atom(self) -> _Code:
        if self.text[self.at] == "(":
            return self.group()
        found = _ATOM.match(self.text, self.at)
        if found is None:
            raise PatternError("it ends too early")
        self.at = found.end()
        atom = found[0]
        if atom in _ASSERTIONS:
            return [_Assert(atom)]
        if re.fullmatch(r"\\[1-9][0-9]?", atom):
            raise PatternError("back references are not supported")
        # One character at a time, the engine of the standard library is both exact and safe.
        pattern = f"(?{self.flags}:{atom})" if self.flags else atom
        return [_Char(re.compile(pattern).fullmatch)]

    def group(self) -> _Code:
        opening = _OPENING.match(self.text, self.at)
        word = "" if opening is None else opening[0]
        if opening is None or (word == "(" and self.text.startswith("(?", self.at)):
            raise PatternError(
                "look-behind, conditions, atomic groups and back references are not supported"
            )
        self.at = opening.end()
        if word.startswith("(?#"):
            return []
        outer = self.flags
        if word.startswith("(?") and word[2] in "aimsux-":
            named, _, dropped = word[2:-1].partition("-")
            self.flags = "".join(sorted(set(self.flags + named) - set(dropped)))
            for flag in set(named) & {"m", "x"}:
                raise PatternError(f"the flag {flag} is not supported")
            if word.endswith(")"):  # for the whole pattern; Python allows it only at the start
                return []
        code = self.alternatives()
        self.at += 1  # the closing bracket: re.compile has seen that it is there
        self.flags = outer
        if word in {"(?=", "(?!"}:
            return [_Look((*code, _Done()), word == "(?=")]
        return code


@dataclass(slots=True)
class _Run:
    """One text, with what look-aheads found in it."""

    text: str
    left: int = MOST_STEPS
    looked: dict[tuple[int, int], bool] = field(default_factory=dict)

    def matches(
        self, program: tuple[_Instruction, ...], start: int, *, is_anywhere: bool = False
    ) -> bool:
        states = {0}
        for place in range(start, len(self.text) + 1):
            fitting = self.reached(program, states, place)
            if fitting is None:
                return True
            letter = self.text[place : place + 1]
            states = {
                state + 1 for state, fits in fitting if letter and fits(letter) is not None
            }
            if is_anywhere:
                states.add(0)
            if not states or self.left < 0:
                return False
        return False

    def reached(
        self, program: tuple[_Instruction, ...], states: set[int], place: int
    ) -> list[tuple[int, Callable[[str], object]]] | None:
        """What may come next from these states without reading, or None if the pattern has matched."""
        waiting, seen = list(states), set(states)
        fitting: list[tuple[int, Callable[[str], object]]] = []
        while waiting:
            state = waiting.pop()
            self.left -= 1
            onward: list[int] = []
            match program[state]:
                case _Done():
                    return None
                case _Char(fits):
                    fitting.append((state, fits))
                    continue
                case _Split(first, second):
                    onward = [first, second]
                case _Assert(kind):
                    onward = [state + 1] if self.holds(kind, place) else []
                case _Look() as look:
                    onward = [state + 1] if self.sees(look, place) is look.wanted else []
            for target in onward:
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return fitting

    def sees(self, look: _Look, place: int) -> bool:
        key = (id(look), place)
        if key not in self.looked:
            self.looked[key] = self.matches(look.program, place)
        return self.looked[key]

    def holds(self, kind: str, place: int) -> bool:
        if kind in {"^", r"\A"}:
            return place == 0
        if kind == r"\Z":
            return place == len(self.text)
        if kind == "$":
            return self.text[place:] in {"", "\n"}
        if not self.text:
            return False  # as in Python's engine up to 3.13, for both of them
        before = self.text[place - 1 : place] if place else ""
        after = self.text[place : place + 1]
        return (_is_word(before) != _is_word(after)) is (kind == r"\b")


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked regular expression."""

    program: tuple[_Instruction, ...]

    def matches_start(self, text: str) -> bool:
        """Whether the pattern matches at the start of the text; the text may go on after it."""
        if len(text) > LONGEST_TEXT:
            return False
        run = _Run(text)
        return run.matches(self.program, 0) and run.left >= 0

    def is_in_one_of(self, texts: Iterable[str]) -> bool:
        """Whether the pattern matches anywhere in one of the texts, as search tools have it.

        All of them together take no more steps than one text may.
        """
        left = MOST_STEPS
        for text in texts:
            if len(text) > LONGEST_TEXT:
                continue
            run = _Run(text, left)
            is_found = run.matches(self.program, 0, is_anywhere=True)
            left = run.left - 1
            if left < 0:
                return False
            if is_found:
                return True
        return False


@lru_cache(maxsize=1024)
def compile_pattern(text: str) -> Pattern:
    """The pattern that the text holds, or PatternError with what is wrong with it."""
    if len(text) > LONGEST_PATTERN:
        raise PatternError(f"it is longer than {LONGEST_PATTERN} characters")
    compiler = _Compiler(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # of notations that may change one day
            re.compile(text)
            return Pattern((*compiler.alternatives(), _Done()))
    except PatternError as error:
        error.position = compiler.at
        raise
    except re.error as error:
        raise PatternError(str(error), error.pos) from None
    except (OverflowError, RecursionError) as error:
        raise PatternError(str(error)) from None

"""Globs of users, matched in one walk over the text whatever the glob.

`*` stands for any characters but a slash, `**` for any at all, `?` for one that is no slash, `[a-z]` and
`[!a-z]` for one of these or of all others. A backslash makes the character behind it stand for itself.

The places in the glob that the walk may be at are the bits of one number, so a step is a few operations on it.
"""

from functools import lru_cache

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.patterns import PatternError

LONGEST_GLOB = 256  # characters
LONGEST_TEXT = 1024  # characters; a longer text does not match


@dataclass(frozen=True, slots=True)
class _Class:
    """The characters between square brackets."""

    ranges: tuple[tuple[str, str], ...]
    is_inverted: bool

    def holds(self, letter: str) -> bool:
        is_among = any(first <= letter <= last for first, last in self.ranges)
        return is_among is not self.is_inverted and letter != "/"


_Token = str | _Class  # "*", "**", "?", or one character after a backslash


@dataclass(frozen=True, slots=True)
class Glob:
    """A checked glob."""

    text: str
    tokens: tuple[_Token, ...]
    literal: str | None  # what it is, if nothing in it is special
    stars: int  # one bit for each token: those that may stand for nothing
    deep_stars: int
    letters: dict[str, int]  # which tokens are this character; those below besides
    any_letter: int
    classes: tuple[tuple[int, _Class], ...]

    def matches(self, text: str) -> bool:
        """Whether the glob fits the whole text."""
        if self.literal is not None:
            return text == self.literal
        if len(text) > LONGEST_TEXT:
            return False
        places = self._after_stars(1)
        for letter in text:
            fitting = self.letters.get(letter, 0)
            if letter == "/":
                stays = places & self.deep_stars
            else:
                stays = places & self.stars
                fitting |= self.any_letter
                for bit, one in self.classes:
                    if one.holds(letter):
                        fitting |= bit
            places = self._after_stars(((places & fitting) << 1) | stays)
            if not places:
                return False
        return bool(places >> len(self.tokens) & 1)

    def _after_stars(self, places: int) -> int:
        # Two stars never stand side by side, so one step is enough.
        return places | ((places & self.stars) << 1)


@lru_cache(maxsize=4096)
def compile_glob(text: str) -> Glob:
    """The glob that the text holds, or PatternError with what is wrong and where."""
    if not text:
        raise PatternError("it is empty; * stands for anything")
    if len(text) > LONGEST_GLOB:
        raise PatternError(f"it is longer than {LONGEST_GLOB} characters")
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        token, at = _token(text, at)
        if tokens and token in {"*", "**"} and tokens[-1] in {"*", "**"}:
            tokens[-1] = "**"
        else:
            tokens.append(token)
    return _glob(text, tuple(tokens))


def _token(text: str, at: int) -> tuple[_Token, int]:
    """The token at this place, and where the next one begins. A character that stands for itself has a backslash."""
    letter = text[at]
    if letter == "\\":
        if at + 1 == len(text):
            raise PatternError(
                f"the backslash at position {at} escapes nothing; write \\\\ for a backslash"
            )
        return f"\\{text[at + 1]}", at + 2
    if letter == "[":
        return _class(text, at)
    if text.startswith("**", at):
        return "**", at + 2
    return (letter if letter in "*?" else f"\\{letter}"), at + 1


def _class(text: str, opening: int) -> tuple[_Class, int]:
    at = opening + 1
    is_inverted = text[at : at + 1] in {"!", "^"}
    at += is_inverted
    # A closing bracket that stands first is one of the characters.
    closing = text.find("]", at + 1)
    if closing < 0:
        raise PatternError(
            f"the [ at position {opening} is never closed; write \\[ for the character itself"
        )
    ranges: list[tuple[str, str]] = []
    while at < closing:
        first = last = text[at]
        if text[at + 1 : at + 2] == "-" and at + 2 < closing:
            last = text[at + 2]
            if last < first:
                raise PatternError(
                    f"the range {first}-{last} at position {at} is the wrong way round"
                )
            at += 2
        ranges.append((first, last))
        at += 1
    return _Class(tuple(ranges), is_inverted), closing + 1


def _glob(text: str, tokens: tuple[_Token, ...]) -> Glob:
    letters: dict[str, int] = {}
    classes: list[tuple[int, _Class]] = []
    stars = deep_stars = any_letter = 0
    for place, token in enumerate(tokens):
        bit = 1 << place
        match token:
            case "*":
                stars |= bit
            case "**":
                stars |= bit
                deep_stars |= bit
            case "?":
                any_letter |= bit
            case _Class():
                classes.append((bit, token))
            case _:
                letters[token[1]] = letters.get(token[1], 0) | bit
    is_literal = not (stars or any_letter or classes)
    return Glob(
        text=text,
        tokens=tokens,
        literal="".join(str(token)[1] for token in tokens) if is_literal else None,
        stars=stars,
        deep_stars=deep_stars,
        letters=letters,
        any_letter=any_letter,
        classes=tuple(classes),
    )

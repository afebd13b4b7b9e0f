"""Filters of notifications: which events of its kinds one wants. What they are, and what they cost, is bounded.

Every filter must let an event through. An event that has no such thing at all (a quota has no tags, a push
no severity) passes a filter for it, so that one notification can be for several kinds.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from dockbell.domain import conditions, severities
from dockbell.domain.conditions import Look, TooMuchWorkError
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Event, EventKind
from dockbell.domain.globs import Glob, compile_glob
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.patterns import PatternError, compile_pattern
from dockbell.domain.payloads import find, is_deeper, texts_of
from dockbell.domain.severities import SEVERITIES

FIELD = "filter"
LARGEST = 16 * 1024  # bytes of JSON
DEEPEST = 32  # lists and objects inside each other
MOST_GLOBS = 100  # in one list
MOST_LETTERS = (
    200_000  # of all tags of an event, times the globs: what needs more does not pass
)
# Those that need the payload decoded come last.
NAMES = ("repositories", "actors", "media_types", "severity", "tags", "tag_regex", "json")
_LISTS = ("include", "exclude")
_TAG_FIELDS = ("updated_tags", "tags", "docker_tags")
EVENT_CONFIG = (
    "event_config"  # Quay's own filters go by this name where it is said which one refused
)
UNREADABLE = "unreadable"

_Test = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """A checked filter: its parts by name, in the order in which they are asked."""

    parts: tuple[tuple[str, _Test], ...]

    def refusal(self, event: Event) -> str | None:
        """The name of the first part that does not want the event, or None. Never raises."""
        for name, accepts in self.parts:
            if not accepts(event):
                return name
        return None


NO_FILTER = Filter(())
# Of a later version, or damaged: what is sent to the wrong place cannot be called back, what is not can be replayed.
_NOTHING = Filter(((UNREADABLE, lambda _event: False),))


@lru_cache(
    maxsize=16_384
)  # of each notification that has one, or every event compiles them anew
def of_text(text: str | None) -> Filter:
    """The filter as it is stored, compiled once for each text."""
    if text is None:
        return NO_FILTER
    try:
        return compile_filter(json.loads(text))
    except (ConfigError, ValueError, RecursionError):
        return _NOTHING


def of_document(document: Mapping[str, object] | None) -> Filter:
    """The same for one that was read from where it is stored."""
    return NO_FILTER if document is None else of_text(json.dumps(document))


def refusal_of(
    event: Event, kind: EventKind | None, event_config: Mapping[str, object], wanted: Filter
) -> str | None:
    """Which filter of a notification for this kind does not want the event, or None if it gets it."""
    if kind is None or not kind.accepts(event, event_config):
        return EVENT_CONFIG
    return wanted.refusal(event)


def compile_filter(given: object) -> Filter:
    """The filter that the document says, or ConfigError that names the place in it and what would be right."""
    if not isinstance(given, Mapping):
        raise _refused(FIELD, f"it must be an object with any of {', '.join(NAMES)}")
    if is_deeper(given, DEEPEST):
        raise _refused(FIELD, f"it is nested deeper than {DEEPEST} levels")
    if len(json.dumps(given).encode()) > LARGEST:
        raise _refused(FIELD, f"it is larger than {LARGEST} bytes")
    for name in given:
        if name not in NAMES:
            raise _refused(
                f"{FIELD}.{name[:64]}",
                f"there is no such filter. There are: {', '.join(NAMES)}",
            )
    return Filter(tuple((name, _PARTS[name](given)) for name in NAMES if name in given))


@dataclass(frozen=True, slots=True)
class _Globs:
    include: tuple[Glob, ...]
    exclude: tuple[Glob, ...]

    def is_excluded(self, text: str) -> bool:
        return any(glob.matches(text) for glob in self.exclude)

    def wants(self, text: str) -> bool:
        return not self.is_excluded(text) and (
            not self.include or any(glob.matches(text) for glob in self.include)
        )

    def wants_one_of(self, texts: Iterable[str]) -> bool:
        """Whether it wants one of them; those that would be too much work are left out."""
        globs = len(self.include) + len(self.exclude)
        left = MOST_LETTERS
        for text in texts:
            left -= (len(text) + 1) * globs
            if left < 0:
                return False
            if self.wants(text):
                return True
        return False


def _globs(given: object, where: str) -> _Globs:
    """A list of globs, one of which must fit; or an object that may have a list of those that must not, too."""
    lists: Mapping[str, object]
    if isinstance(given, Mapping):
        lists = given
        for name in given:
            if name not in _LISTS:
                raise _refused(
                    f"{where}.{str(name)[:64]}", "there are only include and exclude here"
                )
        if not given:
            raise _refused(where, "it is empty; give include or exclude")
    else:
        lists = {"include": given}
    checked = {}
    for name, globs in lists.items():
        place = f"{where}.{name}" if lists is given else where
        if not isinstance(globs, list) or not 1 <= len(globs) <= MOST_GLOBS:
            raise _refused(place, f'it must be a list of 1 to {MOST_GLOBS} globs such as "v*"')
        checked[name] = tuple(_glob(one, f"{place}[{at}]") for at, one in enumerate(globs))
    return _Globs(checked.get("include", ()), checked.get("exclude", ()))


def _glob(given: object, where: str) -> Glob:
    if not isinstance(given, str):
        raise _refused(where, 'a glob is a string such as "v*"')
    try:
        return compile_glob(given)
    except PatternError as error:
        raise _refused(where, str(error)) from None


def _repositories(given: Mapping[str, object]) -> _Test:
    globs = _globs(given["repositories"], f"{FIELD}.repositories")

    def accepts(event: Event) -> bool:
        return event.subject.repository is None or globs.wants(event.subject.path)

    return accepts


def tags_of(event: Event) -> Iterable[str] | None:
    """The tags that the event is about; None if it is about none and never could be."""
    for name in _TAG_FIELDS:
        if isinstance(event.data.get(name), list):
            return texts_of(event.data, name)
    tag = event.facts.get("tag")
    return [tag] if isinstance(tag, str) else None


def _tags(given: Mapping[str, object]) -> _Test:
    globs = _globs(given["tags"], f"{FIELD}.tags")

    def accepts(event: Event) -> bool:
        tags = tags_of(event)
        return tags is None or globs.wants_one_of(tags)

    return accepts


def _tag_regex(given: Mapping[str, object]) -> _Test:
    where = f"{FIELD}.tag_regex"
    expression = given["tag_regex"]
    if not isinstance(expression, str) or not expression:
        raise _refused(where, 'it must be a regular expression such as "^v[0-9]+$"')
    try:
        pattern = compile_pattern(expression)
    except PatternError as error:
        reason = str(error)
        if error.position is not None and "at position" not in reason:
            reason = f"{reason} (at position {error.position})"
        raise _refused(where, reason) from None

    def accepts(event: Event) -> bool:
        tags = tags_of(event)
        return tags is None or pattern.is_in_one_of(tags)

    return accepts


def _severity(given: Mapping[str, object]) -> _Test:
    least = given["severity"]
    limit = severities.index_of_name(least)
    if limit is None:
        raise _refused(
            f"{FIELD}.severity", f"it must be one of: {', '.join(SEVERITIES)}; and up is meant"
        )

    def accepts(event: Event) -> bool:
        index = severities.index_of_name(find(event.data, "vulnerability", "priority"))
        # A word that nobody here knows: better told than lost.
        return index is None or index <= limit

    return accepts


def _media_types(given: Mapping[str, object]) -> _Test:
    globs = _globs(given["media_types"], f"{FIELD}.media_types")

    def accepts(event: Event) -> bool:
        known = [event.facts.get("media_type"), event.facts.get("artifact_type")]
        types = [one for one in known if isinstance(one, str)]
        if not types:
            return True
        return not any(map(globs.is_excluded, types)) and any(map(globs.wants, types))

    return accepts


def _actors(given: Mapping[str, object]) -> _Test:
    globs = _globs(given["actors"], f"{FIELD}.actors")

    def accepts(event: Event) -> bool:
        if event.performer is None:
            return not globs.include  # by nobody, and so by none of these
        return globs.wants(event.performer.name)

    return accepts


def _json(given: Mapping[str, object]) -> _Test:
    condition = conditions.compile_condition(given["json"], f"{FIELD}.json")

    def accepts(event: Event) -> bool:
        try:
            return condition.holds(Look({"data": event.data, "facts": event.facts}))
        except TooMuchWorkError:
            return False

    return accepts


_PARTS: Mapping[str, Callable[[Mapping[str, object]], _Test]] = {
    "repositories": _repositories,
    "tags": _tags,
    "tag_regex": _tag_regex,
    "severity": _severity,
    "media_types": _media_types,
    "actors": _actors,
    "json": _json,
}


def _refused(where: str, reason: str) -> ConfigError:
    return ConfigError(f"{where}: {reason}", field=where)

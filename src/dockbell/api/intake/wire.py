"""What programs send: bodies to checked reports, or the field that is wrong and what would be right."""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from dockbell.domain.events import EventKind, EventScope, Performer, Subject, base_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.names import is_namespace, is_repository
from dockbell.domain.payloads import is_deeper
from dockbell.domain.reports import MOST_AT_ONCE, Report, ReportError

MOST_DATA = 256 << 10  # bytes of one event's own fields
MOST_FACTS = 16 << 10
MOST_LEVELS = 32
LONGEST_ID = 200
LONGEST_NAME = 255
_LONGEST_URL = 2048
_LONGEST_PATH = 2 * LONGEST_NAME + 1
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)  # by which a producer's clock may be fast
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]+")
_PLACE = re.compile(r" - at `\$(?:\.?([^`]*))`$")
_ABSENT = re.compile(r"missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"contains unknown field `(.*)`", re.DOTALL)
_LONGEST_SHOWN = 60


class _Actor(Struct, forbid_unknown_fields=True):
    name: str
    kind: Literal["user", "robot"] = "user"


class _Event(Struct, forbid_unknown_fields=True):
    """One event as it is sent. Its own fields and its facts are looked at later."""

    event: str | UnsetType = UNSET
    repository: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    id: str | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)] | None = None
    data: Raw | UnsetType = UNSET
    facts: Raw | UnsetType = UNSET
    actor: str | _Actor | UnsetType | None = UNSET


class _Body(_Event, forbid_unknown_fields=True):
    """One event, or many under `events`."""

    events: list[Raw] | UnsetType = UNSET


FIELDS = _Event.__struct_fields__
_SINGLE = msgspec.json.Decoder(_Body)
_ITEM = msgspec.json.Decoder(_Event)
_ANY = msgspec.json.Decoder()
_NO_JSON = ReportError("body", 'must be JSON in UTF-8, either one event or {"events": [ … ]}')


@dataclass(frozen=True)
class Reader:
    """Reads the bodies of requests."""

    kinds: Mapping[str, EventKind]
    links: Links
    clock: Callable[[], datetime]

    @cached_property
    def _kinds(self) -> Mapping[str, "_Kind"]:
        subject = Subject("namespace", "repository")
        return {
            name: _Kind(name, kind.needs, kind.sample(subject, {}))
            for name, kind in self.kinds.items()
        }

    @cached_property
    def _ground(self) -> Callable[..., "_Ground"]:
        """What events of this kind at this place share. Most are of a kind and about a repository that had one lately."""

        def find(
            event: str | UnsetType, repository: str | UnsetType, namespace: str | UnsetType
        ) -> _Ground:
            kind = self._kind(event)
            place = _place(repository, namespace, kind)
            base = base_of(Subject(*place), self.links)
            return _Ground(
                self._kinds[kind.name],
                *place,
                base={key: value for key, value in base.items() if key != "homepage"},
            )

        return lru_cache(maxsize=1024)(find)

    def read(self, body: bytes) -> Report | Sequence[Report | ReportError]:
        """The report of a single event, or one for each event of a batch, or what is wrong with it.

        Raise ReportError for a body that is neither, and for a single event that is not right.
        """
        told = _decoded(_SINGLE, body)
        if told.events is UNSET:
            return self._report(told)
        if any(getattr(told, name) not in {UNSET, None} for name in FIELDS):
            raise ReportError("events", "stands alone: put the other fields into its events")
        if not 1 <= len(told.events) <= MOST_AT_ONCE:
            raise ReportError(
                "events",
                f"must hold 1 to {MOST_AT_ONCE} events, and holds {len(told.events)}",
            )
        return [self._try(raw) for raw in told.events]

    def _try(self, raw: Raw) -> Report | ReportError:
        try:
            return self._report(_decoded(_ITEM, raw))
        except ReportError as error:
            return error

    def _report(self, told: _Event) -> Report:
        ground = self._ground(told.event, told.repository, told.namespace)
        if told.id is not None:
            _check_id(told.id)
        if told.occurred_at is not None:
            self._check_time(told.occurred_at)
        details = _object("data", told.data, MOST_DATA)
        homepage = _take_base(details, ground.base)
        ground.kind.check(details)
        facts = {} if told.facts is UNSET else _facts_of(told.facts)
        build_id = details.get("build_id")
        return Report(
            kind=ground.kind.name,
            namespace=ground.namespace,
            repository=ground.repository,
            details=_encoded("data", details, MOST_DATA),
            homepage=homepage,
            build_id=build_id if isinstance(build_id, str) else None,
            facts=facts,
            performer=None if told.actor is UNSET else _performer(told.actor),
            is_by_caller=told.actor is UNSET,
            occurred_at=told.occurred_at,
            producer_id=told.id,
        )

    def _kind(self, name: str | UnsetType) -> EventKind:
        if name is UNSET:
            raise ReportError("event", f"is missing: one of {', '.join(self.kinds)}")
        kind = self.kinds.get(name)
        if kind is None:
            raise ReportError(
                "event",
                f"{_shown(name)} is not a kind of event{_guess(name, self.kinds)}. "
                f"Must be one of {', '.join(self.kinds)}",
            )
        return kind

    def _check_time(self, moment: datetime) -> None:
        if not _EARLIEST <= moment <= self.clock() + _AHEAD:
            raise ReportError(
                "occurred_at", "must lie between the year 2000 and a day from now"
            )


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of events, as they are reported. Its sample is the pattern: fields that it has must be of the same type."""

    name: str
    needs: tuple[str, ...]
    sample: Mapping[str, object]

    def check(self, details: Mapping[str, object]) -> None:
        needs, sample = self.needs, self.sample
        for key in needs:
            if key not in details:
                raise ReportError(
                    f"data.{key}", f"is missing: {self.name} needs {_said(sample.get(key))}"
                )
        for key, value in details.items():
            pattern = sample.get(key)
            if pattern is None or (value is None and key not in needs):
                continue
            if not _fits(value, pattern) or (key in needs and value in ("", [])):
                raise ReportError(f"data.{key}", f"must be {_said(pattern)}")


@dataclass(frozen=True, slots=True)
class _Ground:
    """What events of one kind at one place share."""

    kind: _Kind
    namespace: str
    repository: str | None
    base: Mapping[str, object]  # the fields that are ours, but for the home page


def _take_base(details: dict[str, Any], base: Mapping[str, object]) -> str | None:
    """Take the fields that are ours out of the details; return the home page, if it is not ours.

    Whole payloads of Quay can so be passed on; and nobody can make one that names another repository.
    """
    if not base.keys().isdisjoint(details):
        for key in [one for one in details if one in base]:
            if details.pop(key) != base[key]:
                raise ReportError(f"data.{key}", f"must be left out, or be {_shown(base[key])}")
    homepage = details.pop("homepage", None)
    if homepage is None:
        return None
    if not isinstance(homepage, str) or not _is_url(homepage):
        raise ReportError(
            "data.homepage",
            f"must be an http or https address of at most {_LONGEST_URL} characters",
        )
    return homepage


def _facts_of(raw: Raw) -> dict[str, Any]:
    facts = _object("facts", raw, MOST_FACTS)
    if "sample" in facts:
        raise ReportError("facts.sample", "is dockbell's own: it marks tests. Leave it out")
    return facts


def _parts_of(path: str) -> tuple[str, str] | None:
    """Namespace and name of a repository; None if the path is none."""
    namespace, _, name = path.partition("/")
    return (namespace, name) if is_namespace(namespace) and is_repository(name) else None


def _decoded(decoder: msgspec.json.Decoder[Any], raw: bytes | Raw) -> Any:
    """The struct, or ReportError with the field in the sender's own words."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _worded(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _NO_JSON from error


def _worded(text: str) -> ReportError:
    place = _PLACE.search(text)
    field = (place[1] if place else "") or "body"
    about = _PLACE.sub("", text)
    if (absent := _ABSENT.search(about)) is not None:
        inside = "" if field == "body" else f"{field}."
        return ReportError(f"{inside}{absent[1]}", "is missing")
    if (unknown := _UNKNOWN.search(about)) is not None:
        inside = "" if field == "body" else f"{field}."
        known = ("name", "kind") if inside else FIELDS
        name = unknown[1]
        return ReportError(
            f"{inside}{_short(name)}",
            f"is not known here{_guess(name, known)}. The fields are {', '.join(known)}; "
            "an event's own fields stand in data",
        )
    return ReportError(field, f"is not right: {about[:1].lower()}{about[1:]}")


def _place(
    path: str | UnsetType, namespace: str | UnsetType, kind: EventKind
) -> tuple[str, str | None]:
    if kind.scope is EventScope.NAMESPACE:
        if namespace is UNSET or path is not UNSET:
            raise ReportError(
                "namespace",
                f"must be given, and repository not: {kind.name} is about a namespace",
            )
        if not is_namespace(namespace):
            raise ReportError("namespace", f"{_shown(namespace)} is not the name of one")
        return namespace, None
    if path is UNSET or namespace is not UNSET:
        raise ReportError(
            "repository",
            f"must be given as `namespace/name`, and namespace not: {kind.name} is about a repository",
        )
    parts = _parts_of(path) if len(path) <= _LONGEST_PATH else None
    if parts is None:
        raise ReportError(
            "repository",
            f"{_shown(path)} is not the name of one: `namespace/name`, "
            "in small letters, digits, `.`, `_` and `-`",
        )
    return parts


def _check_id(producer_id: str) -> None:
    if not _is_plain(producer_id, LONGEST_ID):
        raise ReportError(
            "id", f"must have 1 to {LONGEST_ID} characters and no control characters"
        )


def _performer(actor: str | _Actor | None) -> Performer | None:
    if actor is None:
        return None
    name, kind = (actor, "user") if isinstance(actor, str) else (actor.name, actor.kind)
    if not _is_plain(name, LONGEST_NAME):
        raise ReportError(
            "actor", f"must have 1 to {LONGEST_NAME} characters and no control characters"
        )
    return Performer(name, kind)


def _object(name: str, raw: Raw | UnsetType, most: int) -> dict[str, Any]:
    if raw is UNSET:
        return {}
    given = bytes(raw)
    if len(given) > most:
        raise _too_large(name, most)
    try:
        value = _ANY.decode(given)
    except msgspec.ValidationError as error:
        raise ReportError(name, f"is not right: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _NO_JSON from error
    except RecursionError:
        raise _too_deep(name) from None
    if not isinstance(value, dict):
        raise ReportError(name, "must be an object")
    # Mostly there are too few brackets to look at all.
    if given.count(b"{") + given.count(b"[") > MOST_LEVELS and is_deeper(value, MOST_LEVELS):
        raise _too_deep(name)
    if name == "facts":
        _encoded(name, value, most)
    return value


def _encoded(name: str, value: Mapping[str, object], most: int) -> bytes:
    try:
        encoded = _dumps(value).encode()
    except ValueError:  # Python shows no number of more than some thousand digits
        raise ReportError(name, "holds a number with too many digits") from None
    if len(encoded) > most:
        raise _too_large(name, most)
    return encoded


def _encoder() -> Callable[[Mapping[str, object]], str]:
    """`json.dumps`, without what it does beside for each document: that takes as long as a small one itself."""
    encoder = json.JSONEncoder()
    make: Any = getattr(json.encoder, "c_make_encoder", None)  # None without its part in C
    if make is None:
        return encoder.encode
    keep_order, keep_keys, allow_nan = False, False, True
    # The first is for marks against circles: what was decoded has none.
    pieces = make(
        None, encoder.default, json.encoder.encode_basestring_ascii, None, ": ", ", ",
        keep_order, keep_keys, allow_nan,
    )  # fmt: skip
    return lambda value: "".join(pieces(value, 0))


_dumps = _encoder()


def _too_large(name: str, most: int) -> ReportError:
    return ReportError(name, f"must not be larger than {most} bytes of ASCII JSON")


def _too_deep(name: str) -> ReportError:
    return ReportError(name, f"must not be nested deeper than {MOST_LEVELS} levels")


def _fits(value: object, pattern: object) -> bool:
    match pattern:
        case list():  # first, because most events have one
            return isinstance(value, list) and set(map(type, value)) <= {str}
        case bool():
            return isinstance(value, bool)
        case int() | float():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case dict():
            return isinstance(value, dict)
        case _:
            return isinstance(value, str)


def _said(pattern: object) -> str:
    match pattern:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case list():
            return "a list of strings"
        case dict():
            return "an object"
        case _:
            return "a string"


def _is_plain(text: str, longest: int) -> bool:
    return len(text) <= longest and _PLAIN.fullmatch(text) is not None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and _is_plain(text, _LONGEST_URL)
    )


def _guess(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name[:_LONGEST_SHOWN], list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _shown(value: object) -> str:
    return f"`{_short(str(value))}`"

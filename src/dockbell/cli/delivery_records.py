"""What `deliveries` reads and does, as the operator of the server."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

import msgspec

from dockbell import events
from dockbell.api.v2.deliveries import held_for, in_full, shown
from dockbell.cli.direct import opened
from dockbell.cli.failures import say
from dockbell.domain import words
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.advice import advice_of
from dockbell.domain.errors import (
    ConfigError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.live import Position
from dockbell.domain.plain_text import plain
from dockbell.domain.records import AttemptRecord, DeliveryFilter, DeliveryRecord
from dockbell.services import areas, deliveries, live
from dockbell.services.deliveries import DeliveryWithAttempts
from dockbell.services.live import Found, Watch
from dockbell.settings import Settings
from dockbell.store.transactions import Store

_ATTEMPTS_SHOWN = 50
_LOOK_SECONDS = 0.5
_AWAY_SECONDS = 2.0
_AT_ONCE = 200
_HELD = {
    "retry_after": "its target asked for time",
    "rate_limit": "its rate limit is used up",
    "order": "the first of its notification is tried again then",
    "host": "its host does not answer or is busy",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Whose deliveries are meant, unless a notification or an event says it."""

    repository: str | None
    namespace: str | None
    is_instance: bool


async def list_page(
    settings: Settings, place: Place, wanted: DeliveryFilter, *, before: str, limit: int
) -> tuple[Sequence[DeliveryRecord], str | None]:
    async with opened(settings) as store, store.read() as tx:
        try:
            viewer = await areas.viewer_of(
                tx,
                SYSTEM,
                repository=place.repository,
                namespace=place.namespace,
                is_instance=place.is_instance,
                notification_id=wanted.notification_id,
                event_id=wanted.event_id,
            )
        except (ForbiddenError, NotFoundError) as error:
            # An operator may see everything, so it can only be that it is not there.
            name = place.repository or place.namespace
            if name is None:
                raise
            kind = "repository" if place.repository else "user or organization"
            raise NotFoundError(f"There is no {kind} {name}.") from error
        return await deliveries.list_page(tx, viewer, wanted, before=before, limit=limit)


async def load(settings: Settings, delivery_id: str) -> DeliveryWithAttempts:
    async with opened(settings) as store, store.read() as tx:
        with _naming(delivery_id):
            return await deliveries.load(tx, SYSTEM, delivery_id, attempts=_ATTEMPTS_SHOWN)


async def redeliver(settings: Settings, delivery_id: str) -> None:
    async with opened(settings) as store, store.begin() as tx:
        with _naming(delivery_id):
            await deliveries.redeliver(tx, SYSTEM, delivery_id)


@contextlib.contextmanager
def _naming(delivery_id: str) -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise NotFoundError(
            f"No delivery {delivery_id} is known, or it may not be seen."
        ) from error


def check_words(wanted: DeliveryFilter) -> None:
    """Raise ConfigError if no delivery can fit: it is of no event, or its try ended with no code, that there is."""
    words.check_event(wanted.kind, events.catalog())
    words.check_codes(wanted.codes)


Take = Callable[[DeliveryRecord, str], None]


@dataclass(slots=True)
class Tail:
    """Gives out each change of a place's deliveries once it is committed, with the position to go on from after it."""

    settings: Settings
    repository: str | None
    namespace: str | None
    wanted: DeliveryFilter
    take: Take
    position: Position | None = field(default=None, init=False)

    async def run(self, after: str | None, *, once: bool) -> None:
        """Go on until cancelled, or with `once` until all that there is was given out."""
        start = None if after is None else _position_of(after)
        async with opened(self.settings) as store:
            async with store.read() as tx:
                right = await live.right_of(
                    tx, SYSTEM, repository=self.repository, namespace=self.namespace
                )
                await live.check_size(tx, right)
            watch = Watch(right)
            if start is None:
                async with store.read() as tx:
                    self.position = await watch.begin(tx)
            else:
                self.position = start
            if not once:
                place = self.repository or self.namespace
                say(f"Watching {place} from {self.position.at.isoformat(timespec='seconds')} …")
            if start is not None:
                await self._catch_up(store, watch, start)
            while not once:
                await asyncio.sleep(_LOOK_SECONDS)
                try:
                    async with store.read() as tx:
                        found = await watch.look(tx)
                    await self._give_out(store, watch, found)
                except UnavailableError as error:
                    say(f"dockbell: {error.detail} Waiting.")
                    watch = await self._return(store, watch, self.position)

    async def _return(self, store: Store, watch: Watch, position: Position) -> Watch:
        """A watch that goes on from the position, once the database is back."""
        while True:
            await asyncio.sleep(_AWAY_SECONDS)
            fresh = Watch(watch.right)
            try:
                await self._catch_up(store, fresh, position)
            except UnavailableError:
                continue
            return fresh

    async def _catch_up(self, store: Store, watch: Watch, position: Position) -> None:
        async with store.read() as tx:
            found = await watch.catch_up(tx, position)
        if found is None:
            raise InvalidRequestError(
                f"More than {live.MOST_BACK} things happened since then. "
                "Begin without --after, and list what was before."
            )
        await self._give_out(store, watch, found)

    async def _give_out(self, store: Store, watch: Watch, found: Found) -> None:
        records: list[DeliveryRecord] = []
        for first in range(0, len(found.delivery_ids), _AT_ONCE):
            async with store.read() as tx:
                _, part = await live.load(
                    tx, watch.right, (), found.delivery_ids[first : first + _AT_ONCE]
                )
            records += [one for one in part if _fits(one, self.wanted)]
        # Only the last one moves the position: who goes on from an earlier one sees the others again.
        for one in records[:-1]:
            self.take(one, str(self.position))
        for one in records[-1:]:
            self.take(one, str(found.position))
        self.position = found.position


def _position_of(text: str) -> Position:
    try:
        return Position.of(text)
    except ConfigError:
        raise InvalidRequestError(
            "--after must be what a tail said at its end, such as 1773489600000.01kkp3fdg0000000000000000e"
        ) from None


def _fits(one: DeliveryRecord, wanted: DeliveryFilter) -> bool:
    return (
        (not wanted.states or one.state in wanted.states)
        and wanted.kind in {None, one.kind}
        and wanted.notification_id in {None, one.notification_id}
        and (not wanted.codes or one.code in wanted.codes)
        and wanted.trigger in {None, one.trigger}
    )


def document_of(one: DeliveryRecord) -> Mapping[str, Any]:
    """The delivery as API v2 shows it."""
    document: Mapping[str, Any] = msgspec.to_builtins(shown(one))
    return document


def document_in_full(found: DeliveryWithAttempts) -> Mapping[str, Any]:
    document: Mapping[str, Any] = msgspec.to_builtins(in_full(found))
    return document


# Columns of a list that a narrow terminal may have no room for, the most important first.
SPARE = ("last", "made_utc", "about", "next_utc", "tries", "to")
SPARE_OF_ATTEMPTS = ("status", "ms", "address")


def row_of(one: DeliveryRecord, now: datetime) -> Mapping[str, object]:
    """A row of a list, with times as short as they can be understood now."""
    next_at, why = one.next_attempt_at, held_for(one.held_by)
    next_words = [] if next_at is None else [short(next_at, now), f"({why})" if why else ""]
    return {
        "id": one.id,
        "state": _state_of(one),
        "event": one.kind or "(expunged)",
        "about": _about(one),
        "to": _target_of(one),
        "tries": one.attempts,
        "last": one.code or "",
        "next_utc": " ".join(next_words).strip(),
        "made_utc": short(one.created_at, now),
    }


def short(moment: datetime, now: datetime) -> str:
    """The time of a moment of today, else its date with the minute, or of another year with no time."""
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%m-%d %H:%M}" if moment.year == now.year else f"{moment:%Y-%m-%d}"


def line_of(one: DeliveryRecord) -> Mapping[str, object]:
    """The delivery, each thing with its name."""
    return {
        "id": one.id,
        "state": _state_of(one),
        "event": one.kind or "(expunged)",
        "about": _about(one),
        "to": _target_of(one),
        "tries": one.attempts,
        "last": one.code or "",
        "next": _next_of(one),
        "made": one.created_at.isoformat(timespec="seconds"),
    }


def line_of_attempt(one: AttemptRecord) -> Mapping[str, object]:
    return {
        "try": one.number,
        "at": one.started_at.isoformat(timespec="seconds"),
        "code": one.code,
        "status": one.status or "",
        "ms": round(one.duration.total_seconds() * 1000),
        "address": one.address or "",
        "detail": one.detail,
        "advice": "" if one.outcome == "delivered" else advice_of(one.code) or "",
    }


def sentence_of(one: DeliveryRecord) -> str:
    """A line of the tail: what is so now. What others wrote cannot break it."""
    moment = one.finished_at or one.created_at
    parts = [
        moment.isoformat(timespec="seconds"),
        f"{_state_of(one):9}",
        one.kind or "(expunged)",
        _about(one),
        f"to {_target_of(one)}",
        one.code or "",
        f"next {_next_of(one)}" if _next_of(one) else "",
        one.id,
    ]
    return plain("  ".join(part for part in parts if part))


def _state_of(one: DeliveryRecord) -> str:
    return "parked" if one.is_parked else one.state.value


def _about(one: DeliveryRecord) -> str:
    return "/".join(part for part in (one.namespace, one.repository) if part)


def _target_of(one: DeliveryRecord) -> str:
    if one.method is None:
        return "(deleted)"
    return one.method if one.title is None else f"{one.method} {one.title!r}"


def _next_of(one: DeliveryRecord) -> str:
    if one.next_attempt_at is None:
        return ""
    at = one.next_attempt_at.isoformat(timespec="seconds")
    why = held_for(one.held_by)
    return at if why is None else f"{at} ({_HELD[why]})"

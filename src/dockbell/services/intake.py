"""Taking in events: kept, and one delivery for each notification that wants them, in one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import partial

from dockbell.domain.deliveries import Trigger
from dockbell.domain.events import Event, EventKind, Performer, Subject, body_of
from dockbell.domain.filters import refusal_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.notifications import Notification
from dockbell.observability.metrics import Metrics
from dockbell.store import events, fan_out, notifications
from dockbell.store.events import Earlier, Placed
from dockbell.store.fan_out import Wanted
from dockbell.store.notifications import Candidate
from dockbell.store.transactions import Tx

_MOST_DELIVERIES = 20_000  # of all events in one transaction


@dataclass(slots=True)  # not frozen: that would make it three times as dear, and many are made
class Draft:
    """Something that happened, as its source tells it. `details` are the event's own fields in Quay's body."""

    kind: str
    subject: Subject
    namespace_id: str
    repository_id: str | None
    details: Mapping[str, object]
    facts: Mapping[str, object]
    performer: Performer | None
    occurred_at: datetime
    producer_key: str | None = None
    build_id: str | None = None
    source: str = "registry"  # what told us, in one of a few words
    body: bytes | None = None  # the whole body, made already; `details` are not looked at then


@dataclass(slots=True)  # as above
class Kept:
    """What became of one draft among many."""

    event_id: str  # of the first event with its producer key, if there was one
    deliveries: int
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Where every event comes in, whoever tells of it."""

    kinds: Mapping[str, EventKind]
    links: Links
    metrics: Metrics = field(default_factory=Metrics)

    async def record(self, tx: Tx, draft: Draft) -> str:
        """Keep the event and what is to be delivered because of it; return the event's id.

        Everything is written in the caller's transaction, so that the fact and its news are committed
        together or not at all. A second event with the same producer key is a repeat: it gets the id of the
        first and changes nothing.
        """
        (kept,) = await self.record_many(tx, [draft])
        return kept.event_id

    async def record_many(self, tx: Tx, drafts: Sequence[Draft]) -> Sequence[Kept]:
        """As `record` for each of them, in few statements. Return what became of the first ones, at least of one.

        When they have very many deliveries together, the rest is left for another transaction: it stays short,
        and so does the wait of everybody else who writes. What a single event has beyond the first part is noted and
        made by the engine. `Kept.deliveries` counts all of it.
        """
        places = [(one.namespace_id, one.repository_id, one.kind) for one in drafts]
        candidates = await notifications.find_candidates_many(tx, set(places))
        placed: list[Placed] = []
        wanted: list[list[Wanted]] = []
        count = 0
        new_ids = tx.new_ids("evt", len(drafts))
        for draft, place, new_id in zip(drafts, places, new_ids, strict=True):
            event = self._event_of(new_id, draft)
            kind = self.kinds[draft.kind]
            its = [
                (new_id, one.place_id, one.id, one.is_paused)
                for one in candidates[place]
                if refusal_of(event, kind, one.event_config, one.filter) is None
            ]
            count += len(its)
            if placed and count > _MOST_DELIVERIES:
                break
            placed.append(Placed(event, draft.namespace_id, draft.repository_id))
            wanted.append(its)
        earlier = await events.record_many(tx, placed)
        made: list[Wanted] = []
        later: list[Sequence[Wanted]] = []
        for one, its in zip(placed, wanted, strict=True):
            if one.event.id in earlier:
                continue
            if len(its) <= fan_out.PART:
                made += its
            else:
                first, rest = await fan_out.part(tx, its)
                made += first
                later.append(rest)
        if made:
            await fan_out.record(tx, made)
            tx.ring()
        for rest in later:
            await fan_out.put_off(tx, rest)
        self._count(tx, placed, drafts, earlier)
        return [
            Kept(found.id, 0, found)
            if (found := earlier.get(one.event.id)) is not None
            else Kept(one.event.id, len(its))
            for one, its in zip(placed, wanted, strict=True)
        ]

    def _count(
        self,
        tx: Tx,
        placed: Sequence[Placed],
        drafts: Sequence[Draft],
        earlier: Mapping[str, Earlier],
    ) -> None:
        counts = Counter(
            [
                (draft.source, None if one.event.id in earlier else draft.kind)
                for one, draft in zip(placed, drafts, strict=False)
            ]
        )
        for (source, kind), count in counts.items():
            if kind is None:
                tx.after.append(partial(self.metrics.note_repeat, source, count))
            else:
                tx.after.append(partial(self.metrics.note_event, source, kind, count))

    def _event_of(self, new_id: str, draft: Draft) -> Event:
        body = draft.body
        if body is None:
            body = body_of(draft.subject, draft.details, self.links, build_id=draft.build_id)
        return Event(
            id=new_id,
            kind=draft.kind,
            subject=draft.subject,
            body=body,
            occurred_at=draft.occurred_at,
            performer=draft.performer,
            facts=draft.facts,
            producer_key=draft.producer_key,
        )

    async def wanted(
        self, tx: Tx, namespace_id: str, repository_id: str | None, kinds: Collection[str]
    ) -> frozenset[str]:
        """Those of the kinds that a notification at this place is for, whatever its filter. One query."""
        candidates = await notifications.find_candidates_many(
            tx, {(namespace_id, repository_id, kind) for kind in kinds}
        )
        return frozenset(kind for (_, _, kind), found in candidates.items() if found)

    async def record_for(self, tx: Tx, draft: Draft, candidate: Candidate) -> str | None:
        """Keep an event that is news to one notification alone; None, and nothing kept, if its filter refuses it.

        A second one with the same producer key changes nothing.
        """
        event = self._event_of(tx.new_id("evt"), draft)
        kind = self.kinds[draft.kind]
        if refusal_of(event, kind, candidate.event_config, candidate.filter) is not None:
            return None
        placed = Placed(event, draft.namespace_id, draft.repository_id)
        earlier = await events.record_many(tx, [placed])
        if event.id not in earlier:
            await fan_out.record(
                tx, [(event.id, candidate.place_id, candidate.id, candidate.is_paused)]
            )
            tx.ring()
        self._count(tx, [placed], [draft], earlier)
        return event.id

    async def test(
        self,
        tx: Tx,
        notification: Notification,
        subject: Subject,
        performer: Performer | None,
        *,
        kind: str | None = None,
    ) -> str:
        """Queue the sample of its first kind, or of this one, for the notification alone, in front of all else.

        Return the delivery's id.
        """
        kind = notification.kind if kind is None else kind
        details = self.kinds[kind].sample(subject, notification.event_config)
        build_id = details.get("build_id")
        event = Event(
            id=tx.new_id("evt"),
            kind=kind,
            subject=subject,
            body=body_of(
                subject,
                details,
                self.links,
                build_id=None if build_id is None else str(build_id),
            ),
            occurred_at=tx.now,
            performer=performer,
            facts={"sample": True},
        )
        tx.after.append(partial(self.metrics.note_event, "test", kind))
        await events.record_many(
            tx, [Placed(event, notification.namespace_id, notification.repository_id)]
        )
        is_paused = notification.paused_at is not None
        wanted = (event.id, notification.place_id, notification.id, is_paused)
        (delivery_id,) = await fan_out.record(tx, [wanted], Trigger.TEST)
        tx.ring()
        return delivery_id

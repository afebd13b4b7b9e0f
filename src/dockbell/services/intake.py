"""Taking in events: kept, and one delivery for each notification that wants them, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from dockbell.domain.deliveries import Trigger
from dockbell.domain.events import Event, EventKind, Performer, Subject, body_of
from dockbell.domain.links import Links
from dockbell.domain.notifications import Notification
from dockbell.observability.metrics import Metrics
from dockbell.store import deliveries, events, notifications
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
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
        kind = self.kinds[draft.kind]
        event = Event(
            id=tx.new_id("evt"),
            kind=draft.kind,
            subject=draft.subject,
            body=body_of(draft.subject, draft.details, self.links, build_id=draft.build_id),
            occurred_at=draft.occurred_at,
            performer=draft.performer,
            facts=draft.facts,
            producer_key=draft.producer_key,
        )
        earlier = await events.record(
            tx, event, namespace_id=draft.namespace_id, repository_id=draft.repository_id
        )
        if earlier is not None:
            tx.after.append(partial(self.metrics.note_repeat, draft.source))
            return earlier
        tx.after.append(partial(self.metrics.note_event, draft.source, draft.kind))
        candidates = await notifications.find_candidates(
            tx, draft.namespace_id, draft.repository_id, draft.kind
        )
        wanted = [
            (candidate.id, candidate.is_paused)
            for candidate in candidates
            if kind.accepts(event, candidate.event_config)
        ]
        if wanted:
            await deliveries.record(tx, event.id, wanted, Trigger.EVENT)
            tx.ring()
        return event.id

    async def test(
        self, tx: Tx, notification: Notification, subject: Subject, performer: Performer | None
    ) -> str:
        """Queue the sample of the notification's event for it alone, in front of all else; return the delivery's id."""
        details = self.kinds[notification.kind].sample(subject, notification.event_config)
        build_id = details.get("build_id")
        event = Event(
            id=tx.new_id("evt"),
            kind=notification.kind,
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
        tx.after.append(partial(self.metrics.note_event, "test", notification.kind))
        await events.record(
            tx,
            event,
            namespace_id=notification.namespace_id,
            repository_id=notification.repository_id,
        )
        (delivery_id,) = await deliveries.record(
            tx, event.id, [(notification.id, notification.paused_at is not None)], Trigger.TEST
        )
        tx.ring()
        return delivery_id

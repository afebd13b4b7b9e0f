"""Previews: which of the last events a notification would get, and what it would send. Nothing leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dockbell.domain.deliveries import Trigger
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.events import Event, EventKind, Level, Subject, body_of
from dockbell.domain.letters import Letter
from dockbell.domain.links import Links
from dockbell.domain.methods import (
    Headers,
    MailPhase,
    MailReply,
    Message,
    Method,
    Recipient,
    Reply,
)
from dockbell.domain.outcomes import Delivered, Exchange
from dockbell.domain.permissions import AdminOf
from dockbell.services.notifications import NewNotification, check_sizes
from dockbell.store import event_lists
from dockbell.store.transactions import Tx

_ID = "preview"
_MAIL_TAKEN = 250


@dataclass(frozen=True, slots=True)
class Rendered:
    """What would be sent. Without `body`, the method sends no request of its own; `problem` says why not."""

    event: Event
    is_sample: bool
    level: Level
    summary: str
    html: str
    headers: Headers
    body: bytes | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """The last events of the notification's kind, each with whether it would match; and one, rendered."""

    events: Sequence[tuple[Event, bool]]
    rendered: Rendered


@dataclass(slots=True)
class _Recorder:
    """An `Outbound` that sends nothing and keeps what it was given."""

    headers: Headers = ()
    body: bytes | None = None

    async def post(self, url: str, body: bytes, headers: Headers = ()) -> Reply:
        del url
        self.headers, self.body = headers, body
        return Reply(Exchange(status=200))

    async def unsubscribe_link(self, message: Message, address: str) -> str | None:
        """As if the owner had agreed; it leads nowhere."""
        del address
        return message.links.unsubscribe(_ID, _ID)

    async def mail(self, letter: Letter) -> MailReply:
        self.headers = (("To", letter.to), ("Subject", letter.subject))
        self.body = letter.text.encode()
        return MailReply(MailPhase.BODY, Exchange(status=_MAIL_TAKEN))

    async def notice(self, message: Message, recipient: Recipient) -> int:
        del message, recipient
        return 1


@dataclass(frozen=True, slots=True)
class Previews:
    """Makes previews with the kinds and methods that are installed."""

    kinds: Mapping[str, EventKind]
    methods: Mapping[str, Method]
    links: Links

    async def make(self, tx: Tx, admin: AdminOf, new: NewNotification, last: int) -> Preview:
        """Hold the notification against the repository's last events of its kind, and render the newest that fits.

        If none does, the kind's sample is rendered. Nothing is sent and nothing is kept.
        """
        check_sizes(new)
        kind, method = self.kinds.get(new.kind), self.methods.get(new.method)
        if kind is None:
            raise InvalidRequestError(f"Invalid event '{new.kind[:64]}'")
        if method is None:
            raise InvalidRequestError(f"Unknown notification method '{new.method[:64]}'")
        kind.check(new.event_config)
        found = await event_lists.list_page(
            tx, admin.repository.id, kind=new.kind, before="", limit=last
        )
        events = [
            (one.event, kind.accepts(one.event, new.event_config))
            for one in found
            if not one.is_sample
        ]
        event = next((one for one, matches in events if matches), None)
        is_sample = event is None
        if event is None:
            event = self._sample(tx, admin, kind, new)
        return Preview(
            events, await self._render(tx, kind, method, new, event, is_sample=is_sample)
        )

    def _sample(self, tx: Tx, admin: AdminOf, kind: EventKind, new: NewNotification) -> Event:
        subject = Subject(admin.repository.namespace, admin.repository.name)
        details = kind.sample(subject, new.event_config)
        return Event(
            id=_ID,
            kind=kind.name,
            subject=subject,
            body=body_of(subject, details, self.links),
            occurred_at=tx.now,
        )

    async def _render(  # noqa: PLR0913 -- what a message is made of
        self,
        tx: Tx,
        kind: EventKind,
        method: Method,
        new: NewNotification,
        event: Event,
        *,
        is_sample: bool,
    ) -> Rendered:
        message = Message(
            event=event,
            kind=kind,
            links=self.links,
            delivery_id=_ID,
            notification_id=_ID,
            attempt=1,
            trigger=Trigger.TEST if is_sample else Trigger.EVENT,
            now=tx.now,
        )
        recorder = _Recorder()
        outcome = await method.send(message, new.config, recorder)
        return Rendered(
            event=event,
            is_sample=is_sample,
            level=message.level,
            summary=message.summary,
            html=message.html,
            headers=recorder.headers,
            body=recorder.body,
            problem=None if isinstance(outcome, Delivered) else outcome.detail,
        )

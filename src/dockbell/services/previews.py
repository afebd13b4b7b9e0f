"""Previews: which of the last events a notification would get, and what it would send. Nothing leaves."""

from collections.abc import Mapping, Sequence

from dockbell.domain.deliveries import Trigger
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.events import Event, EventKind, Level, body_of
from dockbell.domain.filters import NO_FILTER, compile_filter, refusal_of
from dockbell.domain.late_dataclasses import dataclass
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
from dockbell.domain.permissions import AdminOfAll, AdminOfPlace
from dockbell.services.notifications import NewNotification, check_sizes, sample_subject
from dockbell.store import event_lists, mail_addresses
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
    """The last events of the notification's kinds, each with the filter that refuses it or None; and one, rendered."""

    events: Sequence[tuple[Event, str | None]]
    rendered: Rendered


@dataclass(slots=True)
class _Recorder:
    """An `Outbound` that sends nothing and keeps what it was given."""

    headers: Headers = ()
    body: bytes | None = None
    owners: Sequence[str] | None = None

    async def post(self, url: str, body: bytes, headers: Headers = ()) -> Reply:
        del url
        self.headers, self.body = headers, body
        return Reply(Exchange(status=200))

    async def unsubscribe_link(self, message: Message, address: str) -> str | None:
        """As if the owner had agreed; it leads nowhere."""
        del address
        return message.links.unsubscribe(_ID, _ID)

    async def owner_addresses(self, message: Message) -> Sequence[str] | None:
        del message
        return self.owners

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

    async def make(
        self, tx: Tx, admin: AdminOfPlace, new: NewNotification, last: int
    ) -> Preview:
        """Hold the notification against the place's last events of its kinds, and render the newest that fits.

        If none does, the sample of its first kind is rendered. Nothing is sent and nothing is kept.
        """
        check_sizes(new)
        method = self.methods.get(new.method)
        for name in new.kinds:
            if name not in self.kinds:
                raise InvalidRequestError(f"Invalid event '{name[:64]}'")
            self.kinds[name].check(new.event_config)
        if method is None:
            raise InvalidRequestError(f"Unknown notification method '{new.method[:64]}'")
        wanted = NO_FILTER if new.filters is None else compile_filter(new.filters)
        found = await event_lists.list_page(tx, admin, kinds=new.kinds, before="", limit=last)
        events = [
            (
                one.event,
                refusal_of(one.event, self.kinds[one.event.kind], new.event_config, wanted),
            )
            for one in found
            if not one.is_sample
        ]
        event = next((one for one, refused_by in events if refused_by is None), None)
        is_sample = event is None
        if event is None:
            event = self._sample(tx, admin, self.kinds[new.kind], new)
        recorder = _Recorder()
        if isinstance(admin, AdminOfAll):
            recorder.owners = await mail_addresses.list_of_namespace(tx, admin.namespace.id)
        rendered = await self._render(tx, method, new, event, recorder, is_sample=is_sample)
        return Preview(events, rendered)

    def _sample(
        self, tx: Tx, admin: AdminOfPlace, kind: EventKind, new: NewNotification
    ) -> Event:
        subject = sample_subject(admin, kind)
        details = kind.sample(subject, new.event_config)
        return Event(
            id=_ID,
            kind=kind.name,
            subject=subject,
            body=body_of(subject, details, self.links),
            occurred_at=tx.now,
        )

    async def _render(  # noqa: PLR0913 -- one argument for each part of what is shown
        self,
        tx: Tx,
        method: Method,
        new: NewNotification,
        event: Event,
        recorder: _Recorder,
        *,
        is_sample: bool,
    ) -> Rendered:
        message = Message(
            event=event,
            kind=self.kinds[event.kind],
            links=self.links,
            delivery_id=_ID,
            notification_id=_ID,
            attempt=1,
            trigger=Trigger.TEST if is_sample else Trigger.EVENT,
            now=tx.now,
            form=new.payload_form,
        )
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

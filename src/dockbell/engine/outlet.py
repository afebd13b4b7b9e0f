"""The ways out of a try: HTTP and mail through `net`, and our own users' in-app inboxes."""

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.letters import Letter
from dockbell.domain.methods import (
    Headers,
    MailReply,
    Message,
    Recipient,
    Reply,
    UnreachableError,
)
from dockbell.domain.outcomes import Code, Fault
from dockbell.domain.posts import Done, HeaderForm, OnItsWay, Post
from dockbell.domain.tls import Tls
from dockbell.store import authorized_emails, mail_addresses, notices
from dockbell.store.transactions import Store


class Way(Protocol):
    """What many requests have in common, as `net` makes it."""

    def begin(self, values: tuple[str, ...], body: bytes, done: Done) -> OnItsWay: ...


class Sender(Protocol):
    """The guarded way out for HTTP, as `net` makes it."""

    async def post(
        self, url: str, body: bytes, headers: Headers = (), *, tls: Tls | None = None
    ) -> Reply: ...

    def begin(self, post: Post, done: Done, tls: Tls | None = None) -> OnItsWay: ...

    def way(self, url: str, form: HeaderForm, tls: Tls | None = None) -> Way: ...


class Mail(Protocol):
    """The guarded way out for mail, as `net` makes it."""

    async def send(self, letter: Letter) -> MailReply: ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """An `Outbound` made of the guarded senders and the store."""

    store: Store
    sender: Sender
    mailer: Mail | None = None  # None while no mail server is set
    tls: Tls | None = None

    def secured_by(self, tls: Tls) -> "Outlet":
        """The same ways out, with a notification's own authorities and certificate."""
        return replace(self, tls=tls)

    def post(self, url: str, body: bytes, headers: Headers = ()) -> Coroutine[Any, Any, Reply]:
        return self.sender.post(url, body, headers, tls=self.tls)

    async def unsubscribe_link(self, message: Message, address: str) -> str | None:
        """Asked at every try, since an address can be taken back at any time."""
        async with self.store.read() as tx:
            consent = await authorized_emails.find_consent(tx, message.notification_id, address)
        return None if consent is None else message.links.unsubscribe(consent.id, consent.code)

    async def owner_addresses(self, message: Message) -> Sequence[str] | None:
        """Asked at every try too: people come and go."""
        async with self.store.read() as tx:
            return await mail_addresses.find_of_owner(tx, message.notification_id)

    async def mail(self, letter: Letter) -> MailReply:
        if self.mailer is None:
            raise UnreachableError(
                Code.MAIL_NOT_SET,
                "This server has no mail server to send with.",
                fault=Fault.OURS,
            )
        return await self.mailer.send(letter)

    async def notice(self, message: Message, recipient: Recipient) -> int:
        """Write the notices in a short transaction of their own; a repeated try makes no second ones."""
        async with self.store.begin() as tx:
            return await notices.put(
                tx,
                kind=message.event.kind,
                metadata=message.event.data,
                delivery_id=message.delivery_id,
                recipient=recipient,
                namespace=message.event.subject.namespace,
            )

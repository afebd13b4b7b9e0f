"""Stand-ins that implement the project's protocols, for what a test must not or cannot reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dockbell.domain.letters import Letter
from dockbell.domain.methods import (
    Headers,
    MailPhase,
    MailReply,
    Message,
    Recipient,
    Reply,
    UnreachableError,
)
from dockbell.domain.outcomes import Exchange
from dockbell.domain.tls import Tls


class Post(NamedTuple):
    url: str
    body: bytes
    headers: tuple[tuple[str, str], ...]


class Notice(NamedTuple):
    message: Message
    recipient: Recipient


def reply_of(
    status: int, *, retry_after: str | None = None, location: str | None = None
) -> Reply:
    headers = [("Content-Length", "0")]
    headers += [("retry-after", retry_after)] if retry_after is not None else []
    headers += [("Location", location)] if location is not None else []
    exchange = Exchange(status=status, response_headers=tuple(headers))
    return Reply(exchange, retry_after=retry_after)


def mail_reply_of(status: int, phase: MailPhase = MailPhase.BODY) -> MailReply:
    return MailReply(phase, Exchange(status=status))


@dataclass(slots=True)
class FakeOutbound:
    """A way out that gives one scripted answer and records what was sent."""

    answer: Reply | UnreachableError = field(default_factory=lambda: reply_of(200))
    inboxes: int = 1  # how many people a notice reaches
    posts: list[Post] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    unsubscribe: str | None = "https://dockbell.test/unsubscribe?id=aem_1&code=c0de"
    mailed: MailReply = field(default_factory=lambda: mail_reply_of(250))
    letters: list[Letter] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # the addresses whose consent was asked for
    owners: Sequence[str] | None = None  # of what the mail is about, if that is a namespace

    async def post(
        self, url: str, body: bytes, headers: Headers = (), *, tls: Tls | None = None
    ) -> Reply:
        del tls
        self.posts.append(Post(url, body, tuple(headers)))
        if isinstance(self.answer, UnreachableError):
            raise self.answer
        return self.answer

    async def unsubscribe_link(self, message: Message, address: str) -> str | None:
        self.asked.append(address)
        return self.unsubscribe

    async def owner_addresses(self, message: Message) -> Sequence[str] | None:
        return self.owners

    async def mail(self, letter: Letter) -> MailReply:
        self.letters.append(letter)
        if isinstance(self.answer, UnreachableError):
            raise self.answer
        return self.mailed

    async def notice(self, message: Message, recipient: Recipient) -> int:
        self.notices.append(Notice(message, recipient))
        return self.inboxes


@dataclass(slots=True)
class FakeLookup:
    """Answers the questions of methods from what the test says; everything else is fine."""

    addresses: Mapping[str, str] = field(default_factory=dict)  # URL to why it is refused
    recipients: Mapping[str, str] = field(default_factory=dict)  # name to why it is refused
    confirmed: frozenset[str] = frozenset({"team@example.com"})
    asked: list[object] = field(default_factory=list)
    mails_owner: bool = False

    async def recipient_error(self, recipient: Recipient) -> str | None:
        self.asked.append(recipient)
        return self.recipients.get(recipient.name)

    async def address_error(self, url: str) -> str | None:
        self.asked.append(url)
        return self.addresses.get(url)

    async def is_confirmed(self, email: str) -> bool:
        self.asked.append(email)
        return email in self.confirmed

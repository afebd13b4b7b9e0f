"""What a method is: one way to reach a target. The protocols that `methods` fills and `net` serves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from dockbell.domain.deliveries import Trigger
from dockbell.domain.errors import DockbellError
from dockbell.domain.events import Event, EventKind, Level
from dockbell.domain.forms import PayloadForm
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.letters import Letter
from dockbell.domain.links import Links
from dockbell.domain.outcomes import Code, Exchange, Fault, Outcome
from dockbell.domain.signing import Signature, SigningSecret
from dockbell.domain.values import value

Config = Mapping[str, object]
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of a method. It makes the form, the docs, the masking and the tests."""

    key: str
    label: str
    example: object
    secret: bool = False
    required: bool = True


@value()
class Message:
    """What one try sends. Summary and HTML are rendered when a method asks for them."""

    event: Event
    kind: EventKind
    links: Links
    delivery_id: str
    notification_id: str
    attempt: int  # from 1
    trigger: Trigger
    now: datetime
    form: PayloadForm = PayloadForm.QUAY
    signatures: tuple[Signature, ...] = (Signature.V1,)
    secrets: tuple[SigningSecret, ...] = ()  # those that are live, newest first

    @property
    def level(self) -> Level:
        return self.kind.level(self.event)

    @property
    def summary(self) -> str:
        return self.kind.summary(self.event)

    @property
    def html(self) -> str:
        return self.kind.html(self.event, self.links)


@value()
class Reply:
    """A complete HTTP answer."""

    exchange: Exchange
    retry_after: str | None = None  # the header's text

    @property
    def status(self) -> int:
        return self.exchange.status or 0


class MailPhase(StrEnum):
    """What a mail server answers to, as a sentence names it."""

    GREETING = "the greeting"
    STARTTLS = "STARTTLS"
    LOGIN = "the login"
    SENDER = "the sender"
    RECIPIENT = "the recipient"
    BODY = "the mail"


@dataclass(frozen=True, slots=True)
class MailReply:
    """The answer of a mail server that decides about a mail."""

    phase: MailPhase
    exchange: Exchange  # its status is SMTP's

    @property
    def status(self) -> int:
        return self.exchange.status or 0

    @property
    def is_accepted(self) -> bool:
        """Whether the server has taken the mail into its care."""
        return self.phase is MailPhase.BODY and 200 <= self.status < 300  # noqa: PLR2004 -- the numbers of the standard


class UnreachableError(DockbellError):
    """The target could not be reached, or gave no usable answer."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        fault: Fault = Fault.TARGET,
        exchange: Exchange | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.fault = fault
        self.exchange = exchange if exchange is not None else Exchange()


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets a notice: a user, an organization's admins, or the members of a team of the namespace."""

    kind: str  # "user", "org" or "team"
    name: str


class Outbound(Protocol):
    """The ways out that a method may use. Every byte passes the address guard of `net`."""

    async def post(self, url: str, body: bytes, headers: Headers = ()) -> Reply:
        """POST once: no redirects, bounded time and size. Raise UnreachableError when there is no answer."""
        ...

    async def unsubscribe_link(self, message: Message, address: str) -> str | None:
        """Where the owner of the address can end its mails about the repository; None if they have not agreed to any."""
        ...

    async def owner_addresses(self, message: Message) -> Sequence[str] | None:
        """Where mail about a namespace goes: to its own address, or its administrators'. None if a repository's is meant."""
        ...

    async def mail(self, letter: Letter) -> MailReply:
        """Hand the mail to the operator's mail server, once. Raise UnreachableError when that gives no answer."""
        ...

    async def notice(self, message: Message, recipient: Recipient) -> int:
        """Put the event into the recipients' in-app inboxes, once per delivery; return how many have it now."""
        ...


class Lookup(Protocol):
    """The questions that a method may ask while a notification is saved."""

    async def recipient_error(self, recipient: Recipient) -> str | None:
        """Why a notice cannot go there, in Quay's words (quay-compat 4.2), or None if it can."""
        ...

    async def address_error(self, url: str) -> str | None:
        """Why the address guard would refuse this URL, with what an operator could set, or None."""
        ...

    async def is_confirmed(self, email: str) -> bool: ...

    @property
    def mails_owner(self) -> bool:
        """Whether mail goes to the namespace's own address, or its administrators', whatever the config says."""
        ...


class Method(Protocol):
    """One way to reach a target. Stateless: one instance serves every task."""

    name: str  # as in the API's "method" field
    title: str  # as people see it
    fields: tuple[Field, ...]
    signs: bool  # whether a signing secret is made for each notification

    @property
    def warning(self) -> str | None:
        """What whoever makes a notification should know first, such as that nothing can arrive; mostly None."""
        ...

    async def check(self, config: Config, lookup: Lookup) -> None:
        """Raise ConfigError if a notification may not be saved with this config."""
        ...

    def target(self, config: Config) -> str:
        """Where it goes, for lists and logs; shows no secret."""
        ...

    def host(self, config: Config) -> str | None:
        """The host that tries go to, as `name:port`: when it is down, all that goes there waits. None if there is none."""
        ...

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        """Make one try. Never raises for what the target does."""
        ...

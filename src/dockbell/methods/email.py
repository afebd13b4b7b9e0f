"""The method `email`: the message by mail, to an address whose owner has agreed or that owns the news (quay-compat 4.3)."""

import html
from collections.abc import Sequence

from dockbell.domain import letters, mail_outcomes, mailboxes
from dockbell.domain.errors import ConfigError
from dockbell.domain.http_outcomes import outcome_of_silence
from dockbell.domain.letters import Letter
from dockbell.domain.methods import (
    Config,
    Field,
    Lookup,
    Message,
    Method,
    Outbound,
    UnreachableError,
)
from dockbell.domain.outcomes import Code, Delivered, Fault, Outcome, Rejected


class Email:
    """Send the message by mail, as text and as HTML, with a link that ends it."""

    name = "email"
    title = "Email Notification"
    fields: tuple[Field, ...] = (
        Field(key="email", label="E-mail address", example="team@example.com"),
    )
    signs = False

    def __init__(self, *, has_server: bool = False) -> None:
        self._has_server = has_server

    @property
    def warning(self) -> str | None:
        if self._has_server:
            return None
        return (
            "This server sends no mail yet: have an operator set `smtp_host` and `mail_from`."
        )

    async def check(self, config: Config, lookup: Lookup) -> None:
        if lookup.mails_owner:
            # Quay: no address is needed, and none is looked at. Pinned by compat/test_namespace_notifications.py.
            return
        address = config.get("email")
        if not address:
            raise ConfigError("Missing e-mail address", field="email")
        # Quay: the same words for what is no address at all. Pinned by contract/test_methods.py.
        if mailboxes.problem(address) is not None or not await lookup.is_confirmed(
            str(address)
        ):
            raise ConfigError(
                "The specified e-mail address is not authorized to receive notifications for this repository",
                field="email",
            )

    def target(self, config: Config) -> str:
        return str(config.get("email") or "E-mail")

    def host(self, config: Config) -> str | None:
        del config
        return None  # the way is the operator's own server, whatever the address

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        owners = await out.owner_addresses(message)
        if owners is not None:
            return await _to_owners(message, owners, out)
        address = config.get("email")
        problem = mailboxes.problem(address)
        if problem is not None:
            return Rejected(
                Code.CONFIG_INVALID, f"The e-mail address {problem}.", fault=Fault.CONFIG
            )
        link = await out.unsubscribe_link(message, str(address))
        if link is None:
            return Rejected(
                Code.MAIL_UNCONFIRMED,
                f"The owner of {address} has not agreed to mail about {message.event.subject.path}, or ended it.",
                fault=Fault.CONFIG,
            )
        return await _mail(letter_of(message, str(address), link), out)


async def _to_owners(message: Message, owners: Sequence[str], out: Outbound) -> Outcome:
    """One mail to each. What the first says that does not get it is what the try says."""
    if not owners:
        # Quay: counts as success. Pinned by compat/test_namespace_notifications.py.
        return Delivered(
            code=Code.NO_RECIPIENT,
            detail="Nobody got it: neither the namespace nor its administrators have an e-mail address.",
        )
    outcome: Outcome = Delivered()
    for address in owners:
        outcome = await _mail(letter_of(message, address, None), out)
        if not isinstance(outcome, Delivered):
            return outcome
    return outcome


async def _mail(letter: Letter, out: Outbound) -> Outcome:
    try:
        reply = await out.mail(letter)
    except UnreachableError as error:
        return outcome_of_silence(error)
    return mail_outcomes.outcome_of(reply)


def letter_of(message: Message, address: str, unsubscribe: str | None) -> Letter:
    """The mail, with its way out if it has one. Every try and redelivery of a delivery has the same Message-ID."""
    subject, host = message.event.subject, message.links.host
    if unsubscribe is None:
        reason = (
            f"You get this mail because {address} is the address of {subject.namespace}, or of one of its "
            f"administrators, on {host}. Its notifications end it."
        )
        text, body = "", ""
    else:
        reason = (
            f"You get this mail because {address} was confirmed for {subject.path} on {host}."
        )
        text = f"To end these mails, open {unsubscribe}\n"
        body = f' <a href="{html.escape(unsubscribe)}">End these mails</a>'
    text = f"{letters.plain_text(message.html)}\n\n-- \n{reason}\n{text}"
    body = (
        f"<p>{message.html}</p>\n<hr>\n"
        f'<p style="color: #666; font-size: smaller">{html.escape(reason)}{body}</p>'
    )
    return Letter(
        to=address,
        subject=message.summary,
        text=text,
        html=letters.page(message.summary, body),
        message_id=f"{message.delivery_id}@{message.links.hostname}",
        date=message.now,
        unsubscribe=unsubscribe,
    )


METHOD: Method = Email()

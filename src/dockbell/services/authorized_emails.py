"""Asking the owner of an e-mail address whether they want a repository's mail, and taking their answer."""

import base64
import hmac
import html
from collections.abc import Awaitable, Callable

import structlog

from dockbell.domain import authorized_emails as rules
from dockbell.domain import letters, mail_outcomes, mailboxes
from dockbell.domain.authorized_emails import AuthorizedEmail
from dockbell.domain.errors import (
    DataError,
    InvalidRequestError,
    NotFoundError,
    TooManyError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.letters import Letter
from dockbell.domain.links import Links
from dockbell.domain.methods import MailReply, UnreachableError
from dockbell.domain.outcomes import Delivered
from dockbell.domain.permissions import AdminOf
from dockbell.domain.secrets import hash_of
from dockbell.services import audit_entries
from dockbell.store import authorized_emails, locks
from dockbell.store.transactions import Tx

_log = structlog.get_logger("dockbell.services")

# Quay: its words for whatever goes wrong with the mail. Pinned by compat/test_authorized_emails.py.
_NOT_SENT = "Could not send email. Please contact an administrator and report this problem."


@dataclass(frozen=True, slots=True)
class AuthorizedEmails:
    """What faces may ask about the addresses of a repository. Without a mail server, `is_open` is false and nothing works."""

    links: Links
    chance: Callable[[int], bytes]  # that many unpredictable bytes
    mail: Callable[[Letter], Awaitable[MailReply]] | None = None

    @property
    def is_open(self) -> bool:
        return self.mail is not None

    async def find(self, tx: Tx, admin: AdminOf, email: str) -> AuthorizedEmail | None:
        """What is known of the address; None if its owner was never asked."""
        return await authorized_emails.find(tx, admin.repository.id, email)

    async def ask(
        self, tx: Tx, admin: AdminOf, email: str
    ) -> tuple[AuthorizedEmail, Letter | None]:
        """The address, and the mail that asks its owner; none if they have agreed already.

        Send the mail when the transaction is committed. Raise TooManyError for one more than is decent.
        """
        problem = mailboxes.problem(email)
        if problem is not None:
            raise InvalidRequestError(f"The e-mail address {problem}")
        repository = admin.repository
        # Two who ask at once must not both find that there is room for one more mail.
        await locks.hold_word(tx, f"confirmation mail {email.lower()}")
        if not await locks.hold_repository(tx, repository.id):
            raise NotFoundError
        known = await authorized_emails.find(tx, repository.id, email)
        if known is not None and known.is_confirmed:
            return known, None
        await self._check_room(tx, admin, email)
        code = base64.b32encode(self.chance(rules.CODE_BYTES)).decode()
        await authorized_emails.ask(
            tx,
            repository.id,
            email,
            code_hash=hash_of(code),
            expires_at=tx.now + rules.CODE_LIFETIME,
            unsubscribe_code=self.chance(rules.UNSUBSCRIBE_BYTES).hex(),
        )
        await authorized_emails.note_mail(
            tx, email, namespace_id=repository.namespace_id, asker=admin.actor.name
        )
        await audit_entries.write_about(
            tx, admin.actor, repository, "authorize_repo_email", email=email
        )
        asked = await authorized_emails.find(tx, repository.id, email)
        if asked is None:
            raise NotFoundError
        return asked, self._letter(tx, asked, admin.actor.name, code)

    async def send(self, letter: Letter) -> None:
        """Send the mail now. Raise DataError, in Quay's words, if the mail server does not take it."""
        if self.mail is None:
            raise NotFoundError
        try:
            outcome = mail_outcomes.outcome_of(await self.mail(letter))
        except UnreachableError as error:
            _log.warning(
                "confirmation mail not sent", code=error.code.value, detail=error.detail
            )
            raise DataError(_NOT_SENT) from error
        if not isinstance(outcome, Delivered):
            _log.warning(
                "confirmation mail not sent", code=outcome.code.value, detail=outcome.detail
            )
            raise DataError(_NOT_SENT)

    async def of_code(self, tx: Tx, code: str) -> AuthorizedEmail | None:
        """The address that a code was mailed to, if the code is still good. Whoever has it reads that address's mail."""
        found = await authorized_emails.find_by_code(tx, hash_of(code))
        if found is None or found.code_expires_at is None or found.code_expires_at <= tx.now:
            return None
        return found

    async def confirm(self, tx: Tx, code: str) -> AuthorizedEmail | None:
        """Let the address that the code was mailed to have the repository's mail; None for a code that is not good."""
        found = await self.of_code(tx, code)
        if found is not None:
            await authorized_emails.confirm(tx, found.id)
        return found

    async def of_link(self, tx: Tx, row_id: str, code: str) -> AuthorizedEmail | None:
        """The address that an unsubscribe link is for, if it is one of ours."""
        found = await authorized_emails.find_with_consent(tx, row_id)
        if found is None or not hmac.compare_digest(found[1].code.encode(), code.encode()):
            return None
        return found[0]

    async def withdraw(self, tx: Tx, row_id: str, code: str) -> AuthorizedEmail | None:
        """End the address's mails about the repository; doing it twice is harmless. None for a link that is not ours."""
        found = await self.of_link(tx, row_id, code)
        if found is not None:
            await authorized_emails.withdraw(tx, found.id)
        return found

    async def _check_room(self, tx: Tx, admin: AdminOf, email: str) -> None:
        mails, last = await authorized_emails.count_to(tx, email, tx.now - rules.DAY)
        if last is not None and tx.now - last < rules.LEAST_WAIT:
            raise TooManyError("A mail went to this address a moment ago. Wait a minute.")
        if mails >= rules.MOST_OF_ADDRESS:
            raise TooManyError(
                f"This address was sent {mails} mails in the last day. Try again tomorrow."
            )
        asked = await authorized_emails.count_by(
            tx,
            namespace_id=admin.repository.namespace_id,
            asker=admin.actor.name,
            since=tx.now - rules.HOUR,
        )
        if asked >= rules.MOST_OF_ASKER:
            raise TooManyError(
                "Too many addresses were asked in the last hour. Try again later."
            )

    def _letter(self, tx: Tx, asked: AuthorizedEmail, asker: str, code: str) -> Letter:
        link = self.links.authorize_email(code)
        # Quay: this subject. Pinned by compat/test_authorized_emails.py.
        subject = f"[{self.links.title}] Please verify your e-mail address for repository {asked.path}"
        about = (
            f"{asker} wants to send notifications about the repository {asked.path}"
            f" on {self.links.host} to this address, {asked.email}."
        )
        until = "The link works for 3 days."
        end = "If you do not know what this is about, do nothing: you get no further mail."
        text = (
            f"{about}\n\nIf you agree, open this page and confirm:\n\n{link}\n\n{until} {end}\n"
        )
        body = (
            f"<p>{html.escape(about)}</p>\n"
            f'<p>If you agree, <a href="{html.escape(link)}">open this page and confirm</a>.</p>\n'
            f"<p>{until} {end}</p>"
        )
        return Letter(
            to=asked.email,
            subject=subject,
            text=text,
            html=letters.page(subject, body),
            message_id=f"{tx.new_id('cfm')}@{self.links.hostname}",
            date=tx.now,
        )

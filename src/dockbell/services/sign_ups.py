"""Making an account for oneself, while the operator lets people, and verifying its e-mail address."""

import base64
import binascii
import html

from dockbell.domain import authorized_emails as rules
from dockbell.domain import letters, mailboxes
from dockbell.domain.accounts import Actor, Namespace, User
from dockbell.domain.errors import InvalidRequestError, NotFoundError, TooManyError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.letters import Letter
from dockbell.domain.links import Links
from dockbell.services import passwords, users
from dockbell.store import authorized_emails, locks
from dockbell.store import users as user_rows
from dockbell.store.seals import WrongKeyError
from dockbell.store.tables import of_micros, to_micros
from dockbell.store.transactions import Tx

_PURPOSE = "sign-up"
_LONGEST_CODE = 2048


@dataclass(frozen=True, slots=True)
class SignUps:
    """What faces may ask about making accounts. Where mail is sent, an account is good once its address is verified."""

    links: Links
    has_mail: bool
    is_open: bool

    async def hash_of(self, password: str) -> str:
        """The hash of a new password, made in one's turn: whoever floods us with sign-ups leaves the others room."""
        async with passwords.turn():
            return await users.hash_of(password)

    async def create(
        self, tx: Tx, actor: Actor, *, username: str, password_hash: str, email: str | None
    ) -> tuple[Namespace, Letter | None]:
        """The account and, where mail is sent, the mail that asks to verify its address.

        Send the mail when the transaction is committed. Raise NotFoundError while nobody may sign up.
        """
        if not self.is_open:
            raise NotFoundError
        if self.has_mail:
            problem = mailboxes.problem(email)
            if problem is not None:
                raise InvalidRequestError(f"The e-mail address {problem}")
        await self._forget_stale(tx, actor, username, email)
        made = await users.create_hashed(
            tx,
            actor,
            username=username,
            email=email,
            password_hash=password_hash,
            is_verified=not self.has_mail,
        )
        if not self.has_mail or email is None:
            return made, None
        await self._note_mail(tx, actor, made, email)
        return made, self._letter(tx, made, email)

    async def of_code(self, tx: Tx, code: str) -> User | None:
        """The account that a code was mailed for, if it is still good. Whoever has it reads that address's mail."""
        words = _words_of(tx, code)
        if words is None:
            return None
        name, email, until = words
        found = await user_rows.find(tx, name)
        is_same = found is not None and found.namespace.email == email
        return found if is_same and tx.now < of_micros(int(until)) else None

    async def confirm(self, tx: Tx, code: str) -> User | None:
        """Make the account good; None for a code that is not. Doing it twice is harmless."""
        found = await self.of_code(tx, code)
        if found is not None:
            await user_rows.set_verified(tx, found.namespace.id)
        return found

    async def _forget_stale(
        self, tx: Tx, actor: Actor, username: str, email: str | None
    ) -> None:
        """Make room: an account that nobody verified in time keeps neither name nor address from others."""
        before = tx.now - rules.CODE_LIFETIME
        for stale in await user_rows.list_unverified(tx, username, email, before):
            await users.remove(tx, actor, stale)

    async def _note_mail(self, tx: Tx, actor: Actor, made: Namespace, email: str) -> None:
        """Count the mail as those that ask for consent are. Raise TooManyError for one more than is decent."""
        await locks.hold_word(tx, f"confirmation mail {email.lower()}")
        asker = f"sign-up from {actor.ip}"
        mails, _ = await authorized_emails.count_to(tx, email, tx.now - rules.DAY)
        asked = await authorized_emails.count_by(
            tx, namespace_id=made.id, asker=asker, since=tx.now - rules.HOUR
        )
        if mails >= rules.MOST_OF_ADDRESS or asked >= rules.MOST_OF_ASKER:
            raise TooManyError("Too many mails were asked for. Try again tomorrow.")
        await authorized_emails.note_mail(tx, email, namespace_id=made.id, asker=asker)

    def _letter(self, tx: Tx, made: Namespace, email: str) -> Letter:
        until = to_micros(tx.now + rules.CODE_LIFETIME)
        # Nothing has to be kept for it: only this server can have written it.
        sealed = tx.seal.close(" ".join((_PURPOSE, made.name, email, str(until))).encode())
        code = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        link = self.links.verify_account(code)
        subject = (
            f"[{self.links.title}] Please verify your e-mail address for {self.links.host}"
        )
        about = f"Somebody made the account {made.name} on {self.links.host} with this address."
        end = "The link works for 3 days. If it was not you, do nothing."
        text = f"{about}\n\nIf it was you, open this page and confirm:\n\n{link}\n\n{end}\n"
        body = (
            f"<p>{html.escape(about)}</p>\n"
            f'<p>If it was you, <a href="{html.escape(link)}">open this page and confirm</a>.</p>\n'
            f"<p>{end}</p>"
        )
        return Letter(
            to=email,
            subject=subject,
            text=text,
            html=letters.page(subject, body),
            message_id=f"{tx.new_id('cfm')}@{self.links.hostname}",
            date=tx.now,
        )


def _words_of(tx: Tx, code: str) -> tuple[str, str, str] | None:
    """Name, address and end of a code that we wrote for this purpose."""
    if len(code) > _LONGEST_CODE:
        return None
    try:
        sealed = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        purpose, *rest = tx.seal.open(sealed).decode().split(" ")
    except (binascii.Error, ValueError, WrongKeyError):
        return None
    if purpose != _PURPOSE:
        return None
    name, email, until = rest
    return name, email, until

"""The questions that methods ask while a notification is saved."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from dockbell.domain.accounts import NamespaceKind
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import Recipient
from dockbell.domain.names import is_namespace, is_team
from dockbell.domain.permissions import AdminOfPlace
from dockbell.store import authorized_emails, namespaces, teams
from dockbell.store.transactions import Tx

Refusal = Callable[[str], Awaitable[str | None]]
# A way to begin a reading transaction, for work that must not hold one open while it waits for a name server.
Reading = Callable[[], AbstractAsyncContextManager[Tx]]


@dataclass(frozen=True, slots=True)
class Lookup:
    """Answers for one namespace. Each question has a reading transaction of its own, which ends with the answer."""

    reading: Reading
    namespace: str  # of what the notification is for; empty if that is the whole server
    repository_id: str | None
    refusal: Refusal  # why the address guard refuses a URL

    async def recipient_error(self, recipient: Recipient) -> str | None:
        """Why a notice cannot go there, in Quay's words, or None."""
        async with self.reading() as tx:
            match recipient.kind:
                case "user":
                    return await self._user_error(tx, recipient.name)
                case "org":
                    return await self._organization_error(tx, recipient.name)
                case "team":
                    return await self._team_error(tx, recipient.name)
                case _:
                    return f"Unknown target kind {recipient.kind}"

    async def address_error(self, url: str) -> str | None:
        """Why the address guard refuses this URL, or None. May take as long as a name server does."""
        return await self.refusal(url)

    async def is_confirmed(self, email: str) -> bool:
        """Whether the address may get this repository's mail. Nobody has consented to that of wider places."""
        if self.repository_id is None:
            return False
        async with self.reading() as tx:
            found = await authorized_emails.find(tx, self.repository_id, email)
        return found is not None and found.is_confirmed

    @property
    def mails_owner(self) -> bool:
        return self.repository_id is None and self.namespace != ""

    async def _user_error(self, tx: Tx, name: str) -> str | None:
        found = await namespaces.find(tx, name) if is_namespace(name) else None
        if found is None or found.kind is not NamespaceKind.USER:
            return f"Unknown user {name}"
        return None

    async def _organization_error(self, tx: Tx, name: str) -> str | None:
        found = await namespaces.find(tx, name) if is_namespace(name) else None
        if found is None or found.kind is not NamespaceKind.ORGANIZATION:
            return f"Unknown organization {name}"
        if name != self.namespace:
            return "Organization name must match repository namespace"
        return None

    async def _team_error(self, tx: Tx, name: str) -> str | None:
        owner = await namespaces.find(tx, self.namespace)
        if owner is None or not is_team(name) or await teams.find(tx, owner.id, name) is None:
            return f"Unknown team {name}"
        return None


@dataclass(frozen=True, slots=True)
class Lookups:
    """Makes the lookup for one saving of a notification."""

    refusal: Refusal  # why the address guard refuses a URL, or None

    def of(self, reading: Reading, admin: AdminOfPlace) -> Lookup:
        return Lookup(
            reading=reading,
            namespace=admin.namespace_name,
            repository_id=admin.repository_id,
            refusal=self.refusal,
        )

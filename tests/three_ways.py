"""Events on their way to a webhook, a mailbox and an inbox: notifications for each, a real engine, real sockets."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from dockbell.domain.mailboxes import Sender
from dockbell.net.mail import Mailer, Relay, Security
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.store import authorized_emails, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import engines
from tests.mail_server import MailServer
from tests.receiver import Receiver

EMAIL = "ops@example.com"
READER = "boss"  # whose bell rings


@dataclass(frozen=True, slots=True)
class Ways:
    store: Store
    receiver: Receiver
    server: MailServer

    async def webhooks(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """Kind and payload of the webhooks, as soon as there are so many."""
        came = await self.receiver.wait_for(count)
        return [(one.header("dockbell-event") or "", json.loads(one.body)) for one in came]

    async def subjects(self, count: int) -> list[str]:
        """The subjects of the mails."""
        return sorted(
            " ".join(str(mail.message["Subject"]).split())  # a long one is folded
            for mail in await self.server.until(count)
        )

    async def bells(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """Kind and payload of the notices that were delivered, without what the server tells of itself."""
        found: list[tuple[str, dict[str, Any]]] = []

        async def are_there() -> bool:
            async with self.store.read() as tx:
                rows = await tx.rows(
                    select(t.notices)
                    .where(t.notices.c.delivery_id.is_not(None))
                    .order_by(t.notices.c.id)
                )
            found[:] = [(row.kind, row.metadata) for row in rows]
            return len(found) >= count

        await engines.until(are_there)
        return found


@contextlib.asynccontextmanager
async def listening(
    store: Store,
    clock: Callable[[], Any],
    kinds: Sequence[str],
    *,
    namespace: str = "acme",
    repository: str | None = "web",
    with_mail: bool = True,
    event_config: dict[str, object] | None = None,
) -> AsyncIterator[Ways]:
    """A webhook, a mailbox and a bell for each of these kinds of event, and an engine that serves them."""
    async with Receiver() as receiver, MailServer() as server:
        configs: dict[str, dict[str, object]] = {
            "webhook": {"url": receiver.url()},
            "quay_notification": {"target": {"kind": "user", "name": READER}},
        }
        if with_mail:
            configs["email"] = {"email": EMAIL}
        await _order(store, kinds, configs, namespace, repository, event_config or {})
        relay = Relay(
            server.host, server.port, Sender("bell@dockbell.test"), security=Security.NONE
        )
        mailer = Mailer(relay, EgressPolicy.of(server.host), Resolver(), timeout=5.0)
        async with engines.running(store, clock, mailer=mailer):
            yield Ways(store, receiver, server)


async def _order(
    store: Store,
    kinds: Sequence[str],
    configs: dict[str, dict[str, object]],
    namespace: str,
    repository: str | None,
    event_config: dict[str, object],
) -> None:
    async with store.begin() as tx:
        repository_id = None
        if repository is not None:
            row = await tx.first(
                select(t.repositories.c.id).where(
                    t.repositories.c.namespace_id == f"ns_{namespace}",
                    t.repositories.c.name == repository,
                )
            )
            assert row is not None
            repository_id = row.id
            await authorized_emails.ask(
                tx,
                row.id,
                EMAIL,
                code_hash="hash",
                expires_at=tx.now + timedelta(days=3),
                unsubscribe_code="A" * 16,
            )
            found = await authorized_emails.find(tx, row.id, EMAIL)
            assert found is not None
            await authorized_emails.confirm(tx, found.id)
        for kind in kinds:
            for method, config in configs.items():
                await notifications.insert(
                    tx,
                    namespace_id=f"ns_{namespace}",
                    repository_id=repository_id,
                    kind=kind,
                    method=method,
                    title=None,
                    config=config,
                    event_config=event_config,
                )

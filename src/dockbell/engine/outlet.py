"""The ways out of a try: HTTP through `net`, and our own users' in-app inboxes."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from dockbell.domain.methods import Headers, Message, Recipient, Reply
from dockbell.store import notices
from dockbell.store.transactions import Store


class Post(Protocol):
    """The guarded way out for HTTP, as `net` makes it."""

    async def post(self, url: str, body: bytes, headers: Headers = ()) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """An `Outbound` made of the guarded sender and the store."""

    store: Store
    sender: Post

    def post(self, url: str, body: bytes, headers: Headers = ()) -> Coroutine[Any, Any, Reply]:
        return self.sender.post(url, body, headers)

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

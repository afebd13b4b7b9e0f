"""Bodies of events: forgetting one for good, because somebody has a right to that."""

from dockbell.domain.errors import ConflictError, NotFoundError
from dockbell.domain.permissions import SuperUser
from dockbell.services import audit_entries
from dockbell.store import history
from dockbell.store.history import Expunged
from dockbell.store.transactions import Tx


async def expunge(tx: Tx, superuser: SuperUser, event_id: str) -> Expunged:
    """Forget what the event said, who did it and what targets answered; cancel what still waits.

    Raise ConflictError while it is being sent: the try would write down what is to be forgotten.
    """
    if await history.is_being_sent(tx, event_id):
        raise ConflictError("The event is being sent at this moment. Try again in a minute.")
    done = await history.expunge(tx, event_id)
    if done is None:
        raise NotFoundError(f"There is no event {event_id}.")
    await audit_entries.write(
        tx,
        superuser.actor,
        "expunge_event",
        namespace_id=None,
        repository_id=None,
        metadata={"event": event_id, "cancelled": done.cancelled, "attempts": done.attempts},
    )
    return done

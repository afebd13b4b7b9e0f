"""Interruptions: which delivery it was that ended its process, as far as the tables tell."""

from collections.abc import Sequence

from sqlalchemy import literal_column, select

from dockbell.domain.deliveries import State
from dockbell.domain.interruptions import Interruption, names_of, suspects, worker_of
from dockbell.store.tables import attempts, deliveries
from dockbell.store.transactions import Tx

# Written out and not bound, so that both databases see that their partial index serves.
_WAITING = deliveries.c.state == literal_column(f"'{State.WAITING.value}'")
_SENDING = deliveries.c.state == literal_column(f"'{State.SENDING.value}'")


async def find_guilty(tx: Tx, interruptions: Sequence[Interruption]) -> set[str]:
    """Of the deliveries whose leases are being taken back, those that are to be set aside. Call it before they are."""
    found = suspects(interruptions)
    return {one.delivery_id for one in found if not await _has_company(tx, one, interruptions)}


async def _has_company(
    tx: Tx, suspect: Interruption, interruptions: Sequence[Interruption]
) -> bool:
    """Whether its process was sending another suspect whose lease ends sooner or later than these."""
    worker = worker_of(suspect.leased_by)
    still_leased = await tx.first(
        select(deliveries.c.id)
        .where(
            _SENDING,
            deliveries.c.leased_by.in_(names_of(worker)),
            deliveries.c.interruptions > 0,
            deliveries.c.id.not_in([one.delivery_id for one in interruptions]),
        )
        .limit(1)
    )
    if still_leased is not None:
        return True
    taken_back = await tx.first(
        select(deliveries.c.id)
        .join(
            attempts,
            (attempts.c.delivery_id == deliveries.c.id)
            & (attempts.c.number == deliveries.c.attempts),
        )
        .where(_WAITING, deliveries.c.interruptions > 1, attempts.c.worker == worker)
        .limit(1)
    )
    return taken_back is not None

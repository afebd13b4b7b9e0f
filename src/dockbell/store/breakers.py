"""Breakers: the hosts that nobody tries for a while. There is a row only while a breaker is open."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, update

from dockbell.domain.breakers import Breaker
from dockbell.store import lanes
from dockbell.store.dialects.statements import Plan
from dockbell.store.tables import breakers, of_micros
from dockbell.store.transactions import Tx

# By hand, because every turn of every engine asks.
_FIND_OPEN = "SELECT host, open_until, failed_trials, trial_until, code FROM breakers"


async def find_open(tx: Tx) -> Mapping[str, Breaker]:
    """All open breakers, by host."""
    return await tx.hot_run(finding_open())


def finding_open() -> Plan[Mapping[str, Breaker]]:
    """The steps of `find_open`, for whoever does more together with them."""
    (rows,) = yield ((_FIND_OPEN, ()),)
    return {
        row[0]: Breaker(
            row[0],
            of_micros(row[1]),
            row[2],
            None if row[3] is None else of_micros(row[3]),
            row[4],
        )
        for row in rows
    }


async def take(tx: Tx, hosts: Collection[str]) -> None:
    """Lock the breakers of these hosts, all that the transaction will change, before it changes any of them."""
    if len(hosts) > 1:
        await tx.rows(
            select(breakers.c.host)
            .where(breakers.c.host.in_(sorted(hosts)))
            .order_by(breakers.c.host)
            .with_for_update()
        )


async def open_for(tx: Tx, host: str, code: str, until: datetime) -> bool:
    """Open the host's breaker; False if it is open already, and then it stays as it is."""
    opened = await tx.run(
        tx.dialect.insert(breakers)
        .values(host=host, opened_at=tx.now, open_until=until, failed_trials=0, code=code)
        .on_conflict_do_nothing(index_elements=["host"])
    )
    return opened == 1


async def try_now(tx: Tx, host: str) -> None:
    """Allow the host its one trial now, if its breaker is open: somebody has seen to it.

    It waits for nobody: whoever changes a breaker at this moment knows more of the host.
    """
    waiting = (
        select(breakers.c.host)
        .where(breakers.c.host == host, breakers.c.open_until > tx.now)
        .with_for_update(skip_locked=True)
    )
    await tx.run(
        update(breakers)
        .where(breakers.c.host == waiting.scalar_subquery())
        .values(open_until=tx.now)
    )
    tx.ring()


async def take_trial(tx: Tx, host: str, until: datetime) -> bool:
    """Take the one trial that the host is allowed; False if another process has it or the breaker is not due.

    It waits for nobody: whoever leases holds lanes, and whoever changes a breaker may want them.
    """
    due = (
        select(breakers.c.host)
        .where(
            breakers.c.host == host,
            breakers.c.open_until <= tx.now,
            or_(breakers.c.trial_until.is_(None), breakers.c.trial_until <= tx.now),
        )
        .with_for_update(skip_locked=True)
    )
    taken = await tx.run(
        update(breakers)
        .where(breakers.c.host == due.scalar_subquery())
        .values(trial_until=until)
    )
    return taken == 1


async def reopen(tx: Tx, host: str, until: datetime) -> None:
    """The trial failed: leave the host alone until then."""
    await tx.run(
        update(breakers)
        .where(breakers.c.host == host)
        .values(open_until=until, trial_until=None, failed_trials=breakers.c.failed_trials + 1)
    )


async def close(tx: Tx, hosts: Collection[str]) -> Sequence[str]:
    """These hosts are back: what was held for them is due again. Return those whose breaker was open."""
    rows = await tx.rows(
        delete(breakers).where(breakers.c.host.in_(sorted(hosts))).returning(breakers.c.host)
    )
    await lanes.let_go(tx, hosts)
    tx.ring()
    return sorted(row.host for row in rows)

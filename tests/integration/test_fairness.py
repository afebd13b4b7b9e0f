"""A namespace with very many targets and one with a single one, served by a real engine on both databases."""

from sqlalchemy import insert

from dockbell.store import notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store, Tx
from tests import queues
from tests.conftest import SetClock
from tests.engines import INTAKE, push, running
from tests.receiver import Receiver

MANY, EACH = 1200, 2  # more lanes than one lease takes
QUIET = 5


async def add_quiet_place(tx: Tx) -> None:
    await tx.run(
        insert(t.namespaces).values(
            id="nsp_quiet", name="quiet", kind="organization", email=None, created_at=tx.now
        )
    )
    await tx.run(
        insert(t.repositories).values(
            id="rep_quiet",
            namespace_id="nsp_quiet",
            name="web",
            visibility="private",
            description="",
            created_at=tx.now,
        )
    )


async def test_a_namespace_with_very_many_targets_does_not_starve_one_with_a_single_one(
    store: Store, clock: SetClock
) -> None:
    async with Receiver() as target:
        async with store.begin() as tx:
            await queues.add_place(tx)
            await add_quiet_place(tx)
            for _ in range(MANY):
                await queues.add_notification(tx, url=target.url("/many"))
            await notifications.insert(
                tx,
                namespace_id="nsp_quiet",
                repository_id="rep_quiet",
                kind="repo_push",
                method="webhook",
                title=None,
                config={"url": target.url("/quiet")},
                event_config={},
            )
        quiet = {"namespace_id": "nsp_quiet", "repository_id": "rep_quiet"}
        async with store.begin() as tx:
            for _ in range(QUIET):
                await INTAKE.record(tx, push(clock, **quiet))
        clock.move(seconds=1)
        async with store.begin() as tx:
            for _ in range(EACH):
                await INTAKE.record(tx, push(clock))

        async with running(store, clock, concurrency=8):
            received = await target.wait_for(MANY * EACH + QUIET, within=30)

    places = [place for place, one in enumerate(received) if one.path == "/quiet"]
    assert len(places) == QUIET
    # By turns of lanes alone, the second one would have come after all the others had had their first.
    assert places[-1] < MANY

"""A crash loop: real processes under load are killed at random moments, and nothing may be lost.

Everything that chance decides comes from the seed: which process is hit when and how, and what each target answers.
How far a process got by then is up to the machine, so a run can be repeated only as far as that goes.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from dockbell.cli.own_image import build_image, push
from dockbell.cli.own_server import free_port
from dockbell.domain import ids
from dockbell.engine.engine import most_tries
from dockbell.store import seals
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.e2e.programs import Program
from tests.receiver import Receiver
from tests.soak import checks
from tests.soak.checks import Report
from tests.soak.processes import Slot
from tests.soak.pushers import Pusher
from tests.soak.targets import STEADY, TROUBLED, Moods

CONCURRENCY = 16
LEASE_SECONDS = 24.0  # of a send timeout of one second
SETTLE_SECONDS = 480.0  # what was interrupted four times in a row waits for up to six minutes
MOST_MEMORY = 256 << 20
MOST_DESCRIPTORS = 256  # tries, kept connections, the database and clients
_LOGIN = ("alice", "correct-horse-battery")
_PUSHERS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard and how long."""

    seed: int
    kills: int = 200
    seconds: float = 600.0
    workers: int = 3  # beside the server, on PostgreSQL
    trouble: float = 0.15  # the share of bad answers
    shortest_gap: float = 0.3
    longest_gap: float = 1.5
    push_pause: float = 0.1
    longest_freeze: float = 2.5
    long_freezes: float = 0.3  # the share of freezes that outlast a lease
    # Count leases of processes that were killed as run out at the end, instead of waiting for it.
    ages_leases: bool = False


@dataclass(slots=True)
class Soak:
    """One run. Everything it starts has ended when `run` returns."""

    plan: Plan
    folder: Path
    database_url: str
    kills: int = 0
    ends: int = 0
    freezes: int = 0
    _slots: list[Slot] = field(default_factory=list)
    _pushers: list[Pusher] = field(default_factory=list)
    _is_over: bool = False

    async def run(self) -> Report:
        moods = Moods(self.plan.seed, self.plan.trouble)
        began = time.monotonic()
        async with Receiver() as steady, Receiver() as troubled, self._processes():
            steady.answer_by(moods.choose)
            troubled.answer_by(moods.choose)
            await self._furnish(steady, troubled)
            await self._make_trouble()
            moods.are_good = True
            left = await self._settle()
            usages = [slot.usage() for slot in self._slots]
            await asyncio.gather(*(slot.end() for slot in self._slots))
            async with self._open() as store:
                report = await checks.look(
                    store,
                    answered=[*steady.answered, *troubled.answered],
                    requests=[*steady.requests, *troubled.requests],
                    silences=moods.silences,
                    acknowledged=[tag for one in self._pushers for tag in one.acknowledged],
                    paths=[*STEADY, *TROUBLED],
                )
        report.seed = self.plan.seed
        report.kills, report.ends, report.freezes = self.kills, self.ends, self.freezes
        report.seconds = time.monotonic() - began
        report.most_duplicates = self.kills * most_tries(CONCURRENCY)
        report.unsettled = left
        report.failed_pushes = sum(one.failures for one in self._pushers)
        report.problems += [text for one in self._pushers for text in one.refusals]
        report.problems += [text for slot in self._slots for text in slot.bad_ends]
        report.problems += checks.complaints_of(
            [log for slot in self._slots for log in slot.logs]
        )
        report.memory = max(memory for memory, _ in usages)
        report.descriptors = max(descriptors for _, descriptors in usages)
        if report.memory > MOST_MEMORY or report.descriptors > MOST_DESCRIPTORS:
            report.problems.append("a process grew")
        if report.duplicates > report.most_duplicates:
            report.problems.append("more duplicates than kills could cause")
        return report

    @contextlib.asynccontextmanager
    async def _processes(self) -> AsyncIterator[None]:
        port = free_port()
        self._slots = [self._slot("serve", "--port", str(port), ready="ready at")]
        if not self._is_sqlite:
            self._slots += [
                self._slot("worker", ready="delivering") for _ in range(self.plan.workers)
            ]
        self._pushers = [
            Pusher(
                f"p{number}",
                f"http://127.0.0.1:{port}",
                build_image(),
                _LOGIN,
                self.plan.push_pause,
            )
            for number in range(_PUSHERS)
        ]
        try:
            self._slots[0].start()
            await self._slots[0].until_ready()
            for slot in self._slots[1:]:
                slot.start()
            await asyncio.gather(*(slot.until_ready() for slot in self._slots[1:]))
            yield
        finally:
            self._is_over = True
            for slot in self._slots:
                slot.close()

    @property
    def _is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")

    def _slot(self, *words: str, ready: str) -> Slot:
        settings = {
            "DOCKBELL_DATABASE_URL": self.database_url,
            "DOCKBELL_EGRESS_ALLOW": "loopback",
            "DOCKBELL_USER_INITIALIZE": "true",
            "DOCKBELL_CONCURRENCY": str(CONCURRENCY),
            "DOCKBELL_SEND_TIMEOUT": "1",
            "DOCKBELL_RETRY_WAITS": ",".join(["0.2", "0.5", *["1"] * 30]),
        }
        return Slot(self.folder, words, settings, ready)

    async def _furnish(self, steady: Receiver, troubled: Receiver) -> None:
        server, base = self._slots[0].program, self._pushers[0].base
        assert server is not None
        server.address = base
        await asyncio.to_thread(_furnish, server, steady, troubled)
        await asyncio.to_thread(push, base, "alice/web", "first", build_image(), _LOGIN)

    async def _make_trouble(self) -> None:
        chance = random.Random(self.plan.seed)
        until = time.monotonic() + self.plan.seconds
        pushing = [
            asyncio.create_task(asyncio.to_thread(one.run, lambda: self._is_over))
            for one in self._pushers
        ]
        hits: dict[int, asyncio.Task[None]] = {}
        try:
            while self.kills < self.plan.kills and time.monotonic() < until:
                gap = chance.uniform(self.plan.shortest_gap, self.plan.longest_gap)
                which, what = chance.randrange(len(self._slots)), chance.random()
                frozen_for, is_early = (
                    chance.uniform(0.1, self.plan.longest_freeze),
                    chance.random() < 0.2,
                )
                if len(self._slots) > 1 and chance.random() < self.plan.long_freezes:
                    frozen_for = LEASE_SECONDS + 6.0  # others take over what it was sending
                if which in hits:
                    if not hits[which].done() and len(self._slots) > 1:
                        await asyncio.sleep(0.05)
                        continue
                    await hits[which]  # one at a time for each
                if not is_early:  # not amid its start
                    await self._slots[which].until_ready()
                await asyncio.sleep(gap)
                hits[which] = asyncio.create_task(
                    self._hit(self._slots[which], what, frozen_for)
                )
                for task in hits.values():
                    if task.done():
                        task.result()
                if any(task.done() for task in pushing):
                    break
        finally:
            self._is_over = True
            await asyncio.gather(*hits.values())
            await asyncio.gather(*pushing)
        await asyncio.gather(*(slot.until_ready() for slot in self._slots))

    async def _hit(self, slot: Slot, what: float, frozen_for: float) -> None:
        if what < 0.75:  # three quarters are kills
            self.kills += 1
            await slot.kill()
            slot.start()
        elif what < 0.88:  # and half of the rest are ends
            self.ends += 1
            await slot.until_ready()  # during its start it ends without being drained
            await slot.end()
            slot.start()
        else:
            self.freezes += 1
            await slot.freeze(frozen_for)

    async def _settle(self) -> Mapping[str, int]:
        """Wait until nothing waits or is being sent; return what still does when that takes too long."""
        until = time.monotonic() + SETTLE_SECONDS
        async with self._open() as store:
            if self.plan.ages_leases:
                await self._age_leases(store)
            while left := await _unfinished(store):
                if time.monotonic() > until:
                    return left
                await asyncio.sleep(0.25)
        return {}

    async def _age_leases(self, store: Store) -> None:
        dead = [pid for slot in self._slots for pid in slot.killed]
        async with store.begin() as tx:
            for pid in dead:
                await tx.run(
                    update(t.deliveries)
                    .where(t.deliveries.c.leased_by.like(f"%-{pid}-%"))
                    .values(leased_until=tx.now - timedelta(seconds=1))
                )

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Store]:
        store = Store.open(
            self.database_url,
            clock=checks.now,
            new_id=lambda prefix: ids.compose(prefix, checks.now(), secrets.randbits(80)),
            seal=seals.Seal(bytes(32)),  # nothing sealed is read
        )
        try:
            yield store
        finally:
            await store.close()


async def _unfinished(store: Store) -> dict[str, int]:
    async with store.read() as tx:
        rows = await tx.rows(
            select(t.deliveries.c.state, func.count())
            .where(t.deliveries.c.state.in_(["waiting", "sending"]))
            .group_by(t.deliveries.c.state)
        )
    return {row[0]: row[1] for row in rows}


def _furnish(server: Program, steady: Receiver, troubled: Receiver) -> None:
    """The user alice with the repository alice/web, whose pushes go to all targets."""
    user, password = _LOGIN
    _, made = server.call(
        "POST",
        "/api/v1/user/initialize",
        {"username": user, "password": password, "access_token": True},
    )
    bearer = {"Authorization": f"Bearer {made['access_token']}"}
    repository = {"repository": "web", "visibility": "private", "description": ""}
    server.call("POST", "/api/v1/repository", repository, **bearer)
    for receiver, paths in ((steady, STEADY), (troubled, TROUBLED)):
        for path in paths:
            wanted: dict[str, Any] = {
                "event": "repo_push",
                "method": "webhook",
                "eventConfig": {},
                "config": {"url": receiver.url(path)},
            }
            status, _ = server.call(
                "POST", "/api/v1/repository/alice/web/notification/", wanted, **bearer
            )
            assert status == 201, path

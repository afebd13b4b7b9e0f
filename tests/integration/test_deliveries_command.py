"""`dockbell deliveries`: lists, one in full, sending again, and a tail that goes on where it ended, on both databases."""

import asyncio
import io
import itertools
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dockbell.cli.app import run as run_here
from dockbell.cli.delivery_records import Tail
from dockbell.domain import ids
from dockbell.domain.records import DeliveryFilter, DeliveryRecord
from dockbell.settings import Settings
from dockbell.store import throttles
from dockbell.store.seals import Seal
from dockbell.store.transactions import Store
from tests import queues
from tests.engines import INTAKE, push, until

Run = Callable[..., tuple[int, str, str]]
Did = TypeVar("Did")
_count = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def run(
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_logging: None,
) -> Run:
    """Runs a command where a dockbell is already: exit code, stdout, stderr."""
    del own_logging
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "300")

    def ran(*words: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO())
            code = run_here(words)
        out, error = capsys.readouterr()
        return code, out, error

    assert ran("db", "migrate")[0] == 0
    return ran


def do(url: str, work: Callable[[Store], Awaitable[Did]]) -> Did:
    """Do something with the tables, as a server beside the command does."""

    async def all_of_it() -> Did:
        store = opened(url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(all_of_it())


def opened(url: str) -> Store:
    return Store.open(
        url,
        clock=now,
        new_id=lambda prefix: ids.compose(prefix, now(), next(_count)),
        seal=Seal(bytes(range(32))),
    )


async def prepare(store: Store) -> str:
    return (await queues.prepare(store))[0]


async def record(store: Store) -> str:
    """An event of acme/web; its delivery's id."""
    before = set(await queues.states(store))
    async with store.begin() as tx:
        await INTAKE.record(tx, push(now))  # type: ignore[arg-type] -- any clock does
    (made,) = set(await queues.states(store)) - before
    return made


async def give_up(store: Store) -> None:
    orders = await queues.lease(store)
    await queues.settle(store, [queues.dead(one) for one in orders])


def test_a_filter_with_a_slip_is_refused(run: Run) -> None:
    event = run("deliveries", "list", "-r", "acme/web", "--event", "repo_psh")
    code = run("deliveries", "tail", "-r", "acme/web", "--code", "http_5x", "--once")

    assert (event[:2], code[:2]) == ((1, ""), (1, ""))
    assert "Invalid event 'repo_psh' (did you mean 'repo_push'?). Must be one of: " in event[2]
    assert "Invalid code 'http_5x' (did you mean 'http_5xx'?). Must be one of: " in code[2]


def test_deliveries_are_listed_by_place_and_filter(run: Run, database_url: str) -> None:
    do(database_url, prepare)
    dead = do(database_url, record)
    do(database_url, give_up)
    waiting = do(database_url, record)

    code, out, said = run("deliveries", "list", "--repository", "acme/web")
    only_dead = run("deliveries", "list", "-r", "acme/web", "--state", "dead")[1]
    first = run("deliveries", "list", "-r", "acme/web", "--limit", "1")
    second = run("deliveries", "list", "-r", "acme/web", "--limit", "1", "--before", waiting)[1]
    table = run("deliveries", "list", "-r", "acme/web", "-o", "table")[1]

    assert (code, said) == (0, "")
    assert [one["id"] for one in json.loads(out)] == [waiting, dead]
    assert [one["id"] for one in json.loads(only_dead)] == [dead]
    assert [one["id"] for one in json.loads(first[1])] == [waiting]
    assert first[2] == f"There are more: go on with --before {waiting}\n"
    assert [one["id"] for one in json.loads(second)] == [dead]
    assert re.search(rf"{dead} +dead +repo_push +acme/web +webhook +1 +http_5xx", table)


def test_what_is_held_back_says_so(run: Run, database_url: str) -> None:
    notification = do(database_url, prepare)
    do(database_url, record)

    async def hold(store: Store) -> None:
        async with store.begin() as tx:
            await throttles.hold(tx, {notification: tx.now + timedelta(hours=1)})

    do(database_url, hold)

    (one,) = json.loads(run("deliveries", "list", "-r", "acme/web")[1])
    table = run("deliveries", "list", "-r", "acme/web", "-o", "table")[1]

    assert (one["held_for"], one["next_attempt_at"]) == ("retry_after", one["held_until"])
    assert "(retry_after)" in table
    assert (
        "(its target asked for time)" in run("deliveries", "get", one["id"], "-o", "table")[1]
    )


def test_one_delivery_is_shown_with_its_tries(run: Run, database_url: str) -> None:
    do(database_url, prepare)
    delivery = do(database_url, record)
    do(database_url, give_up)

    shown = json.loads(run("deliveries", "get", delivery)[1])
    table = run("deliveries", "get", delivery, "-o", "table")[1]

    assert shown["delivery"]["id"] == delivery
    assert [one["code"] for one in shown["attempts"]] == ["http_5xx"]
    assert "The target answered 503." in table


def test_a_delivery_is_sent_again(run: Run, database_url: str) -> None:
    do(database_url, prepare)
    delivery = do(database_url, record)
    do(database_url, give_up)

    done = run("deliveries", "redeliver", delivery)

    assert done == (0, "", f"The delivery {delivery} is sent again.\n")
    assert do(database_url, queues.states) == {delivery: "waiting"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("list", "-r", "acme/web", "--since", "noon"), 1,
         "--since must be a time with its zone, such as 2026-03-14T12:00:00Z"),
        (("list", "-r", "acme/web", "--until", "2026-03-14T12:00:00"), 1,
         "--until must be a time with its zone, such as 2026-03-14T12:00:00Z"),
        (("list", "-r", "web"), 3, "There is no repository web."),
        (("list", "-r", "acme/none"), 3, "There is no repository acme/none."),
        (("list", "--namespace", "none"), 3, "There is no user or organization none."),
        (("get", "dlv_none"), 3, "No delivery dlv_none is known, or it may not be seen."),
        (("redeliver", "dlv_none"), 3, "No delivery dlv_none is known, or it may not be seen."),
        (("tail", "-r", "acme/web", "--after", "yesterday"), 1,
         "--after must be what a tail said at its end, such as 1773489600000.01kkp3fdg0000000000000000e"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    run: Run, database_url: str, words: tuple[str, ...], code: int, said: str
) -> None:
    do(database_url, prepare)

    assert run("deliveries", *words) == (code, "", f"dockbell: {said}\n")


def test_a_tail_goes_on_where_an_earlier_one_ended(run: Run, database_url: str) -> None:
    do(database_url, prepare)
    do(database_url, record)
    tail = ("deliveries", "tail", "-r", "acme/web", "--once")
    _, nothing, said = run(*tail)
    position = said.rpartition(" ")[2].strip()
    do(database_url, give_up)
    later = do(database_url, record)

    code, out, _ = run(*tail, "--after", position)
    lines = [json.loads(line) for line in out.splitlines()]
    _, in_words, _ = run(*tail, "--after", position, "--state", "waiting", "-o", "table")

    seen = {one["delivery"]["id"]: one["delivery"]["state"] for one in lines}
    assert (code, nothing) == (0, "")
    assert set(seen.values()) == {"dead", "waiting"}
    assert seen[later] == "waiting"
    assert len({one["position"] for one in lines}) == len(lines) == 2
    assert [later in line and "repo_push" in line for line in in_words.splitlines()] == [True]


async def test_a_tail_says_that_it_watches_and_prints_what_happens_from_then_on(
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_logging: None,
) -> None:
    del own_logging
    settings = Settings.load(
        environment={"DOCKBELL_DATABASE_URL": database_url}, folder=tmp_path, flags={}
    )
    monkeypatch.chdir(tmp_path)
    await asyncio.to_thread(run_here, ("db", "migrate", "--database-url", database_url))
    store = opened(database_url)
    await prepare(store)
    seen: list[tuple[str, str]] = []

    def take(one: DeliveryRecord, position: str) -> None:
        seen.append((one.id, one.state.value))
        assert position

    tail = Tail(settings, "acme/web", None, DeliveryFilter(), take)
    running: asyncio.Task[Any] = asyncio.create_task(tail.run(None, once=False))

    async def has_begun() -> bool:
        return "Watching acme/web from 20" in capsys.readouterr().err

    await until(has_begun)
    delivery = await record(store)

    async def is_seen() -> bool:
        return bool(seen)

    await until(is_seen)
    await give_up(store)

    async def is_over() -> bool:
        return len(seen) > 1

    await until(is_over)
    running.cancel()
    await asyncio.wait([running])
    await store.close()

    assert seen == [(delivery, "waiting"), (delivery, "dead")]

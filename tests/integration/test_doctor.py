"""What `dockbell doctor` finds, on both databases, with one thing wrong at a time."""

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from dockbell import bootstrap
from dockbell.cli.app import run as run_here
from dockbell.cli.examinations import Finding, Verdict, examine
from dockbell.settings import Settings
from dockbell.store import breakers, deliveries, schema
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.mail_server import MailServer
from tests.receiver import certificate
from tests.rights import bound_by_rights

pytestmark = pytest.mark.usefixtures("own_logging")

WELL = [
    "data folder", "file rights", "disk", "public URL", "egress", "open files", "clock", "mail", "database",
    "schema", "secret key", "clock offset", "durability", "queue", "breakers", "paused",
    "dead deliveries",
]  # fmt: skip


@pytest.fixture
async def settings(database_url: str, tmp_path: Path) -> Settings:
    """Of a dockbell that is there and well."""
    made = Settings(
        data=tmp_path / "data", database_url=database_url, public_url="https://127.0.0.1"
    )
    before = os.umask(0o077)  # as the command line sets it
    try:
        application = bootstrap.build(made)
        await application.prepare()
        await application.close()
    finally:
        os.umask(before)
    if made.sqlite_file is not None:
        made.sqlite_file.chmod(0o600)
    return made


async def wrong_with(settings: Settings) -> list[Finding]:
    """All that is not well, but for the server of the tests, which runs without fsync to be quick."""
    return [
        one
        for one in await examine(settings)
        if one.verdict is not Verdict.OK and one.name != "durability"
    ]


async def test_nothing_is_wrong_with_a_dockbell_that_is_well(settings: Settings) -> None:
    found = await examine(settings)

    names = list(
        dict.fromkeys(one.name for one in found)
    )  # two disks, if there are two folders
    assert names == WELL
    assert await wrong_with(settings) == []


async def test_a_data_folder_that_is_not_there_is_not_made(settings: Settings) -> None:
    lost = replace(settings, data=settings.data / "none", database_url="")

    found = await wrong_with(lost)

    assert [(one.name, one.verdict.value) for one in found] == [
        ("data folder", "fail"),
        ("database", "fail"),
    ]
    assert not (settings.data / "none").exists()


async def test_a_folder_without_rights_and_a_key_that_others_read_are_told(
    settings: Settings,
) -> None:
    (settings.data / "secret.key").chmod(0o640)
    settings.data.chmod(0o777)

    found = await wrong_with(settings)

    assert [(one.name, one.says) for one in found] == [
        ("data folder", f"Every user may write to {settings.data}."),
        ("file rights", f"Other users may read {settings.data / 'secret.key'}."),
    ]


async def test_a_folder_that_cannot_be_written_to_is_told(settings: Settings) -> None:
    settings.data.chmod(0o500)

    with bound_by_rights():
        found = await wrong_with(settings)

    settings.data.chmod(0o700)
    assert (found[0].name, found[0].says) == (
        "data folder", f"This user may not work in {settings.data}.",
    )  # fmt: skip


async def test_a_missing_key_is_told_and_not_made(settings: Settings) -> None:
    (settings.data / "secret.key").unlink()

    found = await wrong_with(settings)

    missing = "the database was written with one, but there is no file"
    assert [(one.name, one.says) for one in found] == [
        ("secret key", f"The secret key is missing: {missing} {settings.data / 'secret.key'}.")
    ]
    assert not (settings.data / "secret.key").exists()


async def test_an_old_schema_is_told(settings: Settings, store: Store) -> None:
    async with store.begin() as tx:
        await tx.run(text("UPDATE alembic_version SET version_num = '0001'"))

    found = await wrong_with(settings)

    assert schema.NEWEST != "0001"
    assert [(one.name, one.verdict.value) for one in found] == [("schema", "fail")]


async def test_a_database_that_is_away_is_told_without_its_password(
    settings: Settings,
) -> None:
    away = replace(settings, database_url="postgresql://me:hush-hush@127.0.0.1:1/none")

    (found,) = await wrong_with(away)

    assert (found.name, found.verdict) == ("database", Verdict.FAIL)
    assert "hush" not in found.says
    assert found.says.endswith("cannot be reached: Connection refused.")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"egress_allow": ("private",)}, "egress"),
        ({"egress_allow": ("10.0.0.0/8",)}, "egress"),
        ({"egress_allow": ("::/0",)}, "egress"),
        ({"public_url": "http://bell.test"}, "public URL"),
        ({"public_url": "http://127.0.0.1", "host": "192.0.2.1"}, "public URL"),
        ({"concurrency": 4096, "public_url": ""}, "open files"),
    ],
)
async def test_a_setting_that_is_dangerous_is_told(
    settings: Settings,
    changes: dict[str, object],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (4096, 4096))
    monkeypatch.setattr("dockbell.cli.examinations._names", lambda *_: [])

    found = await wrong_with(replace(settings, **changes))  # type: ignore[arg-type] -- settings

    assert [(one.name, one.verdict.value) for one in found] == [(name, "warn")]


async def test_a_small_network_and_a_host_are_no_danger(settings: Settings) -> None:
    allowed = replace(settings, egress_allow=("10.1.2.0/24", "hooks.internal.test"))

    assert await wrong_with(allowed) == []


async def test_a_name_that_is_asked_for_is_looked_up(settings: Settings) -> None:
    found = [one for one in await examine(settings, "localhost") if one.name == "names"]

    assert [one.verdict for one in found] == [Verdict.OK]


async def test_a_name_that_is_none_fails(settings: Settings) -> None:
    found = [one for one in await examine(settings, "a..b") if one.name == "names"]

    assert [(one.verdict, one.says) for one in found] == [
        (Verdict.FAIL, "a..b: it is no name.")
    ]


async def test_what_is_stuck_in_the_queue_is_told(settings: Settings, store: Store) -> None:
    late, parked, gone = await queues.prepare(store, 3)
    async with store.begin() as tx:
        await queues.record(tx, [gone])
    (order,) = await queues.lease(store)
    await queues.settle(store, [queues.dead(order)])
    opened, clock = bootstrap.unchecked(settings)
    await opened.close()
    now = clock()
    async with store.begin() as tx:
        await queues.record(tx, [late, parked])
        await deliveries.pause(tx, parked)
        await tx.run(
            update(t.deliveries)
            .where(t.deliveries.c.id == order.delivery_id)
            .values(finished_at=now)
        )
        await tx.run(update(t.lanes).values(next_due_at=now - timedelta(hours=1)))
        await tx.run(
            update(t.deliveries)
            .where(t.deliveries.c.id != order.delivery_id)
            .values(due_at=now - timedelta(hours=1))
        )
        await breakers.open_for(tx, "down.test:443", "http_5xx", now + timedelta(hours=1))

    found = await wrong_with(settings)

    shown = [(one.name, one.verdict.value, one.says.partition(",")[0]) for one in found]
    assert [one for one in shown if one[0] != "time of events"] == [
        ("queue", "fail", "1 deliveries are due"),
        ("breakers", "warn", "1 host is left alone for a while: down.test:443."),
        ("paused", "warn", "1 notifications are paused; 1 deliveries are parked."),
        (
            "dead deliveries",
            "warn",
            "1 delivery was given up in the last day",
        ),
    ]


async def test_events_of_the_future_are_told(settings: Settings, store: Store) -> None:
    await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [])
        ahead = bootstrap.unchecked(settings)[1]() + timedelta(hours=2)
        await tx.run(update(t.events).values(recorded_at=ahead))

    found = await wrong_with(settings)

    assert [(one.name, one.verdict.value) for one in found] == [("time of events", "fail")]


async def test_a_server_that_syncs_nothing_is_told(settings: Settings, store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("dockbell itself sets what SQLite syncs")

    found = await examine(settings)

    (durability,) = [one for one in found if one.name == "durability"]
    assert durability.verdict is Verdict.FAIL
    assert (
        durability.says == "PostgreSQL runs with fsync, full_page_writes off."
    )  # as in tests/postgres.py


def test_the_command_prints_json_and_fails_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    codes = [
        run_here(["doctor", "--json"]),
        run_here(["db", "migrate"]),
        run_here(["doctor"]),
    ]

    out, said = capsys.readouterr()
    array, _, lines = out.partition("\n]\n")
    found = json.loads(array + "]")
    assert codes == [1, 0, 0]
    assert [one["name"] for one in found if one["verdict"] == "fail"] == [
        "data folder",
        "database",
    ]
    assert list(found[0]) == ["name", "verdict", "says", "advice"]
    assert lines.startswith(f"ok    data folder      {tmp_path / 'dockbell-data'}\n")
    assert said.endswith("17 ok, 0 to look at, 0 failed.\n")


async def test_a_mail_server_that_lets_us_in_gets_no_mail(
    settings: Settings, tmp_path: Path
) -> None:
    tls = certificate(tmp_path)
    async with MailServer(tls=tls.context, accounts={"bell": "correct horse"}) as server:
        (found,) = await mail_findings(
            settings,
            smtp_port=server.port,
            smtp_username="bell",
            smtp_password="correct horse",
            ca_file=str(tls.ca_file),
        )

    assert (found.verdict, found.says) == (
        Verdict.OK,
        "127.0.0.1 lets us in; mail comes from bell@dockbell.test.",
    )
    assert server.commands == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]


async def test_a_mail_server_that_does_not_is_told_with_what_to_do(settings: Settings) -> None:
    async with MailServer(answers={"greeting": ["554 5.7.1 Go away"]}) as server:
        away = await mail_findings(settings, smtp_port=server.port)
        plain = await mail_findings(settings, smtp_port=server.port)
    nobody = await mail_findings(settings, smtp_port=server.port)
    nameless = await mail_findings(settings, mail_from="")

    assert [(one.verdict.value, one.says) for one in (*away, *plain, *nobody, *nameless)] == [
        (
            "fail",
            "The mail server answered 554 to the greeting. It takes no mail from this server now.",
        ),
        (
            "fail",
            "127.0.0.1 offers no STARTTLS, and smtp_tls asks for it: nothing was sent.",
        ),
        ("fail", f"127.0.0.1 refused the connection to port {server.port}."),
        (
            "fail",
            "smtp_host is set, but not mail_from: nobody would know whom our mail comes from.",
        ),
    ]
    advised = [one.advice != "" for one in (*away, *plain, *nobody)]
    assert advised == [True, True, True]


async def mail_findings(settings: Settings, **changes: Any) -> list[Finding]:
    set_up = {"smtp_host": "127.0.0.1", "mail_from": "bell@dockbell.test", **changes}
    found = await examine(replace(settings, **set_up))
    return [one for one in found if one.name == "mail"]

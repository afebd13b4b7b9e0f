"""Replacing the secret key: every sealed value, in steps, beside a server that runs."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, Row, insert, select, update

from dockbell import bootstrap
from dockbell.cli import key_rotation
from dockbell.cli.app import run
from dockbell.domain.errors import ConflictError, SetupError
from dockbell.domain.tls import Tls
from dockbell.settings import Settings
from dockbell.store import (
    authorized_emails,
    canary,
    key_files,
    notification_tls,
    sealed_columns,
    seals,
)
from dockbell.store.seals import Seal, WrongKeyError
from dockbell.store.tables import (
    applications,
    feeds,
    keys,
    mirrors,
    notifications,
    robots,
    signing_secrets,
)
from dockbell.store.transactions import Store, Tx
from tests.world import add_repository, open_world

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
pytestmark = pytest.mark.usefixtures("own_logging")

SECRETS = 7
PLACES = [
    "keys.private_sealed",
    "robots.token_sealed",
    "applications.client_secret_sealed",
    "notifications.config_sealed",
    "notification_tls.client_key_sealed",
    "signing_secrets.secret_sealed",
    "authorized_emails.unsubscribe_sealed",
    "mirrors.username_sealed",
    "mirrors.password_sealed",
    "mirrors.proxy_sealed",
    "feeds.secret_sealed",
    "feeds.previous_secret_sealed",
]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """A server whose key stands in the file, as after a first start."""
    data = tmp_path / "data"
    data.mkdir()
    key_files.replace(data / "secret.key", [OLD])
    return Settings(data=data, database_url=database_url)


def key_file(settings: Settings) -> Path:
    return Path(settings.data) / "secret.key"


@pytest.fixture
async def filled(store: Store) -> Store:
    """A database with something in every sealed column."""
    await open_world(store)
    async with store.begin() as tx:
        await canary.check(tx)
        await tx.run(
            insert(robots).values(
                id="rob_1",
                namespace_id="ns_acme",
                name="acme+ci",
                token_hash="x",
                token_sealed=tx.seal.close(b"robot"),
                created_at=tx.now,
            )
        )
        await tx.run(
            insert(applications).values(
                id="app_1",
                namespace_id="ns_acme",
                name="ci",
                client_id="x",
                client_secret_sealed=tx.seal.close(b"application"),
                created_at=tx.now,
            )
        )
        row = {"namespace_id": "ns_acme", "kind": "repo_push", "method": "webhook"}
        await tx.run(
            insert(notifications).values(
                id="ntf_1",
                uuid="1",
                **row,
                event_config={},
                config_sealed=tx.seal.close(b'{"url": "https://hooks.test/x"}'),
                created_at=tx.now,
                updated_at=tx.now,
            )
        )
        repository_id = await add_repository(tx, "acme", "mailed")
        await authorized_emails.ask(
            tx,
            repository_id,
            "ops@example.com",
            code_hash="x",
            expires_at=tx.now,
            unsubscribe_code="unsubscribe",
        )
        await notification_tls.put(tx, "ntf_1", Tls(client_key="key"))
        await tx.run(
            insert(mirrors).values(
                repository_id=repository_id,
                is_enabled=True,
                reference="quay.test/acme/web",
                username_sealed=tx.seal.close(b"user"),
                password_sealed=tx.seal.close(b"password"),
                proxy_sealed=tx.seal.close(b"{}"),
                registry_config={},
                globs=[],
                interval_seconds=60,
                timeout_seconds=60,
                status="NEVER_RUN",
                tries_left=3,
                takeovers=0,
                created_at=tx.now,
                updated_at=tx.now,
            )
        )
        await tx.run(
            insert(feeds).values(
                id="fed_1",
                repository_id=repository_id,
                source="github",
                pipelines=[],
                secret_sealed=tx.seal.close(b"feed"),
                previous_secret_sealed=tx.seal.close(b"before"),
                created_by="ada",
                created_at=tx.now,
            )
        )
        for number in range(SECRETS):
            await tx.run(
                insert(signing_secrets).values(
                    id=f"sec_{number}",
                    notification_id="ntf_1",
                    secret_sealed=tx.seal.close(b"secret %d" % number),
                    created_at=tx.now,
                )
            )
    return store


async def sealed(store: Store) -> Mapping[str, bytes]:
    """Every sealed value of the database as it stands there."""
    found = {}
    async with store.read() as tx:
        for place in sealed_columns.PLACES:
            for row in await tx.rows(select(place.key, place.column)):
                found[f"{place.name} {row[0]}"] = row[1]
    return found


async def opened_with(store: Store, *some: bytes) -> Mapping[str, bytes]:
    seal = Seal(*some)
    return {name: seal.open(value) for name, value in (await sealed(store)).items()}


async def make_older(store: Store, span: timedelta) -> None:
    """As if the rotation had begun that long ago."""
    async with store.begin() as tx:
        row = await tx.first(select(keys.c.created_at).where(keys.c.id == "key_canary"))
        assert row is not None
        await tx.run(
            update(keys)
            .where(keys.c.id == "key_canary")
            .values(created_at=row.created_at - span)
        )


def test_every_sealed_column_is_known() -> None:
    assert sorted(place.name for place in sealed_columns.PLACES) == sorted(PLACES)


async def test_a_rotation_seals_every_value_anew(filled: Store, settings: Settings) -> None:
    before, said = await opened_with(filled, OLD), list[str]()

    done = await key_rotation.rotate(settings, said.append)

    new, old = key_files.read(key_file(settings))
    assert (old, new != OLD) == (OLD, True)
    assert await opened_with(filled, new) == before
    assert len(before) == SECRETS + 11
    # The canary goes first and is not counted.
    assert (done.moved, done.broken) == (SECRETS + 10, [])
    assert f"signing_secrets.secret_sealed: {SECRETS} of {SECRETS}" in said
    assert key_file(settings).stat().st_mode & 0o777 == 0o600


async def test_a_server_with_the_old_key_only_does_not_start_after_a_rotation(
    filled: Store, settings: Settings, tmp_path: Path
) -> None:
    await key_rotation.rotate(settings, lambda _: None)
    key_files.replace(key_file(settings), [OLD])
    application = bootstrap.build(settings)

    with pytest.raises(WrongKeyError):
        await application.prepare()

    await application.close()


async def test_a_rotation_goes_on_where_it_was_broken_off(
    filled: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "CHUNK", 2)
    before = await opened_with(filled, OLD)

    def stop(text: str) -> None:
        if text.startswith("signing_secrets.secret_sealed: 4"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await key_rotation.rotate(settings, stop)
    first_new, _ = key_files.read(key_file(settings))
    halfway = [
        value.startswith(Seal(first_new).head) for value in (await sealed(filled)).values()
    ]
    both = await opened_with(filled, first_new, OLD)
    done = await key_rotation.rotate(settings, lambda _: None)

    new, _ = key_files.read(key_file(settings))
    assert (new, halfway.count(False), done.moved) == (first_new, SECRETS - 4, SECRETS - 4)
    assert both == before
    assert await opened_with(filled, new) == before


class Meddling(Tx):
    """Changes a robot's token behind our look and before our writing, as another process may on PostgreSQL."""

    async def rows(self, statement: Executable, parameters: Any = None) -> Sequence[Row[Any]]:
        found = await super().rows(statement, parameters)
        await self.run(update(robots).values(token_sealed=self.seal.close(b"made anew")))
        return found


async def test_a_value_that_changes_meanwhile_stays_as_it_was_written(filled: Store) -> None:
    (place,) = [one for one in sealed_columns.PLACES if one.table is robots]
    filled.seal = Seal(NEW, OLD)

    async with filled.begin() as tx:
        meddling = Meddling(tx.connection, tx.dialect, tx.now, tx.new_id, tx.seal)
        await sealed_columns.reseal(meddling, place, after="", limit=5)

    assert (await opened_with(filled, NEW, OLD))["robots.token_sealed rob_1"] == b"made anew"


async def test_a_value_that_no_key_opens_is_named_and_left_alone(
    filled: Store, settings: Settings
) -> None:
    broken = Seal(OLD).head + b"x" * 40
    foreign = Seal(b"f" * 32).close(b"x")
    async with filled.begin() as tx:
        for name, value in (("sec_1", broken), ("sec_2", foreign)):
            await tx.run(
                update(signing_secrets)
                .where(signing_secrets.c.id == name)
                .values(secret_sealed=value)
            )

    done = await key_rotation.rotate(settings, lambda _: None)

    now = await sealed(filled)
    assert (done.moved, done.broken) == (SECRETS + 8, ["signing_secrets.secret_sealed sec_1"])
    assert [now[f"signing_secrets.secret_sealed sec_{n}"] for n in (1, 2)] == [broken, foreign]


async def test_the_old_key_is_retired_when_every_server_has_had_time_to_learn(
    filled: Store, settings: Settings
) -> None:
    before = await opened_with(filled, OLD)
    await key_rotation.rotate(settings, lambda _: None)
    async with filled.begin() as tx:  # by a server that has not learned yet
        await tx.run(
            update(robots).values(token_sealed=Seal(OLD).close(b"late")),
        )

    with pytest.raises(ConflictError) as early:
        await key_rotation.retire(settings, lambda _: None)
    await make_older(filled, timedelta(minutes=3))
    await key_rotation.retire(settings, lambda _: None)

    (new,) = key_files.read(key_file(settings))
    assert early.value.detail.startswith(
        "A running server may not know the new key yet. Try again after "
    )
    assert await opened_with(filled, new) == {**before, "robots.token_sealed rob_1": b"late"}
    with pytest.raises(ConflictError, match="There is no older key"):
        await key_rotation.retire(settings, lambda _: None)


async def test_a_key_in_a_setting_is_rotated_by_whoever_sets_it(
    filled: Store, settings: Settings
) -> None:
    before, said = await opened_with(filled, OLD), list[str]()
    old, both = seals.to_text(OLD), f"{seals.to_text(NEW)}, {seals.to_text(OLD)}"

    with pytest.raises(SetupError) as refused:
        await key_rotation.rotate(_with_key(settings, old), said.append)
    await key_rotation.rotate(_with_key(settings, both), said.append)
    await make_older(filled, timedelta(minutes=3))
    await key_rotation.retire(_with_key(settings, both), said.append)

    assert refused.value.detail.startswith("DOCKBELL_SECRET_KEY holds one key.")
    assert await opened_with(filled, NEW) == before
    assert said[-1] == (
        "Nothing needs the older keys: leave only the first one in DOCKBELL_SECRET_KEY."
    )
    assert key_files.read(key_file(settings)) == (OLD,)


def _with_key(settings: Settings, key: str) -> Settings:
    return Settings(data=settings.data, database_url=settings.database_url, secret_key=key)


async def test_a_wrong_key_makes_no_new_one(filled: Store, settings: Settings) -> None:
    key_files.replace(key_file(settings), [b"w" * 32])

    with pytest.raises(WrongKeyError):
        await key_rotation.rotate(settings, lambda _: None)

    assert key_files.read(key_file(settings)) == (b"w" * 32,)


async def test_a_running_server_learns_of_the_new_key_and_seals_with_it(
    filled: Store, settings: Settings
) -> None:
    server = bootstrap.build(settings)
    await server.prepare()
    await key_rotation.rotate(settings, lambda _: None)

    async with server.store.read() as tx:
        row = await tx.first(select(robots.c.token_sealed))
        opened = tx.seal.open(row[0]) if row is not None else None  # before its next look
    await server._look_at_key()

    new, _ = key_files.read(key_file(settings))
    async with server.store.read() as tx:
        closed = tx.seal.close(b"x")
    await server.close()
    assert opened == b"robot"
    assert Seal(new).open(closed) == b"x"


def test_the_commands_say_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    codes = [run(["db", "migrate"]), run(["keys", "rotate"]), run(["keys", "retire"])]

    out, said = capsys.readouterr()
    assert (codes, out) == ([0, 0, 1], "")
    assert "Sealed 0 values with the new key." in said
    assert "dockbell: A running server may not know the new key yet." in said
    assert json.dumps(said).count(seals.to_text(NEW)) == 0


def test_a_sealed_value_cut_off_anywhere_is_refused() -> None:
    seal = Seal(NEW)
    whole = seal.close(b"the value")

    refused = 0
    for size in range(len(whole)):
        with pytest.raises(WrongKeyError):
            seal.open(whole[:size])
        refused += 1

    assert refused == len(whole)

"""A notification's own authorities and client certificate: saving, showing, and sending with them."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.masks import MASK
from dockbell.domain.tls import Tls
from dockbell.store import notification_tls, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import engines
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.receiver import Certificate, Receiver, certificate
from tests.world import World, open_world

BASE = "/api/v2/notifications"
NEW: dict[str, Any] = {
    "repository": "acme/web",
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "https://hooks.test/a"},
}


@pytest.fixture
async def world(store: Store, clock: SetClock) -> World:
    clock.now = datetime.now(UTC)  # certificates are valid today
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    return certificate(tmp_path)


def body_of(own: Certificate) -> dict[str, str]:
    return {"ca": own.pem, "client_certificate": own.pem, "client_key": own.key}


async def make(client: Client, tls: Any, **changes: Any) -> dict[str, Any]:
    answer = await client.post(BASE, {**NEW, "tls": tls, **changes})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json()["notification"]
    return made


async def kept(store: Store, notification_id: str) -> Tls | None:
    async with store.read() as tx:
        return (await notification_tls.find_many(tx, [notification_id])).get(notification_id)


def errors_of(answer: Answer) -> list[tuple[str, str]]:
    return [(one["field"], one["message"]) for one in answer.json().get("errors", ())]


async def test_it_is_kept_sealed_and_shown_without_its_key(
    world: World, admin: Client, own: Certificate
) -> None:
    made = await make(admin, body_of(own))

    listed = (await admin.get(f"{BASE}?repository=acme/web&show=config")).json()["items"]
    shown = {
        "ca": own.pem,
        "client_certificate": own.pem,
        "client_key": MASK,
        "expires_at": made["tls"]["expires_at"],
    }
    assert (made["tls"], listed[0]["tls"]) == (shown, shown)
    assert await kept(world.store, made["id"]) == Tls(own.pem, own.pem, own.key)
    async with world.store.read() as tx:
        row = await tx.first(select(t.notification_tls))
    assert row is not None
    assert own.key.splitlines()[1].encode() not in row.client_key_sealed


async def test_a_change_replaces_it_and_a_mask_keeps_the_key(
    world: World, admin: Client, own: Certificate
) -> None:
    made = await make(admin, body_of(own))
    address = f"{BASE}/{made['id']}"

    titled = await admin.send("PATCH", address, {"title": "ci"})
    after_title = await kept(world.store, made["id"])
    own_only = {"client_certificate": own.pem, "client_key": MASK}
    masked = await admin.send("PATCH", address, {"tls": own_only})
    after_mask = await kept(world.store, made["id"])
    none = await admin.send("PATCH", address, {"tls": None})
    after_none = await kept(world.store, made["id"])

    assert [one.status for one in (titled, masked, none)] == [200, 200, 200]
    assert after_title == Tls(own.pem, own.pem, own.key)
    assert after_mask == Tls("", own.pem, own.key)
    assert (after_none, none.json()["notification"]["tls"]) == (None, None)


async def test_what_has_run_out_since_keeps_nobody_from_another_change(
    world: World, admin: Client, own: Certificate, clock: SetClock
) -> None:
    made = await make(admin, body_of(own))
    clock.move(days=3)

    titled = await admin.send("PATCH", f"{BASE}/{made['id']}", {"title": "ci"})
    again = await admin.send("PATCH", f"{BASE}/{made['id']}", {"tls": body_of(own)})

    assert titled.status == 200
    assert (again.status, errors_of(again)) == (
        400,
        [("tls.ca", "All certificates of the authorities have run out")],
    )


async def test_a_copy_takes_it_along_and_a_deletion_leaves_nothing(
    world: World, admin: Client, own: Certificate
) -> None:
    made = await make(admin, body_of(own))

    copy = await admin.post(f"{BASE}/{made['id']}/copy", {"repository": "acme/api"})
    copied = await kept(world.store, copy.json()["notification"]["id"])
    await admin.delete(f"{BASE}/{made['id']}")

    assert copied == Tls(own.pem, own.pem, own.key)
    assert await kept(world.store, made["id"]) is None


@pytest.mark.parametrize(
    ("changes", "tls", "errors"),
    [
        ({}, {"ca": "x"}, [("tls.ca", "This is not a PEM certificate")]),
        ({}, {"client_key": MASK}, [("tls.client_certificate", "A key needs the certificate that it belongs to")]),
        ({"config": {"url": "http://hooks.test/a"}}, {"ca": "x"}, [("tls", "Only a target with https takes this")]),
        (
            {"method": "quay_notification", "config": {"target": {"kind": "user", "name": "admin"}}},
            {"ca": "x"},
            [("tls", "Only a target with https takes this")],
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_by_its_field(
    world: World,
    admin: Client,
    changes: dict[str, Any],
    tls: dict[str, str],
    errors: list[tuple[str, str]],
) -> None:
    answer = await admin.post(BASE, {**NEW, **changes, "tls": tls})

    assert (answer.status, errors_of(answer)) == (400, errors)
    async with world.store.read() as tx:
        assert await tx.rows(select(t.notifications.c.id)) == []


async def test_the_engine_sends_with_it(
    store: Store, clock: SetClock, own: Certificate
) -> None:
    context = own.context
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(own.ca_file)
    async with Receiver(tls=context) as receiver:
        made = await engines.add(store, receiver.url())
        async with store.begin() as tx:
            await notification_tls.put(tx, made.id, Tls(own.pem, own.pem, own.key))
            await notifications.touch(tx, made.id)

        async with engines.running(store, clock):
            await engines.record(store, clock)
            (request,) = await receiver.wait_for(1)

    assert request.path == "/"

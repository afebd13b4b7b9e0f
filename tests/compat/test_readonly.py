"""A server that is set to change nothing: what it refuses and in which words, and what goes on (quay-compat 1.1)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from dockbell.domain.accounts import Scope
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import PASSWORD as OWN
from tests.accounts import said
from tests.apps import app_of
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import errors_of, open_hub, push_image
from tests.world import World, open_world

WORDS = "System is currently read-only. Pulls will succeed but all write operations are currently suspended."
REFUSED = (503, {"message": WORDS, "is_readonly": True})
HOOK: Mapping[str, Any] = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "http://example.com"},
}


@pytest.fixture
async def world(store: Store) -> World:
    opened = await open_world(store)
    faces = replace(opened.faces, is_readonly=True)
    return replace(opened, faces=faces, anonymous=Client(app_of(store, faces)))


async def test_every_change_is_refused_before_anything_else_is_asked(world: World) -> None:
    boss = await world.client("boss", " ".join(Scope))
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/repository/acme/web/notification/", {**HOOK, "eventConfig": {}}),
        ("PUT", "/api/v1/repository/acme/web", {"description": "x"}),
        ("DELETE", "/api/v1/repository/acme/web", None),
        ("POST", "/api/v1/organization/", {"name": "new"}),
        ("PUT", "/api/v1/user/", {"password": OWN}),
    ]

    answers = [said(await boss.send(*call)) for call in calls]
    nobody = [said(await world.anonymous.send(*call)) for call in calls]
    async with world.store.read() as tx:
        row = await tx.first(select(func.count()).select_from(t.audit_entries))

    assert answers == nobody == [REFUSED] * len(calls)
    assert row is not None
    assert row[0] == 0


async def test_api_v2_and_what_reports_events_are_told_in_their_shape(world: World) -> None:
    boss = await world.client("boss", " ".join(Scope))
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/api/v2/notifications", {**HOOK, "repository": "acme/web"}),
        ("PATCH", "/api/v2/notifications/ntf_x", {}),
        ("POST", "/api/v2/events", {}),
        ("POST", "/api/v2/events?x=y", {}),
        ("POST", "/api/v2/feeds/fed_x", {}),
    ]

    answers = [said(await boss.send(*call)) for call in calls]
    clair = await world.anonymous.post("/secscan/notification", {})

    problem = {
        "type": "https://dockbell.test/api/v1/error/readonly",
        "title": "Readonly",
        "status": 503,
        "detail": WORDS,
    }
    assert answers == [(503, problem)] * len(calls)
    assert (clair.status, clair.body.decode()) == (503, f"{WORDS}\n")


async def test_what_reads_goes_on_and_so_do_signing_in_and_previews(world: World) -> None:
    boss = await world.client("boss", " ".join(Scope))

    seen = [
        (await boss.get(path)).status
        for path in ("/api/v1/repository/acme/web", "/api/v2/events?repository=acme/web")
    ]
    preview = await boss.post(
        "/api/v2/notifications/preview", {**HOOK, "repository": "acme/web"}
    )
    sign_in = await world.anonymous.post(
        "/api/v1/signin", {"username": "boss", "password": "x"}
    )
    asked = (await world.anonymous.get("/config")).json()

    assert (seen, preview.status) == ([200, 200], 200)
    assert sign_in.status == 403  # no CSRF token, which is asked for as ever
    assert asked["registry_state"] == asked["config"]["REGISTRY_STATE"] == "readonly"


async def test_pulls_go_on_and_nothing_is_pushed_deleted_or_made(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    before = await open_hub(store, tmp_path / "data", clock)
    await push_image(await before.client(), "v1")
    hub = before.with_switches(is_readonly=True)
    client = await hub.client(actions="pull,push,delete")

    pulled = await client.get("/v2/acme/web/manifests/v1")
    refused = [
        await client.send(verb, path)
        for verb, path in (
            ("POST", "/v2/acme/web/blobs/uploads/"),
            ("PUT", "/v2/acme/web/manifests/v2"),
            ("DELETE", "/v2/acme/web/manifests/v1"),
        )
    ]
    await hub.ask_token("boss", "repository:acme/fresh:push")
    async with store.read() as tx:
        made = await tx.first(select(t.repositories).where(t.repositories.c.name == "fresh"))

    assert pulled.status == 200
    assert [(one.status, errors_of(one)) for one in refused] == [(405, [("DENIED", WORDS)])] * 3
    assert made is None

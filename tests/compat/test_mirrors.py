"""Quay's mirror API, and the states of repositories."""

from typing import Any

import pytest
from sqlalchemy import select

from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, invalid, problem, said
from tests.asgi import Client
from tests.world import World, open_world

MIRROR = "/api/v1/repository/acme/web/mirror"
NEW: dict[str, Any] = {
    "is_enabled": True,
    "external_reference": "quay.io/redhat/quay",
    "external_registry_username": "puller",
    "external_registry_password": "swordfish-7",
    "external_registry_config": {
        "verify_tls": True,
        "unsigned_images": False,
        "proxy": {"http_proxy": None, "https_proxy": None, "no_proxy": None},
    },
    "sync_interval": 86400,
    "sync_start_date": "2026-03-15T01:02:03Z",
    "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["latest", "3.3*"]},
    "robot_username": "acme+ci",
}
SHOWN = {
    "is_enabled": True,
    "mirror_type": "PULL",
    "external_reference": "quay.io/redhat/quay",
    "external_registry_username": "puller",
    "external_registry_config": NEW["external_registry_config"],
    "sync_interval": 86400,
    "sync_start_date": "2026-03-15T01:02:03Z",
    "sync_expiration_date": None,
    "sync_retries_remaining": 3,
    "sync_status": "NEVER_RUN",
    "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["latest", "3.3*"]},
    "robot_username": "acme+ci",
    "skopeo_timeout_interval": 300,
    "architecture_filter": [],
}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    boss = await world.client("boss", "org:admin repo:admin repo:write")
    made = await boss.put("/api/v1/organization/acme/robots/ci", {})
    assert made.status == 201
    return boss


async def change(client: Client, **values: Any) -> Any:
    return said(await client.put(MIRROR, values))


async def test_a_mirror_is_made_shown_and_changed(admin: Client) -> None:
    assert said(await admin.get(MIRROR)) == (404, NOT_FOUND)
    assert said(await admin.post(MIRROR, NEW)) == (201, "")
    assert said(await admin.get(MIRROR)) == (200, SHOWN)
    shown = (await admin.get("/api/v1/repository/acme/web")).json()
    assert shown["state"] == "MIRROR"
    permissions = await admin.get("/api/v1/repository/acme/web/permissions/user/acme+ci")
    assert permissions.json()["role"] == "write"

    assert await change(
        admin,
        is_enabled=False,
        external_reference="docker.io/library/nginx",
        sync_interval=3600,
        sync_start_date="2026-04-01T00:00:00Z",
        external_registry_config={"verify_tls": False},
        root_rule={"rule_kind": "tag_glob_csv", "rule_value": ["1.*"]},
    ) == (201, "")

    assert said(await admin.get(MIRROR)) == (
        200,
        {
            **SHOWN,
            "is_enabled": False,
            "external_reference": "docker.io/library/nginx",
            "sync_interval": 3600,
            "sync_start_date": "2026-04-01T00:00:00Z",
            "external_registry_config": {
                **NEW["external_registry_config"],
                "verify_tls": False,
            },
            "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["1.*"]},
        },
    )

    early = "0099-01-01T00:00:00Z"
    assert await change(admin, sync_start_date=early) == (201, "")
    assert (await admin.get(MIRROR)).json()["sync_start_date"] == early


@pytest.mark.parametrize("username", [{}, {"external_registry_username": None}])
async def test_a_password_needs_a_username(admin: Client, username: dict[str, Any]) -> None:
    bare = {key: one for key, one in NEW.items() if key != "external_registry_username"}

    answer = await admin.post(MIRROR, {**bare, "external_registry_password": "x", **username})

    text = "Unable to set a new password without also specifying a username."
    assert (answer.status, answer.json()) == (400, {"detail": text})
    assert (await admin.get(MIRROR)).status == 404


async def test_a_second_mirror_is_a_conflict(admin: Client) -> None:
    await admin.post(MIRROR, NEW)

    answer = await admin.post(MIRROR, NEW)

    # Quay's spelling.
    assert said(answer) == (
        409,
        {"detail": "Mirror configuration already exits for repository acme/web"},
    )


async def test_the_password_is_sealed_and_shown_nowhere(admin: Client, store: Store) -> None:
    await admin.post(MIRROR, NEW)

    async with store.read() as tx:
        row = await tx.first(select(tables.mirrors.c.password_sealed))
        logs = await tx.rows(select(tables.audit_entries.c.metadata))
    assert row is not None
    assert b"swordfish" not in row.password_sealed
    assert b"swordfish" not in (await admin.get(MIRROR)).body
    assert "swordfish" not in str([one.metadata for one in logs])


async def test_platforms_and_a_proxy_are_shown_and_changed_key_by_key(
    admin: Client, store: Store
) -> None:
    proxy = {"https_proxy": "http://bell:s3same@proxy.test:3128", "no_proxy": "quay.io"}
    config = {"verify_tls": True, "proxy": proxy}
    await admin.post(
        MIRROR,
        {**NEW, "architecture_filter": ["arm64", "arm64"], "external_registry_config": config},
    )

    made = (await admin.get(MIRROR)).json()
    changed = await change(
        admin, external_registry_config={"proxy": {"no_proxy": None}}, architecture_filter=None
    )

    shown = (await admin.get(MIRROR)).json()
    assert changed == (201, "")
    assert (made["architecture_filter"], made["external_registry_config"]) == (
        ["arm64"],
        config,
    )
    assert (shown["architecture_filter"], shown["external_registry_config"]["proxy"]) == (
        [], {**proxy, "no_proxy": None},
    )  # fmt: skip
    async with store.read() as tx:
        row = await tx.first(select(tables.mirrors))
        logs = await tx.rows(select(tables.audit_entries.c.metadata))
    assert "s3same" not in str(row)
    assert "s3same" not in str([one.metadata for one in logs])
    assert "http://********@proxy.test:3128" in str([one.metadata for one in logs])


async def test_credentials_are_changed_as_in_quay(admin: Client, store: Store) -> None:
    async def password() -> bytes | None:
        async with store.read() as tx:
            row = await tx.first(select(tables.mirrors.c.password_sealed))
        assert row is not None
        found: bytes | None = row.password_sealed
        return found

    await admin.post(MIRROR, NEW)
    before = await password()

    assert await change(admin, external_registry_username="other") == (201, "")
    assert await password() == before
    assert await change(admin, external_registry_password="x") == (
        400,
        {"detail": "Unable to set a new password without also specifying a username."},
    )
    for nobody in (None, ""):
        assert await change(
            admin, external_registry_username=nobody, external_registry_password="x"
        ) == (400, {"detail": "Unable to delete username while setting a password."})
    assert await password() == before
    assert await change(admin, external_registry_username="") == (201, "")
    assert await password() is None
    assert await change(
        admin, external_registry_username="other", external_registry_password="x"
    ) == (201, "")
    assert await change(
        admin, external_registry_username=None, external_registry_password=None
    ) == (201, "")
    assert await password() is None
    assert (await admin.get(MIRROR)).json()["external_registry_username"] is None


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"external_reference": ""}, "Empty string is an invalid repository location."),
        ({"sync_start_date": "tomorrow"}, "Incorrect DateTime format for sync_start_date."),
    ],
)
async def test_changes_that_quay_refuses(
    admin: Client, changes: dict[str, Any], detail: str
) -> None:
    await admin.post(MIRROR, NEW)

    assert await change(admin, **changes) == (400, {"detail": detail})
    assert said(await admin.get(MIRROR)) == (200, SHOWN)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        (
            {"root_rule": {"rule_kind": "x", "rule_value": []}},
            "'x' is not one of ['tag_glob_csv']",
        ),
        ({"root_rule": {"rule_value": []}}, "'rule_kind' is a required property"),
        (
            {"root_rule": {"rule_kind": "tag_glob_csv", "rule_value": []}},
            "validation failed: rule_value for TAG_GLOB_CSV must be a list with at least one rule",
        ),
        (
            {"root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["[a"]}},
            "The tag pattern `[a` is not right: the [ at position 0 is never closed; write \\[ for the character itself",
        ),
        ({"sync_interval": 0}, "`sync_interval` must be from 1 to 315360000 seconds"),
        ({"sync_interval": "5"}, "'5' is not of type 'integer'"),
        ({"robot_username": "other+ci"}, "`other+ci` is no robot of acme. Make one first"),
        (
            {"external_reference": "https://quay.io/a/b"},
            "`https://quay.io/a/b` is no location of a repository. Write it as quay.io/acme/web, without a tag",
        ),
        (
            {"external_reference": "quay.io/a/b:v1"},
            "`quay.io/a/b:v1` is no location of a repository. Write it as quay.io/acme/web, without a tag",
        ),
        (
            {"external_reference": "dockbell.test/acme/web"},
            "A repository cannot be a mirror of itself",
        ),
        ({"external_reference": "127.0.0.1/acme/web"}, "The address is loopback."),
        (
            {"external_registry_config": {"proxy": {"http_proxy": 5}}},
            "`external_registry_config.proxy.http_proxy` must be a string of at most 2048 characters, or null",
        ),
        (
            {"external_registry_config": {"proxy": {"https_proxy": "https://proxy.test"}}},
            "`external_registry_config.proxy.https_proxy`: a proxy is spoken to in http and has no path",
        ),
        (
            {"external_registry_config": {"proxy": {"https_proxy": "127.0.0.1:3128"}}},
            "`external_registry_config.proxy.https_proxy`: The address is loopback.",
        ),
        (
            {"external_registry_config": {"verify_tls": "no"}},
            "`external_registry_config.verify_tls` must be a boolean",
        ),
        (
            {"architecture_filter": ["amd64", "Arm"]},
            "`architecture_filter` must be a list of architectures, as in ['amd64', 'arm64']",
        ),
        (
            {"skopeo_timeout_interval": 1},
            "`skopeo_timeout_interval` must be from 300 to 43200 seconds",
        ),
    ],
)
async def test_what_cannot_be_is_refused_when_made_and_when_changed(
    admin: Client, changes: dict[str, Any], detail: str
) -> None:
    assert said(await admin.post(MIRROR, {**NEW, **changes})) == (400, invalid(detail))
    assert said(await admin.get(MIRROR)) == (404, NOT_FOUND)
    await admin.post(MIRROR, NEW)
    assert await change(admin, **changes) == (400, invalid(detail))
    assert said(await admin.get(MIRROR)) == (200, SHOWN)


@pytest.mark.parametrize(
    "missing",
    ["external_reference", "sync_interval", "sync_start_date", "root_rule", "robot_username"],
)
async def test_what_is_required(admin: Client, missing: str) -> None:
    body = {key: value for key, value in NEW.items() if key != missing}

    assert said(await admin.post(MIRROR, body)) == (
        400,
        invalid(f"'{missing}' is a required property"),
    )


async def test_a_sync_is_asked_for_and_called_off(admin: Client) -> None:
    assert (await admin.post(f"{MIRROR}/sync-now")).status == 404
    await admin.post(MIRROR, NEW)
    assert (await admin.post(f"{MIRROR}/sync-cancel")).status == 404

    assert (await admin.post(f"{MIRROR}/sync-now")).status == 204
    assert (await admin.get(MIRROR)).json()["sync_status"] == "SYNC_NOW"
    assert (await admin.post(f"{MIRROR}/sync-cancel")).status == 204
    shown = (await admin.get(MIRROR)).json()
    assert (shown["sync_status"], shown["sync_retries_remaining"]) == ("CANCEL", 0)


async def test_only_admins_of_the_repository_see_and_set_mirrors(
    world: World, admin: Client
) -> None:
    await admin.post(MIRROR, NEW)
    stranger, writer = await world.client("fresh"), await world.client("writer")
    weak = await world.client("admin", "repo:write")

    for client, status, body in (
        (world.anonymous, 401, UNAUTHENTICATED),
        (stranger, 403, FORBIDDEN),
        (writer, 403, FORBIDDEN),
        (weak, 403, FORBIDDEN),
    ):
        answers = [
            await client.get(MIRROR),
            *([] if client is world.anonymous else [
                await client.post(MIRROR, {}),
                await client.put(MIRROR, {}),
                await client.post(f"{MIRROR}/sync-now"),
                await client.post(f"{MIRROR}/sync-cancel"),
                await client.put("/api/v1/repository/acme/web/changestate", {}),
            ]),
        ]  # fmt: skip
        assert [said(one) for one in answers] == [(status, body)] * len(answers)


async def test_a_repository_changes_its_state(admin: Client) -> None:
    path = "/api/v1/repository/acme/web/changestate"

    assert said(await admin.put(path, {"state": "READ_ONLY"})) == (200, {"success": True})
    listed = (await admin.get("/api/v1/repository?namespace=acme")).json()["repositories"]
    states = {one["name"]: one["state"] for one in listed}
    assert states == {"web": "READ_ONLY", "api": "NORMAL", "team/app": "NORMAL"}
    assert said(await admin.put(path, {"state": "LOST"})) == (
        400,
        invalid("'LOST' is not one of ['NORMAL', 'READ_ONLY', 'MIRROR']"),
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("MIRROR", "acme/web is a mirror: only its own syncs write to it"),
        ("READ_ONLY", "acme/web is in read-only mode"),
    ],
)
async def test_tags_of_a_repository_that_takes_no_pushes_stay(
    admin: Client, state: str, words: str
) -> None:
    await admin.put("/api/v1/repository/acme/web/changestate", {"state": state})
    tag = "/api/v1/repository/acme/web/tag/v1"

    answers = [
        await admin.put(tag, {"expiration": None}),
        await admin.delete(tag),
        await admin.post(f"{tag}/restore", {"manifest_digest": f"sha256:{'a' * 64}"}),
    ]

    # Quay: 503, which asks clients to try again.
    refused = problem(403, "insufficient_scope", words)
    assert [said(one) for one in answers] == [(403, refused)] * 3


async def test_a_mirror_goes_with_its_repository_and_outlives_its_robot(
    admin: Client, store: Store
) -> None:
    await admin.post(MIRROR, NEW)

    await admin.delete("/api/v1/organization/acme/robots/ci")
    assert (await admin.get(MIRROR)).json()["robot_username"] is None
    await admin.delete("/api/v1/repository/acme/web")

    async with store.read() as tx:
        assert await tx.first(select(tables.mirrors)) is None

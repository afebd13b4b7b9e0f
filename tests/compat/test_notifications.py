"""Repository notifications answer as Quay's do: what goes well (quay-compat 2.1, 9.1)."""

import base64
import uuid as uuids
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.deliveries import PauseReason
from dockbell.store import notifications, signing_secrets
from dockbell.store.tables import deliveries
from dockbell.store.tables import notifications as notifications_table
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.world import World, add_repository, open_world

BASE = "/api/v1/repository/acme/web/notification/"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


def new(**changes: Any) -> dict[str, Any]:
    """A body that creates a webhook."""
    return {
        "event": "repo_push",
        "method": "webhook",
        "config": {"url": "http://example.com"},
        "eventConfig": {},
        **changes,
    }


async def make(client: Client, base: str = BASE, **changes: Any) -> str:
    answer = await client.post(base, new(**changes))
    assert answer.status == 201, answer.body
    uuid: str = answer.json()["uuid"]
    return uuid


async def _database_id(store: Store, uuid: str) -> str:
    async with store.read() as tx:
        row = await tx.first(
            select(notifications_table.c.id).where(notifications_table.c.uuid == uuid)
        )
    assert row is not None
    found: str = row.id
    return found


async def test_a_webhook_is_created_for_each_of_these_events(admin: Client) -> None:
    for event in (
        "repo_push",
        "repo_mirror_sync_started",
        "repo_mirror_sync_success",
        "repo_mirror_sync_failed",
    ):
        created = await admin.post(BASE, new(event=event, title="test"))

        uuid = created.json()["uuid"]
        assert (created.status, created.json()) == (
            201,
            {
                "uuid": uuid,
                "title": "test",
                "event": event,
                "method": "webhook",
                "config": {"url": "http://example.com"},
                "event_config": {},
                "number_of_failures": 0,
            },
        )
        assert str(uuids.UUID(uuid, version=4)) == uuid


async def test_a_notification_lives_from_create_to_delete(admin: Client) -> None:
    plain = await admin.post(BASE, new())
    titled = await admin.post(BASE, new(title="Some Notification"))
    uuid = plain.json()["uuid"]

    got = await admin.get(BASE + uuid)
    listed = await admin.get(BASE)
    deleted = await admin.delete(BASE + uuid)
    missing = await admin.get(BASE + uuid)
    rest = await admin.get(BASE)

    assert (got.status, got.json(), got.json()["title"]) == (200, plain.json(), None)
    assert (titled.status, titled.json()["title"]) == (201, "Some Notification")
    assert listed.json() == {"notifications": [plain.json(), titled.json()]}
    assert (deleted.status, deleted.body, missing.status) == (204, b"", 404)
    assert rest.json() == {"notifications": [titled.json()]}


async def test_notifications_list_in_the_order_they_were_created(admin: Client) -> None:
    made = [await make(admin, title=f"n{number}") for number in range(5)]

    listed = await admin.get(BASE)

    assert [one["uuid"] for one in listed.json()["notifications"]] == made


@pytest.mark.quirk("Q11")
async def test_config_and_event_config_come_back_as_they_were_sent(admin: Client) -> None:
    config = {
        "z": [1, 1.5, None, True, {"deep": {"er": []}}],
        "url": "https://user:secret@example.com/ü?a=1",
        "template": "",
        "big": 123456789012345678901234567890,
        "emoji": "🐳\u200d",
    }
    event_config = {"z": 1, "level": "1", "a": {"b": None}}

    made = await make(
        admin, event="vulnerability_found", config=config, eventConfig=event_config
    )
    got = (await admin.get(BASE + made)).json()

    assert (got["config"], got["event_config"]) == (config, event_config)
    assert [list(got["config"]), list(got["event_config"])] == [
        ["z", "url", "template", "big", "emoji"],
        ["z", "level", "a"],
    ]


# JSON as it is sent, and as it comes back: what Python reads and writes, key for key.
DOCUMENTS = [
    ('{"b": 1, "a": 2, "c": {"z": [], "y": {}}}', None),
    ('{"a": [1.0, 1.10, 1e5, 1e22, 1e-7, -0.0, 0.1]}', '{"a": [1.0, 1.1, 100000.0, 1e+22, 1e-07, -0.0, 0.1]}'),
    ('{"a": [18446744073709551616, -9223372036854775809, -0]}', '{"a": [18446744073709551616, -9223372036854775809, 0]}'),
    ('{"a": ' + "9" * 4000 + "}", None),
    ('{"a": 1, "b": 2, "a": 3}', '{"a": 3, "b": 2}'),
    ('{"é": "🐳", "\\/": "\\u00e9\\n\\u007f"}', '{"\\u00e9": "\\ud83d\\udc33", "/": "\\u00e9\\n\\u007f"}'),
    ('{"": "", " ": null, "true": [true, false]}', None),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "shown"), DOCUMENTS)
async def test_documents_come_back_to_the_byte(
    admin: Client, sent: str, shown: str | None
) -> None:
    config, shown_config = (
        document[:-1] + ', "url": "http://example.com"}' for document in (sent, shown or sent)
    )
    body = (
        '{"event": "repo_push", "method": "webhook", "title": "t", "title": "",'
        f' "eventConfig": {sent}, "config": {config}}}'
    )

    created = await admin.post(
        BASE, body=body.encode(), headers={"Content-Type": "application/json"}
    )
    uuid = created.json()["uuid"]
    got = await admin.get(BASE + uuid)
    listed = await admin.get(BASE)

    assert created.status == 201
    assert created.body.decode() == (
        f'{{"uuid": "{uuid}", "title": "", "event": "repo_push", "method": "webhook",'
        f' "config": {shown_config}, "event_config": {shown or sent}, "number_of_failures": 0}}\n'
    )
    assert got.body == created.body
    assert listed.body == b'{"notifications": [' + created.body.strip() + b"]}\n"


async def test_a_list_shows_each_notification_as_it_shows_alone(
    admin: Client, store: Store
) -> None:
    long = {"level": 1, "note": "x" * 2000}
    made = [
        await make(admin, title=None),
        await make(admin, title='"Ü" \\ 🐳\n', config={"url": "http://example.com/ü"}),
        await make(admin, event="vulnerability_found", eventConfig={"level": 5, "ü": [0.1]}),
        await make(admin, event="vulnerability_found", eventConfig=long),
        await make(admin, title="paused"),
        await make(admin, title="failing"),
    ]
    async with store.begin() as tx:
        for uuid in made[-2:]:
            row = await tx.first(
                select(notifications_table.c.id).where(notifications_table.c.uuid == uuid)
            )
            assert row is not None
            await notifications.set_streak(tx, row.id, 2)
            if uuid == made[-2]:
                await notifications.pause(tx, row.id, PauseReason.PERSON)

    alone = [await admin.get(BASE + uuid) for uuid in made]
    listed = await admin.get(BASE)

    bodies = [one.body.strip() for one in alone]
    assert listed.body == b'{"notifications": [' + b", ".join(bodies) + b"]}\n"
    assert [one.json()["number_of_failures"] for one in alone] == [0, 0, 0, 0, 3, 2]


@pytest.mark.quirk("Q10")
async def test_a_title_comes_back_or_is_null(admin: Client) -> None:
    titles = ["", " ", "t", "Ü 🐳", "x" * 300, None]

    shown = [(await admin.post(BASE, new(title=title))).json()["title"] for title in titles]

    assert shown == titles


@pytest.mark.parametrize(
    ("body", "event_config"),
    [
        ({"eventConfig": {"a": 1}}, {"a": 1}),
        ({"event_config": {"b": 2}}, {"b": 2}),
        ({"eventConfig": {"a": 1}, "event_config": {"b": 2}}, {"a": 1}),
    ],
)
@pytest.mark.quirk("Q9")
async def test_both_spellings_of_the_event_config_are_taken(
    admin: Client, body: dict[str, Any], event_config: dict[str, Any]
) -> None:
    sent = new() | {"title": None, "template": "", "unknown": [1]} | body
    if "eventConfig" not in body:
        del sent["eventConfig"]

    created = await admin.post(BASE, sent)

    assert (created.status, created.json()["event_config"]) == (201, event_config)
    assert created.json()["title"] is None


@pytest.mark.parametrize(
    ("base", "same"),
    [
        ("/api/v1/repository/acme/web/notification", BASE),
        ("/api/v1/repository/acme%2Fweb/notification", BASE),
        ("/api/v1/repository/acme%2fweb%2Fnotification%2F", BASE),
        (
            "/api/v1/repository/acme/team/app/notification",
            "/api/v1/repository/acme%2Fteam%2Fapp/notification/",
        ),
    ],
)
@pytest.mark.quirk("Q1")
async def test_each_way_to_write_the_address_works_without_a_redirect(
    admin: Client, base: str, same: str
) -> None:
    uuid = await make(admin, base)
    item = f"{base.rstrip('/')}/{uuid}"

    statuses = [
        (await admin.get(base)).json()["notifications"][0]["uuid"] == uuid,
        (await admin.get(same + uuid)).status,
        (await admin.get(f"{item}/")).status,
        (await admin.post(f"{item}/test/")).status,
        (await admin.post(f"{item}/")).status,
        (await admin.delete(f"{item}/")).status,
        (await admin.get(item)).status,
    ]

    assert statuses == [True, 200, 200, 200, 204, 204, 404]


async def test_a_repository_named_like_a_part_of_the_api_is_shadowed(world: World) -> None:
    boss = await world.client("boss", "repo:admin repo:create")
    async with world.store.begin() as tx:
        await add_repository(tx, "acme", "web/notification")
        await add_repository(tx, "acme", "notification")
    uuid = await make(boss)

    shadowed = await boss.get("/api/v1/repository/acme/web/notification")
    shadowed_too = await boss.get("/api/v1/repository/acme/web/notification/notification")
    reached = await boss.get("/api/v1/repository/acme/notification")
    inside = await boss.get("/api/v1/repository/acme/notification/notification")

    assert [one["uuid"] for one in shadowed.json()["notifications"]] == [uuid]
    assert shadowed_too.status == 404
    assert (reached.status, reached.json()["name"]) == (200, "notification")
    assert (inside.status, inside.json()) == (200, {"notifications": []})


async def test_any_json_content_type_is_taken(admin: Client) -> None:
    for media_type in ("application/json; charset=utf-8", "application/x+json"):
        created = await admin.post(BASE, new(), headers={"Content-Type": media_type})

        assert created.status == 201


# What go-quay, Ansible, curl and the web page really send with calls that have no body.
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", {"Content-Type": "application/json"}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"{broken", {"Content-Type": "application/json"}),
        (b"\xff\x00", {"Content-Type": "text/plain"}),
        (b'{"event": "nope", "method": 5}', {"Content-Type": "application/json"}),
    ],
)
async def test_reset_test_and_delete_ignore_the_body(
    admin: Client, body: bytes, headers: dict[str, str]
) -> None:
    uuid = await make(admin)

    reset = await admin.post(BASE + uuid, body=body, headers=headers)
    tested = await admin.post(f"{BASE}{uuid}/test", body=body, headers=headers)
    as_go_quay = await admin.post(f"{BASE}{uuid}/reset", body=body, headers=headers)
    deleted = await admin.delete(BASE + uuid, body=body, headers=headers)

    assert (reset.status, reset.body) == (204, b"")
    assert (tested.status, tested.body) == (200, b"{}\n")
    assert (as_go_quay.status, as_go_quay.body) == (200, b"{}\n")
    assert (deleted.status, deleted.body) == (204, b"")


MEANINGLESS = [
    ("PUT", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("PUT", "{uuid}"),
    ("PATCH", "{uuid}"),
    ("GET", "{uuid}/test"),
    ("DELETE", "{uuid}/test"),
    ("GET", "{uuid}/reset"),
]


@pytest.mark.quirk("Q32")
async def test_a_verb_that_has_no_meaning_is_405(admin: Client) -> None:
    uuid = await make(admin)

    for verb, suffix in MEANINGLESS:
        answer = await admin.send(verb, BASE + suffix.format(uuid=uuid), new())

        assert (answer.status, answer.headers["content-type"], answer.json()) == (
            405,
            "application/json",
            {"message": "The method is not allowed for the requested URL."},
        )


CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, POST, PUT",
    "access-control-max-age": "21600",
    "access-control-allow-headers": "AUTHORIZATION, CONTENT-TYPE, X-REQUESTED-WITH",
    "vary": "Cookie",
}


async def test_every_answer_lets_other_pages_read_it(world: World, admin: Client) -> None:
    answers = [
        await world.anonymous.send("OPTIONS", BASE),
        await world.anonymous.get(BASE),
        await admin.get(BASE),
        await admin.put(BASE),
        await admin.get("/api/v1/nothing/there"),
    ]

    assert [answer.status for answer in answers] == [200, 401, 200, 405, 404]
    assert answers[0].body == b""
    for answer in answers:
        assert {name: answer.headers.get(name) for name in CORS} == CORS


async def test_head_is_a_get_without_a_body(world: World, admin: Client) -> None:
    uuid = await make(admin)
    calls = [
        (admin, BASE),
        (admin, BASE + uuid),
        (admin, f"{BASE}nope"),
        (admin, f"{BASE}{uuid}/test"),
        (world.anonymous, BASE),
    ]

    heads = [await client.send("HEAD", path) for client, path in calls]
    gets = [await client.get(path) for client, path in calls]

    assert [one.status for one in heads] == [200, 200, 404, 405, 401]
    assert [(one.body, one.headers["content-length"]) for one in heads] == [
        (b"", str(len(got.body))) for got in gets
    ]


async def test_a_test_queues_one_delivery_and_a_create_none(
    admin: Client, store: Store
) -> None:
    async def queued() -> list[tuple[str, str, str]]:
        async with store.read() as tx:
            rows = await tx.rows(
                select(deliveries.c.notification_id, deliveries.c.trigger, deliveries.c.state)
            )
        return [tuple(row) for row in rows]

    uuid, _ = await make(admin), await make(admin)
    before = await queued()
    await admin.post(f"{BASE}{uuid}/test")

    assert before == []
    assert await queued() == [(await _database_id(store, uuid), "test", "waiting")]


async def test_a_signing_secret_is_shown_once_in_a_header(admin: Client, store: Store) -> None:
    created = await admin.post(BASE, new())
    uuid = created.json()["uuid"]
    later = [await admin.get(BASE), await admin.get(BASE + uuid)]
    other = await admin.post(BASE, new())

    shown = created.headers["dockbell-signing-secret"]
    secret = base64.b64decode(shown.removeprefix("whsec_"), validate=True)
    notification_id = await _database_id(store, uuid)
    async with store.read() as tx:
        live = await signing_secrets.find_live(tx, [notification_id])
    assert shown.startswith("whsec_")
    assert len(secret) == 32
    assert [one.value for one in live[notification_id]] == [secret]
    assert other.headers["dockbell-signing-secret"] != shown
    assert ["dockbell-signing-secret" in one.headers for one in later] == [False, False]
    assert [secret_word in one.body.decode() for one in later for secret_word in (shown,)] == [
        False,
        False,
    ]


async def test_a_method_that_signs_nothing_has_no_secret(admin: Client) -> None:
    created = await admin.post(
        BASE, new(method="slack", config={"url": "https://hooks.slack.com/services/x"})
    )

    assert created.status == 201
    assert "dockbell-signing-secret" not in created.headers


@pytest.mark.quirk("Q15")
async def test_a_paused_notification_shows_at_least_three_failures_until_reset(
    admin: Client, store: Store
) -> None:
    for streak, is_paused, shown in (
        (0, False, 0),
        (2, False, 2),
        (0, True, 3),
        (3, True, 3),
        (7, True, 7),
    ):
        uuid = await make(admin)
        notification_id = await _database_id(store, uuid)
        async with store.begin() as tx:
            await notifications.set_streak(tx, notification_id, streak)
            if is_paused:
                await notifications.pause(tx, notification_id, PauseReason.GONE)

        before = await admin.get(BASE + uuid)
        reset = await admin.post(BASE + uuid)
        after = await admin.get(BASE + uuid)

        assert before.json()["number_of_failures"] == shown
        assert (reset.status, after.json()["number_of_failures"]) == (204, 0)


async def test_a_repository_with_notifications_can_be_deleted(admin: Client) -> None:
    made = [await make(admin) for _ in range(3)]
    await admin.post(f"{BASE}{made[0]}/test")

    deleted = await admin.delete("/api/v1/repository/acme/web")
    gone = await admin.get(BASE + made[0])

    assert (deleted.status, deleted.body) == (204, b"")
    assert gone.status == 403


async def test_the_owner_of_the_organization_administers_its_notifications(
    world: World, admin: Client
) -> None:
    boss = await world.client("boss", "repo:admin")
    uuid = await make(admin)

    got = await boss.get(BASE + uuid)

    assert (got.status, got.json()["uuid"]) == (200, uuid)

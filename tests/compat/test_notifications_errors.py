"""Repository notifications answer as Quay's do: what is refused, in which words (quay-compat 1, 2.1, 4.1, 9)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from dockbell.store.tables import deliveries, notifications, users
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import NOON
from tests.world import PUBLIC_URL, World, add_repository, open_world

BASE = "/api/v1/repository/acme/web/notification/"
NOBODYS = "240662ea-597b-499d-98bb-2b57e73408d6"
NEW = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "http://example.com"},
    "eventConfig": {},
}
# verb, what follows the collection's address
CALLS = [
    ("GET", ""),
    ("POST", ""),
    ("GET", NOBODYS),
    ("POST", NOBODYS),
    ("DELETE", NOBODYS),
    ("POST", f"{NOBODYS}/test"),
    ("POST", f"{NOBODYS}/reset"),
]
KINDS = {
    401: "invalid_token",
    403: "insufficient_scope",
    404: "not_found",
    400: "invalid_request",
}
WRONG_TYPE = (
    "Did not attempt to load JSON data because the request Content-Type was not "
    "'application/json'."
)
MALFORMED = "The browser (or proxy) sent a request that this server could not understand."
DETAILS = {401: "Requires authentication", 403: "Unauthorized", 404: "Not Found"}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


def problem(status: int, detail: str | None = None) -> dict[str, Any]:
    """Quay's closed problem object."""
    text = detail if detail is not None else DETAILS[status]
    return {
        "detail": text,
        "error_message": text,
        "error_type": KINDS[status],
        "title": KINDS[status],
        "type": f"{PUBLIC_URL}/api/v1/error/{KINDS[status]}",
        "status": status,
    }


def assert_problem(answer: Answer, status: int, detail: str | None = None) -> None:
    assert (answer.status, answer.json()) == (status, problem(status, detail))
    assert list(answer.json()) == list(problem(status, detail))
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.endswith(b"}\n")


def new(**changes: Any) -> dict[str, Any]:
    return NEW | changes


async def make(client: Client, base: str = BASE) -> str:
    answer = await client.post(base, NEW)
    assert answer.status == 201, answer.body
    uuid: str = answer.json()["uuid"]
    return uuid


async def count(store: Store) -> tuple[int, int]:
    """Notifications and deliveries."""
    async with store.read() as tx:
        rows = [
            await tx.first(select(func.count()).select_from(table))
            for table in (notifications, deliveries)
        ]
    return tuple(row[0] for row in rows if row is not None)


NOBODIES: list[tuple[str | None, str]] = [
    (None, BASE),
    ("Bearer unknown", BASE),
    (f"Bearer {'a' * 40}", BASE),
    (f"Bearer {'é' * 40}", BASE),
    ("Bearer", BASE),
    ("Basic YWRtaW46cGFzc3dvcmQ=", BASE),
    ("Bearer a b", BASE),
    (None, "/api/v1/repository/admin/open/notification/"),  # a public one
    (None, "/api/v1/repository/acme/nope/notification/"),
]


@pytest.mark.quirk("Q2")
async def test_a_caller_who_is_nobody_gets_401_from_each_call(world: World) -> None:
    for header, base in NOBODIES:
        headers = {} if header is None else {"Authorization": header}
        for verb, rest in CALLS:
            answer = await world.anonymous.send(verb, base + rest, headers=headers)

            assert_problem(answer, 401)


BEARERS = [
    ("Bearer {token}", 200),
    ("bearer {token}", 200),
    ("BEARER {token}", 200),
    ("  Bearer    {token}  ", 200),
    ("Bearer\t{token}", 200),
    ("Bearer{token}", 401),
    ("{token}", 401),
    ("Bearer {token} {token}", 401),
    ("Bearer {token},", 401),
    ("Bearer {token}, Bearer {token}", 401),
    ("Bearer {token}x", 401),
    ("Token {token}", 401),
    ("Basic {token}", 401),
]


async def test_a_token_counts_in_a_header_of_exactly_two_words(
    world: World, admin: Client
) -> None:
    for header, status in BEARERS:
        headers = {"Authorization": header.format(token=admin.token)}
        answer = await world.anonymous.get(BASE, headers=headers)

        assert (header, answer.status) == (header, status)


async def test_a_token_counts_in_one_header_only(world: World, admin: Client) -> None:
    bearer = f"Bearer {admin.token}"

    answers = [
        await world.anonymous.get(f"{BASE}?access_token={admin.token}"),
        await admin.get(BASE, repeated=[("authorization", bearer)]),
        await admin.get(BASE, repeated=[("authorization", "Basic Ym9zczpib3Nz")]),
        await world.anonymous.get(
            BASE,
            headers={"Authorization": "Basic Ym9zczpib3Nz"},
            repeated=[("authorization", bearer)],
        ),
    ]

    for answer in answers:
        assert_problem(answer, 401)


async def test_the_token_of_a_disabled_user_gets_401_from_each_call(
    world: World, admin: Client
) -> None:
    async with world.store.begin() as tx:
        await tx.run(
            update(users).where(users.c.namespace_id == "ns_admin").values(is_enabled=False)
        )

    for verb, rest in CALLS:
        assert_problem(await admin.send(verb, BASE + rest), 401)


async def test_an_expired_token_gets_401_from_each_call(world: World) -> None:
    expired = await world.client("admin", expires_at=NOON - timedelta(seconds=1))

    for verb, rest in CALLS:
        assert_problem(await expired.send(verb, BASE + rest), 401)


WITHOUT_RIGHT = [
    ("admin", "repo:read", BASE),
    ("admin", "repo:write", BASE),
    ("admin", "user:admin", BASE),
    ("admin", "org:admin", BASE),
    ("admin", "super:user", BASE),
    ("admin", "", BASE),
    ("admin", "repo:admin nonsense", BASE),  # Q29
    ("writer", "repo:admin", BASE),
    ("reader", "repo:admin", BASE),
    ("fresh", "repo:admin", BASE),
    ("reader", "repo:admin", "/api/v1/repository/admin/open/notification/"),
    ("fresh", "repo:admin", "/api/v1/repository/admin/open/notification/"),
    ("admin", "repo:admin", "/api/v1/repository/acme/nope/notification/"),
    ("boss", "repo:admin", "/api/v1/repository/nope/nope/notification/"),
    ("boss", "repo:admin", "/api/v1/repository/no%20pe/no%22pe/notification/"),
]


@pytest.mark.quirk("Q29")
async def test_a_caller_without_the_right_gets_403_from_each_call(world: World) -> None:
    for name, scope, base in WITHOUT_RIGHT:
        client = await world.client(name, scope)
        for verb, rest in CALLS:
            assert_problem(await client.send(verb, base + rest), 403)


@pytest.mark.quirk("Q5", "Q8")
async def test_a_repository_that_does_not_exist_is_404_for_the_owner(world: World) -> None:
    boss = await world.client("boss")

    for repository in ("acme/nope", "acme/team", "acme/team/app/nope", f"acme/{'a' * 255}"):
        for verb, rest in CALLS:
            path = f"/api/v1/repository/{repository}/notification/{rest}"
            assert_problem(await boss.send(verb, path), 404)


async def _assert_unknown(
    client: Client, uuid: str, base: str = BASE, where: str = "acme, web"
) -> None:
    text = f"No repository notification found for: {where}, {uuid}"
    assert_problem(await client.get(base + uuid), 404)
    assert_problem(await client.post(base + uuid), 400, text)
    assert_problem(await client.post(f"{base}{uuid}/test"), 400, text)
    assert_problem(await client.post(f"{base}{uuid}/reset"), 400, text)
    assert_problem(await client.delete(base + uuid), 400, text)


@pytest.mark.quirk("Q3")
async def test_an_unknown_uuid_is_404_to_look_at_and_400_to_act_on(admin: Client) -> None:
    for uuid in (NOBODYS, NOBODYS.upper(), "nope", "a'b\"c", "1", "ntf_1", "x" * 3000):
        await _assert_unknown(admin, uuid)


async def test_an_odd_uuid_is_refused_without_a_fault(admin: Client) -> None:
    statuses = {
        escaped: [
            (await admin.get(BASE + escaped)).status,
            (await admin.post(BASE + escaped)).status,
            (await admin.delete(BASE + escaped)).status,
            (await admin.post(f"{BASE}{escaped}/test")).status,
        ]
        for escaped in ("%00", "%0a", "%FF%FE", "%F0%9F%90%B3", "%3Cb%3E")
    }

    assert statuses == {
        "%00": [400, 400, 400, 400],
        "%0a": [404, 400, 400, 400],
        "%FF%FE": [404, 400, 400, 400],
        "%F0%9F%90%B3": [404, 400, 400, 400],
        "%3Cb%3E": [404, 400, 400, 400],
    }


async def test_a_deleted_notification_is_unknown(admin: Client) -> None:
    uuid = await make(admin)
    await admin.delete(BASE + uuid)

    await _assert_unknown(admin, uuid)


@pytest.mark.quirk("Q6", "Q7")
async def test_a_notification_of_another_repository_is_unknown_and_stays(
    world: World, admin: Client, store: Store
) -> None:
    base = "/api/v1/repository/acme/team/app/notification/"
    uuid = await make(admin)

    await _assert_unknown(admin, uuid, base, "acme, team/app")

    assert (await admin.get(BASE + uuid)).status == 200
    assert await count(store) == (1, 0)


async def test_a_notification_of_a_deleted_repository_is_gone(
    world: World, admin: Client
) -> None:
    boss = await world.client("boss")
    uuid = await make(admin)
    deleted = await boss.delete("/api/v1/repository/acme/web")

    answers = [await boss.send(verb, BASE + rest) for verb, rest in CALLS]

    assert deleted.status == 204
    for answer in answers:
        assert_problem(answer, 404)
    elsewhere = "/api/v1/repository/acme/api/notification/"
    await _assert_unknown(admin, uuid, elsewhere, "acme, api")


NO_REPOSITORIES = [
    ("web/notification/", 404),  # without a namespace
    ("web", 404),
    ("acme:web", 404),
    ("acme:web/notification/", 404),
    ("acme%3Aweb/notification/", 404),
    # A name that holds the rest, in no namespace of the caller's.
    ("web/notification", 403),
    ("acme:web/notification", 403),
    ("acme/team:app/notification", 404),
    ("acme/team:app", 404),
    (f"acme:web/notification/{NOBODYS}", 403),
]


async def test_what_is_no_repositorys_path_reaches_none(world: World) -> None:
    boss = await world.client("boss")
    await boss.put("/api/v1/repository/acme/web", {"description": "d"})

    for path, status in NO_REPOSITORIES:
        answer = await boss.get(f"/api/v1/repository/{path}")

        assert (path, answer.status) == (path, status)
        assert_problem(answer, status)


async def test_the_right_is_checked_before_the_body(world: World) -> None:
    headers = {"Content-Type": "application/json"}
    clients = [
        world.anonymous,
        *[await world.client(name) for name in ("fresh", "reader", "admin")],
    ]

    statuses = [
        [
            (await client.post(BASE, body=body, headers=headers)).status
            for body in (b"{}", b"{broken", b"")
        ]
        for client in clients
    ]

    assert statuses == [[401] * 3, [403] * 3, [403] * 3, [400] * 3]


# Rows of Quay's own table of rights (quay-compat 9.1, R10 to R12), for each kind of repository.
PLACES = {  # repository: who is an admin of it
    "admin/open": "admin",  # a user's, public
    "admin/closed": "admin",
    "acme/web": "admin",  # an organization's
}
RIGHTS: list[tuple[str, str, list[int]]] = [  # anonymous, fresh, reader, admin
    ("GET", "", [401, 403, 403, 200]),
    ("POST", "", [401, 403, 403, 400]),
    ("GET", NOBODYS, [401, 403, 403, 404]),
    ("DELETE", NOBODYS, [401, 403, 403, 400]),
    ("POST", NOBODYS, [401, 403, 403, 400]),
    ("POST", f"{NOBODYS}/test", [401, 403, 403, 400]),
]


@pytest.mark.parametrize("repository", PLACES)
async def test_quays_table_of_rights(world: World, repository: str) -> None:
    async with world.store.begin() as tx:
        await add_repository(tx, "admin", "closed", reader="read")
    clients = [
        world.anonymous,
        *[await world.client(name) for name in ("fresh", "reader", PLACES[repository])],
    ]
    base = f"/api/v1/repository/{repository}/notification/"

    found = [
        (verb, rest, [(await client.send(verb, base + rest, {})).status for client in clients])
        for verb, rest, _ in RIGHTS
    ]

    assert found == RIGHTS


async def test_a_body_without_a_json_content_type_is_415(admin: Client) -> None:
    for content_type in (
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ):
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = await admin.post(BASE, body=json.dumps(NEW).encode(), headers=headers)

        assert (answer.status, answer.json()) == (415, {"message": WRONG_TYPE})


async def test_a_body_that_is_no_json_is_400_in_the_frameworks_words(admin: Client) -> None:
    for body in (
        b"",
        b" ",
        b"{broken",
        b'{"event": "repo_push",}',
        b"\xff\xfe",
        b'{"title": "\\ud800"}',
        b'{"config": NaN}',
        b"[" * 100_000,
    ):
        headers = {"Content-Type": "application/json"}
        answer = await admin.post(BASE, body=body, headers=headers)

        assert (answer.status, answer.json()) == (400, {"message": MALFORMED})


def _without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in NEW.items() if key not in keys}


BAD_BODIES: list[tuple[Any, str]] = [
    (None, "Missing JSON body"),
    ([], "[] is not of type 'object'"),
    ("x", "'x' is not of type 'object'"),
    ({}, "'event' is a required property"),
    (_without("method"), "'method' is a required property"),
    (_without("config"), "'config' is a required property"),
    (_without("eventConfig"), "'eventConfig' is a required property"),
    (_without("config", "eventConfig"), "'config' is a required property"),
    (new(event=5), "5 is not of type 'string'"),
    (new(event=None), "None is not of type 'string'"),
    (new(method=["webhook"]), "['webhook'] is not of type 'string'"),
    (new(method=True), "True is not of type 'string'"),
    (new(config="x"), "'x' is not of type 'object'"),
    (new(config=None), "None is not of type 'object'"),
    (new(config=[]), "[] is not of type 'object'"),
    (new(eventConfig=None), "None is not of type 'object'"),
    (new(eventConfig=1.5), "1.5 is not of type 'object'"),
    (_without("eventConfig") | {"event_config": "x"}, "'x' is not of type 'object'"),
    (new(eventConfig=None, event_config={}), "None is not of type 'object'"),
    (new(title=5), "5 is not of type 'string'"),
    (new(title={}), "{} is not of type 'string'"),
]


@pytest.mark.quirk("Q28")
async def test_a_body_that_breaks_the_schema_is_400_with_the_first_line(
    admin: Client, store: Store
) -> None:
    for body, detail in BAD_BODIES:
        assert_problem(await admin.post(BASE, body), 400, detail)

    assert await count(store) == (0, 0)


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


TOO_LARGE: list[tuple[dict[str, Any], str]] = [
    (
        {"title": "x" * 1025},
        "'title' is too long: 1025 characters, at most 1024 are allowed",
    ),
    ({"title": "a\x00b"}, "Text must not hold the character U+0000"),
    (
        {"event": "x" * 300},
        "'event' is too long: 300 characters, at most 255 are allowed",
    ),
    (
        {"method": "x" * 300},
        "'method' is too long: 300 characters, at most 255 are allowed",
    ),
    (
        {"config": {"url": "http://example.com", "a": "x" * 65_536}},
        "'config' is larger than 65536 bytes",
    ),
    ({"eventConfig": {"a": "x" * 65_536}}, "'event_config' is larger than 65536 bytes"),
    (
        {"config": {"url": "http://example.com", "a": _nested(32)}},
        "'config' is nested deeper than 32 levels",
    ),
    ({"eventConfig": _nested(33)}, "'event_config' is nested deeper than 32 levels"),
    ({"eventConfig": _nested(700)}, "'event_config' is nested deeper than 32 levels"),
]


async def test_what_is_too_large_to_keep_is_400(admin: Client, store: Store) -> None:
    for changes, detail in TOO_LARGE:
        assert_problem(await admin.post(BASE, new(**changes)), 400, detail)

    assert await count(store) == (0, 0)


async def test_what_is_just_not_too_large_is_kept(admin: Client) -> None:
    config = {"url": "http://example.com", "a": _nested(31), "b": "x" * 60_000}

    created = await admin.post(BASE, new(title="ü" * 1024, config=config))

    assert (created.status, created.json()["config"]) == (201, config)
    assert created.json()["title"] == "ü" * 1024


async def test_a_body_above_a_mebibyte_is_413(admin: Client) -> None:
    answer = await admin.post(BASE, new(title="x" * (1 << 20)))

    assert answer.status == 413
    assert answer.json()["error_type"] == "invalid_request"


METHOD_NAMES = ["email", "flowdock", "hipchat", "quay_notification", "slack", "webhook"]
EVENT_NAMES = [
    "build_cancelled",
    "build_failure",
    "build_queued",
    "build_start",
    "build_success",
    "event_missing",
    "manifest_deleted",
    "push_refused",
    "referrer_attached",
    "repo_image_expiry",
    "repo_mirror_sync_failed",
    "repo_mirror_sync_started",
    "repo_mirror_sync_success",
    "repo_pull",
    "repo_push",
    "repository_created",
    "repository_deleted",
    "tag_created",
    "tag_deleted",
    "tag_moved",
    "vulnerability_found",
]
METHODS = f"Must be one of: {', '.join(METHOD_NAMES)}"
EVENTS = f"Must be one of: {', '.join(EVENT_NAMES)}"


UNKNOWN_NAMES: list[tuple[dict[str, Any], str]] = [
    ({"method": "nope"}, f"Unknown notification method 'nope'. {METHODS}"),
    ({"method": ""}, f"Unknown notification method ''. {METHODS}"),
    (
        {"method": "webhok"},
        f"Unknown notification method 'webhok' (did you mean 'webhook'?). {METHODS}",
    ),
    ({"event": "nope"}, f"Invalid event 'nope'. {EVENTS}"),
    (
        {"event": "build_canceled"},
        f"Invalid event 'build_canceled' (did you mean 'build_cancelled'?). {EVENTS}",
    ),
    # Q30: these are about namespaces.
    (
        {"event": "quota_warning"},
        f"Invalid event 'quota_warning'. {EVENTS}",
    ),
    ({"event": "quota_error"}, f"Invalid event 'quota_error'. {EVENTS}"),
    # The order of checks: method, its config, event.
    (
        {"event": "nope", "method": "nope"},
        f"Unknown notification method 'nope'. {METHODS}",
    ),
    ({"event": "nope", "config": {}}, "Missing webhook URL"),
]


@pytest.mark.quirk("Q5", "Q30")
async def test_an_unknown_name_is_400_that_lists_the_known_ones(
    admin: Client, store: Store
) -> None:
    for changes, detail in UNKNOWN_NAMES:
        assert_problem(await admin.post(BASE, new(**changes)), 400, detail)

    assert await count(store) == (0, 0)


BAD_CONFIGS: list[tuple[str, dict[str, Any], str]] = [
    ("quay_notification", {}, "Missing target"),
    ("quay_notification", {"target": {}}, "Missing target"),
    (
        "quay_notification",
        {"target": {"kind": "user", "name": "invaliduser"}},
        "Unknown user invaliduser",
    ),
    (
        "quay_notification",
        {"target": {"kind": "user", "name": "acme"}},
        "Unknown user acme",
    ),
    (
        "quay_notification",
        {"target": {"kind": "user", "name": "acme+bot"}},
        "Unknown user acme+bot",
    ),
    (
        "quay_notification",
        {"target": {"kind": "org", "name": "invalidorg"}},
        "Unknown organization invalidorg",
    ),
    (
        "quay_notification",
        {"target": {"kind": "org", "name": "boss"}},
        "Unknown organization boss",
    ),
    (
        "quay_notification",
        {"target": {"kind": "org", "name": "other"}},
        "Organization name must match repository namespace",
    ),
    (
        "quay_notification",
        {"target": {"kind": "team", "name": "invalidteam"}},
        "Unknown team invalidteam",
    ),
    (
        "quay_notification",
        {"target": {"kind": "team", "name": "x y"}},
        "Unknown team x y",
    ),
    ("webhook", {}, "Missing webhook URL"),
    ("webhook", {"url": ""}, "Missing webhook URL"),
    ("webhook", {"url": "telnet://example.com"}, "Invalid webhook URL"),
    ("webhook", {"url": "http://localhost/"}, "Invalid webhook URL"),
    ("webhook", {"url": "http://localhost:5000/"}, "Invalid webhook URL"),
    ("webhook", {"url": "https://127.0.0.1:5000/"}, "Invalid webhook URL"),
    ("slack", {}, "Missing Slack Callback URL"),
    ("email", {}, "Missing e-mail address"),
    ("flowdock", {}, "Missing Flowdock API Token"),
    ("hipchat", {}, "Missing Hipchat Room Notification Token"),
    ("hipchat", {"notification_token": "x"}, "Missing Hipchat Room ID"),
]


async def test_a_methods_config_is_checked_in_quays_words(admin: Client, store: Store) -> None:
    for method, config, detail in BAD_CONFIGS:
        answer = await admin.post(BASE, new(method=method, config=config))

        assert_problem(answer, 400, detail)
    assert await count(store) == (0, 0)


async def test_a_service_that_is_gone_is_taken_and_listed_as_it_was_sent(admin: Client) -> None:
    configs: dict[str, dict[str, Any]] = {
        "flowdock": {"flow_api_token": "x"},
        "hipchat": {"notification_token": "x", "room_id": "1"},
    }

    made = [
        await admin.post(BASE, new(method=method, config=config))
        for method, config in configs.items()
    ]
    listed = (await admin.get(BASE)).json()["notifications"]

    assert [answer.status for answer in made] == [201, 201]
    assert {one["method"]: one["config"] for one in listed} == configs


FAULTS_IN_QUAY: list[tuple[str, dict[str, Any]]] = [
    ("webhook", {"url": "http:///x"}),
    ("webhook", {"url": "http://"}),
    ("webhook", {"url": 5}),
    ("webhook", {"url": ["http://example.com"]}),
    ("webhook", {"url": "http://[::1/x"}),
    ("webhook", {"url": "http://example.com", "template": 5}),
    ("webhook", {"url": "http://example.com", "template": {}}),
    ("webhook", {"url": "http://example.com", "template": "{broken"}),
    ("quay_notification", {"target": "admin"}),
    ("quay_notification", {"target": {"kind": "robot", "name": "acme+bot"}}),
    ("quay_notification", {"target": {"kind": "user"}}),
    ("quay_notification", {"target": {"kind": "user", "name": 5}}),
    ("quay_notification", {"target": {"kind": ["user"], "name": "admin"}}),
    ("quay_notification", {"target": {"kind": "user", "name": "x" * 5000}}),
    ("slack", {"url": {}}),
]


@pytest.mark.quirk("Q5", "Q19")
async def test_a_config_that_is_a_fault_in_quay_is_400(admin: Client, store: Store) -> None:
    for method, config in FAULTS_IN_QUAY:
        answer = await admin.post(BASE, new(method=method, config=config))

        assert_problem(answer, 400, answer.json()["detail"])
    assert await count(store) == (0, 0)


GOOD_CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("quay_notification", {"target": {"kind": "user", "name": "reader"}}),
    ("quay_notification", {"target": {"kind": "org", "name": "acme"}}),
    ("quay_notification", {"target": {"kind": "team", "name": "devs"}}),
    ("webhook", {"url": "http://example.com"}),
    ("webhook", {"url": "HTTPS://example.com", "template": ""}),
    ("slack", {"url": "https://hooks.slack.com/services/x"}),
]


async def test_a_good_config_is_accepted(admin: Client) -> None:
    for method, config in GOOD_CONFIGS:
        created = await admin.post(BASE, new(method=method, config=config))

        assert (created.status, created.json()["config"]) == (201, config)


async def test_a_target_that_the_guard_refuses_is_400_with_its_reason(
    world: World, admin: Client, store: Store
) -> None:
    url = "http://inside.example.com/hook"
    world.guard.refused[url] = "The address is private. An operator can allow it."

    answer = await admin.post(BASE, new(config={"url": url}))

    assert "The address is private." in answer.json()["detail"]
    assert_problem(answer, 400, answer.json()["detail"])
    assert world.guard.asked == [url]
    assert await count(store) == (0, 0)


@pytest.mark.quirk("Q12")
async def test_a_filter_that_can_match_nothing_is_400(admin: Client, store: Store) -> None:
    for event, event_config in (
        ("vulnerability_found", {"level": "enormous"}),
        ("repo_image_expiry", {"days": "soon"}),
        ("build_failure", {"ref-regex": "("}),
    ):
        answer = await admin.post(BASE, new(event=event, eventConfig=event_config))

        assert_problem(answer, 400, answer.json()["detail"])
    assert await count(store) == (0, 0)


_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)
_configs = st.fixed_dictionaries(
    {},
    optional={
        "url": _json
        | st.sampled_from(["http://example.com", "http://[", "//x", "http://a:b@c:d"]),
        "template": _json | _texts.map(json.dumps),
        "target": _json
        | st.fixed_dictionaries(
            {"kind": st.sampled_from(["user", "org", "team", "robot"]), "name": _json}
        ),
        "email": _json,
    },
)
_bodies = (
    st.fixed_dictionaries(
        {},
        optional={
            "event": st.sampled_from(EVENT_NAMES) | _json,
            "method": st.sampled_from(METHOD_NAMES) | _json,
            "config": _configs | _json,
            "eventConfig": st.fixed_dictionaries(
                {}, optional={"level": _json, "days": _json, "ref-regex": _json}
            )
            | _json,
            "title": _json,
        },
    )
    | st.fixed_dictionaries(
        {
            "event": st.sampled_from(EVENT_NAMES),
            "method": st.sampled_from(METHOD_NAMES),
            "config": _configs,
            "eventConfig": st.fixed_dictionaries(
                {}, optional={"level": _json, "days": _json, "ref-regex": _json}
            ),
        }
    )
    | _json
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=_bodies)
async def test_no_body_at_all_makes_the_server_fail(admin: Client, body: Any) -> None:
    answer = await admin.post(BASE, body)

    assert answer.status in {201, 400}
    if answer.status == 400:
        assert_problem(answer, 400, answer.json()["detail"])
    else:
        assert answer.json()["config"] == body["config"]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.binary(max_size=60), content_type=st.sampled_from(["application/json", "a/b"]))
async def test_no_bytes_at_all_make_the_server_fail(
    admin: Client, body: bytes, content_type: str
) -> None:
    answer = await admin.post(BASE, body=body, headers={"Content-Type": content_type})

    assert answer.status in {400, 415}

"""Notifications for several kinds, for a namespace or the whole server, and with filters: who may, and what they get."""

from typing import Any

import pytest
from sqlalchemy import select, update

from dockbell.domain.deliveries import PauseReason, State
from dockbell.domain.events import Performer, Subject
from dockbell.store import notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues, records
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.streams import listening
from tests.world import World, open_world

BASE = "/api/v2/notifications"
HOOK: dict[str, Any] = {"method": "webhook", "config": {"url": "https://hooks.test/the-secret"}}
PUSH: dict[str, Any] = {**HOOK, "event": "repo_push"}
WEB: dict[str, Any] = {**PUSH, "repository": "acme/web"}
ACME: dict[str, Any] = {**PUSH, "namespace": "acme"}
ALL: dict[str, Any] = {**PUSH, "instance": True}


@pytest.fixture
async def world(store: Store) -> World:
    opened = await open_world(store)
    async with store.begin() as tx:
        await tx.run(
            update(t.users)
            .where(t.users.c.namespace_id == "ns_fresh")
            .values(is_superuser=True)
        )
    return opened


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


@pytest.fixture
async def boss(world: World) -> Client:
    return await world.client("boss")


@pytest.fixture
async def superuser(world: World) -> Client:
    return await world.client("fresh", "repo:admin super:user")


async def make(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(BASE, body)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json()["notification"]
    return made


def errors_of(answer: Answer) -> list[tuple[str, str]]:
    return [(one["field"], one["message"]) for one in answer.json().get("errors", ())]


async def targets_of(store: Store, event_id: str) -> set[str]:
    rows = await queues.rows(
        store,
        select(t.deliveries.c.notification_id).where(t.deliveries.c.event_id == event_id),
    )
    return {row[0] for row in rows}


async def quota(world: World) -> str:
    """An event of the namespace itself."""
    return await records.push(
        world,
        kind="quota_warning",
        subject=Subject("acme"),
        repository_id=None,
        details={"usage_percent": 80},
    )


# Several kinds


async def test_one_for_several_kinds_gets_events_of_each(world: World, admin: Client) -> None:
    made = await make(
        admin, {**HOOK, "repository": "acme/web", "events": ["repo_push", "build_failure"]}
    )

    push = await records.push(world)
    failure = await records.push(world, kind="build_failure", details={"build_id": "1"})
    success = await records.push(world, kind="build_success", details={"build_id": "1"})

    assert (made["event"], made["events"]) == ("repo_push", ["repo_push", "build_failure"])
    assert [await targets_of(world.store, one) for one in (push, failure, success)] == [
        {made["id"]},
        {made["id"]},
        set(),
    ]


async def test_v1_shows_its_first_kind(world: World, admin: Client) -> None:
    made = await make(
        admin, {**HOOK, "repository": "acme/web", "events": ["build_failure", "repo_push"]}
    )

    listed = await admin.get("/api/v1/repository/acme/web/notification/")

    assert [(one["uuid"], one["event"]) for one in listed.json()["notifications"]] == [
        (made["uuid"], "build_failure")
    ]


async def test_its_kinds_can_be_changed(world: World, admin: Client) -> None:
    made = await make(
        admin, {**HOOK, "repository": "acme/web", "events": ["repo_push", "build_failure"]}
    )

    changed = await admin.send(
        "PATCH", f"{BASE}/{made['id']}", {"events": ["build_success", "build_failure"]}
    )

    push = await records.push(world)
    success = await records.push(world, kind="build_success", details={"build_id": "1"})
    failure = await records.push(world, kind="build_failure", details={"build_id": "1"})
    assert changed.json()["notification"]["events"] == ["build_success", "build_failure"]
    assert [await targets_of(world.store, one) for one in (push, success, failure)] == [
        set(),
        {made["id"]},
        {made["id"]},
    ]


async def test_the_sample_of_one_of_its_kinds_can_be_sent(admin: Client) -> None:
    made = await make(
        admin, {**HOOK, "repository": "acme/web", "events": ["repo_push", "build_failure"]}
    )

    sent = [
        (await admin.post(f"{BASE}/{made['id']}/test?wait=0{query}")).json()["delivery"][
            "event"
        ]
        for query in ("", "&event=build_failure")
    ]
    other = await admin.post(f"{BASE}/{made['id']}/test?wait=0&event=build_success")

    assert [one["event"] for one in sent] == ["repo_push", "build_failure"]
    assert (other.status, other.json()["detail"]) == (
        400,
        "Invalid event 'build_success'. Must be one of: build_failure, repo_push",
    )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "Name an event, or several as events"),
        (
            {"event": "repo_push", "events": ["repo_push"]},
            "Name an event, or several as events",
        ),
        ({"events": ["repo_push", "repo_push"]}, "Name each event once"),
        (
            {"events": ["repo_push", "repo_pushh"]},
            (
                "Invalid event 'repo_pushh' (did you mean 'repo_push'?). Must be one of: "
                "build_cancelled, build_failure, build_queued, build_start, build_success, "
                "event_missing, manifest_deleted, push_refused, referrer_attached, "
                "repo_image_expiry, repo_mirror_sync_failed, repo_mirror_sync_started, "
                "repo_mirror_sync_success, repo_pull, repo_push, repository_created, "
                "repository_deleted, tag_created, tag_deleted, tag_moved, vulnerability_found"
            ),
        ),
    ],
)
async def test_wrong_kinds_are_refused(
    admin: Client, body: dict[str, Any], detail: str
) -> None:
    answer = await admin.post(BASE, {**HOOK, "repository": "acme/web", **body})

    assert (answer.status, answer.json()["detail"]) == (400, detail)


# Scopes


async def test_each_scope_gets_its_events(
    world: World, admin: Client, boss: Client, superuser: Client
) -> None:
    web = (await make(admin, WEB))["id"]
    acme = (
        await make(boss, {**ACME, "event": None, "events": ["repo_push", "quota_warning"]})
    )["id"]
    server = (
        await make(superuser, {**ALL, "event": None, "events": ["quota_warning", "repo_push"]})
    )["id"]

    of_web = await records.push(world)
    of_api = await records.push(world, "acme/api")
    of_open = await records.push(world, "admin/open")
    of_acme = await quota(world)

    found = [await targets_of(world.store, one) for one in (of_web, of_api, of_open, of_acme)]
    assert found == [{web, acme, server}, {acme, server}, {server}, {acme, server}]
    await queues.assert_lanes_are_right(world.store)


async def test_a_scope_is_shown(boss: Client, superuser: Client) -> None:
    acme, server = await make(boss, ACME), await make(superuser, ALL)

    shown = [
        (one["scope"], one["namespace"], one["repository"], one["target"])
        for one in (acme, server)
    ]

    assert shown == [
        ("namespace", "acme", None, "https://hooks.test/…"),
        ("instance", None, None, "https://hooks.test/…"),
    ]


@pytest.mark.parametrize("place", [{}, {"repository": "acme/web", "namespace": "acme"}])
async def test_exactly_one_place_is_named(admin: Client, place: dict[str, Any]) -> None:
    answer = await admin.post(BASE, {**PUSH, **place})

    assert errors_of(answer) == [
        ("repository", "Name one place: a repository, a namespace, or the instance")
    ]


@pytest.mark.parametrize(
    ("caller", "scope", "body", "status"),
    [
        ("boss", "repo:admin", ACME, 201),
        ("admin", "repo:admin", ACME, 403),
        ("writer", "repo:admin", ACME, 403),
        ("boss", "repo:write", ACME, 403),
        ("admin", "repo:admin", {**PUSH, "namespace": "admin"}, 201),
        ("boss", "repo:admin", {**PUSH, "namespace": "nobody"}, 403),
        ("fresh", "repo:admin super:user", ACME, 403),
        ("fresh", "repo:admin super:user", ALL, 201),
        ("fresh", "repo:admin", ALL, 403),
        ("fresh", "super:user", ALL, 403),
        ("boss", "repo:admin super:user", ALL, 403),
    ],
)
async def test_who_may_make_one(
    world: World, caller: str, scope: str, body: dict[str, Any], status: int
) -> None:
    client = await world.client(caller, scope)

    answer = await client.post(BASE, body)

    assert answer.status == status


async def test_nobody_makes_one_without_a_token(world: World) -> None:
    statuses = [(await world.anonymous.post(BASE, body)).status for body in (ACME, ALL)]

    assert statuses == [401, 401]


async def test_what_belongs_to_a_wider_place_looks_unknown_to_a_repositorys_admin(
    world: World, admin: Client, boss: Client, superuser: Client
) -> None:
    made = [(await make(boss, ACME))["id"], (await make(superuser, ALL))["id"]]
    event = await records.push(world)
    delivery_ids = await records.deliveries_of(world.store, event)

    answers = [
        await admin.send(verb, path, body)
        for one in made
        for verb, path, body in (
            ("GET", f"{BASE}/{one}", None),
            ("PATCH", f"{BASE}/{one}", {"title": "x"}),
            ("DELETE", f"{BASE}/{one}", None),
            ("POST", f"{BASE}/{one}/pause", None),
            ("POST", f"{BASE}/{one}/test?wait=0", None),
            ("GET", f"{BASE}/{one}/signing-secrets", None),
            ("GET", f"/api/v2/deliveries?notification={one}", None),
            ("POST", f"/api/v2/events/{event}/replay", {"notification": one}),
        )
    ]
    answers += [
        await admin.send(verb, f"/api/v2/deliveries/{one}{more}", None)
        for one in delivery_ids
        for verb, more in (("GET", ""), ("POST", "/redeliver"), ("POST", "/cancel"))
    ]
    listed = await admin.get("/api/v2/deliveries?repository=acme/web")
    events = await admin.get("/api/v2/events?repository=acme/web")
    considered = (await admin.get(f"/api/v2/events/{event}")).json()["considered"]

    assert len(delivery_ids) == 2
    assert {answer.status for answer in answers} == {404}
    assert (listed.json()["items"], considered) == ([], [])
    assert [one["deliveries"] for one in events.json()["items"]] == [{}]


async def test_a_superuser_sees_no_more_than_what_is_the_servers(
    world: World, admin: Client, boss: Client, superuser: Client
) -> None:
    web = (await make(admin, WEB))["id"]
    await make(boss, ACME)
    server = (await make(superuser, ALL))["id"]
    event = await records.push(world)

    shown = (await superuser.get(f"/api/v2/events/{event}")).json()
    other = await superuser.get(f"{BASE}/{web}")

    assert [one["notification"] for one in shown["considered"]] == [server]
    assert (other.status, shown["event"]["id"]) == (404, event)


async def test_lists_are_of_each_place(
    world: World, admin: Client, boss: Client, superuser: Client, clock: SetClock
) -> None:
    web, acme = (await make(admin, WEB))["id"], (await make(boss, ACME))["id"]
    server = (await make(superuser, ALL))["id"]
    event = await records.push(world)
    own = await quota(world)
    clock.move(seconds=1)

    async def ids(client: Client, path: str) -> list[str]:
        return [one["id"] for one in (await client.get(path)).json()["items"]]

    assert await ids(admin, f"{BASE}?repository=acme/web") == [web]
    assert await ids(boss, f"{BASE}?namespace=acme") == [web, acme]
    assert await ids(superuser, f"{BASE}?instance=true") == [server]
    for client, query, target in (
        (admin, "repository=acme/web", web),
        (boss, "namespace=acme", acme),
        (superuser, "instance=true", server),
    ):
        found = (await client.get(f"/api/v2/deliveries?{query}")).json()["items"]
        assert [one["notification"]["id"] for one in found] == [target]
        of_event = await client.get(f"/api/v2/deliveries?{query}&event_id={event}")
        assert of_event.json()["items"] == found
        stats = (await client.get(f"/api/v2/stats?{query}")).json()
        assert stats["emitted"] == 1
    listed = {
        query: [
            (one["event"]["id"], one["deliveries"])
            for one in (await client.get(f"/api/v2/events?{query}")).json()["items"]
        ]
        for client, query in ((boss, "namespace=acme"), (superuser, "instance=true"))
    }
    assert listed == {
        "namespace=acme": [(own, {}), (event, {"waiting": 2})],
        "instance=true": [(own, {}), (event, {"waiting": 1})],
    }


@pytest.mark.parametrize(
    "path", [BASE, "/api/v2/events", "/api/v2/deliveries", "/api/v2/stats"]
)
async def test_only_who_may_lists_a_wide_place(world: World, admin: Client, path: str) -> None:
    statuses = [
        (await admin.get(f"{path}?{query}")).status
        for query in ("namespace=acme", "instance=true")
    ]

    assert statuses == [403, 403]


async def test_an_event_of_a_namespace_is_shown_and_replayed(
    world: World, admin: Client, boss: Client
) -> None:
    event = await quota(world)
    late = await make(boss, {**ACME, "event": "quota_warning"})

    shown = (await boss.get(f"/api/v2/events/{event}")).json()
    replayed = await boss.post(f"/api/v2/events/{event}/replay", {"notification": late["id"]})
    delivery = replayed.json()
    again = await boss.post(f"/api/v2/deliveries/{delivery['id']}/cancel")

    assert (shown["event"]["namespace"], shown["event"]["repository"]) == ("acme", None)
    assert (replayed.status, delivery["event"]["repository"]) == (202, None)
    assert again.json()["state"] == "cancelled"
    assert (await admin.get(f"/api/v2/events/{event}")).status == 404


async def test_a_namespaces_notification_lives_like_any_other(
    world: World, boss: Client, clock: SetClock
) -> None:
    made = await make(boss, ACME)
    one = f"{BASE}/{made['id']}"
    await boss.post(f"{one}/pause")
    event = await records.push(world)
    standing = (await boss.get(f"{one}/standing")).json()
    resumed = (await boss.post(f"{one}/resume")).json()
    await records.try_all(world.store)
    rotated = await boss.post(f"{one}/signing-secrets", {})
    clock.move(seconds=1)
    copied = await boss.post(f"{one}/copy", {"repository": "acme/api"})
    deleted = await boss.delete(one)

    assert (standing["state"], standing["parked"], resumed["released"]) == ("paused", 1, 1)
    assert (rotated.status, deleted.status) == (201, 204)
    assert copied.json()["notification"]["repository"] == "acme/api"
    deliveries = (await boss.get("/api/v2/deliveries?namespace=acme")).json()["items"]
    assert [(item["event"]["id"], item["state"]) for item in deliveries] == [
        (event, "delivered")
    ]
    entries = await queues.rows(
        world.store,
        select(t.audit_entries.c.kind, t.audit_entries.c.namespace_id).order_by(
            t.audit_entries.c.id
        ),
    )
    assert [row[0] for row in entries if row[1] == "ns_acme"][:3] == [
        "create_namespace_notification",
        "pause_namespace_notification",
        "reset_namespace_notification",
    ]


@pytest.mark.parametrize(
    ("event", "path"),
    [("repo_push", "acme/sample"), ("quota_warning", None)],
)
async def test_a_namespaces_sample_is_about_something_in_it(
    boss: Client, event: str, path: str | None
) -> None:
    made = await make(boss, {**ACME, "event": event})

    answer = await boss.post(f"{BASE}/{made['id']}/test?wait=0")

    sent = answer.json()["delivery"]["event"]
    assert (answer.status, sent["namespace"], sent["repository"]) == (202, "acme", path)


async def test_many_of_a_namespace_are_sent_again(world: World, boss: Client) -> None:
    await make(boss, ACME)
    await records.push(world)
    await records.push(world, "acme/api")
    await records.try_all(world.store)

    answer = await boss.post(
        "/api/v2/redelivery-jobs", {"namespace": "acme", "state": ["delivered"]}
    )

    listed = await boss.get("/api/v2/redelivery-jobs?namespace=acme")
    assert (answer.status, answer.json()["total"]) == (201, 2)
    assert [one["id"] for one in listed.json()["items"]] == [answer.json()["id"]]
    job = await boss.get(f"/api/v2/redelivery-jobs/{answer.json()['id']}")
    assert job.json() == answer.json()


async def test_a_namespaces_goes_with_it_and_not_with_a_repository(
    world: World, boss: Client
) -> None:
    made = (await make(boss, ACME))["id"]
    client = await world.client("boss", "repo:admin org:admin")

    await client.delete("/api/v1/repository/acme/web")
    between = await boss.get(f"{BASE}/{made}")
    await client.delete("/api/v1/organization/acme")

    assert (between.status, (await boss.get(f"{BASE}/{made}")).status) == (200, 404)
    assert await queues.rows(world.store, select(t.notification_kinds.c.kind)) == []


async def test_superusers_hear_of_a_servers_notification_that_fails(
    world: World, superuser: Client
) -> None:
    made = (await make(superuser, ALL))["id"]
    for _ in range(3):
        await records.push(world)

    await records.try_all(world.store, records.DOWN, state=State.DEAD)

    told = await queues.rows(
        world.store, select(t.notices.c.namespace_id, t.notices.c.metadata)
    )
    assert [(row[0], row[1]["notification"]) for row in told] == [
        ("ns_fresh", (await superuser.get(f"{BASE}/{made}")).json()["uuid"])
    ]


async def test_a_stream_of_a_namespace_tells_of_what_is_its_own(
    world: World, boss: Client
) -> None:
    acme = await make(boss, {**ACME, "event": "quota_warning"})

    async with listening(boss, "/api/v2/live?namespace=acme") as heard:
        event_id = await quota(world)
        first, second = await heard.next(), await heard.next()
        await boss.post(f"/api/v2/deliveries/{second[1]['id']}/cancel")
        third = await heard.next()

    assert (first[0], first[1]["id"], first[1]["repository"]) == ("event", event_id, None)
    assert [
        (kind, told["state"], told["notification"]["id"]) for kind, told in (second, third)
    ] == [
        ("delivery", "waiting", acme["id"]),
        ("delivery", "cancelled", acme["id"]),
    ]


# Filters


async def test_a_filter_lets_some_events_through(world: World, admin: Client) -> None:
    wanted = {"tags": {"include": ["v*"], "exclude": ["*-rc*"]}, "actors": ["acme+*"]}
    made = await make(admin, {**WEB, "filter": wanted})
    robot = Performer("acme+ci", "robot")

    events = [
        await records.push(world, tag="v1", performer=robot),
        await records.push(world, tag="v1-rc1", performer=robot),
        await records.push(world, tag="v1", performer=Performer("admin")),
    ]

    assert made["filter"] == wanted
    assert [await targets_of(world.store, one) for one in events] == [
        {made["id"]},
        set(),
        set(),
    ]
    shown = [
        (await admin.get(f"/api/v2/events/{one}")).json()["considered"][0] for one in events
    ]
    assert [(one["verdict"], one["filter"]) for one in shown] == [
        ("matched", None),
        ("filtered", "tags"),
        ("filtered", "actors"),
    ]
    assert shown[1]["sentence"] == "Its filter does not want this event: tags."


async def test_a_filter_is_changed_and_taken_off(world: World, admin: Client) -> None:
    made = await make(admin, {**WEB, "filter": {"tags": ["v*"]}})
    one = f"{BASE}/{made['id']}"

    titled = await admin.send("PATCH", one, {"title": "x"})
    changed = await admin.send("PATCH", one, {"filter": {"tags": ["w*"]}})
    first = await targets_of(world.store, await records.push(world, tag="v1"))
    removed = await admin.send("PATCH", one, {"filter": None})
    second = await targets_of(world.store, await records.push(world, tag="v1"))

    assert [
        answer.json()["notification"]["filter"] for answer in (titled, changed, removed)
    ] == [
        {"tags": ["v*"]},
        {"tags": ["w*"]},
        None,
    ]
    assert (first, second) == (set(), {made["id"]})


@pytest.mark.parametrize("path", [BASE, f"{BASE}/preview"])
async def test_a_wrong_filter_is_refused_at_its_place(admin: Client, path: str) -> None:
    answer = await admin.post(path, {**WEB, "filter": {"tags": ["v*", "v[0-9"]}})

    reason = (
        "filter.tags[1]: the [ at position 1 is never closed; "
        r"write \[ for the character itself"
    )
    assert (answer.status, errors_of(answer)) == (400, [("filter.tags[1]", reason)])


async def test_a_wrong_filter_is_refused_in_a_change(admin: Client) -> None:
    made = await make(admin, WEB)

    answer = await admin.send("PATCH", f"{BASE}/{made['id']}", {"filter": {"tag_regex": "("}})

    assert errors_of(answer) == [
        (
            "filter.tag_regex",
            "filter.tag_regex: missing ), unterminated subpattern at position 0",
        )
    ]


async def test_a_preview_says_which_filter_refuses(
    world: World, boss: Client, clock: SetClock
) -> None:
    made = await make(boss, ACME)
    first = await records.push(world, tag="v1")
    clock.move(seconds=1)
    second = await records.push(world, "acme/api", tag="latest")
    clock.move(seconds=1)
    third = await quota(world)
    events = ["repo_push", "quota_warning"]

    of_new = await boss.post(
        f"{BASE}/preview",
        {**HOOK, "namespace": "acme", "events": events, "filter": {"tags": ["v*"]}},
    )
    of_change = await boss.post(
        f"{BASE}/{made['id']}/preview",
        {"filter": {"repositories": ["*/api"]}, "payload_form": "quay+"},
    )

    assert [(one["id"], one["matches"], one["filter"]) for one in of_new.json()["events"]] == [
        (third, True, None),
        (second, False, "tags"),
        (first, True, None),
    ]
    assert [(one["id"], one["filter"]) for one in of_change.json()["events"]] == [
        (second, None),
        (first, "repositories"),
    ]
    assert f'"event_id": "{second}"' in of_change.json()["rendered"]["body"]


async def test_a_preview_of_the_server_is_for_superusers(
    world: World, admin: Client, superuser: Client
) -> None:
    event = await records.push(world, "admin/open")

    allowed = await superuser.post(f"{BASE}/preview", ALL)
    refused = await admin.post(f"{BASE}/preview", ALL)

    assert [one["id"] for one in allowed.json()["events"]] == [event]
    assert refused.status == 403


# The form of the payload


async def test_the_form_is_chosen_with_the_rest(admin: Client) -> None:
    made = await make(admin, {**WEB, "payload_form": "cloudevents"})

    changed = await admin.send("PATCH", f"{BASE}/{made['id']}", {"payload_form": "quay+"})
    kept = await admin.send("PATCH", f"{BASE}/{made['id']}", {"title": "x"})

    assert [
        made["payload_form"],
        changed.json()["notification"]["payload_form"],
        kept.json()["notification"]["payload_form"],
    ] == ["cloudevents", "quay+", "quay+"]


async def test_a_method_with_a_message_of_its_own_takes_no_form(admin: Client) -> None:
    answer = await admin.post(
        BASE,
        {
            **WEB,
            "method": "slack",
            "config": {"url": "https://hooks.slack.com/services/T/B/x"},
            "payload_form": "cloudevents",
        },
    )

    assert errors_of(answer) == [
        ("payload_form", "The method 'slack' has a message of its own, in no other form")
    ]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            '{"text": "${updated_tags[}"}',
            "For expression `updated_tags[`: the expression ends too early",
        ),
        (
            '{"text": "${name  namespace}"}',
            "For expression `name  namespace`: Parse error at 1:6 near token namespace (ID)",
        ),
        (
            '{"text": "a",\n  }',
            (
                "Could not parse template: Expecting property name enclosed in double quotes: "
                "line 2 column 3 (char 16)"
            ),
        ),
    ],
)
async def test_a_template_is_refused_with_the_place_that_is_wrong(
    admin: Client, template: str, said: str
) -> None:
    made = await make(admin, WEB)
    config = {**HOOK["config"], "template": template}

    answers = [
        await admin.post(BASE, {**WEB, "config": config}),
        await admin.send("PATCH", f"{BASE}/{made['id']}", {"config": config}),
    ]

    assert [errors_of(answer) for answer in answers] == [[("template", said)]] * 2


# An earlier version beside this one, while one after the other is replaced


async def test_a_notification_of_the_version_before_is_found(
    world: World, admin: Client
) -> None:
    made = await make(admin, {**HOOK, "repository": "acme/web", "events": ["repo_push"]})
    async with world.store.begin() as tx:
        rows = await tx.rows(select(t.notification_kinds.c.notification_id))
        candidates = (
            await notifications.find_candidates_many(
                tx, [("ns_acme", await records.repository_id_of(world.store), "repo_push")]
            )
        )["ns_acme", await records.repository_id_of(world.store), "repo_push"]

    assert rows == []  # so that a row which the version before wrote is like this one
    assert [one.id for one in candidates] == [made["id"]]


async def test_a_paused_one_parks_what_comes_for_its_further_kinds(
    world: World, admin: Client
) -> None:
    made = await make(
        admin, {**HOOK, "repository": "acme/web", "events": ["repo_push", "build_failure"]}
    )
    await records.pause(world.store, made["id"], PauseReason.PERSON)

    await records.push(world, kind="build_failure", details={"build_id": "1"})

    listed = await admin.get("/api/v2/deliveries?repository=acme/web")
    assert [one["is_parked"] for one in listed.json()["items"]] == [True]

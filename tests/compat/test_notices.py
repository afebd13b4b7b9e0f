"""The in-app inbox answers as Quay's does, with right paging (quay-compat 2.3, 9.6)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dockbell.domain.methods import Recipient
from dockbell.store import notices
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.world import World, open_world

BASE = "/api/v1/user/notifications"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def reader(world: World) -> Client:
    return await world.client("reader", "user:admin")


async def put(world: World, number: int, recipient: Recipient | None = None) -> None:
    async with world.store.begin() as tx:
        count = await notices.put(
            tx,
            kind="repo_push",
            metadata={"repository": "acme/web", "number": number},
            delivery_id=f"dlv_{number}",
            recipient=recipient or Recipient(kind="user", name="reader"),
            namespace="acme",
        )
    assert count == 1


def numbers(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    return [one["metadata"]["number"] for one in answer.json()["notifications"]]


async def test_a_notice_has_quays_keys_and_date(
    world: World, reader: Client, clock: SetClock
) -> None:
    clock.now = datetime(2026, 11, 23, 8, 23, 1, 999999, tzinfo=UTC)
    await put(world, 1)

    listed = await reader.get(BASE)
    (notice,) = listed.json()["notifications"]
    got = await reader.get(f"{BASE}/{notice['id']}")

    assert listed.json() == {
        "notifications": [
            {
                "id": notice["id"],
                "organization": None,
                "kind": "repo_push",
                "created": "Mon, 23 Nov 2026 08:23:01 -0000",
                "metadata": {"repository": "acme/web", "number": 1},
                "dismissed": False,
            }
        ],
        "additional": False,
    }
    assert list(notice) == [
        "id",
        "organization",
        "kind",
        "created",
        "metadata",
        "dismissed",
    ]
    assert (got.status, got.json()) == (200, notice)


async def test_a_dismissed_notice_leaves_the_list_and_can_still_be_read(
    world: World, reader: Client
) -> None:
    await put(world, 1)
    (notice,) = (await reader.get(BASE)).json()["notifications"]
    path = f"{BASE}/{notice['id']}"

    dismissed = await reader.put(path, {"dismissed": True})
    without = await reader.get(BASE)
    got = await reader.get(path)
    restored = await reader.put(path, {})
    again = await reader.get(BASE)

    assert (dismissed.status, dismissed.json()) == (200, notice | {"dismissed": True})
    assert without.json() == {"notifications": [], "additional": False}
    assert got.json() == dismissed.json()
    assert (restored.status, restored.json()) == (200, notice)
    assert again.json()["notifications"] == [notice]


async def test_a_notice_for_an_organization_is_shared_by_its_admins_only(
    world: World, reader: Client
) -> None:
    boss = await world.client("boss", "user:admin")
    await put(world, 1, Recipient(kind="org", name="acme"))

    for_boss = await boss.get(BASE)
    (notice,) = for_boss.json()["notifications"]
    path = f"{BASE}/{notice['id']}"
    for_reader = [
        await reader.get(BASE),
        await reader.get(path),
        await reader.put(path, {"dismissed": True}),
    ]
    still = await boss.get(path)

    assert (notice["organization"], notice["kind"]) == ("acme", "repo_push")
    assert for_reader[0].json() == {"notifications": [], "additional": False}
    assert [one.status for one in for_reader] == [200, 404, 404]
    assert still.json() == notice


PAGES: list[tuple[str, list[int], bool]] = [
    ("", [7, 6, 5, 4, 3], True),
    ("?page=0", [7, 6, 5, 4, 3], True),
    ("?page=1", [7, 6, 5, 4, 3], True),
    ("?page=2", [2, 1], False),
    ("?page=3", [], False),
    ("?page=1&limit=3", [7, 6, 5], True),
    ("?page=2&limit=3", [4, 3, 2], True),
    ("?page=3&limit=3", [1], False),
    ("?limit=7", [7, 6, 5, 4, 3, 2, 1], False),
    ("?limit=0", [], True),
    ("?page=99999999999999999999&limit=99999999999999999999", [], False),
]


@pytest.mark.quirk("Q25")
async def test_pages_hold_each_notice_once_the_newest_first(
    world: World, reader: Client, clock: SetClock
) -> None:
    for number in range(1, 8):
        clock.move(seconds=1)
        await put(world, number)

    for query, shown, additional in PAGES:
        answer = await reader.get(BASE + query)

        assert (query, numbers(answer), answer.json()["additional"]) == (
            query,
            shown,
            additional,
        )


async def test_a_page_holds_a_hundred_at_most(world: World, reader: Client) -> None:
    for number in range(1, 103):
        await put(world, number)

    first = await reader.get(f"{BASE}?limit=1000")
    second = await reader.get(f"{BASE}?limit=1000&page=2")

    assert (len(numbers(first)), first.json()["additional"]) == (100, True)
    assert (len(numbers(second)), second.json()["additional"]) == (2, False)


async def test_a_page_that_is_no_number_is_400(reader: Client) -> None:
    for name, about in (
        ("page", "Offset page number. (int)"),
        ("limit", "Limit on the number of results (int)"),
    ):
        for value in ("-1", "x", "1.5", "", "%ff", "9" * 5000):
            answer = await reader.get(f"{BASE}?{name}={value}")

            assert (answer.status, answer.json()) == (400, {"message": {name: about}})


async def test_an_unknown_notice_is_404(reader: Client) -> None:
    for notice_id in ("nope", "49aa0000-0000-4000-8000-000000000000", "%F0%9F"):
        for answer in (
            await reader.get(f"{BASE}/{notice_id}"),
            await reader.put(f"{BASE}/{notice_id}", {"dismissed": True}),
        ):
            assert (answer.status, answer.json()["error_type"]) == (404, "not_found")


BAD_DISMISSALS: list[tuple[Any, str]] = [
    ({"dismissed": "true"}, "'true' is not of type 'boolean'"),
    ({"dismissed": 1}, "1 is not of type 'boolean'"),
    ({"dismissed": None}, "None is not of type 'boolean'"),
    ([], "[] is not of type 'object'"),
    (None, "Missing JSON body"),
]


async def test_a_dismissal_of_the_wrong_type_is_400_and_changes_nothing(
    world: World, reader: Client
) -> None:
    await put(world, 1)
    (notice,) = (await reader.get(BASE)).json()["notifications"]

    for value, detail in BAD_DISMISSALS:
        answer = await reader.put(f"{BASE}/{notice['id']}", value)

        assert (answer.status, answer.json()["detail"]) == (400, detail)
    assert (await reader.get(BASE)).json()["notifications"] == [notice]


async def test_other_verbs_are_405(world: World, reader: Client) -> None:
    await put(world, 1)
    (notice,) = (await reader.get(BASE)).json()["notifications"]

    for verb in ("DELETE", "POST", "PATCH"):
        answer = await reader.send(verb, f"{BASE}/{notice['id']}")

        assert (answer.status, answer.json()) == (
            405,
            {"message": "The method is not allowed for the requested URL."},
        )


async def test_the_inbox_needs_a_token_with_user_admin(world: World) -> None:
    small = await world.client("reader", "repo:admin user:read org:admin")
    item = f"{BASE}/49aa0000-0000-4000-8000-000000000000"

    answers = [
        (await client.send(verb, path)).json()
        for client in (world.anonymous, small)
        for verb, path in (("GET", BASE), ("GET", item), ("PUT", item))
    ]

    assert [(one["status"], one["error_type"]) for one in answers] == (
        [(401, "invalid_token")] * 3 + [(403, "insufficient_scope")] * 3
    )

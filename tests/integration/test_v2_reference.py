"""The description of API v2, for programs and for people, and what every route has in common."""

import re
from typing import Any

import jsonschema
import pytest

from dockbell.api.v2.handlers import HANDLERS
from dockbell.store.transactions import Store
from tests import records
from tests.asgi import Client
from tests.conftest import SetClock
from tests.world import PUBLIC_URL, World, open_world


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def description(client: Client) -> dict[str, Any]:
    answer = await client.get("/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_every_route_is_described_with_its_refusals(world: World) -> None:
    shown = await description(world.anonymous)

    described = {
        (verb.upper(), path): operation
        for path, item in shown["paths"].items()
        for verb, operation in item.items()
    }
    assert shown["openapi"].startswith("3.1")
    assert set(described) == {
        (verb, re.sub(r":\w+\}", "}", f"/api/v2{path}"))
        for handler in HANDLERS
        for verb in handler.http_methods
        for path in handler.paths
    }
    assert [
        key
        for key, operation in described.items()
        if not {"400", "401", "403", "404"} <= set(operation["responses"])
        or not operation["summary"]
    ] == []
    names = [operation["operationId"] for operation in described.values()]
    assert len(set(names)) == len(names)
    assert "dockbell.api" not in (await world.anonymous.get("/openapi.json")).body.decode()


async def test_answers_are_what_the_description_says(
    world: World, admin: Client, clock: SetClock
) -> None:
    notification = await records.add_notification(world.store)
    event = await records.push(world)
    await records.try_all(world.store)
    (delivery,) = await records.deliveries_of(world.store, event)
    clock.move(seconds=1)
    shown = await description(admin)

    wrong = []
    for path, template in (
        ("deliveries?repository=acme/web", "deliveries"),
        (f"deliveries/{delivery}", "deliveries/{delivery_id}"),
        (f"deliveries/{delivery}/attempts", "deliveries/{delivery_id}/attempts"),
        ("events?repository=acme/web", "events"),
        (f"events/{event}", "events/{event_id}"),
        ("notifications?repository=acme/web", "notifications"),
        (f"notifications/{notification}", "notifications/{notification_id}"),
        (f"notifications/{notification}/standing", "notifications/{notification_id}/standing"),
        ("stats?repository=acme/web", "stats"),
        ("deliveries", "deliveries"),
        ("deliveries/dlv_none", "deliveries/{delivery_id}"),
    ):
        answer = await admin.get(f"/api/v2/{path}")
        responses = shown["paths"][f"/api/v2/{template}"]["get"]["responses"]
        (content,) = responses[str(answer.status)]["content"].values()
        schema = {**content["schema"], "components": shown["components"]}
        found = jsonschema.Draft202012Validator(schema).iter_errors(answer.json())
        wrong += [f"{path}: {one.message}" for one in found]

    assert wrong == []


async def test_the_page_for_people_has_every_route_and_loads_nothing(world: World) -> None:
    answer = await world.anonymous.get("/api/v2/docs")

    page = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    shown = await description(world.anonymous)
    assert [path for path in shown["paths"] if f" {path}</code>" not in page] == []
    assert re.findall(r"(?:src|href)=\"(?!#|/openapi\.json|data:,)[^\"]*\"", page) == []
    assert re.findall(r"<script|https?://|@import|url\(", page) == []


@pytest.mark.parametrize(
    ("verb", "path", "status", "title"),
    [
        ("GET", "/api/v2/nothing", 404, "Not found"),
        ("DELETE", "/api/v2/stats", 405, "Method not allowed"),
        ("GET", "/api/v2/deliveries", 401, "Invalid token"),
    ],
)
async def test_what_is_refused_is_a_problem_object(
    world: World, verb: str, path: str, status: int, title: str
) -> None:
    answer = await world.anonymous.send(verb, path)

    shown = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, shown["status"], shown["title"]) == (status, status, title)
    assert shown["type"].startswith(f"{PUBLIC_URL}/api/v1/error/")
    explained = await world.anonymous.get(shown["type"].removeprefix(PUBLIC_URL))
    assert explained.status == 200


async def test_a_body_that_is_no_json_is_refused(admin: Client) -> None:
    answer = await admin.send(
        "POST", "/api/v2/notifications", body=b"{", headers={"content-type": "application/json"}
    )

    assert (answer.status, answer.json()["detail"]) == (400, "The body is not valid JSON.")

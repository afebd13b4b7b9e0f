"""The API describes itself as Quay's does (quay-compat 6.6, clients.md 1.3)."""

from typing import Any

import pytest

from dockbell.api.v1 import discovery
from dockbell.api.v1.handlers import HANDLERS
from dockbell.domain.accounts import Scope
from dockbell.store.transactions import Store
from tests.world import World, open_world

ONE = "/api/v1/repository/{repository}/notification/{uuid}"
# quay-compat 2.1
NOTIFICATIONS = {
    ("/api/v1/repository/{repository}/notification", "get"): ("listRepoNotifications", "200"),
    ("/api/v1/repository/{repository}/notification", "post"): ("createRepoNotification", "201"),
    (ONE, "get"): ("getRepoNotification", "200"),
    (ONE, "post"): ("resetRepositoryNotificationFailures", "204"),
    (ONE, "delete"): ("deleteRepoNotification", "204"),
    (f"{ONE}/test", "post"): ("testRepoNotification", "200"),
}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _document(world: World) -> Any:
    answer = await world.anonymous.get("/api/v1/discovery")
    assert answer.status == 200
    return answer.json()


async def test_the_document_is_swagger_with_the_scopes(world: World) -> None:
    document = await _document(world)

    assert {key: document[key] for key in ("swagger", "host", "basePath", "schemes")} == {
        "swagger": "2.0",
        "host": "dockbell.test",
        "basePath": "/",
        "schemes": ["https"],
    }
    oauth = document["securityDefinitions"]["oauth2_implicit"]
    assert (oauth["type"], oauth["flow"], oauth["authorizationUrl"]) == (
        "oauth2",
        "implicit",
        "https://dockbell.test/oauth/authorize",
    )
    assert sorted(oauth["scopes"]) == sorted(scope.value for scope in Scope)
    assert document["definitions"]["ApiError"]["required"] == ["status", "type", "title"]


async def test_notifications_have_quays_names_and_our_true_statuses(world: World) -> None:
    paths = (await _document(world))["paths"]

    for (path, verb), (name, status) in NOTIFICATIONS.items():
        operation = paths[path][verb]
        assert (operation["operationId"], list(operation["responses"])) == (
            name,
            [status, "400", "401", "403", "404"],
        )
        assert operation["security"] == [{"oauth2_implicit": ["repo:admin"]}]
        assert [one["name"] for one in operation["parameters"]] == [
            word for word in ("repository", "uuid") if f"{{{word}}}" in path
        ]


async def test_every_route_is_described_once_and_no_other(world: World) -> None:
    paths = (await _document(world))["paths"]

    described = [(verb.upper(), path) for path in paths for verb in paths[path]]
    names = [
        operation["operationId"]
        for operations in paths.values()
        for operation in operations.values()
        if "operationId" in operation
    ]
    routes = [
        (verb, f"/api/v1{path}".replace(":str}", "}"))
        for handler in HANDLERS
        for verb in handler.http_methods
        for path in handler.paths
    ]
    assert sorted(described) == sorted(routes)
    assert sorted(names) == sorted(set(names))
    # A name whose route was moved or removed would be lost without a word.
    assert len(names) == len(discovery._OPERATIONS.strip().splitlines())

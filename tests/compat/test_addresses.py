"""Addresses that lead nowhere, and the pages that errors point to (quay-compat 1.2, 1.3)."""

import pytest

from dockbell.store.transactions import Store
from dockbell.web.errors import DESCRIPTIONS
from tests.accounts import NOT_FOUND, said
from tests.world import PUBLIC_URL, World, open_world


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_an_unknown_address_of_v2_is_a_problem_as_v2_words_it(world: World) -> None:
    admin = await world.client("admin")

    for verb in ("GET", "POST", "PUT", "DELETE"):
        answer = await admin.send(verb, "/api/v2/nothing")

        assert (verb, answer.status, answer.json()["detail"]) == (
            verb,
            404,
            "There is nothing at this address.",
        )
        assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_address_is_a_404_in_json_for_any_verb(world: World) -> None:
    admin = await world.client("admin")
    uuid = "240662ea-597b-499d-98bb-2b57e73408d6"
    addresses = [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/nothing/there/",
        f"/api/v1/repository/acme/web/notification/{uuid}/nothing",
        f"/api/v1/repository/acme/web/notification/{uuid}/test/more",
        "/api/v1/repository/acme/web/permissions/nothing",
        "/nothing",
    ]

    for address in addresses:
        for verb in ("GET", "POST", "PUT", "DELETE"):
            answer = await admin.send(verb, address)

            assert (verb, address, *said(answer)) == (verb, address, 404, NOT_FOUND)
            assert answer.headers["content-type"] == "application/json"


async def test_the_type_of_an_error_is_a_page_that_explains_it(world: World) -> None:
    for kind, description in DESCRIPTIONS.items():
        answer = await world.anonymous.get(f"/api/v1/error/{kind}")

        assert said(answer) == (
            200,
            {
                "type": f"{PUBLIC_URL}/api/v1/error/{kind}",
                "title": kind,
                "description": description,
            },
        )
        assert list(answer.json()) == ["type", "title", "description"]


async def test_an_unknown_type_of_error_is_404(world: World) -> None:
    for kind in ("nope", "INVALID_TOKEN", "%20"):
        answer = await world.anonymous.get(f"/api/v1/error/{kind}")

        assert said(answer) == (404, NOT_FOUND)

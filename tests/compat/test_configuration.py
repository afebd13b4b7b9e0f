"""What Quay's web interface asks before anything else (clients.md 1.3)."""

from dataclasses import replace

import pytest

from dockbell import events
from dockbell.domain.accounts import Powers
from dockbell.store.transactions import Store
from tests.apps import app_of
from tests.asgi import Client
from tests.world import World, open_world

# What switches events on in Quay's web interface, and skips its browser specs.
EVENTS = [
    "BUILD_SUPPORT",
    "IMAGE_EXPIRY_TRIGGER",
    "QUOTA_MANAGEMENT",
    "QUOTA_NOTIFICATIONS",
    "REPO_MIRROR",
    "SECURITY_NOTIFICATIONS",
    "SECURITY_SCANNER",
]


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_a_server_can_be_called_as_the_quay_before_it(world: World) -> None:
    links = replace(world.faces.links, title="Red Hat Quay")
    client = Client(app_of(world.store, replace(world.faces, links=links)))

    config = (await client.get("/config")).json()["config"]

    assert (config["REGISTRY_TITLE"], config["REGISTRY_TITLE_SHORT"]) == ("Red Hat Quay",) * 2


async def test_names_and_features_are_for_everybody(world: World) -> None:
    answer = await world.anonymous.get("/config")

    body = answer.json()
    config, features = body["config"], body["features"]
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert sorted(body) == [
        "account_recovery_mode",
        "config",
        "external_login",
        "features",
        "oauth",
        "registry_state",
    ]
    assert {
        key: config[key]
        for key in (
            "AUTHENTICATION_TYPE",
            "SERVER_HOSTNAME",
            "PREFERRED_URL_SCHEME",
            "REGISTRY_TITLE_SHORT",
        )
    } == {
        "AUTHENTICATION_TYPE": "Database",
        "SERVER_HOSTNAME": "dockbell.test",
        "PREFERRED_URL_SCHEME": "https",
        "REGISTRY_TITLE_SHORT": "dockbell",
    }
    assert [features[name] for name in EVENTS] == [True] * len(EVENTS)
    assert {type(value) for value in features.values()} == {bool}


async def test_features_follow_the_settings_and_what_is_installed(world: World) -> None:
    names = [
        "MAILING",
        "REQUIRE_TEAM_INVITE",
        "SUPERUSERS_FULL_ACCESS",
        "USER_INITIALIZE",
        "BUILD_SUPPORT",
        "REPO_MIRROR",
    ]
    kinds = {
        name: kind for name, kind in events.catalog().items() if not name.startswith("build")
    }
    other = replace(
        world.faces,
        kinds=kinds,
        emails=replace(world.faces.emails, mail=None),
        requires_team_invite=False,
        is_initialize_open=True,
        powers=Powers(have_full_access=True),
    )

    def shown(features: dict[str, bool]) -> list[bool]:
        return [features[name] for name in names]

    usual = (await world.anonymous.get("/config")).json()["features"]
    changed = (await Client(app_of(world.store, other)).get("/config")).json()["features"]

    assert shown(usual) == [True, True, False, False, True, True]
    assert shown(changed) == [False, False, True, True, False, True]


async def test_nothing_secret_is_told(world: World) -> None:
    text = (await world.anonymous.get("/config")).body.decode().lower()

    assert [
        word for word in ("secret", "password", "postgresql", "sqlite") if word in text
    ] == []


async def test_the_server_says_that_it_is_set_up(world: World) -> None:
    answer = await world.anonymous.get("/api/v1/superuser/registrystatus")

    assert (answer.status, answer.json()) == (200, {"status": "ready"})


async def test_every_error_type_is_explained_where_problems_point_to(world: World) -> None:
    problem = (await world.anonymous.get("/api/v1/user/logs")).json()
    page = problem["type"].removeprefix("https://dockbell.test")

    known = await world.anonymous.get(page)
    unknown = await world.anonymous.get("/api/v1/error/nope")

    body = known.json()
    assert (known.status, sorted(body), body["type"], body["title"]) == (
        200,
        ["description", "title", "type"],
        problem["type"],
        "invalid_token",
    )
    assert (unknown.status, unknown.json()["error_type"]) == (404, "not_found")

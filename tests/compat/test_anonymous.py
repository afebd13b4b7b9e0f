"""Without anonymous access nobody in particular sees nothing, and may sign in (quay-compat 1.1)."""

from dataclasses import replace
from pathlib import Path

import pytest

from dockbell.domain.accounts import Scope
from dockbell.store.transactions import Store
from tests.accounts import problem, said
from tests.apps import app_of
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import PASSWORD, basic, errors_of, open_hub
from tests.world import World, open_world

REFUSED = (401, {"error": "Anonymous access is not allowed"})


@pytest.fixture
async def world(store: Store) -> World:
    opened = await open_world(store)
    faces = replace(opened.faces, allows_anonymous=False)
    return replace(opened, faces=faces, anonymous=Client(app_of(store, faces)))


async def test_what_everybody_sees_elsewhere_takes_a_caller(world: World) -> None:
    paths = [
        "/api/v1/repository/admin/open",
        "/api/v1/repository?public=true",
        "/api/v1/messages",
        "/api/v1/organization/acme",
        "/api/v1/users/boss",
        "/api/v1/app/nope",
    ]
    reader = await world.client("reader", " ".join(Scope))

    refused = [said(await world.anonymous.get(path)) for path in paths]
    wrong = [said(await world.anonymous.with_token("x" * 40).get(path)) for path in paths]
    let_in = [(await reader.get(path)).status for path in paths]
    of_v2 = await world.anonymous.get("/api/v2/events?repository=admin/open")

    assert refused == wrong == [REFUSED] * len(paths)
    assert let_in == [200, 200, 200, 200, 200, 404]
    assert (of_v2.status, of_v2.json()["detail"]) == (401, "Anonymous access is not allowed")


async def test_who_wants_to_come_in_is_let_in(world: World) -> None:
    answers = [
        (await world.anonymous.get(path)).status
        for path in ("/config", "/csrf_token", "/api/v1/discovery", "/api/v1/error/not_found")
    ]
    sign_in = await world.anonymous.get("/signin")
    repository = await world.anonymous.get("/repository/admin/open")
    namespace = await world.anonymous.get("/user/admin")
    closed = await world.anonymous.post("/api/v1/user/", {})

    assert answers == [200] * 4
    assert (sign_in.status, repository.status, namespace.status) == (200, 401, 401)
    assert b"admin/open" not in repository.body.replace(b"/repository/admin/open", b"")
    assert closed.status == 403  # no CSRF token: whoever has one may ask
    features = (await world.anonymous.get("/config")).json()["features"]
    assert features["ANONYMOUS_ACCESS"] is False


async def test_nobody_in_particular_pulls_nothing(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    open_to_all = await open_hub(store, tmp_path / "data", clock)
    early = await open_to_all.ask_token(None, "repository:boss/open:pull")
    hub = open_to_all.with_switches(allows_anonymous=False)

    token = await hub.anonymous.get("/v2/auth?scope=repository:boss/open:pull")
    tags = "/v2/boss/open/tags/list"
    with_token = await Client(hub.registry, early).get(tags)
    somebody = await hub.anonymous.get(tags, headers=basic("fresh", PASSWORD))

    words = [("UNAUTHORIZED", "Anonymous access is not allowed")]
    assert (token.status, errors_of(token)) == (401, words)
    assert (with_token.status, errors_of(with_token)) == (401, words)
    assert somebody.status == 200


async def test_the_problem_of_a_refusal_by_right_is_the_same_as_ever(world: World) -> None:
    fresh = await world.client("fresh", "repo:read")

    answer = await fresh.get("/api/v1/repository/acme/web")

    assert said(answer) == (403, problem(403, "insufficient_scope", "Unauthorized"))

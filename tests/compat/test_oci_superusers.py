"""What superusers and readonly superusers may at the registry, as Quay's handlers below `/v2` let them (quay-compat 6.5)."""

from pathlib import Path

from sqlalchemy import update

from dockbell.domain.accounts import Powers
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import PASSWORD, Hub, basic, errors_of, open_hub, push_image

WEB = "/v2/acme/web"
EVERYTHING = Powers(frozenset({"fresh"}), have_full_access=True)
READONLY = Powers(readonly_superusers=frozenset({"fresh"}))


async def statuses(hub: Hub, **headers: str) -> dict[str, int]:
    """What comes of pulling, pushing and deleting in somebody else's repository."""
    client = hub.anonymous
    calls = {
        "pull": ("GET", f"{WEB}/manifests/v1"),
        "list": ("GET", f"{WEB}/tags/list"),
        "push": ("POST", f"{WEB}/blobs/uploads/"),
        "delete": ("DELETE", f"{WEB}/manifests/v1"),
    }
    return {
        name: (await client.send(*call, headers=headers)).status for name, call in calls.items()
    }


async def by_password(hub: Hub) -> dict[str, int]:
    return await statuses(hub, **basic("fresh", PASSWORD))


async def by_token(hub: Hub) -> dict[str, int]:
    token = await hub.ask_token("fresh", "repository:acme/web:pull,push,delete")
    return await statuses(hub, authorization=f"Bearer {token}")


async def open_with(store: Store, tmp_path: Path, clock: SetClock, powers: Powers) -> Hub:
    hub = await open_hub(store, tmp_path / "data", clock, powers)
    await push_image(await hub.client(), "v1")
    return hub


async def test_with_full_access_a_superuser_pulls_pushes_and_deletes_anywhere(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    hub = await open_with(store, tmp_path, clock, EVERYTHING)

    token = await by_token(hub)
    await push_image(await hub.client(), "v1")
    password = await by_password(hub)
    made = await push_image(await hub.client("fresh", "acme/fresh"), "v1", "acme/fresh")

    assert token == password == {"pull": 200, "list": 200, "push": 202, "delete": 202}
    assert made


async def test_a_superuser_without_full_access_has_their_own_rights(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    hub = await open_with(store, tmp_path, clock, Powers(frozenset({"fresh"})))

    assert await by_password(hub) == {"pull": 403, "list": 403, "push": 403, "delete": 403}


async def test_a_readonly_superuser_pulls_anything_and_pushes_nothing(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    hub = await open_with(store, tmp_path, clock, READONLY)

    password, token = await by_password(hub), await by_token(hub)
    missing = await hub.anonymous.get(
        "/v2/acme/nope/tags/list", headers=basic("fresh", PASSWORD)
    )

    assert password == {"pull": 200, "list": 200, "push": 403, "delete": 403}
    # What the token does not hold is asked for anew.
    assert token == {"pull": 200, "list": 200, "push": 401, "delete": 401}
    assert (missing.status, errors_of(missing)[0][0]) == (404, "NAME_UNKNOWN")


async def test_a_program_and_a_robot_have_no_such_powers(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    hub = await open_with(
        store, tmp_path, clock, Powers(frozenset({"acme+ci"}), have_full_access=True)
    )
    robot = await hub.ask_token("acme+ci", "repository:boss/private:pull,push")
    client = Client(hub.registry, robot)

    assert (await client.get("/v2/boss/private/tags/list")).status == 401


async def test_a_power_that_ended_is_gone_though_the_token_lasts(
    store: Store, tmp_path: Path, clock: SetClock
) -> None:
    hub = await open_with(store, tmp_path, clock, Powers(have_full_access=True))
    of_fresh = t.users.c.namespace_id == "ns_fresh"
    async with store.begin() as tx:
        await tx.run(update(t.users).where(of_fresh).values(is_superuser=True))
    client = await hub.client("fresh")

    before = await client.get(f"{WEB}/tags/list")
    async with store.begin() as tx:
        await tx.run(update(t.users).where(of_fresh).values(is_superuser=False))
    after = await client.get(f"{WEB}/tags/list")

    assert (before.status, after.status) == (200, 403)

"""A flood of sign-ins: the rest of the API goes on, and many guesses at once are no more than a few."""

import asyncio
from collections import Counter

import pytest

from dockbell.services import passwords
from dockbell.services.passwords import BusyError
from dockbell.store.transactions import Store
from tests.accounts import PASSWORD
from tests.asgi import Client
from tests.browsers import csrf_token, with_password
from tests.world import World, open_world

FLOOD = 40


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _attempt(client: Client, token: str, username: str, password: str) -> int:
    answer = await client.post(
        "/api/v1/signin",
        {"username": username, "password": password},
        headers={"x-csrf-token": token},
    )
    return answer.status


async def test_a_flood_of_sign_ins_leaves_connections_for_everybody_else(world: World) -> None:
    browser = world.anonymous.as_browser()
    token = await csrf_token(browser)
    admin = await world.client("admin")
    most = 0

    async def flood() -> list[int]:
        return await asyncio.gather(
            *(
                _attempt(browser, token, f"nobody{number}", "wrong-password")
                for number in range(FLOOD)
            )
        )

    running = asyncio.create_task(flood())
    others = []
    while not running.done():
        most = max(most, world.store.pool()[0])
        others.append((await admin.get("/api/v1/user/notifications")).status)
        await asyncio.sleep(0.01)

    assert await running == [403] * FLOOD
    assert len(others) > 1
    assert set(others) == {200}
    assert most <= 8  # four who sign in, and what comes and goes beside them


async def test_many_guesses_at_once_are_counted_like_one_after_another(world: World) -> None:
    await with_password(world, "admin")
    browser = world.anonymous.as_browser()
    token = await csrf_token(browser)

    statuses = await asyncio.gather(
        *(_attempt(browser, token, "admin", f"wrong-{number}") for number in range(FLOOD))
    )
    right = await _attempt(browser, token, "admin", PASSWORD)

    counted = Counter(statuses)
    assert set(counted) == {403, 429}
    # Five are free; as many as have their turn at once may pass before the fifth is counted.
    assert counted[403] <= 5 + 4
    assert right == 429


async def test_who_comes_when_too_many_wait_is_sent_away() -> None:
    free = asyncio.Event()

    async def wait() -> None:
        async with passwords.turn():
            await free.wait()

    waiting = [asyncio.create_task(wait()) for _ in range(204)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await wait()
    free.set()
    await asyncio.gather(*waiting)

    async with passwords.turn():  # and everything is as before
        pass


async def test_one_who_gives_up_waiting_leaves_no_gap() -> None:
    free = asyncio.Event()

    async def wait() -> None:
        async with passwords.turn():
            await free.wait()

    holding = [asyncio.create_task(wait()) for _ in range(4)]
    leaving = [asyncio.create_task(wait()) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    free.set()
    await asyncio.gather(*holding)

    async with asyncio.timeout(1):
        await asyncio.gather(*(wait() for _ in range(20)))

import asyncio

import pytest

from dockbell.web.patience import Patience


class LateError(Exception):
    pass


async def test_who_waits_too_long_gets_the_error() -> None:
    patience = Patience(0.05, LateError)

    with pytest.raises(LateError), patience:
        await asyncio.sleep(10)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_is_in_time_goes_on_undisturbed() -> None:
    patience = Patience(0.05, LateError)

    for _ in range(10):
        with patience:
            await asyncio.sleep(0.01)

    await asyncio.sleep(0.1)


async def test_a_cancellation_from_outside_stays_one() -> None:
    patience = Patience(0.05, LateError)

    async def wait() -> None:
        with patience:
            await asyncio.sleep(10)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_task_has_its_own_time() -> None:
    patience = Patience(0.2, LateError)

    async def wait(seconds: float) -> str:
        try:
            with patience:
                await asyncio.sleep(seconds)
        except LateError:
            return "late"
        return "in time"

    first = [asyncio.create_task(wait(seconds)) for seconds in (0.01, 10)]
    await asyncio.sleep(0.1)
    second = asyncio.create_task(wait(0.15))

    assert await asyncio.gather(*first, second) == ["in time", "late", "in time"]

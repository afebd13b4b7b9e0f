"""Whether this process lives, and whether it may be sent requests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State

from dockbell.domain.errors import UnavailableError
from dockbell.store import clocks
from dockbell.store.transactions import Store
from dockbell.web.calls import reply

_PATIENCE_SECONDS = 3
Check = Callable[[], Awaitable[str | None]]  # why not ready, or None


@get(["/livez", "/healthz"], include_in_schema=False)
async def livez() -> Response[bytes]:
    """200 as long as the process answers at all."""
    return reply(200, {"status": "ok"})


@get("/readyz", include_in_schema=False)
async def readyz(request: Request[Any, Any, State]) -> Response[bytes]:
    """200 when the database answers and the engine runs; otherwise 503 with each reason.

    What is wrong and would not be better elsewhere stands beside it as a warning.
    """
    found = await _problems(request.app.state)
    reasons = {name: reason for name, reason in found.items() if reason is not None}
    if reasons:
        return reply(503, {"status": "not ready", "reasons": reasons})
    warnings = {}
    check: Check
    for name, check in request.app.state.warnings.items():
        warning = await check()
        if warning is not None:
            warnings[name] = warning
    if warnings:
        return reply(200, {"status": "ok", "warnings": warnings})
    return reply(200, {"status": "ok"})


@get(["/health/instance", "/health/endtoend"], include_in_schema=False)
async def health(request: Request[Any, Any, State]) -> Response[bytes]:
    """The same as Quay tells it: 200 or 503, and of each part whether it is well."""
    found = await _problems(request.app.state)
    services = {name: reason is None for name, reason in found.items()}
    status = 200 if all(services.values()) else 503
    return reply(status, {"data": {"services": services}, "status_code": status})


async def _problems(state: State) -> dict[str, str | None]:
    """What is wrong with each part that a request needs; None if nothing is."""
    return {
        "database": await _database_problem(state.store),
        **{name: await check() for name, check in state.checks.items()},
    }


async def _database_problem(store: Store) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), store.read() as tx:
            await clocks.ask(tx)
    except UnavailableError as error:
        return error.detail
    except TimeoutError:
        return f"The database did not answer within {_PATIENCE_SECONDS} seconds."
    return None


HANDLERS = [livez, readyz, health]

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
    reasons = {}
    reason = await _database_problem(request.app.state.store)
    if reason is not None:
        reasons["database"] = reason
    check: Check
    for name, check in request.app.state.checks.items():
        reason = await check()
        if reason is not None:
            reasons[name] = reason
    if reasons:
        return reply(503, {"status": "not ready", "reasons": reasons})
    warnings = {}
    for name, check in request.app.state.warnings.items():
        warning = await check()
        if warning is not None:
            warnings[name] = warning
    if warnings:
        return reply(200, {"status": "ok", "warnings": warnings})
    return reply(200, {"status": "ok"})


async def _database_problem(store: Store) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), store.read() as tx:
            await clocks.ask(tx)
    except UnavailableError as error:
        return error.detail
    except TimeoutError:
        return f"The database did not answer within {_PATIENCE_SECONDS} seconds."
    return None


HANDLERS = [livez, readyz]

"""Whether this process lives, and whether it may be sent requests."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from sqlalchemy import text

from dockbell.domain.errors import UnavailableError
from dockbell.web.calls import reply

Check = Callable[[], Awaitable[str | None]]  # why not ready, or None


@get(["/livez", "/healthz"])
async def livez() -> Response[bytes]:
    """200 as long as the process answers at all."""
    return reply(200, {"status": "ok"})


@get("/readyz")
async def readyz(request: Request[Any, Any, State]) -> Response[bytes]:
    """200 when the database answers and the engine runs; otherwise 503 with each reason."""
    reasons = {}
    try:
        async with request.app.state.store.read() as tx:
            await tx.first(text("SELECT 1"))
    except UnavailableError as error:
        reasons["database"] = error.detail
    check: Check
    for name, check in request.app.state.checks.items():
        reason = await check()
        if reason is not None:
            reasons[name] = reason
    if reasons:
        return reply(503, {"status": "not ready", "reasons": reasons})
    return reply(200, {"status": "ok"})


HANDLERS = [livez, readyz]

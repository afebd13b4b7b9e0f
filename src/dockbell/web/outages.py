"""What every face does about a request that cannot be served now."""

import structlog

from dockbell.domain.errors import UnavailableError
from dockbell.web.edge import Scope

RETRY_AFTER = "5"  # seconds; a restart of the database takes about that long

_log = structlog.get_logger("dockbell.web")


def warn_of(error: UnavailableError, scope: Scope) -> None:
    """Say so in the log: why, in our words, and the database's code. Its own words may hold anything."""
    cause = error.__cause__
    origin = getattr(cause, "orig", None) or cause
    _log.warning(
        "request cannot be served now",
        verb=scope["method"],
        path=scope["path"],
        request_id=scope.get("dockbell_request_id"),
        reason=error.detail,
        cause=None if origin is None else type(origin).__name__,
        code=getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None),
    )

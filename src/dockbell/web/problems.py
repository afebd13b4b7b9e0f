"""Errors of API v2 as problem objects (RFC 9457)."""

import json
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State

from dockbell.domain.errors import ConfigError, DockbellError
from dockbell.web import errors

PREFIX = "/api/v2"
MEDIA_TYPE = "application/problem+json"


def answer_error(request: Request[Any, Any, State], error: DockbellError) -> Response[bytes]:
    """The answer to an error that the caller can mend, with the status that v1 gives it."""
    status = errors.answer_error(request, error).status_code
    kind = error.kind if error.kind in errors.DESCRIPTIONS else "invalid_request"
    problem: dict[str, object] = {
        "type": request.app.state.faces.links.error(kind),
        "title": kind.replace("_", " ").capitalize(),
        "status": status,
        "detail": error.detail,
    }
    if isinstance(error, ConfigError) and error.field is not None:
        problem["errors"] = [{"field": error.field, "message": error.detail}]
    return Response(
        content=json.dumps(problem).encode(), status_code=status, media_type=MEDIA_TYPE
    )

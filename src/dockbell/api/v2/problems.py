"""Errors of API v2: problem details by RFC 9457."""

import json
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State

from dockbell.domain.errors import ConfigError, DataError, DockbellError
from dockbell.web import errors

MEDIA_TYPE = "application/problem+json"


def answer_error(request: Request[Any, Any, State], error: DockbellError) -> Response[bytes]:
    """The answer to an error that the caller can mend, with the status that v1 gives it."""
    status = errors.answer_error(request, error).status_code
    kind = "invalid_request" if isinstance(error, DataError) else error.kind
    problem: dict[str, object] = {
        "type": request.app.state.faces.links.error(kind),
        "title": kind,
        "status": status,
        "detail": error.detail,
    }
    if isinstance(error, ConfigError) and error.field is not None:
        problem["field"] = error.field
    return Response(
        content=(json.dumps(problem) + "\n").encode(),
        status_code=status,
        media_type=MEDIA_TYPE,
    )

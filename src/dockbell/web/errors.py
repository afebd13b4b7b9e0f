"""Errors to answers: one place where a status is chosen (quay-compat 1.2)."""

from typing import Any, cast

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException

from dockbell.domain.errors import (
    AnonymousError,
    ConfigError,
    ConflictError,
    DataError,
    DockbellError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    TooManyError,
    UnauthenticatedError,
    UnavailableError,
)
from dockbell.domain.links import Links
from dockbell.web import large_bodies, repeats
from dockbell.web.bodies import WrongContentTypeError
from dockbell.web.calls import ArgumentError, UnfinishedBodyError, reply
from dockbell.web.edge import Scope
from dockbell.web.live import TooManyStreamsError
from dockbell.web.outages import RETRY_AFTER, warn_of
from dockbell.web.sessions import CsrfError

_log = structlog.get_logger("dockbell.web")

_STATUSES: tuple[tuple[type[DockbellError], int], ...] = (
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (TooManyError, 429),
    (UnavailableError, 503),
    (UnfinishedBodyError, 408),
    (TooManyStreamsError, 429),
    (large_bodies.TooLargeError, 413),
    (WrongContentTypeError, 415),
    (InvalidRequestError, 400),
)

# Titles and descriptions of `GET /api/v1/error/{type}`.
DESCRIPTIONS = {
    "invalid_token": "The access token is missing, unknown, expired or revoked. Send a live one.",
    "insufficient_scope": "The caller is known, but their rights or the token's scopes do not reach that far.",
    "not_found": "There is nothing at this address, or nothing that the caller may see.",
    "invalid_request": "The request is not valid. Its detail says which part, and what would be right.",
    "tag_immutable": "The tag may not change: a rule of its repository or organization keeps it as it is.",
    "conflict": "The request is at odds with the present state.",
    "too_many_requests": "There were too many such requests. The detail says which, and when to try again.",
    "busy": "More events come in than the server can take. Send this again after the time in Retry-After.",
    "too_many_streams": "There are too many live streams already, of the server or of one user.",
    "unavailable": "The server cannot answer now. The same request may succeed soon.",
    "readonly": "The operator has set the server to change nothing for now. Reading works.",
    "internal_error": "The server failed. Its log has the cause under the request's id.",
    "request_timeout": "The body of the request did not come in time.",
    "fresh_login_required": "This needs a sign-in of the last minutes.",
    "expired_token": "The access token is no longer valid.",
    # Quay: these are of parts that are not here, but whoever follows a link finds what it means.
    # Pinned by compat/test_addresses.py.
    "exceeds_license": "This needs a licence or a plan that goes further.",
    "token_rotation_failed": "The token could not be replaced by a new one. The old one is still good.",
    "external_service_timeout": "Another server, which this one asked, did not answer in time.",
    "downstream_issue": "Another server, which this one asked, failed.",
    "invalid_response": "Another server, which this one asked, gave an answer that makes no sense.",
    "method_not_allowed": "The address exists, but takes other methods. The header `allow` names them.",
    "too_large": "The body of the request is larger than the server takes.",
    "unsupported_media_type": "The body is not declared as JSON. Send the header `content-type: application/json`.",
    "notification_gone": "The notification was deleted, so there is nowhere to send to.",
    "notification_paused": "The notification is paused. Resume it, or test it, before you send to it.",
    "event_gone": "The event is no longer kept, so there is nothing to send.",
    "being_sent": "The delivery is being sent just now. Wait for what comes of it.",
    "job_over": "The job is done or was cancelled, so nothing of it can be changed.",
    "not_waiting": "Only a delivery that waits can be cancelled.",
}


def problem(links: Links, kind: str, detail: str, status: int, **first: Any) -> Response[bytes]:
    """Quay's problem object (shape A): exactly these keys, because clients refuse others."""
    return reply(
        status,
        {
            **first,
            "detail": detail,
            "error_message": detail,
            "error_type": kind,
            "title": kind,
            "type": links.error(kind),
            "status": status,
        },
    )


def answer_error(request: Request[Any, Any, State], error: DockbellError) -> Response[bytes]:
    """The answer to an error that the caller can mend."""
    if repeats.ask(_scope(request), error):
        return reply(503)
    other = _other_shape(error)
    if other is not None:
        return other
    if isinstance(error, UnavailableError):
        return _answer_unavailable(request, error)
    if isinstance(error, ConfigError) and error.more is not None:
        _log.warning("refused in Quay's words", said=error.detail, because=error.more)
    return problem(_links(request), error.kind, error.detail, status_of(error))


def _other_shape(error: DockbellError) -> Response[bytes] | None:
    """The answer to an error that Quay does not tell as a problem object (shapes B and C), else None."""
    match error:
        case ArgumentError():
            return reply(400, {"message": {error.name: error.about}})
        case WrongContentTypeError():
            return reply(415, {"message": error.detail})
        case AnonymousError():
            # Quay: shape B. Pinned by compat/test_anonymous.py.
            return reply(401, {"error": error.detail})
        case CsrfError():
            # Quay: shape B. Pinned by compat/test_sessions.py.
            return reply(403, {"error": error.detail})
        case DataError():
            return reply(400, {"message": error.detail})
        case _:
            return None


def status_of(error: DockbellError) -> int:
    """The status that an error has on every API."""
    return next((code for kind, code in _STATUSES if isinstance(error, kind)), 400)


def kind_of(error: DockbellError) -> str:
    """The error's type, one of those that `DESCRIPTIONS` explains."""
    return error.kind if error.kind in DESCRIPTIONS else "invalid_request"


def answer_http_error(
    request: Request[Any, Any, State], error: HTTPException
) -> Response[bytes]:
    """The answer to what the framework refuses: no such route, wrong verb, body too large."""
    if isinstance(error, MethodNotAllowedException):
        return reply(
            405, {"message": "The method is not allowed for the requested URL."}, error.headers
        )
    status = error.status_code
    if status == 404:  # noqa: PLR2004 -- HTTP's number
        return problem(_links(request), "not_found", "Not Found", status)
    if status == 413:  # noqa: PLR2004 -- HTTP's number
        most = request.app.state.max_body
        return problem(
            _links(request), "invalid_request", f"The body is larger than {most} bytes", status
        )
    if status >= 500:  # noqa: PLR2004 -- HTTP's number
        return answer_bug(request, error)
    return problem(_links(request), "invalid_request", str(error.detail), status)


def _answer_unavailable(
    request: Request[Any, Any, State], error: UnavailableError
) -> Response[bytes]:
    warn_unavailable(request, error)
    answer = problem(_links(request), error.kind, error.detail, 503)
    answer.headers["retry-after"] = RETRY_AFTER
    return answer


def answer_bug(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    """The answer to our own mistake: no trace for the caller, all of it in the log."""
    if asks_to_repeat(request, error):
        return reply(503)
    log_bug(request, error)
    return problem(
        _links(request),
        "internal_error",
        "The server failed on this request. Its log has the cause.",
        500,
    )


def asks_to_repeat(request: Request[Any, Any, State], error: Exception) -> bool:
    """Whether the request will be made once more, so that this answer is never seen."""
    return repeats.ask(_scope(request), error)


def warn_unavailable(request: Request[Any, Any, State], error: UnavailableError) -> None:
    warn_of(error, _scope(request))


def log_bug(request: Request[Any, Any, State], error: Exception) -> None:
    _log.error(
        "request failed",
        verb=request.method,
        path=request.scope["path"],
        request_id=request.scope.get("dockbell_request_id"),
        exc_info=error,
    )


def _scope(request: Request[Any, Any, State]) -> Scope:
    return cast("Scope", request.scope)  # the same mapping, in wider types


def _links(request: Request[Any, Any, State]) -> Links:
    links: Links = request.app.state.faces.links
    return links

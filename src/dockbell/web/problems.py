"""Errors of API v2 as problem objects (RFC 9457)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException

from dockbell.domain.errors import (
    ConfigError,
    DockbellError,
    UnauthenticatedError,
    UnavailableError,
)
from dockbell.domain.links import Links
from dockbell.web import hints
from dockbell.web.calls import reply
from dockbell.web.errors import (
    asks_to_repeat,
    kind_of,
    log_bug,
    status_of,
    warn_unavailable,
)
from dockbell.web.live import BEAT_SECONDS, TooManyStreamsError
from dockbell.web.outages import RETRY_AFTER

PREFIX = "/api/v2"
MEDIA_TYPE = "application/problem+json"
_KINDS = {401: "invalid_token", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused. `type` is the address of a page about it."""

    type: str
    title: str
    status: int
    detail: str
    errors: Sequence[FieldProblem] = ()


def answer(  # noqa: PLR0913, PLR0917 -- one argument for each part of the object
    request: Request[Any, Any, State],
    status: int,
    kind: str,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    problem = problem_of(request.app.state.faces.links, status, kind, detail, errors)
    return Response(
        content=msgspec.json.encode(problem),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def problem_of(
    links: Links, status: int, kind: str, detail: str, errors: Sequence[FieldProblem] = ()
) -> Problem:
    """The object itself, for faces that answer past the framework."""
    return Problem(
        type=links.error(kind),
        title=kind.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        errors=tuple(errors),
    )


def answer_error(request: Request[Any, Any, State], error: DockbellError) -> Response[bytes]:
    """The answer to an error that the caller can mend."""
    errors: Sequence[FieldProblem] = ()
    headers: Mapping[str, str] = {}
    if isinstance(error, UnavailableError):
        warn_unavailable(request, error)
        headers = {"retry-after": RETRY_AFTER}
    if isinstance(error, TooManyStreamsError):
        headers = {"retry-after": str(round(BEAT_SECONDS))}
    if isinstance(error, UnauthenticatedError):
        headers = {"www-authenticate": "Bearer"}
    detail = error.detail
    if isinstance(error, ConfigError) and error.field is not None:
        detail = error.words
        errors = [FieldProblem(error.field, detail)]
    return answer(request, status_of(error), kind_of(error), detail, errors, headers)


def answer_http_error(
    request: Request[Any, Any, State], error: HTTPException
) -> Response[bytes]:
    """The answer to what the framework refuses: no such route, wrong verb, a body or argument that is not right."""
    status = error.status_code
    if status >= 500:  # noqa: PLR2004 -- HTTP's number
        return answer_bug(request, error)
    kind = _KINDS.get(status, "invalid_request")
    if isinstance(error, MethodNotAllowedException):
        return answer(
            request, status, kind, "This address has other methods.", (), error.headers
        )
    if status == 404:  # noqa: PLR2004 -- HTTP's number
        return answer(request, status, kind, "There is nothing at this address.")
    errors = [
        FieldProblem(
            *hints.explain(request, str(extra.get("key") or ""), str(extra["message"]))
        )
        for extra in _extras(error)
    ]
    detail = errors[0].message if errors else str(error.detail)
    if errors:
        detail = f"{errors[0].field}: {detail}"
    return answer(request, status, kind, detail, errors)


def answer_bug(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    """The answer to our own mistake: no trace for the caller, all of it in the log."""
    if asks_to_repeat(request, error):
        return reply(503)
    log_bug(request, error)
    return answer(
        request,
        500,
        "internal_error",
        "The server failed on this request. Its log has the cause.",
    )


def _extras(error: HTTPException) -> Sequence[Mapping[str, Any]]:
    extra = error.extra
    if not isinstance(extra, list):
        return ()
    return [one for one in extra if isinstance(one, dict) and "message" in one]

"""Putting the HTTP application together from its handlers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from dockbell.domain.errors import DockbellError
from dockbell.store.transactions import Store
from dockbell.web import errors, health, problems
from dockbell.web.calls import provide_call
from dockbell.web.edge import ASGIApp, Edge
from dockbell.web.faces import Faces
from dockbell.web.health import Check
from dockbell.web.repeats import Repeats


def build_app(  # noqa: PLR0913 -- the composition root's one call
    *,
    store: Store,
    faces: Faces,
    v1: Sequence[Any],
    v2: Sequence[Any],
    others: Sequence[Any],
    registry: ASGIApp,
    checks: Mapping[str, Check],
    max_body: int = 1 << 20,
) -> ASGIApp:
    """The whole HTTP application.

    `v1` and `v2` are the handlers of both APIs, `others` those with whole addresses; `registry` answers
    below `/v2`.
    A body above `max_body` bytes is refused with 413, except in the registry, which has its own limits.
    """
    app = Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=list(v1)),
            Router(problems.PREFIX, route_handlers=list(v2)),
            *others,
            *health.HANDLERS,
        ],
        dependencies={"call": Provide(provide_call)},
        exception_handlers={
            DockbellError: _answer_error,
            HTTPException: errors.answer_http_error,
            Exception: errors.answer_bug,
        },
        request_max_body_size=max_body,
        openapi_config=None,
        state=State({"store": store, "faces": faces, "checks": checks, "max_body": max_body}),
        logging_config=None,
    )
    pages = Repeats(cast("ASGIApp", app))  # the same protocol, in narrower types
    return Edge(pages, registry)


def _answer_error(request: Request[Any, Any, State], error: DockbellError) -> Response[bytes]:
    """In the words of the API whose address was called."""
    path: str = request.scope["path"]
    is_v2 = path.startswith(f"{problems.PREFIX}/")
    answer = problems.answer_error if is_v2 else errors.answer_error
    return answer(request, error)

"""Putting the HTTP application together from its handlers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from dockbell.domain.errors import DockbellError
from dockbell.store.transactions import Store
from dockbell.web import errors, health, metrics, problems, reference
from dockbell.web.calls import provide_call, read_body
from dockbell.web.edge import ASGIApp, Edge
from dockbell.web.faces import Faces
from dockbell.web.health import Check
from dockbell.web.live import Hub
from dockbell.web.metrics import Scrapes
from dockbell.web.repeats import Repeats


def build_app(  # noqa: PLR0913 -- the composition root's one call
    *,
    store: Store,
    faces: Faces,
    v1: Sequence[Any],
    v2: Sequence[Any],
    others: Sequence[Any],
    registry: ASGIApp,
    intake: ASGIApp,
    checks: Mapping[str, Check],
    scrapes: Scrapes | None = None,
    hub: Hub | None = None,
    max_body: int = 1 << 20,
) -> ASGIApp:
    """The whole HTTP application.

    `v1` and `v2` are the handlers of both APIs, `others` those with whole addresses; `registry` answers
    below `/v2`, `intake` takes in events.
    A body above `max_body` bytes is refused with 413, except in those two, which have their own limits.
    """
    scrapes = scrapes or Scrapes(store)
    app = Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=list(v1), include_in_schema=False),
            # The body first, within its time: the framework's own reading of it has no limit.
            Router(problems.PREFIX, route_handlers=list(v2), before_request=read_body),
            *others,
            *health.HANDLERS,
            *metrics.HANDLERS,
        ],
        dependencies={"call": Provide(provide_call)},
        exception_handlers={
            DockbellError: _by_face(errors.answer_error, problems.answer_error),
            HTTPException: _by_face(errors.answer_http_error, problems.answer_http_error),
            Exception: _by_face(errors.answer_bug, problems.answer_bug),
        },
        request_max_body_size=max_body,
        openapi_config=reference.CONFIG,
        state=State(
            {
                "store": store,
                "faces": faces,
                "checks": checks,
                "scrapes": scrapes,
                "max_body": max_body,
                "live": hub or Hub(store),
            }
        ),
        logging_config=None,
    )
    pages = Repeats(cast("ASGIApp", app))  # the same protocol, in narrower types
    return Edge(pages, registry, intake, scrapes.metrics)


_Answer = Callable[[Request[Any, Any, State], Any], Response[bytes]]


def _by_face(v1: _Answer, v2: _Answer) -> _Answer:
    """What answers an error, by the API whose address was called."""

    def answer(request: Request[Any, Any, State], error: Any) -> Response[bytes]:
        path: str = request.scope["path"]
        is_v2 = path == problems.PREFIX or path.startswith(f"{problems.PREFIX}/")
        return (v2 if is_v2 else v1)(request, error)

    return answer

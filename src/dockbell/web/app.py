"""Putting the HTTP application together from its handlers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import msgspec
from litestar import Litestar, Request, Response, Router, route
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from dockbell.domain.errors import DockbellError
from dockbell.domain.links import Links
from dockbell.store.transactions import Store
from dockbell.web import errors, health, hints, metrics, problems, readonly, reference
from dockbell.web.calls import provide_call, read_body
from dockbell.web.edge import ASGIApp, Edge, Receive, Scope, Send, TakesEvents
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
    intake: TakesEvents,
    checks: Mapping[str, Check],
    warnings: Mapping[str, Check] | None = None,
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
    app = _Framework(
        route_handlers=[
            Router("/api/v1", route_handlers=[_options_of(v1), *v1], include_in_schema=False),
            Router(
                problems.PREFIX,
                route_handlers=[_options_of(v2), *v2],
                before_request=_before_v2,
            ),
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
                "warnings": warnings or {},
                "scrapes": scrapes,
                "max_body": max_body,
                "live": hub or Hub(store),
            }
        ),
        logging_config=None,
    )
    pages = Repeats(cast("ASGIApp", app))  # the same protocol, in narrower types
    return Edge(
        pages,
        registry,
        intake,
        scrapes.metrics,
        refuse_nul=_nul_refusal(faces.links),
        refuse_change=partial(readonly.refusal, faces.links) if faces.is_readonly else None,
    )


class _Framework(Litestar):
    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        # The others are for libraries of models that no handler of ours takes. One of them is installed, because the
        # command line needs it, and loading it is a tenth of a start and a tenth of the memory.
        return [*plugins, MsgspecDIPlugin()]


def _options_of(handlers: Sequence[Any]) -> HTTPRouteHandler:
    """The one answer to OPTIONS at all addresses of an API, which nobody gets: the edge has a better one.

    Without it, the framework makes one for each address, as dear as two out of five of all it makes.
    """
    paths = sorted({path for one in handlers for path in one.paths})

    @route(paths, http_method=["OPTIONS"], status_code=200, include_in_schema=False)
    async def answer_options() -> Response[bytes]:
        return Response(b"")

    return answer_options


async def _before_v2(request: Request[Any, Any, State]) -> None:
    hints.check_query(request)
    # The body first, within its time: the framework's own reading of it has no limit.
    await read_body(request)


_Answer = Callable[[Request[Any, Any, State], Any], Response[bytes]]


def _by_face(v1: _Answer, v2: _Answer) -> _Answer:
    """What answers an error, by the API whose address was called."""

    def answer(request: Request[Any, Any, State], error: Any) -> Response[bytes]:
        return (v2 if _is_v2(request.scope["path"]) else v1)(request, error)

    return answer


def _is_v2(path: str) -> bool:
    return path == problems.PREFIX or path.startswith(f"{problems.PREFIX}/")


def _nul_refusal(links: Links) -> ASGIApp:
    """What answers an address with U+0000 in it: a part of the edge, since the framework must not see one."""
    words = "The address must not hold the character U+0000"
    v1 = errors.problem(links, "invalid_request", words, 400).content
    v2 = msgspec.json.encode(problems.problem_of(links, 400, "invalid_request", words))

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        is_v2 = _is_v2(scope["path"])
        media_type, body = (problems.MEDIA_TYPE, v2) if is_v2 else ("application/json", v1)
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse

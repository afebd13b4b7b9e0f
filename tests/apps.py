"""The application for tests: put together once in a process, then pointed at each test's own store."""

from functools import partial
from typing import Any

from dockbell.api.intake.app import EventIntake, Limits
from dockbell.api.intake.clair import HANDLERS as CLAIR_HANDLERS
from dockbell.api.intake.wire import Reader
from dockbell.api.v1.handlers import HANDLERS
from dockbell.api.v1.handlers import PUBLIC_HANDLERS as V1_PUBLIC_HANDLERS
from dockbell.api.v2.handlers import HANDLERS as V2_HANDLERS
from dockbell.api.v2.handlers import PUBLIC_HANDLERS
from dockbell.services.reports import Reports
from dockbell.store.transactions import Store
from dockbell.ui.handlers import HANDLERS as UI_HANDLERS
from dockbell.web import readonly
from dockbell.web.app import build_app
from dockbell.web.edge import ASGIApp, Edge, Receive, Scope, Send
from dockbell.web.faces import Faces
from dockbell.web.live import Hub
from dockbell.web.receiving import Receiving

_built: list[Any] = []


def app_of(store: Store, faces: Faces) -> ASGIApp:
    """The application on this store. The one made before must no longer be in use."""
    if not _built:
        _built.append(
            build_app(
                store=store,
                faces=faces,
                v1=HANDLERS,
                v2=V2_HANDLERS,
                others=[*V1_PUBLIC_HANDLERS, *PUBLIC_HANDLERS, *UI_HANDLERS, *CLAIR_HANDLERS],
                registry=_no_registry,
                intake=_no_registry,
                checks={},
            )
        )
    edge: Any = _built[0]
    edge._pages._app.state.update(
        {"store": store, "faces": faces, "live": Hub(store, look_seconds=0.01)}
    )
    edge._intake = intake_of(store, faces)
    edge._refuse_change = partial(readonly.refusal, faces.links) if faces.is_readonly else None
    app: ASGIApp = edge
    return app


def intake_of(
    store: Store,
    faces: Faces,
    *,
    limits: Limits | None = None,
    most_waiting: int = 10_000,
) -> EventIntake:
    """What takes in events, with limits that a test may make narrow."""
    reports = Reports(faces.intake, faces.links)
    return EventIntake(
        Receiving(store, reports, most_waiting=most_waiting),
        Reader(faces.kinds, faces.links, store._clock),
        faces.links,
        limits or Limits(body=4 << 20),
    )


def alone(intake: EventIntake) -> ASGIApp:
    """An application that takes in events, and nothing else."""
    return Edge(_no_registry, _no_registry, intake)


async def _no_registry(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})

"""All handlers of `/api/v2`, and what stands beside it for receivers, gathered for the application."""

from collections.abc import Sequence
from typing import Any

from litestar import Router

from dockbell.api.v2 import problems, signing_secrets
from dockbell.domain.errors import DockbellError

HANDLERS = [*signing_secrets.HANDLERS]
PUBLIC_HANDLERS = [*signing_secrets.PUBLIC_HANDLERS]


def routers() -> Sequence[Any]:
    """New routers of these handlers; errors below them are problem details."""
    answers: Any = {DockbellError: problems.answer_error}
    return [
        Router("/api/v2", route_handlers=HANDLERS, exception_handlers=answers),
        Router("/", route_handlers=PUBLIC_HANDLERS, exception_handlers=answers),
    ]

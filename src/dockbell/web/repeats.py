"""Doing a request again that others' changes undid, so that its caller never hears of it."""

import asyncio
from collections.abc import Sequence

from dockbell.domain.errors import UndoneError
from dockbell.store.transactions import DuplicateError, OrphanError
from dockbell.web.edge import ASGIApp, Message, Receive, Scope, Send

# Before each repeat. Whoever was in the way has ended by then, or ends soon.
WAITS: Sequence[float] = (0.0, 0.02, 0.1, 0.3)
_WISH = "dockbell_repeat"
_STREAM = b"text/event-stream"


def may_help(error: Exception) -> bool:
    """Whether the same request could go better now: all of it was undone because somebody was faster.

    A unique constraint or a foreign key that no service expected is such a case too: the row came, or went,
    between the question and the change. Done again, the question finds it so, and the answer is the documented one.
    """
    return isinstance(error, UndoneError | DuplicateError | OrphanError)


def ask(scope: Scope, error: Exception) -> bool:
    """Ask that the request is done again; whether it will be. Then what is answered now goes nowhere."""
    wish = scope.get(_WISH)
    if wish is None or not may_help(error):
        return False
    scope[_WISH] = None
    wish.append(error)
    return True


class Repeats:
    """Wraps an application whose bodies and answers are small: an answer leaves when it is complete.

    A stream of events has no such end: it leaves as it comes, and is never asked for again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept: list[Message] = []
        for wait in WAITS:
            wishes: list[Exception] = []
            answer: list[Message] = []
            await self._app(
                _fresh(scope, wishes), _replayed(kept, receive), _kept(answer, send)
            )
            if not wishes:
                for message in answer:
                    await send(message)
                return
            await asyncio.sleep(wait)
        await self._app(_fresh(scope, None), _replayed(kept, receive), send)


def _fresh(scope: Scope, wishes: list[Exception] | None) -> Scope:
    # The framework keeps what it has read of a request in its `state`.
    return {**scope, "state": dict(scope.get("state", {})), _WISH: wishes}


def _replayed(kept: list[Message], receive: Receive) -> Receive:
    """The messages that came before, then those that still come; all are kept for the next time."""
    earlier = iter(list(kept))

    async def take() -> Message:
        message = next(earlier, None)
        if message is None:
            message = await receive()
            kept.append(message)
        return message

    return take


def _kept(answer: list[Message], send: Send) -> Send:
    is_stream = False

    async def keep(message: Message) -> None:
        nonlocal is_stream
        if message["type"] == "http.response.start":
            is_stream = dict(message["headers"]).get(b"content-type", b"").startswith(_STREAM)
        if is_stream:
            await send(message)
        else:
            answer.append(message)

    return keep

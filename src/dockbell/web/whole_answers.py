"""Answers that are there as a whole, which a server may send in one piece."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, NamedTuple

# In a request's scope, where the server has it: takes the scope and a WholeAnswer; False if it is to be sent as any other.
ANSWER = "dockbell_answer"


class WholeAnswer(NamedTuple):
    """An answer but for its Content-Length. Names are in small letters, and all values are ours, fit to be sent."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


async def send(
    scope: MutableMapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    answer: WholeAnswer,
) -> None:
    """Send the answer to this request: in one piece if the server can, else as ASGI has it, in two."""
    in_one = scope.get(ANSWER)
    if in_one is not None and in_one(scope, answer):
        return
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

"""Answers that are there as a whole, which a server may send in one piece."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

# In a request's scope, where the server has it: takes the scope and a WholeAnswer; False if it is to be sent as any other.
ANSWER = "dockbell_answer"


class WholeAnswer(NamedTuple):
    """An answer but for its Content-Length."""

    status: int
    lines: bytes  # of its header, each with its end; names in small letters, values of ours that are fit to be sent
    body: bytes
    follow: "Follow | None" = None


# What is called once with the answer, or with None if there is none and the connection is to end.
Tell = Callable[[WholeAnswer | None], None]

# Takes the body of a later request on the same connection, whose head is this one's but for the length, and what to
# tell the answer to: now, or later. False if it does not take it, and the request is to be served as any other.
Follow = Callable[[bytes, Tell], bool]


async def send(
    scope: MutableMapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    answer: WholeAnswer,
) -> None:
    """Send the answer to this request: in one piece if the server can, else as ASGI has it, in two."""
    in_one = scope.get(ANSWER)
    if in_one is not None and in_one(scope, answer):
        return
    headers = [tuple(line.split(b": ", 1)) for line in answer.lines.splitlines()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

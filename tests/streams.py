"""Listening to server-sent events in this process, as a client would."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tests.asgi import Client

_PATIENCE = 10


@dataclass(slots=True)
class Listener:
    """What was heard so far. Blocks without data are comments and ids."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    last_id: str = ""
    beats: int = 0
    is_over: bool = False
    _text: str = ""
    _heard: "asyncio.Queue[tuple[str, Any]]" = field(default_factory=asyncio.Queue)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode().lower(): value.decode() for name, value in message["headers"]
            }
        else:
            self._text += message.get("body", b"").decode()
            *blocks, self._text = self._text.split("\n\n")
            for block in blocks:
                self._hear(block)
            self.is_over = not message.get("more_body", False)
        self._changed.set()

    def _hear(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        self.beats += ": alive" in block
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            self._heard.put_nowait((fields["event"], json.loads(fields["data"])))

    async def next(self) -> tuple[str, Any]:
        """The next message: its kind and what it says."""
        async with asyncio.timeout(_PATIENCE):
            return await self._heard.get()

    async def until(self, beats: int = 0, *, is_over: bool = False) -> None:
        """Wait for so many beats, or for the end."""
        async with asyncio.timeout(_PATIENCE):
            while self.beats < beats or self.is_over < is_over:
                self._changed.clear()
                await self._changed.wait()

    def rest(self) -> list[tuple[str, Any]]:
        """What was heard and not asked for yet."""
        return [self._heard.get_nowait() for _ in range(self._heard.qsize())]


@contextlib.asynccontextmanager
async def listening(
    client: Client, path: str, *, verb: str = "GET", last_id: str | None = None
) -> AsyncIterator[Listener]:
    """A listener for as long as the block runs; then it hangs up."""
    raw_path, _, query = path.partition("?")
    sent = client.jar.headers()
    if client.token is not None or not sent:
        sent["authorization"] = f"Bearer {client.token}"
    headers = [(name.encode(), text.encode()) for name, text in sent.items()]
    if last_id is not None:
        headers.append((b"last-event-id", last_id.encode()))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": verb,
        "scheme": "http",
        "path": raw_path,
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": (client.peer, 40000),
        "server": ("dockbell.test", 80),
        "state": {},
    }
    listener = Listener()
    has_left = asyncio.Event()
    is_asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        listener.take(message)

    running = asyncio.create_task(client.app(scope, receive, send))  # type: ignore[arg-type] -- an awaitable that is a coroutine
    try:
        await listener.until(beats=0 if verb == "HEAD" else 1)
        yield listener
    finally:
        has_left.set()
        await running

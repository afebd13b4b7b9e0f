"""One request to the registry, and the answer to it, in the words of ASGI."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from urllib.parse import parse_qsl

import msgspec

from dockbell.domain.late_dataclasses import dataclass
from dockbell.registry.places import Blob
from dockbell.web.edge import Receive, Scope

_PATIENCE_SECONDS = 60.0  # without a single byte
_VERSION = (b"docker-distribution-api-version", b"registry/2.0")


class DisconnectedError(Exception):
    """The client went away; nobody waits for an answer."""


class StalledError(Exception):
    """The client stopped sending in the middle of a body."""


class TooLargeError(Exception):
    """The body is longer than the route allows."""


class QueryError(Exception):
    """The query of the address cannot be read."""


class Request:
    """What was asked. The body is taken piece by piece, never as a whole unless it is bounded."""

    def __init__(
        self, scope: Scope, receive: Receive, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self.scope = scope
        self._patience = patience_seconds
        self._whole: bytes | None = None
        self.receive = receive
        self.is_spent = False  # some of the body went where it cannot be taken from again
        self.verb: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.ip: str | None = client[0] if client else None

    def header(self, name: bytes) -> str | None:
        """The first header of this (small-letter) name."""
        for key, value in self.scope["headers"]:
            if key == name:
                text: str = value.decode("latin-1")
                return text
        return None

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        text: str = self.scope.get("query_string", b"").decode("latin-1")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100, errors="strict")
        except ValueError as error:
            raise QueryError from error
        if any("\0" in value for _, value in pairs):
            raise QueryError  # no name of ours holds it, and PostgreSQL takes it for nothing
        return pairs

    def query(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self._pairs if key == name), None)

    def queries(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    @property
    def content_length(self) -> int | None:
        text = self.header(b"content-length")
        return int(text) if text is not None and text.isascii() and text.isdigit() else None

    async def pour(self, sink: Callable[[bytes], None]) -> None:
        """Give every piece of the body to `sink` as it comes; raise DisconnectedError or StalledError."""
        loop = asyncio.get_running_loop()
        self.is_spent = True
        try:
            async with asyncio.timeout(self._patience) as watch:
                while True:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise DisconnectedError
                    piece: bytes = message.get("body", b"")
                    if piece:
                        sink(piece)
                    if not message.get("more_body", False):
                        return
                    watch.reschedule(loop.time() + self._patience)
        except TimeoutError:
            raise StalledError from None

    async def body(self, limit: int) -> bytes:
        """The whole body, as often as it is asked for; raise TooLargeError as soon as it passes `limit` bytes."""
        if self._whole is not None:
            return self._whole
        if (self.content_length or 0) > limit:
            raise TooLargeError
        whole = bytearray()

        def keep(piece: bytes) -> None:
            if len(whole) + len(piece) > limit:
                raise TooLargeError
            whole.extend(piece)

        await self.pour(keep)
        self.is_spent = False
        self._whole = bytes(whole)
        return self._whole


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file to be sent. Whoever sends it closes the file."""

    file: Blob
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Part = b""
    length: int | None = None  # to announce, where it is not the body's own (HEAD)

    def close(self) -> None:
        """Let go of the file, if the body is one."""
        if isinstance(self.body, Part):
            self.body.file.close()

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        length = self.length
        if length is None:
            length = self.body.length if isinstance(self.body, Part) else len(self.body)
        raw = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.status not in {204, 304}:
            raw.append((b"content-length", str(length).encode()))
        return [*raw, _VERSION]


def json_reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(
        status,
        {"content-type": "application/json", **(headers or {})},
        msgspec.json.encode(value),
    )

"""A client that calls an ASGI application in this process, byte for byte as a server would."""

import asyncio
import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from dockbell.web.edge import ASGIApp

_UNSET = object()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Jar:
    """The cookies of one client; a closed one keeps none."""

    is_open: bool
    cookies: dict[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        text = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"cookie": text} if text else {}

    def take(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if self.is_open and name.lower() == b"set-cookie":
                key, _, rest = value.decode("latin-1").partition("=")
                text = rest.partition(";")[0]
                self.cookies.pop(key, None)
                if text:
                    self.cookies[key] = text


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests with one bearer token, or none."""

    app: ASGIApp
    token: str | None = None
    peer: str = "192.0.2.7"
    jar: "Jar" = field(default_factory=lambda: Jar(is_open=False))

    def with_token(self, token: str | None) -> "Client":
        return replace(self, token=token)

    def as_browser(self) -> "Client":
        """The same without a token, but with cookies of its own, as one person's browser."""
        return replace(self, token=None, jar=Jar(is_open=True))

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.send("GET", path, **more)

    async def post(self, path: str, value: Any = _UNSET, **more: Any) -> Answer:
        return await self.send("POST", path, value, **more)

    async def put(self, path: str, value: Any = _UNSET, **more: Any) -> Answer:
        return await self.send("PUT", path, value, **more)

    async def delete(self, path: str, **more: Any) -> Answer:
        return await self.send("DELETE", path, **more)

    async def send(
        self,
        verb: str,
        path: str,
        value: Any = _UNSET,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        repeated: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Make one request. A `value` is sent as JSON; `path` is as it stands on the wire, escapes and query included.

        `repeated` are headers that come once more, after all others.
        """
        sent = self.jar.headers() | {
            name.lower(): text for name, text in (headers or {}).items()
        }
        if value is not _UNSET:
            body = json.dumps(value).encode()
            sent.setdefault("content-type", "application/json")
        if self.token is not None:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if body:
            sent.setdefault("content-length", str(len(body)))
        raw_path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": verb,
            "scheme": "http",
            "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
            "raw_path": raw_path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [
                (b"host", b"dockbell.test"),
                *(
                    (name.encode("latin-1"), text.encode("latin-1"))
                    for name, text in (*sent.items(), *repeated)
                ),
            ],
            "client": (self.peer, 40000),
            "server": ("dockbell.test", 80),
            "state": {},
        }
        start: dict[str, Any] = {}
        parts: list[bytes] = []
        is_sent = False
        is_answered = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            nonlocal is_sent
            if is_sent:
                await (
                    is_answered.wait()
                )  # a client that wants the answer stays until it is there
                return {"type": "http.disconnect"}
            is_sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def take(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                assert not start, "two answers"
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    is_answered.set()

        await self.app(scope, receive, take)
        self.jar.take(start["headers"])
        return Answer(
            status=start["status"],
            headers={
                name.decode("latin-1").lower(): text.decode("latin-1")
                for name, text in start["headers"]
            },
            body=b"".join(parts),
        )

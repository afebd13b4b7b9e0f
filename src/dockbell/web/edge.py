"""The outermost ring of every API request: id, access line, CORS, HEAD, OPTIONS and the repository path."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import structlog

from dockbell.observability import logs
from dockbell.observability.metrics import Metrics
from dockbell.web import paths, whole_answers
from dockbell.web.reference import ADDRESSES
from dockbell.web.whole_answers import Follow, Tell, WholeAnswer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
# What takes in events: None if the client went away.
TakesEvents = Callable[[Scope, Receive], Awaitable[WholeAnswer | None]]

# The answer to a verb at a path that is refused; None for one that is not.
Refuses = Callable[[str, str], WholeAnswer | None]

_log = structlog.get_logger("dockbell.access")

# Quay: any page may call the API, because a bearer token is never sent by itself (quay-compat 1.3).
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"DELETE, GET, HEAD, OPTIONS, POST, PUT"),
    (b"access-control-max-age", b"21600"),
    (b"access-control-allow-headers", b"AUTHORIZATION, CONTENT-TYPE, X-REQUESTED-WITH"),
    (b"vary", b"Cookie"),
]
# API v2 has one verb more than Quay's.
_CORS_V2 = [(name, value.replace(b"OPTIONS, ", b"OPTIONS, PATCH, ")) for name, value in _CORS]
_GONE = 499  # as it is logged: the client went away before there was an answer
_INTAKE = "/api/v2/events"
_LIVE = "/api/v2/live"
_QUIET = frozenset(
    {"/livez", "/readyz", "/healthz", "/health/instance", "/health/endtoend", "/metrics"}
)


# What others wrote comes back in JSON, and no browser is to take it for a page.
_NO_GUESSING = (b"x-content-type-options", b"nosniff")
_IDS_AT_ONCE = 64


class Edge:
    """Wraps the whole application; registry and intake are chosen here by path, past the framework."""

    def __init__(  # noqa: PLR0913 -- made only by the application
        self,
        pages: ASGIApp,
        registry: ASGIApp,
        intake: TakesEvents,
        metrics: Metrics | None = None,
        *,
        refuse_nul: ASGIApp | None = None,
        refuse_change: Refuses | None = None,
    ) -> None:
        self._pages = pages
        self._registry = registry
        self._intake = intake
        self._metrics = metrics or Metrics()
        self._refuse_nul = refuse_nul or pages
        self._refuse_change = refuse_change  # only where nothing may change
        self._request_ids: list[str] = []
        self._answered: list[tuple[int, float]] = []  # events that are not counted yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        path: str = scope["path"]
        verb: str = scope["method"]
        if (
            path == _INTAKE
            and verb == "POST"
            and not scope["query_string"]
            and self._refuse_change is None
        ):
            await self._take_in(scope, receive, send)  # thousands a second
            return
        request_id = os.urandom(16).hex()
        started = time.perf_counter()
        status = _GONE
        seconds: float | None = None
        if "//" in path and not path.startswith("/v2/"):
            # The framework takes several slashes for one, so what is decided here has to do the same.
            path = re.sub("/{2,}", "/", path)
            scope = {**scope, "path": path}
        is_registry = path == "/v2" or path.startswith("/v2/")
        extra = [(b"x-request-id", request_id.encode()), *_headers_of(scope, path)]

        async def send_out(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status = message["status"]
                if path == _LIVE:  # how long somebody listened is no time of an answer
                    seconds = time.perf_counter() - started
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            elif verb == "HEAD" and not is_registry:
                message = {**message, "body": b""}
            await send(message)

        scope["dockbell_request_id"] = request_id
        try:
            await self._route(scope, receive, send_out)
        finally:
            if seconds is None:
                seconds = time.perf_counter() - started
            self._note(verb, path, status, seconds, request_id)

    async def _take_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = self._new_request_id()
        started = time.perf_counter()
        status = _GONE
        scope["dockbell_request_id"] = request_id
        try:
            answer = await self._intake(scope, receive)
            if answer is not None:
                status, lines, body, follow = answer
                extra = _lines_of(_headers_of(scope, _INTAKE))
                lines = b"%bx-request-id: %b\r\n%b" % (lines, request_id.encode(), extra)
                if follow is not None:
                    follow = self._following(scope, follow, extra)
                await whole_answers.send(scope, send, WholeAnswer(status, lines, body, follow))
        finally:
            self._note("POST", _INTAKE, status, time.perf_counter() - started, request_id)

    def _following(self, scope: Scope, follow: Follow, extra: bytes) -> Follow:
        """What `_take_in` does, for the requests that come behind this one with the same head: one after the other."""

        def take(body: bytes, tell: Tell) -> bool:
            started = time.perf_counter()
            scope["dockbell_request_id"] = request_id = self._new_request_id()

            def end(answer: WholeAnswer | None) -> None:
                status = _GONE
                if answer is not None:
                    status, lines, content, _ = answer
                    lines = b"".join(
                        (lines, b"x-request-id: ", request_id.encode(), b"\r\n", extra)
                    )
                    answer = WholeAnswer(status, lines, content)
                self._note_event(status, time.perf_counter() - started, request_id)
                tell(answer)

            return follow(body, end)

        return take

    def _new_request_id(self) -> str:
        """Drawn for many at once: a call of the system costs more than all else about it."""
        if not self._request_ids:
            drawn = os.urandom(16 * _IDS_AT_ONCE).hex()
            self._request_ids = [drawn[at : at + 32] for at in range(0, len(drawn), 32)]
        return self._request_ids.pop()

    def _note_event(self, status: int, seconds: float, request_id: str) -> None:
        """As `_note`, for requests of which many are answered in one moment: they are counted behind the last of them."""
        if logs.shows_info():
            _log_request("POST", _INTAKE, status, seconds, request_id)
        if not self._answered:
            asyncio.get_running_loop().call_soon(self._count_events)
        self._answered.append((status, seconds))

    def _count_events(self) -> None:
        answered, self._answered = self._answered, []
        for status in {status for status, _ in answered}:
            self._metrics.note_requests(
                "POST", _INTAKE, status, [seconds for one, seconds in answered if one == status]
            )

    def _note(self, verb: str, path: str, status: int, seconds: float, request_id: str) -> None:
        self._metrics.note_request(verb, path, status, seconds)
        if path not in _QUIET and logs.shows_info():
            _log_request(verb, path, status, seconds, request_id)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/v2" or path.startswith("/v2/"):
            await self._registry(scope, receive, send)  # refuses NUL itself, in its own words
        elif refused := self._refuse_change and self._refuse_change(scope["method"], path):
            await whole_answers.send({}, send, refused)
        elif "\x00" in path or b"%00" in scope.get("query_string", b""):
            # No name or id holds it, and PostgreSQL takes no text that does.
            await self._refuse_nul(scope, receive, send)
        elif path in ADDRESSES and scope["method"] in {"GET", "HEAD"}:
            await self._pages(
                {**scope, "path": ADDRESSES[path], "method": "GET"}, receive, send
            )
        elif path.startswith("/api/"):
            if scope["method"] == "OPTIONS":
                await _answer_empty(send, 200)
                return
            if (
                scope["method"] == "POST" and path.rstrip("/") == _INTAKE
            ):  # as the framework reads it
                answer = await self._intake(scope, receive)
                if answer is not None:
                    await whole_answers.send({}, send, answer)
                return
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            await self._pages(
                {
                    **scope,
                    "path": paths.rewrite(path),
                    "method": method,
                    "dockbell_verb": scope["method"],
                },
                receive,
                send,
            )
        elif scope["method"] == "HEAD":  # monitors ask so for health and pages
            await self._pages({**scope, "method": "GET"}, receive, send)
        else:
            await self._pages(scope, receive, send)


def _log_request(verb: str, path: str, status: int, seconds: float, request_id: str) -> None:
    _log.info(
        "request",
        verb=verb,
        path=path,
        status=status,
        milliseconds=round(seconds * 1000, 1),
        request_id=request_id,
    )


def _lines_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _headers_of(scope: Scope, path: str) -> list[tuple[bytes, bytes]]:
    """What an answer of an API says besides its own."""
    if not path.startswith("/api/"):
        return []
    if path == _INTAKE and b"origin" not in dict(scope["headers"]):
        return [_NO_GUESSING]  # thousands a second, of programs that are no page
    return [_NO_GUESSING, *(_CORS_V2 if path.startswith("/api/v2/") else _CORS)]


async def _answer_empty(send: Send, status: int) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", b"0")],
        }
    )
    await send({"type": "http.response.body", "body": b""})

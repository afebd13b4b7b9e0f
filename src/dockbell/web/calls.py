"""One API call: who asks, with what, and how to answer. Every handler gets it as `call`."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException, SerializationException

from dockbell.domain.accounts import ANONYMOUS, Actor
from dockbell.domain.errors import (
    AnonymousError,
    DataError,
    DockbellError,
    InvalidRequestError,
    NotFoundError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.services import authentication
from dockbell.services.notifications import Notifications
from dockbell.store.transactions import Store, Tx
from dockbell.web import bodies, paths, sessions
from dockbell.web.faces import Faces

_BODY_SECONDS = 60.0
_FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class ApiCall:
    """A request under way. Its body is already read, so that no transaction waits for a slow client."""

    request: Request[Any, Any, State]
    raw_body: bytes
    store: Store
    faces: Faces
    _actor: Actor | None = field(default=None, repr=False)

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A transaction that may write; what it wrote is committed when the block ends, before the answer."""
        async with self.store.begin() as tx:
            yield tx
            if self._actor is not None:
                await authentication.touch(tx, self._actor)

    def read(self) -> AbstractAsyncContextManager[Tx]:
        return self.store.read()

    @property
    def notifications(self) -> Notifications:
        return self.faces.notifications

    async def actor(self, tx: Tx) -> Actor:
        """Who asks, as `caller` finds it. Raise AnonymousError for nobody in particular where the operator lets none in."""
        found = await self.caller(tx)
        if found.is_anonymous and not self.faces.allows_anonymous:
            raise AnonymousError
        return found

    async def caller(self, tx: Tx) -> Actor:
        """Who asks: by a bearer token or, without that header, by a session. For what lets everybody in.

        A missing, broken or expired one makes the call anonymous. Raise CsrfError for a session that is to change
        something without its CSRF token, since then another site's page may have made the request.
        """
        if self._actor is None:
            given = self.request.headers.getall("authorization", [])
            found = await (self._of_header(tx, given) if given else self._of_session(tx))
            self._actor = self.faces.powers.of(found)
        return self._actor

    async def _of_header(self, tx: Tx, given: Sequence[str]) -> Actor:
        # Two headers are one with a comma between (RFC 9110), and so no token.
        token = bearer_token(", ".join(given))
        if token is None:
            return ANONYMOUS
        return await authentication.actor_of_bearer(tx, token, self.ip) or ANONYMOUS

    async def _of_session(self, tx: Tx) -> Actor:
        secret = self.session_secret
        if secret is None:
            return ANONYMOUS
        found = await authentication.actor_of_session(tx, secret, self.ip)
        if found is None:
            return ANONYMOUS
        if self.request.method not in sessions.READING_VERBS:
            self.check_csrf()
        return found

    @property
    def session_secret(self) -> str | None:
        """What the cookie holds, whether or not there is such a session."""
        return sessions.secret_in(self.request.cookies)

    def check_csrf(self) -> None:
        """Raise CsrfError unless the request proves that a page of ours, or the caller's own program, made it."""
        given = (
            self.request.headers.get(sessions.HEADER)
            or self.text(sessions.FIELD)
            or self.form().get(sessions.FIELD, "")
        )
        sessions.check_csrf(self.session_secret, given)

    def form(self) -> Mapping[str, str]:
        """The fields of a form that was sent, each with its first value; none if the body is no form."""
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _FORM:
            return {}
        return bodies.parse_form(self.raw_body)

    @property
    def ip(self) -> str | None:
        return self.request.client.host if self.request.client else None

    def json(self, schema: bodies.Schema) -> dict[str, Any]:
        """The body, checked. Call it after the right was checked: permission errors win over body errors."""
        return schema.check(
            bodies.parse(self.raw_body, self.request.headers.get("content-type", ""))
        )

    def optional_json(self, schema: bodies.Schema) -> dict[str, Any]:
        """The body, checked; an empty one counts as `{}`."""
        return self.json(schema) if self.raw_body.strip() else schema.check({})

    def path(self, segment: str) -> str:
        """The repository `namespace/name` of a path parameter; NotFoundError for one without a namespace."""
        path = paths.of_segment(segment)
        if "/" not in path:
            raise NotFoundError
        return path

    def text(self, name: str, default: str = "") -> str:
        """A query argument."""
        value: str | None = self.request.query_params.get(name)
        return default if value is None else value

    def flag(self, name: str) -> bool:
        """A query argument that is on for `true`, `1` and `yes`."""
        return self.text(name).lower() in {"true", "1", "yes"}

    def number(self, name: str, default: int, about: str) -> int:
        """A whole number from the query, or Quay's shape C error."""
        given: str | None = self.request.query_params.get(name)
        if given is None:
            return default
        try:
            return int(given)
        except ValueError as error:
            raise ArgumentError(name, about) from error

    def reply(
        self, status: int, value: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response[bytes]:
        """JSON as Quay writes it: Python's spacing and a line end. A 204 has no body."""
        return reply(status, value, headers)

    def reply_nothing(self, status: int) -> Response[bytes]:
        """The status alone, with no body at all."""
        return _answer(status, b"", {})

    def reply_text(self, status: int, text: str) -> Response[bytes]:
        """The same for JSON that is text already, in Python's spacing."""
        return _answer(status, f"{text}\n".encode(), {})


# How handlers and their helpers name it: the framework wants to see that it is a dependency.
Call = NamedDependency[ApiCall]


class ArgumentError(DataError):
    """A query argument is not valid."""

    def __init__(self, name: str, about: str) -> None:
        super().__init__(f"{name}: {about}")
        self.name = name
        self.about = about


def reply(
    status: int, value: Any = None, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    content = b"" if status == 204 else (json.dumps(value) + "\n").encode()  # noqa: PLR2004 -- HTTP's number
    return _answer(status, content, headers or {})


def _answer(status: int, content: bytes, headers: Mapping[str, str]) -> Response[bytes]:
    return Response(
        content=content,
        status_code=status,
        media_type="application/json",
        headers=dict(headers),
    )


def bearer_token(header: str | None) -> str | None:
    """The token of an Authorization header of exactly two words, the first `Bearer` in any case."""
    words = (header or "").split()
    return words[1] if len(words) == 2 and words[0].lower() == "bearer" else None  # noqa: PLR2004 -- two words


class UnfinishedBodyError(DockbellError):
    """The body of the request did not come within a minute."""

    kind = "request_timeout"


class DisconnectedError(DockbellError):
    """The client went away before its request was complete."""


async def _read_body(request: Request[Any, Any, State]) -> bytes:
    """The whole body: refused by the framework if it is too large, given up on if it does not come."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.body()
    except TimeoutError as error:
        raise UnfinishedBodyError from error
    except InternalServerException as error:  # what the framework says when the client is gone
        raise DisconnectedError from error


async def read_body(request: Request[Any, Any, State]) -> None:
    """Read the whole body now, so that whoever asks for it later has it at once.

    Raise WrongContentTypeError for one that is not said to be JSON, InvalidRequestError for one that is none or holds
    a text that cannot be stored.
    """
    raw = await _read_body(request)
    if not raw:
        return
    if not bodies.is_json(request.headers.get("content-type", "")):
        raise bodies.WrongContentTypeError
    try:
        value = await request.json()  # kept by the request
    # The decoder lets through that its own check of UTF-8 failed.
    except (SerializationException, UnicodeDecodeError) as error:
        raise InvalidRequestError("The body is not valid JSON.") from error
    except RecursionError as error:
        raise InvalidRequestError("The body is nested too deeply.") from error
    bodies.refuse_nul(raw, value)


async def provide_call(request: Request[Any, Any, State]) -> ApiCall:
    """Litestar's dependency `call`."""
    return ApiCall(
        request=request,
        raw_body=await _read_body(request),
        store=request.app.state.store,
        faces=request.app.state.faces,
    )

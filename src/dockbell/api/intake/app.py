"""`POST /api/v2/events`: events that programs report, one or many at a time, past the framework."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from dockbell.api.intake.wire import Reader
from dockbell.domain.errors import (
    DockbellError,
    UnauthenticatedError,
    UnavailableError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.reports import Receipt, Report, ReportError, Status
from dockbell.services.authentication import is_token
from dockbell.web import bodies, errors, problems
from dockbell.web.calls import DisconnectedError, UnfinishedBodyError, bearer_token
from dockbell.web.edge import Receive, Scope
from dockbell.web.outages import RETRY_AFTER, warn_of
from dockbell.web.patience import Patience
from dockbell.web.problems import FieldProblem
from dockbell.web.receiving import BusyError, FailedError, Outcome, Receiving
from dockbell.web.whole_answers import Follow, Tell, WholeAnswer

_BODY_SECONDS = 60.0
_MOST_UNKNOWN = 64 << 10  # bytes of a body that are taken from somebody whom we do not know yet
_GOOD = b"content-type: application/json\r\n"
_HEADERS = frozenset(
    {b"authorization", b"content-type", b"content-encoding", b"content-length"}
)
_log = structlog.get_logger("dockbell.intake")


class TooLargeError(DockbellError):
    """The body is too large."""

    kind = "too_large"

    def __init__(self, most: int) -> None:
        super().__init__(f"The body is larger than {most} bytes. Send fewer events at a time.")


class EncodingError(bodies.WrongContentTypeError):
    """Send the body as it is: no Content-Encoding is taken here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held at once, in bytes of bodies."""

    body: int
    all_bodies: int = 32 << 20


class EventIntake:
    """Answers with what became of each event, after the commit; never with a traceback."""

    def __init__(
        self, receiving: Receiving, reader: Reader, links: Links, limits: Limits
    ) -> None:
        self._receiving = receiving
        self._reader = reader
        self._links = links
        self._limits = limits
        self._patience = Patience(_BODY_SECONDS, UnfinishedBodyError)
        self._held = 0  # bytes of bodies that are being read or read already
        self._most_at_once = min(limits.body, _MOST_UNKNOWN)

    async def __call__(self, scope: Scope, receive: Receive) -> WholeAnswer | None:
        """The answer; None if the client went away before there was one."""
        try:
            return await self._answer(scope, receive)
        except DisconnectedError:
            return None
        except Exception as error:  # noqa: BLE001 -- a bug in one request must not show, nor stop others
            return self._failed(error, scope)

    async def _answer(self, scope: Scope, receive: Receive) -> WholeAnswer:
        headers = _headers_of(scope)
        token = bearer_token(headers.get(b"authorization"))
        if token is None or not is_token(token):
            raise UnauthenticatedError
        client = scope.get("client")
        ip = client[0] if client else None
        if not bodies.is_json(headers.get(b"content-type", "")):
            raise bodies.WrongContentTypeError
        if headers.get(b"content-encoding", "identity").lower() != "identity":
            raise EncodingError
        self._receiving.check_room(token)
        length = _length_of(headers)
        if length is not None and length > self._limits.body:
            raise TooLargeError(self._limits.body)
        # Who is not known yet may hold little of our memory, and so cannot fill it.
        is_large = length is None or length > _MOST_UNKNOWN
        if is_large and not await self._receiving.is_known(token, ip):
            raise UnauthenticatedError
        body = bytearray()
        try:
            await self._fill(body, receive)
            told = self._reader.read(bytes(body))
            if isinstance(told, Report):
                (receipt,) = await self._receiving.hand_in(token, ip, [told])
                return self._single(receipt, partial(self._follow, scope, token, ip))
            good = [one for one in told if isinstance(one, Report)]
            receipts = iter(await self._receiving.hand_in(token, ip, good) if good else ())
            if not good and not await self._receiving.is_known(token, ip):
                raise UnauthenticatedError
            return self._batch(
                [
                    next(receipts)
                    if isinstance(one, Report)
                    else Receipt.refused(one, one.field)
                    for one in told
                ]
            )
        finally:
            self._held -= len(body)

    async def _fill(self, body: bytearray, receive: Receive) -> None:
        """Read the body; its bytes count as held by us from here on."""
        with self._patience:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                piece: bytes = message.get("body", b"")
                if len(body) + len(piece) > self._limits.body:
                    raise TooLargeError(self._limits.body)
                if self._held + len(piece) > self._limits.all_bodies:
                    self._receiving.refuse()
                body += piece
                self._held += len(piece)
                if not message.get("more_body", False):
                    return

    def _follow(
        self, scope: Scope, token: str, ip: str | None, body: bytes, tell: Tell
    ) -> bool:
        """Answer a single event whose head is that of an event which was accepted, with no task of its own.

        Nothing about who sends it is taken over: the token is asked for again, with those of its group. Many events
        in one request, and a large body, are left to `__call__`.
        """
        size = len(body)
        if size > self._most_at_once:
            return False

        def end(outcome: Outcome) -> None:
            self._held -= size
            answer = None
            if isinstance(outcome, UnavailableError):
                answer = self._failed(outcome, scope)
            elif outcome is not None:
                try:
                    answer = self._single(outcome[0])
                except Exception as error:  # noqa: BLE001 -- as in `__call__`
                    answer = self._failed(error, scope)
            tell(answer)

        try:
            self._receiving.check_room(token)
            if self._held + size > self._limits.all_bodies:
                self._receiving.refuse()
            told = self._reader.read(body)
        except Exception as error:  # noqa: BLE001 -- likewise
            tell(self._failed(error, scope))
            return True
        if not isinstance(told, Report):
            return False
        self._held += size
        self._receiving.put(token, ip, [told], end)
        return True

    def _single(self, receipt: Receipt, follow: Follow | None = None) -> WholeAnswer:
        if receipt.error is not None:
            return self._refusal(receipt.error, receipt.field)
        return WholeAnswer(202, _GOOD, _encoded(_shown(receipt)), follow)

    def _batch(self, receipts: Sequence[Receipt]) -> WholeAnswer:
        # One credential for all: if it is not good, nothing of the request counts.
        for receipt in receipts:
            if isinstance(receipt.error, UnauthenticatedError):
                return self._refusal(receipt.error)
        counts = Counter(receipt.status for receipt in receipts)
        value = {
            **{status.value: counts[status] for status in Status},
            "events": [_shown(receipt) for receipt in receipts],
        }
        return WholeAnswer(202, _GOOD, _encoded(value))

    def _failed(self, error: Exception, scope: Scope) -> WholeAnswer:
        if isinstance(error, UnavailableError):
            warn_of(error, scope)
        if isinstance(error, DockbellError):
            return self._refusal(error)
        _log.error("intake_bug", exc_info=error, request_id=scope.get("dockbell_request_id"))
        detail = "The server failed on this request. Its log has the cause."
        return _problem(problems.problem_of(self._links, 500, "internal_error", detail), 500)

    def _refusal(self, error: DockbellError, field: str | None = None) -> WholeAnswer:
        headers = {}
        match error:
            case ReportError():
                status, field = 400, error.field
            case BusyError():
                status = 429
                headers["retry-after"] = str(round(error.wait.total_seconds()))
            case UnavailableError():
                status = 503
                headers["retry-after"] = RETRY_AFTER
            case FailedError():
                status = 500
            case TooLargeError():
                status = 413
            case _:
                status = errors.status_of(error)
        if status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        wrong = () if field is None else (FieldProblem(field, error.detail),)
        value = problems.problem_of(
            self._links, status, errors.kind_of(error), error.detail, wrong
        )
        return _problem(value, status, headers)


def _problem(
    value: object, status: int, headers: Mapping[str, str] = MappingProxyType({})
) -> WholeAnswer:
    lines = {"content-type": problems.MEDIA_TYPE, **headers}
    raw = "".join(f"{name}: {text}\r\n" for name, text in lines.items()).encode()
    return WholeAnswer(status, raw, _encoded(value))


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _headers_of(scope: Scope) -> Mapping[bytes, str]:
    """The headers that we look at, by name. Two of one name are one with a comma between (RFC 9110)."""
    raw = scope["headers"]
    once = dict(raw)
    if len(once) == len(raw):
        return {name: once[name].decode("latin-1") for name in _HEADERS & once.keys()}
    found: dict[bytes, str] = {}
    for name, value in raw:
        if name not in _HEADERS:
            continue
        text = value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _length_of(headers: Mapping[bytes, str]) -> int | None:
    text = headers.get(b"content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _shown(receipt: Receipt) -> Mapping[str, Any]:
    shown: dict[str, Any] = {
        "id": receipt.event_id,
        "status": receipt.status,
        "deliveries": receipt.deliveries,
    }
    if receipt.error is not None:
        shown["error"] = {"field": receipt.field, "message": receipt.error.detail}
    return shown

"""Clair's calls: `POST /secscan/notification`, and working them off."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from litestar import MediaType, Response, post

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.clair import Callback, Clair, is_token
from dockbell.domain.digests import Digest, DigestError
from dockbell.domain.errors import (
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.ids import is_uuid
from dockbell.domain.methods import UnreachableError
from dockbell.domain.scans import Scanner, ScanReportError
from dockbell.services import clair_callbacks
from dockbell.services.scans import Scans
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call, bearer_token

_log = structlog.get_logger("dockbell.clair")
_Begin = Callable[[], AbstractAsyncContextManager[Any]]

# Quay: `callback` must be there. We ask the Clair that the operator named, whatever it says.
_BODY = Schema(
    properties=(
        Property("notification_id", "string", required=True),
        Property("callback", "string", required=True),
    )
)


@post("/secscan/notification", status_code=200, include_in_schema=False)
async def take_callback(call: Call) -> Response[str]:
    """200 `Okay`: Clair's news will be fetched. 404 where no Clair is set up."""
    clair = call.faces.clair
    if not clair.is_set_up:
        raise NotFoundError
    async with call.begin() as tx:
        token = bearer_token(call.request.headers.get("authorization"))
        if clair.key is not None and not is_token(token or "", clair.key, tx.now):
            raise UnauthenticatedError
        callback_id = call.json(_BODY)["notification_id"].lower()
        if not is_uuid(callback_id):
            raise InvalidRequestError("notification_id must be a UUID")
        await clair_callbacks.note(tx, callback_id)
    return Response("Okay", media_type=MediaType.TEXT)


class ClairWorker:
    """Fetches Clair's news and takes each report that it leads to as one that was posted."""

    def __init__(
        self, begin: _Begin, read: _Begin, clair: Clair, scans: Scans, scanner: Scanner
    ) -> None:
        self._begin = begin
        self._read = read
        self._clair = clair
        self._scans = scans
        self._scanner = scanner

    async def work_off(self) -> None:
        """Work off the calls that are due. One that cannot be now waits, longer each time, for a day or so."""
        while True:
            async with self._read() as tx:
                callback = await clair_callbacks.find_due(tx, SYSTEM)
            if callback is None:
                return
            try:
                await self._fetch(callback)
            except (UnreachableError, ScanReportError) as error:
                async with self._begin() as tx:
                    is_kept = await clair_callbacks.put_off(tx, SYSTEM, callback)
                _log.warning("clair_unreachable", reason=error.detail, is_given_up=not is_kept)

    async def _fetch(self, callback: Callback) -> None:
        """Everything is idempotent: what is done twice, after a crash or by two processes, tells nothing twice."""
        try:
            for digest in await self._clair.digests(callback.id):
                await self._scan(digest)
        except NotFoundError:
            _log.info("clair_news_gone", callback=callback.id)
        await self._clair.forget(callback.id)
        async with self._begin() as tx:
            await clair_callbacks.settle(tx, SYSTEM, callback)

    async def _scan(self, text: str) -> None:
        try:
            digest = Digest.of(text)
        except DigestError:
            return
        async with self._read() as tx:
            holders = await clair_callbacks.holders(tx, SYSTEM, str(digest))
        if not holders:
            return
        try:
            body = await self._clair.report(str(digest))
        except NotFoundError:
            return
        findings = await asyncio.to_thread(self._scanner.read, body)
        for right in holders:
            try:
                async with self._begin() as tx:
                    await self._scans.report(tx, right, digest, self._scanner.name, findings)
            except NotFoundError:
                continue  # deleted a moment ago


HANDLERS = [take_callback]

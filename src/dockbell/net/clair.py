"""Asking a Clair v4: which images its news is about, and what it knows of one."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from dockbell.domain.clair import token_of
from dockbell.domain.errors import NotFoundError
from dockbell.domain.ids import Clock
from dockbell.domain.methods import Headers, UnreachableError
from dockbell.domain.outcomes import Code
from dockbell.domain.payloads import one_line
from dockbell.net.fetching import Fetcher

LARGEST_REPORT = 32 << 20
_LARGEST_PAGE = 8 << 20
_PAGE_SIZE = 500
_MOST_PAGES = 1000
_SECONDS = 120.0
# Clair answers when it has read every layer. One that is cut off goes on, the next time, with what it has not read.
INDEX_SECONDS = 600.0
_DONE = "IndexFinished"
_LONGEST_REASON = 300
_NOT_YET = 202
_NOT_FOUND = 404
_FIRST_ERROR = 300


class _Notification(msgspec.Struct):
    manifest: str


class _Next(msgspec.Struct):
    next: str | None = None


class _Indexed(msgspec.Struct):
    state: str = ""
    err: str = ""


class _Page(msgspec.Struct):
    page: _Next = msgspec.field(default_factory=_Next)
    notifications: list[_Notification] | None = None


_PAGE = msgspec.json.Decoder(_Page)
_INDEXED = msgspec.json.Decoder(_Indexed)


class ClairClient:
    """Calls go to the address that the operator named and to no other, whatever a call to us says."""

    def __init__(self, fetcher: Fetcher, address: str, key: bytes | None, clock: Clock) -> None:
        self._fetcher = fetcher
        self._address = address.rstrip("/")
        self._key = key
        self._clock = clock

    async def digests(self, callback_id: str) -> Sequence[str]:
        """The images that the news is about, each once."""
        found: dict[str, None] = {}
        after = ""
        for _ in range(_MOST_PAGES):
            query = f"?page_size={_PAGE_SIZE}" + (f"&next={quote(after)}" if after else "")
            path = f"/notifier/api/v1/notification/{quote(callback_id, safe='')}{query}"
            page = self._page(await self._ask("GET", path, _LARGEST_PAGE))
            found.update(dict.fromkeys(one.manifest for one in page.notifications or ()))
            after = page.page.next or ""
            if not after:
                return list(found)
        raise UnreachableError(Code.PROTOCOL_ERROR, "Clair's news has no end.")

    async def report(self, digest: str) -> bytes:
        """What it knows of the image, as JSON."""
        path = f"/matcher/api/v1/vulnerability_report/{quote(digest, safe=':')}"
        return await self._ask("GET", path, LARGEST_REPORT)

    async def index(self, request: Mapping[str, object]) -> None:
        """Have it index an image; return when it has. UnreachableError says why it could not."""
        body = await self._ask(
            "POST",
            "/indexer/api/v1/index_report",
            LARGEST_REPORT,
            body=json.dumps(request).encode(),
            seconds=INDEX_SECONDS,
        )
        try:
            told = _INDEXED.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UnreachableError(
                Code.PROTOCOL_ERROR, f"Clair answered what is no report of indexing: {error}"
            ) from None
        if told.state != _DONE:
            reason = one_line(told.err or told.state)[:_LONGEST_REASON]
            raise UnreachableError(Code.PROTOCOL_ERROR, f"Clair could not index it: {reason}")

    async def forget(self, callback_id: str) -> None:
        """Tell it that the news has been read; harmless if it has forgotten it already."""
        path = f"/notifier/api/v1/notification/{quote(callback_id, safe='')}"
        try:
            await self._ask("DELETE", path, _LARGEST_PAGE)
        except NotFoundError:
            return

    def _page(self, body: bytes) -> _Page:
        try:
            return _PAGE.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UnreachableError(
                Code.PROTOCOL_ERROR, f"Clair answered what is no page of its news: {error}"
            ) from None

    async def _ask(
        self,
        verb: str,
        path: str,
        largest: int,
        *,
        body: bytes = b"",
        seconds: float = _SECONDS,
    ) -> bytes:
        headers: Headers = [("Accept", "application/json")]
        if body:
            headers = [*headers, ("Content-Type", "application/json")]
        if self._key is not None:
            token = token_of(self._key, self._clock())
            headers = [*headers, ("Authorization", f"Bearer {token}")]
        try:
            async with (
                asyncio.timeout(seconds),
                self._fetcher.open(verb, self._address + path, headers, body=body) as answer,
            ):
                if answer.status == _NOT_FOUND:
                    raise NotFoundError
                if answer.status == _NOT_YET:
                    raise UnreachableError(
                        Code.HTTP_5XX, f"Clair is not ready yet for {verb} {path}."
                    )
                if answer.status >= _FIRST_ERROR:
                    raise UnreachableError(
                        Code.HTTP_5XX, f"Clair answered {answer.status} to {verb} {path}."
                    )
                return await answer.read(largest)
        except TimeoutError:
            raise UnreachableError(
                Code.TOTAL_TIMEOUT, f"Clair did not answer {verb} {path} in time."
            ) from None

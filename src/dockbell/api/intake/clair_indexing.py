"""Having a Clair index images that were pushed, and taking its reports on them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.clair import Clair, Indexing, index_request
from dockbell.domain.digests import Digest
from dockbell.domain.errors import NotFoundError
from dockbell.domain.ids import Clock
from dockbell.domain.links import Links
from dockbell.domain.methods import UnreachableError
from dockbell.domain.scans import Scanner, ScanReportError
from dockbell.services import clair_indexings
from dockbell.services.clair_indexings import Image
from dockbell.services.registry_tokens import Access, RegistryTokens
from dockbell.services.scans import Scans

_log = structlog.get_logger("dockbell.clair")
_Begin = Callable[[], AbstractAsyncContextManager[Any]]


class ClairIndexer:
    """Asks for one image after the other. Any number of these work beside each other, in any number of processes.

    Clair fetches the layers from our registry, with a token that pulls from that one repository for an hour.
    """

    def __init__(  # noqa: PLR0913 -- the parts it is made of
        self,
        begin: _Begin,
        read: _Begin,
        clair: Clair,
        *,
        scans: Scans,
        scanner: Scanner,
        tokens: RegistryTokens,
        links: Links,
        clock: Clock,
    ) -> None:
        self._begin = begin
        self._read = read
        self._clair = clair
        self._scans = scans
        self._scanner = scanner
        self._tokens = tokens
        self._links = links
        self._clock = clock

    async def work_off(self) -> None:
        """Work off what is due. What cannot be done now waits, longer each time, for a day or so."""
        while await self._has_due():
            async with self._begin() as tx:
                one = await clair_indexings.claim(tx, SYSTEM)
                image = None if one is None else await clair_indexings.find(tx, SYSTEM, one)
            if one is None:
                return  # another has it
            try:
                if image is not None:
                    await self._scan(one, image)
            except NotFoundError:
                await self._put_off(one, "Clair does not know the image that it has indexed")
                continue
            except (UnreachableError, ScanReportError) as error:
                await self._put_off(one, error.detail)
                continue
            async with self._begin() as tx:
                await clair_indexings.settle(tx, SYSTEM, one)

    async def _put_off(self, one: Indexing, reason: str) -> None:
        async with self._begin() as tx:
            is_kept = await clair_indexings.put_off(tx, SYSTEM, one)
        _log.warning(
            "clair_not_indexed", digest=one.digest, reason=reason, is_given_up=not is_kept
        )

    async def _has_due(self) -> bool:
        async with self._read() as tx:
            return await clair_indexings.has_due(tx, SYSTEM)

    async def _scan(self, one: Indexing, image: Image) -> None:
        """Everything is idempotent: what is done twice, after a crash, tells nothing twice."""
        access = Access("repository", image.path, ("pull",))
        token = self._tokens.issue(image.right.actor, (access,), self._clock())
        address = f"{self._links.public_url}/v2/{image.path}/blobs"
        await self._clair.index(index_request(one.digest, image.manifest, address, token))
        body = await self._clair.report(one.digest)
        findings = await asyncio.to_thread(self._scanner.read, body)
        try:
            async with self._begin() as tx:
                await self._scans.report(
                    tx, image.right, Digest.of(one.digest), self._scanner.name, findings
                )
        except NotFoundError:
            return  # deleted a moment ago

"""Reading another registry by the OCI distribution API: tags, manifests and blobs, with the token that it asks for."""

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import field
from urllib.parse import quote, urlencode, urljoin

import msgspec

from dockbell.domain.digests import Digest
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    OCI_IMAGE,
    OCI_INDEX,
    SIZE_LIMIT,
    Reference,
)
from dockbell.domain.methods import Headers, UnreachableError
from dockbell.domain.mirrors import (
    MOST_TAGS,
    Mirror,
    Origin,
    OwnProxy,
    Upstream,
    UpstreamError,
    origin_of,
)
from dockbell.domain.outcomes import Code
from dockbell.net.fetching import Fetched, Fetcher
from dockbell.net.proxies import Proxy
from dockbell.net.urls import Target, target_of

_MOST_TRIES = 4
_LONGEST_WAIT = 60.0
_CALL_SECONDS = 60.0  # for all but blobs
_LARGEST_PAGE = 4 << 20
_LARGEST_TOKEN = 64 << 10
_REDIRECTS = 5
_MANIFEST_TYPES = f"{OCI_INDEX}, {DOCKER_LIST}, {OCI_IMAGE}, {DOCKER_IMAGE}"
_PASSING = {429, 500, 502, 503, 504}
# Trying again changes nothing about these.
_WITHOUT_TLS = "If it has no TLS, set `verify_tls` in `external_registry_config` to false."
_LASTING = {
    Code.BLOCKED_ADDRESS,
    Code.BLOCKED_PORT,
    Code.BODY_TOO_LARGE,
    Code.CONFIG_INVALID,
    Code.DNS_NXDOMAIN,
    Code.REDIRECT_NOT_FOLLOWED,
    Code.TLS_VERIFY,
}
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


@dataclass(slots=True)
class RemoteRegistry:
    """One repository of another registry, for the time of one sync. Nothing it says names the credentials."""

    fetcher: Fetcher
    origin: Origin
    username: str | None
    password: str | None = field(repr=False)
    verifies_tls: bool
    proxy: OwnProxy | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _scheme: str = "https"
    _authorization: str | None = field(default=None, repr=False)

    async def tags(self) -> list[str]:
        """All tags, in the registry's order."""
        found: list[str] = []
        url: str | None = self._url("tags/list?n=1000")
        while url is not None:
            status, headers, body = await self._read(url, [], _LARGEST_PAGE)
            if status != 200:  # noqa: PLR2004 -- HTTP's own number
                raise self._refused("its tags", status)
            try:
                page = msgspec.json.decode(body, type=_Tags).tags or []
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise UpstreamError(
                    f"{self.origin.host} lists tags in no way that is known."
                ) from error
            found += page
            if len(found) > MOST_TAGS:
                raise UpstreamError(f"{self.origin.host} has more than {MOST_TAGS} tags there.")
            link = _NEXT.search(headers.get("link", ""))
            onward = None if link is None or not page else urljoin(url, link[1])
            if onward is not None and target_of(onward).host != target_of(url).host:
                raise UpstreamError(
                    f"{self.origin.host} sends us elsewhere for its other tags."
                )
            url = onward
        return found

    async def digest_of(self, tag: str) -> str | None:
        """The digest that a tag points to, if the registry says it without sending the manifest."""
        status, headers, _ = await self._read(
            self._url(f"manifests/{quote(tag)}"), [("Accept", _MANIFEST_TYPES)], 0, verb="HEAD"
        )
        return headers.get("docker-content-digest") if status == 200 else None  # noqa: PLR2004

    async def manifest(self, reference: Reference) -> tuple[bytes, str | None]:
        """The manifest's bytes, which have the digest that was asked for, and the type they were sent as."""
        status, headers, body = await self._read(
            self._url(f"manifests/{quote(str(reference), safe=':')}"),
            [("Accept", _MANIFEST_TYPES)],
            SIZE_LIMIT,
        )
        if status != 200:  # noqa: PLR2004
            raise self._refused(f"the manifest {reference}", status)
        if (
            isinstance(reference, Digest)
            and Digest.of_body(body, reference.algorithm) != reference
        ):
            raise UpstreamError(
                f"{self.origin.host} sent another manifest than {reference}: its digest is not that."
            )
        return body, headers.get("content-type")

    @contextlib.asynccontextmanager
    async def blob(
        self, digest: Digest, start: int
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The blob's bytes from `start` on or, if the registry cannot begin there, from 0; and which of the two.

        UpstreamError with `may_pass` if it breaks off: what came can be kept and the rest asked for.
        """
        url = self._url(f"blobs/{digest}")
        extra: Headers = [("Range", f"bytes={start}-")] if start else []
        async with self._opened("GET", url, extra) as answer:
            if answer.status not in {200, 206}:
                raise self._refused(f"the blob {digest}", answer.status)
            yield start if answer.status == 206 else 0, _explained(answer.pieces())  # noqa: PLR2004

    async def _read(
        self, url: str, headers: Headers, limit: int, *, verb: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """A whole answer. What passes is waited for, a few times."""
        for number in range(1, _MOST_TRIES + 1):
            wait = 2.0 ** (number - 1)
            try:
                async with (
                    asyncio.timeout(_CALL_SECONDS),
                    self._opened(verb, url, headers) as answer,
                ):
                    if answer.status not in _PASSING or number == _MOST_TRIES:
                        body = (
                            b"" if verb == "HEAD" else await answer.read(limit or _LARGEST_PAGE)
                        )
                        return answer.status, dict(answer.headers), body
                    wait = max(wait, _seconds_of(answer.headers.get("retry-after")))
            except TimeoutError as error:
                if number == _MOST_TRIES:
                    raise UpstreamError(
                        f"{self.origin.host} does not answer in time."
                    ) from error
            except UnreachableError as error:
                if number == _MOST_TRIES or error.code in _LASTING:
                    raise UpstreamError(error.detail) from error
            except UpstreamError as error:
                if number == _MOST_TRIES or not error.may_pass:
                    raise
            await self.sleep(wait)
        raise UpstreamError(f"{self.origin.host} does not answer.")

    @contextlib.asynccontextmanager
    async def _opened(self, verb: str, url: str, headers: Headers) -> AsyncIterator[Fetched]:
        """An answer that is no demand for credentials, or that is one although we gave all we have."""
        try:
            async with self._asked(verb, url, headers) as answer:
                demand = answer.headers.get("www-authenticate")
                if answer.status != 401 or demand is None:  # noqa: PLR2004
                    yield answer
                    return
            await self._answer_demand(demand)
            async with self._asked(verb, url, headers) as answer:
                yield answer
        except UnreachableError as error:
            raise UpstreamError(error.detail, may_pass=error.code not in _LASTING) from error

    @contextlib.asynccontextmanager
    async def _asked(self, verb: str, url: str, headers: Headers) -> AsyncIterator[Fetched]:
        sent = list(headers)
        if self._authorization is not None:
            sent.append(("Authorization", self._authorization))
        url = url.replace("https:", f"{self._scheme}:", 1)
        async with contextlib.AsyncExitStack() as stack:
            try:
                answer = await stack.enter_async_context(self._get(verb, url, sent))
            except UnreachableError as error:
                # Who does not insist on TLS gets along without, as other clients of registries do.
                is_plain = error.code in {Code.TLS_HANDSHAKE, Code.PROTOCOL_ERROR}
                if self.verifies_tls and error.code is Code.TLS_HANDSHAKE:
                    detail = f"{error.detail} {_WITHOUT_TLS}"
                    raise UpstreamError(detail, may_pass=True) from error
                if self.verifies_tls or self._scheme != "https" or not is_plain:
                    raise
                self._scheme = "http"
                url = url.replace("https:", "http:", 1)
                answer = await stack.enter_async_context(self._get(verb, url, sent))
            yield answer

    def _get(
        self, verb: str, url: str, headers: Headers
    ) -> contextlib.AbstractAsyncContextManager[Fetched]:
        return self.fetcher.open(
            verb, url, headers, verify=self.verifies_tls, redirects=_REDIRECTS, way=self._way
        )

    def _way(self, target: Target) -> Proxy | None:
        url = self.proxy and self.proxy.url_for(target.scheme, target.host, target.port)
        try:
            return Proxy.of(url, said="The proxy of the mirror") if url else None
        except ValueError as error:
            raise UpstreamError(f"The proxy of the mirror: {error}") from error

    async def _answer_demand(self, demand: str) -> None:
        """Get what the registry wants: a token from where it says or, by the credentials, plain Basic."""
        scheme, _, rest = demand.partition(" ")
        basic = None
        if self.username is not None:
            pair = f"{self.username}:{self.password or ''}".encode()
            basic = f"Basic {base64.b64encode(pair).decode()}"
        if scheme.lower() == "basic":
            self._authorization = basic
            return
        said = dict(_PARAMETER.findall(rest))
        realm = said.get("realm")
        if scheme.lower() != "bearer" or not realm:
            raise UpstreamError(
                f"{self.origin.host} wants a kind of login that is not known here."
            )
        if self._scheme == "https" and not realm.lower().startswith("https://"):
            raise UpstreamError(f"{self.origin.host} wants credentials sent without TLS.")
        query = {"scope": said.get("scope") or f"repository:{self.origin.path}:pull"}
        if said.get("service"):
            query["service"] = said["service"]
        joint = "&" if "?" in realm else "?"
        headers: Headers = [] if basic is None else [("Authorization", basic)]
        async with (
            asyncio.timeout(_CALL_SECONDS),
            self._get("GET", f"{realm}{joint}{urlencode(query)}", headers) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004
                raise self._refused("a token", answer.status)
            body = await answer.read(_LARGEST_TOKEN)
        try:
            found = msgspec.json.decode(body, type=_Token)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(f"{self.origin.host} gave no token.") from error
        token = found.token or found.access_token
        if not token:
            raise UpstreamError(f"{self.origin.host} gave no token.")
        self._authorization = f"Bearer {token}"

    def _url(self, rest: str) -> str:
        return f"https://{self.origin.host}/v2/{self.origin.path}/{rest}"

    def _refused(self, what: str, status: int) -> UpstreamError:
        host = self.origin.host
        if status in {401, 403}:
            known = "does not accept the credentials" if self.username else "wants credentials"
            return UpstreamError(f"{host} {known} for {what} ({status}).")
        if status == 404:  # noqa: PLR2004
            return UpstreamError(f"{host} does not have {what} (404).")
        return UpstreamError(
            f"{host} answered {status} when asked for {what}.", may_pass=status in _PASSING
        )


@dataclass(frozen=True, slots=True)
class Registries:
    """Opens other registries."""

    fetcher: Fetcher

    def open(self, mirror: Mirror, password: str | None) -> Upstream:
        return RemoteRegistry(
            self.fetcher,
            origin_of(mirror.reference),
            mirror.username,
            password,
            mirror.verifies_tls,
            mirror.proxy,
        )


async def _explained(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except UnreachableError as error:
        raise UpstreamError(error.detail, may_pass=True) from error


def _seconds_of(text: str | None) -> float:
    return min(_LONGEST_WAIT, float(text)) if text and text.isdecimal() else 0.0

"""Fetching: requests whose answers are read as they come, behind the same guard as all that leaves."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import field
from functools import partial
from time import perf_counter
from typing import NoReturn
from urllib.parse import urljoin

import certifi

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import Headers, UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net import answers, failures
from dockbell.net.addresses import Address
from dockbell.net.answers import Framing, Head, MalformedError
from dockbell.net.connections import OpenSocket, connect, open_socket, secured
from dockbell.net.failures import Failure
from dockbell.net.guard import Guard
from dockbell.net.policy import EgressPolicy
from dockbell.net.proxies import Proxy
from dockbell.net.resolver import Addresses, Resolver
from dockbell.net.urls import Target, target_of

PIECE = 64 * 1024
_MOST_ADDRESSES = 8  # of one name are tried
_MOST_KEPT = 8  # idle connections
_KEPT_SECONDS = 15.0
_MOVED = {301, 302, 303, 307, 308}
_LONGEST_SIZE_LINE = 1024

# Scheme, host, port, whether its certificate is checked, and the caller's own way there.
_Place = tuple[str, str, int, bool, Proxy | None]
Way = Callable[[Target], Proxy | None]


@dataclass(slots=True)
class _Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    def end(self) -> None:
        self.writer.transport.abort()


@dataclass(slots=True)
class Fetched:
    """An answer whose body is still to be read, or left."""

    url: str  # that answered in the end
    status: int
    headers: Mapping[str, str]  # with names in lower case
    host: str
    _head: Head
    _line: _Line
    _patience: float
    _is_whole: bool = field(default=False)

    @property
    def length(self) -> int | None:
        """How long the body says it is, if it does."""
        return self._head.length if self._head.framing is Framing.LENGTH else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body in pieces of at most 64 KiB. UnreachableError if it breaks off or stands still."""
        try:
            if self._head.framing is Framing.CHUNKS:
                async for piece in self._chunks():
                    yield piece
            elif self._head.framing is Framing.LENGTH:
                left = self._head.length
                while left:
                    piece = await self._some(min(left, PIECE))
                    if not piece:
                        self._fail(ConnectionError())
                    left -= len(piece)
                    yield piece
            else:
                while piece := await self._some(PIECE):
                    yield piece
        except (OSError, ValueError, asyncio.IncompleteReadError, MalformedError) as error:
            self._fail(error)
        self._is_whole = True

    async def read(self, limit: int) -> bytes:
        """The whole body. UnreachableError with the code body_too_large if it is longer than this."""
        if self._head.framing is Framing.LENGTH and self._head.length > limit:
            raise _too_large(self.host, limit)
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > limit:
                raise _too_large(self.host, limit)
        return bytes(body)

    @property
    def is_reusable(self) -> bool:
        """Whether the connection is at the beginning of another answer."""
        is_empty = self._head.framing is Framing.LENGTH and not self._head.length
        return self._head.lasts and (self._is_whole or is_empty)

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self._size_line()
            text = line.split(b";")[0].strip()
            if not text or len(text) > 15 or set(text) - set(b"0123456789abcdefABCDEF"):  # noqa: PLR2004 -- digits of a length that a number holds
                raise MalformedError("a chunk does not begin with its length")
            left = int(text, 16)
            if not left:
                break
            while left:
                piece = await self._some(min(left, PIECE))
                if not piece:
                    raise ConnectionError
                left -= len(piece)
                yield piece
            if (await self._size_line()).strip():
                raise MalformedError("a chunk is longer than it says")
        for _ in range(answers.MOST_LINES):
            if not (await self._size_line()).strip():
                return
        raise MalformedError("what follows the body does not end")

    async def _size_line(self) -> bytes:
        line = await self._within(self._line.reader.readline())
        if not line.endswith(b"\n"):
            raise ConnectionError
        if len(line) > _LONGEST_SIZE_LINE:
            raise MalformedError("a chunk's first line does not end")
        return line

    async def _some(self, most: int) -> bytes:
        return await self._within(self._line.reader.read(most))

    async def _within(self, reading: Awaitable[bytes]) -> bytes:
        try:
            async with asyncio.timeout(self._patience):
                return await reading
        except TimeoutError:
            raise UnreachableError(
                Code.TOTAL_TIMEOUT,
                f"{self.host} stopped in the middle of its answer for {self._patience:g} s.",
            ) from None

    def _fail(self, error: Exception) -> NoReturn:
        raise _unreachable(failures.unanswered(self.host, error, has_begun=True)) from error


class Fetcher:
    """The way out for what we want to have: registries and other servers' APIs.

    As for everything that leaves, each address is judged when it is looked up and once more at the socket. Redirects
    are followed if the caller says so, each judged anew, and none takes credentials along to another place.
    """

    def __init__(  # noqa: PLR0913 -- each is a setting of its own, named by its keyword
        self,
        policy: EgressPolicy,
        resolver: Resolver,
        *,
        connect_timeout: float = 10.0,
        patience: float = 30.0,  # for each piece of an answer
        ca_file: str | None = None,
        proxy: Proxy | None = None,
        user_agent: str = "dockbell",
        open_socket: OpenSocket = open_socket,
    ) -> None:
        self._resolver = resolver
        self._connect_timeout = connect_timeout
        self._patience = patience
        self._ca_file = ca_file if ca_file is not None else certifi.where()
        self._proxy = proxy
        self._user_agent = user_agent
        self._guard = Guard(policy, open_socket)
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._kept: dict[_Place, list[_Line]] = {}

    async def close(self) -> None:
        """End what is idle. Nothing may be under way."""
        for line in [line for kept in self._kept.values() for line in kept]:
            line.end()
        self._kept.clear()
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn

    @contextlib.asynccontextmanager
    async def open(  # noqa: PLR0913 -- what a request is made of
        self,
        verb: str,
        url: str,
        headers: Headers = (),
        *,
        body: bytes = b"",
        verify: bool = True,
        redirects: int = 0,
        way: Way = lambda _: None,
    ) -> AsyncIterator[Fetched]:
        """Ask once, and give the answer with its body unread, whatever its status; or raise UnreachableError.

        `way` names a proxy for the request and for each redirect. Its address is judged like any other, and it is
        reached through the operator's proxy, if there is one. A redirect beyond `redirects` is an answer like any other. The caller bounds the time of the whole.
        """
        for left in range(redirects, -1, -1):
            target = target_of(url)
            fetched, place = await self._ask(
                verb, target, headers, body, verify=verify, own=way(target)
            )
            moved_to = fetched.headers.get("location")
            if fetched.status in _MOVED and moved_to and left:
                await self._leave(fetched, place)
                headers = _onward(target, urljoin(target.url, moved_to), headers)
                url = urljoin(target.url, moved_to)
                continue
            try:
                yield fetched
            finally:
                await self._leave(fetched, place)
            return

    async def _leave(self, fetched: Fetched, place: _Place) -> None:
        line = fetched._line  # noqa: SLF001 -- the two belong together
        if fetched.is_reusable and not line.reader.at_eof():
            kept = self._kept.setdefault(place, [])
            line.idle_since = perf_counter()
            kept.append(line)
            if len(kept) > _MOST_KEPT:
                kept.pop(0).end()
        else:
            line.end()

    async def _ask(  # noqa: PLR0913 -- as above
        self,
        verb: str,
        target: Target,
        headers: Headers,
        body: bytes,
        *,
        verify: bool,
        own: Proxy | None,
    ) -> tuple[Fetched, _Place]:
        place = target.scheme, target.host, target.port, verify, own
        request = self._request(verb, target, headers, body)
        addresses = await self._vet(target)
        line = self._take_kept(place)
        if line is not None:
            fetched = await self._exchange(line, target, request, verb, is_kept=True)
            if fetched is not None:
                return fetched, place
        line = await self._connect(target, addresses, verify=verify, own=own)
        fetched = await self._exchange(line, target, request, verb, is_kept=False)
        if fetched is None:
            raise _unreachable(
                failures.unanswered(target.host, ConnectionError(), has_begun=False)
            )
        return fetched, place

    def _request(self, verb: str, target: Target, headers: Headers, body: bytes) -> bytes:
        given = list(headers)
        if target.authorization is not None:
            given.append(("Authorization", target.authorization))
        for name, value in given:
            if not (value.isascii() and value.isprintable()):
                raise UnreachableError(
                    Code.CONFIG_INVALID,
                    f"The value of the header {name} holds characters that cannot be sent.",
                    fault=Fault.CONFIG,
                )
        given += [("User-Agent", self._user_agent), ("Accept-Encoding", "identity")]
        if body or verb not in {"GET", "HEAD"}:
            given.append(("Content-Length", str(len(body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in given)
        return f"{verb}{target.head.removeprefix('POST')}{lines}\r\n".encode() + body

    async def _exchange(
        self, line: _Line, target: Target, request: bytes, verb: str, *, is_kept: bool
    ) -> Fetched | None:
        """The answer's head; None if a connection that was kept turns out to have ended."""
        try:
            async with asyncio.timeout(self._patience):
                line.writer.write(request)
                await line.writer.drain()
                head = await _head_of(line.reader, verb)
        except TimeoutError as error:
            line.end()
            failure = failures.late(target.host, self._patience, is_sent=True, has_begun=False)
            raise _unreachable(failure) from error
        except asyncio.IncompleteReadError as error:
            line.end()
            if is_kept and not error.partial:
                return None
            failure = failures.unanswered(
                target.host, ConnectionError(), has_begun=bool(error.partial)
            )
            raise _unreachable(failure) from error
        except (OSError, MalformedError) as error:
            line.end()
            if is_kept and isinstance(error, OSError):
                return None
            raise _unreachable(
                failures.unanswered(target.host, error, has_begun=False)
            ) from error
        except BaseException:
            line.end()
            raise
        return Fetched(
            url=target.url,
            status=head.status,
            headers={name.lower(): value for name, value in head.pairs},
            host=target.host,
            _head=head,
            _line=line,
            _patience=self._patience,
        )

    def _take_kept(self, place: _Place) -> _Line | None:
        kept = self._kept.get(place, [])
        while kept:
            line = kept.pop()
            if not line.reader.at_eof() and perf_counter() - line.idle_since < _KEPT_SECONDS:
                return line
            line.end()
        return None

    # Connections

    async def _vet(self, target: Target) -> Addresses:
        """All addresses of the target; UnreachableError if even one of them may not be reached."""
        addresses: Addresses = (
            await self._resolver.resolve(target.host)
            if target.address is None
            else (target.address,)
        )
        for address in addresses:
            self._guard.judge(target, address)
        return addresses

    async def _connect(
        self, target: Target, addresses: Addresses, *, verify: bool, own: Proxy | None
    ) -> _Line:
        made = None
        proxy = own or self._proxy
        secure = self._context(verify=verify) if target.scheme == "https" else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                made = (
                    await self._reach(target, addresses)
                    if own is None
                    else await self._reach_by(own, target, addresses[0])
                )
                reader, writer = await asyncio.open_connection(
                    sock=made,
                    ssl=secure,
                    server_hostname=None if secure is None else target.host,
                    limit=answers.LONGEST_HEAD,
                )
        except (TimeoutError, OSError) as error:
            if made is not None:
                made.close()
            if made is not None and secure is not None:
                failure = failures.unsecured(target.host, error)
            elif proxy is not None:
                failure = proxy.late(target.host)
            elif isinstance(error, TimeoutError) and error.errno is None:
                failure = failures.unconnected_in_time(target.host)
            else:
                failure = failures.unconnected(target.host, target.port, error)
            raise _unreachable(failure) from error
        return _Line(reader, writer)

    async def _reach(self, target: Target, addresses: Addresses) -> socket.socket:
        """A socket that leads to the target, straight or through the operator's proxy."""
        if self._proxy is None:
            made, _ = await connect(
                addresses[:_MOST_ADDRESSES], target.port, partial(self._guard.make, target)
            )
            return made
        self._guard.judge(target, addresses[0])
        return await self._proxy.open(
            self._resolver, self._guard.open_socket, addresses[0], target.port, target.host
        )

    async def _reach_by(self, own: Proxy, target: Target, address: Address) -> socket.socket:
        """The same through a proxy that is reached, and judged, like a target."""
        place = target_of(own.url)
        try:
            made = await self._reach(place, await self._vet(place))
        except UnreachableError as error:
            raise UnreachableError(
                error.code, f"{own.said}: {error.detail}", fault=error.fault
            ) from error
        except OSError as error:
            raise own.unreachable() from error
        self._guard.judge(target, address)
        return await own.tunnel(made, address, target.port, target.host)

    def _context(self, *, verify: bool) -> ssl.SSLContext:
        if verify not in self._contexts:
            try:
                context = secured(self._ca_file)
            except OSError as error:
                raise UnreachableError(
                    Code.INTERNAL_ERROR,
                    "This server's file of certificate authorities cannot be read.",
                    fault=Fault.OURS,
                ) from error
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[verify] = context
        return self._contexts[verify]


async def _head_of(reader: asyncio.StreamReader, verb: str) -> Head:
    """The head of the answer; interim ones are read and dropped."""
    for _ in range(answers.MOST_LINES):
        try:
            text = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise answers.OverLimitError from error
        head = answers.head_of(text.removesuffix(b"\r\n\r\n"), has_body=verb != "HEAD")
        if head.status >= answers.FIRST_FINAL_STATUS:
            return head
    raise answers.OverLimitError


def _onward(target: Target, url: str, headers: Headers) -> Headers:
    """The headers for the next place; UnreachableError if it is one that we do not follow to."""
    onward = target_of(url)
    if target.scheme == "https" and onward.scheme != "https":
        raise UnreachableError(
            Code.REDIRECT_NOT_FOLLOWED,
            f"{target.host} sends us on to {onward.host} without TLS, which is not followed.",
        )
    here = target.scheme, target.host, target.port
    if here == (onward.scheme, onward.host, onward.port):
        return headers
    return [(name, value) for name, value in headers if name.lower() != "authorization"]


def _too_large(host: str, limit: int) -> UnreachableError:
    return UnreachableError(
        Code.BODY_TOO_LARGE, f"The answer of {host} has more than {limit} bytes."
    )


def _unreachable(failure: Failure) -> UnreachableError:
    code, detail, fault = failure
    return UnreachableError(code, detail, fault=fault)

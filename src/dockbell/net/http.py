"""Sending HTTP: requests on kept connections, behind the address guard."""

import asyncio
import socket
import ssl
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import perf_counter

import certifi

from dockbell.domain.methods import Headers, Reply, UnreachableError
from dockbell.domain.outcomes import Code, Exchange, Fault
from dockbell.domain.tls import Tls
from dockbell.net import answers, failures, proxies
from dockbell.net.addresses import Address
from dockbell.net.connections import (
    Connection,
    OpenSocket,
    connect,
    family_of,
    open_socket,
    secured,
)
from dockbell.net.failures import Failure
from dockbell.net.headers import Outgoing, compose, mask
from dockbell.net.identities import context_of
from dockbell.net.policy import EgressPolicy, Refusal
from dockbell.net.proxies import Proxy
from dockbell.net.resolver import Addresses, Resolver
from dockbell.net.urls import Target, target_of

_MOST_ADDRESSES = 8  # of one name are tried
_MOST_JUDGED = 4096
_IDLE_SECONDS = 60.0  # shorter than the patience of common servers
_LONGEST_LIFE_SECONDS = 600.0  # then a kept connection asks the name servers anew
_SWEEP_SECONDS = 15.0

_Place = tuple[str, str, int]  # scheme, host and port
_Kept = tuple[_Place, Tls | None]  # what a connection is good for


@dataclass(slots=True)
class _Trip:
    """One request on its way."""

    target: Target
    place: _Kept
    addresses: Addresses
    outgoing: Outgoing
    began: float  # with the lookup of the name
    deadline: float
    phases: dict[str, float] = field(default_factory=dict)


class Sender:
    """The way out for HTTP: bounded in time and size, to allowed addresses only, and never through a redirect.

    Everything happens on the event loop (decision 0022).
    """

    def __init__(  # noqa: PLR0913 -- each is a setting of its own, named by its keyword
        self,
        policy: EgressPolicy,
        resolver: Resolver,
        *,
        timeout: float = 10.0,
        connect_timeout: float = 5.0,
        max_inflight: int = 256,
        kept_connections: int = 512,
        ca_file: str | None = None,
        proxy: Proxy | None = None,
        user_agent: str = "dockbell",
        open_socket: OpenSocket = open_socket,
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._timeout = timeout
        self._connect_timeout = min(connect_timeout, timeout)
        self._ca_file = ca_file if ca_file is not None else certifi.where()
        self._proxy = proxy
        self._tls: ssl.SSLContext | None = None
        self._user_agent = user_agent
        self._open_socket = open_socket
        self._judged: dict[_Place, Addresses] = {}
        self._kept_connections = kept_connections
        self._kept: dict[_Kept, list[Connection]] = {}  # the last one used at the end
        self._idle: dict[Connection, _Kept] = {}  # the same ones, in the order of their use
        self._under_way: dict[Connection, float] = {}  # until when
        self._turns = max_inflight  # that are left
        self._waiting: deque[asyncio.Future[None]] = deque()  # for a turn
        self._most_turns = max_inflight
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._is_unused = asyncio.Event()
        self._is_unused.set()

    def start(self) -> None:
        """Bind to the running loop. Must come before the first `post`."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Take no more requests, wait for those on their way (each has its deadline), then free everything."""
        self._is_closing = True
        await self._is_unused.wait()
        for timer in (self._timer, self._sweep):
            if timer is not None:
                timer.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        self._kept.clear()
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn

    async def post(
        self, url: str, body: bytes, headers: Headers = (), *, tls: Tls | None = None
    ) -> Reply:
        """POST once and return the complete answer, whatever its status; or raise UnreachableError.

        At most 16 KiB of the answer's body are read and kept. A Content-Type of JSON is added if `headers` has none.
        """
        target = target_of(url)
        outgoing = compose(headers, target.authorization, self._user_agent)
        place = target.scheme, target.host, target.port
        looked_up_in = 0.0
        phases: dict[str, float] = {}
        addresses = self._vetted(target, place)
        if addresses is None:
            began = perf_counter()
            addresses = await self._vet(target)
            if target.address is None:
                phases["dns"] = looked_up_in = perf_counter() - began
        if self._turns:
            self._turns -= 1
            self._is_unused.clear()
        else:
            await self._wait_for_turn()
        try:
            if self._is_closing:
                raise UnreachableError(
                    Code.INTERRUPTED, "The server is shutting down.", fault=Fault.OURS
                )
            began = perf_counter() - looked_up_in
            deadline = began + self._timeout
            trip = _Trip(target, (place, tls), addresses, outgoing, began, deadline, phases)
            return await self._travel(trip, body)
        finally:
            self._give_turn_back()

    async def address_error(self, url: str) -> str | None:
        """Why this URL would be refused, with what an operator could set, or None.

        A name that does not resolve now is no reason: it may tomorrow, and is judged again at every try.
        """
        try:
            await self._vet(target_of(url))
        except UnreachableError as error:
            if error.code in {Code.DNS_NXDOMAIN, Code.DNS_FAILED, Code.DNS_TIMEOUT}:
                return None
            return error.detail
        return None

    def _vetted(self, target: Target, place: _Place) -> Addresses | None:
        """The addresses, if that takes no waiting and they were judged before."""
        judged = self._judged.get(place)
        if judged is None or target.address is not None:
            return judged
        known = self._resolver.known(target.host)
        return judged if known is judged or known == judged else None

    async def _vet(self, target: Target) -> Addresses:
        """All addresses of the target; UnreachableError if even one of them may not be reached."""
        if target.address is not None:
            addresses: Addresses = (target.address,)
        else:
            addresses = await self._resolver.resolve(target.host)
        for address in addresses:
            self._judge(target, address)
        if len(self._judged) >= _MOST_JUDGED:
            self._judged.clear()
        self._judged[target.scheme, target.host, target.port] = addresses
        return addresses

    def _judge(self, target: Target, address: Address) -> None:
        refusal = self._policy.refusal(target.host, target.port, address)
        if refusal is not None:
            raise _blocked(refusal)

    # Turns: so many requests may be under way at once.

    async def _wait_for_turn(self) -> None:
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_turn_back()
            raise

    def _give_turn_back(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._turns += 1
        if self._turns == self._most_turns:
            self._is_unused.set()

    # A request and its answer

    async def _travel(self, trip: _Trip, body: bytes) -> Reply:
        head = f"{trip.target.head}{trip.outgoing.text}Content-Length: {len(body)}\r\n\r\n".encode()
        connection = self._take_kept(trip.place)
        is_kept = connection is not None
        while True:
            if connection is None:
                connection = await self._open(trip)
            waiter = self._loop.create_future()
            connection.begin(head, body, waiter)
            self._under_way[connection] = deadline = trip.deadline
            if deadline < self._timer_at:
                self._set_timer(deadline)
            try:
                await waiter
            except asyncio.CancelledError:
                connection.abort()
                raise
            finally:
                del self._under_way[connection]
            if not (is_kept and connection.is_unheard):
                return self._arrive(trip, connection)
            # The connection may have been closed before the request came. If the target has read it after all, it reads
            # it twice; it is never sent a third time.
            connection.abort()
            connection, is_kept = None, False

    def _arrive(self, trip: _Trip, connection: Connection) -> Reply:
        """What the request came to. The status wins over a body that takes too long or is too large."""
        answer, phases, now = connection.answer, trip.phases, perf_counter()
        head = answer.head
        if head is None or connection.error is not None:
            raise self._lost(trip, connection)
        phases["first_byte"] = connection.first_byte_at - trip.began
        phases["total"] = now - trip.began
        if answer.lasts and connection.is_reusable:
            self._keep(connection, trip.place, now)
        else:
            connection.abort()
        exchange = self._exchange(trip, connection, head.status, head.pairs)
        return Reply(exchange, head.retry_after)

    def _lost(self, trip: _Trip, connection: Connection) -> UnreachableError:
        """Why there is no usable answer, with what there is of one."""
        answer, error, host = connection.answer, connection.error, trip.target.host
        status = answer.status
        if status:
            trip.phases["first_byte"] = connection.first_byte_at - trip.began
        trip.phases["total"] = perf_counter() - trip.began
        if error is None:
            failure = failures.late(
                host, self._timeout, is_sent=connection.is_sent, has_begun=status > 0
            )
        else:
            failure = failures.unanswered(host, error, has_begun=status > 0)
        connection.abort()
        final_status = status if status >= answers.FIRST_FINAL_STATUS else None
        return _unreachable(
            failure, self._exchange(trip, connection, final_status, answer.pairs)
        )

    def _exchange(
        self, trip: _Trip, connection: Connection, status: int | None, pairs: answers.Pairs
    ) -> Exchange:
        answer = connection.answer
        body, secrets = answer.body, trip.outgoing.secrets
        for secret in secrets:
            if secret in answer.raw or secret in body:
                pairs = tuple(
                    (_masked(name, secrets), _masked(value, secrets)) for name, value in pairs
                )
                body = mask(body, secrets)
                break
        is_cut = answer.is_cut or (connection.is_late and answer.head is not None)
        return Exchange(
            connection.address,
            status,
            trip.outgoing.shown,
            pairs,
            body,
            is_cut,
            trip.phases,
        )

    def _set_timer(self, deadline: float) -> None:
        """One timer for the first deadline of all: nearly every request is over by then."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(
            max(0.001, deadline - perf_counter()), self._end_late
        )

    def _end_late(self) -> None:
        self._timer, self._timer_at = None, inf
        now = perf_counter()
        first = inf
        for connection, deadline in self._under_way.items():
            if deadline <= now:
                connection.expire()
            elif deadline < first:
                first = deadline
        if first < inf:
            self._set_timer(first)

    # Connections

    async def _open(self, trip: _Trip) -> Connection:
        """A new connection, to an address that is judged once more at the last moment at which that can be done."""
        target = trip.target
        seconds = min(self._connect_timeout, trip.deadline - perf_counter())
        secure: ssl.SSLContext | None = None
        made: socket.socket | None = None
        address: Address | None = None
        try:
            if target.scheme == "https":
                secure = self._secured(trip.place[1])
            async with asyncio.timeout(max(0.0, seconds)):
                if self._proxy is None:
                    made, address = await connect(
                        trip.addresses[:_MOST_ADDRESSES],
                        target.port,
                        partial(self._make, target),
                    )
                else:
                    made, address = await self._tunnel(self._proxy, trip)
                trip.phases["connect"] = perf_counter() - trip.began
                _, connection = await self._loop.create_connection(
                    partial(Connection, str(address), self._forget),
                    sock=made,
                    ssl=secure,
                    server_hostname=None if secure is None else target.host,
                )
        except UnreachableError as error:
            failure = error.code, error.detail, error.fault
        except (TimeoutError, OSError) as error:
            if made is not None and secure is not None:
                failure = failures.unsecured(
                    target.host, error, has_own=trip.place[1] is not None
                )
            elif self._proxy is not None:
                failure = proxies.late(target.host)
            elif isinstance(error, TimeoutError) and error.errno is None:
                failure = failures.unconnected_in_time(target.host)
            else:
                failure = failures.unconnected(target.host, target.port, error)
        else:
            if secure is not None:
                trip.phases["tls"] = perf_counter() - trip.began
            return connection
        trip.phases["total"] = perf_counter() - trip.began
        exchange = Exchange(
            address=None if address is None else str(address),
            request_headers=trip.outgoing.shown,
            phases=trip.phases,
        )
        raise _unreachable(failure, exchange)

    async def _tunnel(self, proxy: Proxy, trip: _Trip) -> tuple[socket.socket, Address]:
        """A way through the proxy to the first address that it reaches. Each is judged as if we went there ourselves."""
        target, opener = trip.target, self._open_socket
        *others, last = trip.addresses[:_MOST_ADDRESSES]
        for address in others:
            self._judge(target, address)
            try:
                made = await proxy.open(
                    self._resolver, opener, address, target.port, target.host
                )
            except UnreachableError as error:
                if error.code is not Code.CONNECT_FAILED:
                    raise
            else:
                return made, address
        self._judge(target, last)
        made = await proxy.open(self._resolver, opener, last, target.port, target.host)
        return made, last

    def _make(self, target: Target, address: Address) -> socket.socket:
        """The socket for this very address, if the guard lets it pass."""
        self._judge(target, address)
        made = self._open_socket(
            family_of(address),
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            (str(address), target.port),
        )
        if made is None:
            raise OSError("no socket was made")
        return made

    def _secured(self, tls: Tls | None) -> ssl.SSLContext:
        if tls is not None:
            try:
                return context_of(tls, self._ca_file)
            except (ssl.SSLError, ValueError) as error:
                raise _unreachable(failures.unusable(error), Exchange()) from error
        if self._tls is None:
            try:
                self._tls = secured(self._ca_file)
            except OSError as error:
                raise UnreachableError(
                    Code.INTERNAL_ERROR,
                    "This server's file of certificate authorities cannot be read.",
                    fault=Fault.OURS,
                ) from error
        return self._tls

    def _take_kept(self, place: _Kept) -> Connection | None:
        """An idle connection that can be trusted: libraries that do not look take stray bytes for the next answer."""
        kept = self._kept.get(place)
        while kept:
            connection = kept.pop()
            del self._idle[connection]
            now = perf_counter()
            is_fresh = (
                now - connection.idle_since < _IDLE_SECONDS
                and now - connection.opened_at < _LONGEST_LIFE_SECONDS
            )
            if is_fresh and connection.is_quiet:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection, place: _Kept, now: float) -> None:
        if self._is_closing:
            connection.abort()
            return
        connection.idle_since = now
        self._kept.setdefault(place, []).append(connection)
        self._idle[connection] = place
        if len(self._idle) > self._kept_connections:
            self._drop(next(iter(self._idle)))
        if self._sweep is None:
            self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._drop_old)

    def _forget(self, connection: Connection) -> None:
        """An idle connection has ended."""
        place = self._idle.pop(connection, None)
        if place is not None:
            self._kept[place].remove(connection)

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        connection.abort()

    def _drop_old(self) -> None:
        """Close what nobody needed for long, and forget the places that have nothing left."""
        since = perf_counter() - _IDLE_SECONDS
        for connection in list(self._idle):
            if connection.idle_since > since:
                break
            self._drop(connection)
        self._kept = {place: kept for place, kept in self._kept.items() if kept}
        self._sweep = (
            self._loop.call_later(_SWEEP_SECONDS, self._drop_old) if self._idle else None
        )


def _masked(text: str, secrets: tuple[bytes, ...]) -> str:
    return mask(text.encode("latin-1"), secrets).decode("latin-1")


def _blocked(refusal: Refusal) -> UnreachableError:
    return UnreachableError(refusal.code, refusal.detail, exchange=Exchange())


def _unreachable(failure: Failure, exchange: Exchange) -> UnreachableError:
    code, detail, fault = failure
    return UnreachableError(code, detail, fault=fault, exchange=exchange)

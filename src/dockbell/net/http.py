"""Sending HTTP: requests on kept connections, behind the address guard."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from time import perf_counter

import certifi

from dockbell.domain.methods import Headers, Reply, UnreachableError
from dockbell.domain.outcomes import Code, Exchange, Fault, Pairs
from dockbell.domain.posts import Done, HeaderForm, Post
from dockbell.domain.tls import Tls
from dockbell.net import answers, failures
from dockbell.net.addresses import Address
from dockbell.net.connections import (
    Connection,
    OpenSocket,
    connect,
    open_socket,
    secured,
)
from dockbell.net.failures import Failure
from dockbell.net.guard import Guard
from dockbell.net.headers import Outgoing, compose, mask
from dockbell.net.identities import context_of
from dockbell.net.kept import Kept, Use, use_of
from dockbell.net.policy import EgressPolicy
from dockbell.net.proxies import Proxy
from dockbell.net.resolver import Addresses, Resolver
from dockbell.net.urls import Place, Target, target_of
from dockbell.net.ways import Trip, Way

_MOST_ADDRESSES = 8  # of one name are tried
_MOST_JUDGED = 4096

Answer = Reply | Exception  # mostly UnreachableError; any other is a bug of ours


class Flight:
    """One request from `Sender.begin` until its `done` was called, which happens once and never from within `begin`."""

    __slots__ = (
        "addresses", "began", "body", "connection", "done", "has_turn", "is_kept", "outgoing", "phases", "sender",
        "target", "task", "tls", "use",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 -- made only by Sender, thousands of times a second
        self,
        sender: "Sender",
        target: Target,
        tls: Tls | None,
        outgoing: Outgoing,
        body: bytes,
        done: Done,
        addresses: Addresses,
    ) -> None:
        self.sender = sender
        self.target = target
        self.tls = tls
        self.use = use_of(target, tls)
        self.outgoing = outgoing
        self.body = body
        self.done: Done | None = done
        self.addresses = addresses  # once they are judged
        self.began = 0.0  # with the lookup of the name
        self.phases: dict[str, float] = {}
        self.connection: Connection | None = None
        self.is_kept = False  # the connection carried another request before
        self.has_turn = False
        self.task: asyncio.Task[None] | None = (
            None  # while it takes more than a kept connection
        )

    @property
    def deadline(self) -> float:
        return self.began + self.sender.timeout

    def cancel(self) -> None:
        """Break it off: `done` will not be called."""
        self.done = None
        if self.task is not None:
            self.task.cancel()
        else:
            self.sender.drop(self)


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
        self._resolver = resolver
        self.timeout = timeout  # seconds, of a whole request
        self._connect_timeout = min(connect_timeout, timeout)
        self._ca_file = ca_file if ca_file is not None else certifi.where()
        self._proxy = proxy
        self._tls: ssl.SSLContext | None = None
        self._user_agent = user_agent
        self._guard = Guard(policy, open_socket)
        self._judged: dict[Place, Addresses] = {}
        self._kept = Kept(kept_connections)
        self._under_way: dict[Connection, Flight] = {}
        self._trips: dict[Connection, Trip] = {}  # likewise
        self._turns = max_inflight  # that are left
        self._waiting: deque[asyncio.Future[None]] = deque()  # for a turn
        self._most_turns = max_inflight
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._landed = self._land  # one for all requests
        self._trip_landed = self._land_trip
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
        if self._timer is not None:
            self._timer.cancel()
        self._kept.close()
        await asyncio.sleep(0)  # aborted connections are closed in the loop's next turn

    async def post(
        self, url: str, body: bytes, headers: Headers = (), *, tls: Tls | None = None
    ) -> Reply:
        """POST once and return the complete answer, whatever its status; or raise UnreachableError.

        At most 16 KiB of the answer's body are read and kept. A Content-Type of JSON is added if `headers` has none.
        """
        waiter: asyncio.Future[Reply] = self._loop.create_future()

        def done(answer: Answer) -> None:
            if isinstance(answer, Exception):
                waiter.set_exception(answer)
            else:
                waiter.set_result(answer)

        flight = self.begin(Post(url, body, headers), done, tls)
        try:
            return await waiter
        except asyncio.CancelledError:
            if flight is not None:
                flight.cancel()
            raise

    def begin(self, post: Post, done: Done, tls: Tls | None = None) -> Flight:
        """The same without waiting: `done` is called later with the answer, or with why there is none.

        It must not raise. On a connection that was kept all this takes no task of its own.
        """
        url, body, headers = post
        target = target_of(url)
        outgoing = compose(headers, target.authorization, self._user_agent)
        addresses = self._vetted(target) or ()
        flight = Flight(self, target, tls, outgoing, body, done, addresses)
        if addresses and self._turns and not self._is_closing:
            self._take_turn()
            flight.has_turn = True
            flight.began = now = perf_counter()
            connection = self._kept.take(flight.use, now)
            if connection is not None:
                flight.is_kept = True
                self._launch(flight, connection)
                return flight
        flight.task = self._loop.create_task(self._depart(flight, self._find_connection))
        return flight

    def way(self, url: str, form: HeaderForm, tls: Tls | None = None) -> Way:
        """What many requests have in common; or UnreachableError, if none can be made."""
        return Way(self, url, form, tls, self._user_agent)

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

    def _vetted(self, target: Target) -> Addresses | None:
        """The addresses, if that takes no waiting and they were judged before."""
        judged = self._judged.get(target.place)
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
            self._guard.judge(target, address)
        if len(self._judged) >= _MOST_JUDGED:
            self._judged.clear()
        self._judged[target.place] = addresses
        return addresses

    # Turns: so many requests may be under way at once.

    def _take_turn(self) -> None:
        if self._turns == self._most_turns:
            self._is_unused.clear()
        self._turns -= 1

    async def _wait_for_turn(self, flight: Flight) -> None:
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._give_turn_back()
            raise
        flight.has_turn = True

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

    async def _depart(
        self, flight: Flight, find: Callable[[Flight], Awaitable[Connection]]
    ) -> None:
        """Whatever comes before a request that has no connection at once."""
        try:
            connection = await find(flight)
        except asyncio.CancelledError:
            self._end(flight, None)
            raise
        except Exception as error:  # noqa: BLE001 -- whoever waits for `done` must hear of it
            self._end(flight, error)
        else:
            flight.task = None
            self._launch(flight, connection)

    async def _find_connection(self, flight: Flight) -> Connection:
        looked_up_in = 0.0
        if not flight.addresses:
            began = perf_counter()
            flight.addresses = await self._vet(flight.target)
            if flight.target.address is None:
                flight.phases["dns"] = looked_up_in = perf_counter() - began
        if not flight.has_turn:
            if self._turns:
                self._take_turn()
                flight.has_turn = True
            else:
                await self._wait_for_turn(flight)
        if self._is_closing:
            raise UnreachableError(
                Code.INTERRUPTED, "The server is shutting down.", fault=Fault.OURS
            )
        now = perf_counter()
        flight.began = now - looked_up_in
        connection = self._kept.take(flight.use, now)
        flight.is_kept = connection is not None
        return await self._open(flight) if connection is None else connection

    def _launch(self, flight: Flight, connection: Connection) -> None:
        flight.connection = connection
        body = flight.body
        head = f"{flight.target.head}{flight.outgoing.text}Content-Length: {len(body)}\r\n\r\n"
        self._under_way[connection] = flight
        if flight.began + self.timeout < self._timer_at:
            self._set_timer(flight.deadline)
        connection.begin(head.encode(), body, self._landed)

    def _land(self, connection: Connection) -> None:
        """The connection has an answer, or there will be none."""
        flight = self._under_way.pop(connection)
        if connection.is_lost and flight.is_kept and connection.is_unheard:
            # The connection may have been closed before the request came. If the target has read it after all, it reads
            # it twice; it is never sent a third time.
            connection.abort()
            flight.connection, flight.is_kept = None, False
            flight.task = self._loop.create_task(self._depart(flight, self._open))
            return
        try:
            answer: Answer = self._arrive(flight, connection)
        except Exception as error:  # noqa: BLE001 -- as above
            answer = error
        self._kept.landing = connection
        self._end(flight, answer)
        self._kept.landing = None

    def _end(self, flight: Flight, answer: Answer | None) -> None:
        flight.task = None
        if flight.has_turn:
            flight.has_turn = False
            self._give_turn_back()
        done, flight.done = flight.done, None
        if done is not None and answer is not None:
            done(answer)

    def drop(self, flight: Flight) -> None:
        """Break off a request that is on its connection."""
        connection = flight.connection
        if connection is not None and self._under_way.get(connection) is flight:
            del self._under_way[connection]
            connection.abort()
            self._end(flight, None)

    # Trips: the same by the shortest path, for as long as all is as nearly always.

    def find_kept(self, target: Target, use: Use, now: float) -> Connection | None:
        """A kept connection to an address that is allowed, if a request may be made on it at once."""
        if self._turns and not self._is_closing and self._vetted(target):
            return self._kept.take(use, now)
        return None

    def set_out(self, trip: Trip, head: bytes) -> None:
        self._take_turn()
        connection = trip.connection
        self._trips[connection] = trip
        deadline = trip.began + self.timeout
        if deadline < self._timer_at:
            self._set_timer(deadline)
        connection.begin(head, trip.body, self._trip_landed)

    def drop_trip(self, trip: Trip) -> None:
        """Break it off."""
        connection = trip.connection
        if self._trips.pop(connection, None) is trip:
            connection.abort()
            self._give_turn_back()

    def _land_trip(self, connection: Connection) -> None:
        trip = self._trips.pop(connection)
        way, now = trip.way, perf_counter()
        exchange = way.exchange(trip, now) if connection.is_sent else None
        if exchange is None or self._is_closing:
            self._land_as_flight(trip)
            return
        self._kept.put(connection, way.use, now)
        self._give_turn_back()
        self._kept.landing = connection
        trip.done(Reply(exchange, connection.answer.retry_after))
        self._kept.landing = None

    def _land_as_flight(self, trip: Trip) -> None:
        """Its answer is no ordinary one."""
        way, connection = trip.way, trip.connection
        post = way.post(trip.values, trip.body)
        outgoing = compose(post.headers, way.target.authorization, self._user_agent)
        addresses = self._vetted(way.target) or ()
        flight = Flight(self, way.target, way.tls, outgoing, trip.body, trip.done, addresses)
        flight.began, flight.connection = trip.began, connection
        flight.has_turn = flight.is_kept = True
        trip.flight = self._under_way[connection] = flight
        self._land(connection)

    def _arrive(self, flight: Flight, connection: Connection) -> Reply:
        """What the request came to. The status wins over a body that takes too long or is too large."""
        answer, phases, now = connection.answer, flight.phases, perf_counter()
        head = answer.head
        if head is None or connection.error is not None:
            raise self._lost(flight, connection)
        began = flight.began
        phases["first_byte"] = connection.first_byte_at - began
        phases["total"] = now - began
        if answer.lasts and connection.is_reusable() and not self._is_closing:
            self._kept.put(connection, flight.use, now)
        else:
            connection.abort()
        exchange = self._exchange(flight, connection, head.status, head.pairs)
        return Reply(exchange, head.retry_after)

    def _lost(self, flight: Flight, connection: Connection) -> UnreachableError:
        """Why there is no usable answer, with what there is of one."""
        answer, error, host = connection.answer, connection.error, flight.target.host
        status = answer.status
        if status:
            flight.phases["first_byte"] = connection.first_byte_at - flight.began
        flight.phases["total"] = perf_counter() - flight.began
        if error is None:
            failure = failures.late(
                host, self.timeout, is_sent=connection.is_sent, has_begun=status > 0
            )
        else:
            failure = failures.unanswered(host, error, has_begun=status > 0)
        connection.abort()
        final_status = status if status >= answers.FIRST_FINAL_STATUS else None
        return _unreachable(
            failure, self._exchange(flight, connection, final_status, answer.pairs)
        )

    def _exchange(
        self, flight: Flight, connection: Connection, status: int | None, pairs: Pairs
    ) -> Exchange:
        answer, outgoing = connection.answer, flight.outgoing
        body, secrets = answer.body, outgoing.secrets
        if flight.target.secrets:
            secrets = flight.target.secrets + secrets
        if answer.repeats(secrets):
            pairs = tuple(
                (_masked(name, secrets), _masked(value, secrets)) for name, value in pairs
            )
            body = mask(body, secrets)
        is_cut = answer.is_cut or (connection.is_late and answer.head is not None)
        return Exchange(
            connection.address,
            status,
            outgoing.shown,
            pairs,
            body,
            is_cut,
            flight.phases,
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
        for connection, flight in list(self._under_way.items()):
            if flight.deadline <= now:
                connection.expire()
            elif flight.deadline < first:
                first = flight.deadline
        for connection, trip in list(self._trips.items()):
            if trip.deadline <= now:
                connection.expire()
            else:  # they are in the order of their deadlines
                first = min(first, trip.deadline)
                break
        if first < inf:
            self._set_timer(first)

    # Connections

    async def _open(self, flight: Flight) -> Connection:
        """A new connection, to an address that is judged once more at the last moment at which that can be done."""
        target = flight.target
        seconds = min(self._connect_timeout, flight.deadline - perf_counter())
        secure: ssl.SSLContext | None = None
        made: socket.socket | None = None
        address: Address | None = None
        try:
            if target.scheme == "https":
                secure = self._secured(flight.tls)
            async with asyncio.timeout(max(0.0, seconds)):
                if self._proxy is None:
                    made, address = await connect(
                        flight.addresses[:_MOST_ADDRESSES],
                        target.port,
                        partial(self._guard.make, target),
                    )
                else:
                    made, address = await self._tunnel(self._proxy, flight)
                flight.phases["connect"] = perf_counter() - flight.began
                _, connection = await self._loop.create_connection(
                    partial(Connection, str(address), self._kept.forget),
                    sock=made,
                    ssl=secure,
                    server_hostname=None if secure is None else target.host,
                )
        except UnreachableError as error:
            failure = error.code, error.detail, error.fault
        except (TimeoutError, OSError) as error:
            if made is not None and secure is not None:
                failure = failures.unsecured(target.host, error, has_own=flight.tls is not None)
            elif self._proxy is not None:
                failure = self._proxy.late(target.host)
            elif isinstance(error, TimeoutError) and error.errno is None:
                failure = failures.unconnected_in_time(target.host)
            else:
                failure = failures.unconnected(target.host, target.port, error)
        else:
            if secure is not None:
                flight.phases["tls"] = perf_counter() - flight.began
            return connection
        flight.phases["total"] = perf_counter() - flight.began
        exchange = Exchange(
            address=None if address is None else str(address),
            request_headers=flight.outgoing.shown,
            phases=flight.phases,
        )
        raise _unreachable(failure, exchange)

    async def _tunnel(self, proxy: Proxy, flight: Flight) -> tuple[socket.socket, Address]:
        """A way through the proxy to the first address that it reaches. Each is judged as if we went there ourselves."""
        target, opener = flight.target, self._guard.open_socket
        *others, last = flight.addresses[:_MOST_ADDRESSES]
        for address in others:
            self._guard.judge(target, address)
            try:
                made = await proxy.open(
                    self._resolver, opener, address, target.port, target.host
                )
            except UnreachableError as error:
                if error.code is not Code.CONNECT_FAILED:
                    raise
            else:
                return made, address
        self._guard.judge(target, last)
        made = await proxy.open(self._resolver, opener, last, target.port, target.host)
        return made, last

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


def _masked(text: str, secrets: Sequence[bytes]) -> str:
    return mask(text.encode("latin-1"), secrets).decode("latin-1")


def _unreachable(failure: Failure, exchange: Exchange) -> UnreachableError:
    code, detail, fault = failure
    return UnreachableError(code, detail, fault=fault, exchange=exchange)

"""Sending HTTP: libcurl on the event loop, behind the address guard."""

import asyncio
import os
import select
import socket
from collections import OrderedDict
from ipaddress import IPv6Address

import certifi
import pycurl

from dockbell.domain.methods import Headers, Reply, UnreachableError
from dockbell.domain.outcomes import Code, Exchange, Fault
from dockbell.net.headers import compose
from dockbell.net.policy import EgressPolicy, Refusal
from dockbell.net.resolver import Addresses, Resolver
from dockbell.net.transfers import Limits, OpenSocket, Peer, Transfer, Work, open_socket
from dockbell.net.urls import Target, target_of

_MOST_ADDRESSES = 8  # of one name are tried
_MOST_PINS = 4096
_MESSAGES = 1024
_MASKS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}

Pin = tuple[str, int]


class Sender:
    """The way out for HTTP: bounded in time and size, to allowed addresses only, and never through a redirect.

    libcurl's sockets live in an epoll set of their own, which the event loop watches as one descriptor. So there is
    no thread to hand work to, and a busy loop delays a request by one turn only (decision 0015).
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
        user_agent: str = "dockbell",
        open_socket: OpenSocket = open_socket,
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._limits = Limits(
            timeout=timeout,
            connect_timeout=min(connect_timeout, timeout),
            ca_file=ca_file if ca_file is not None else certifi.where(),
            user_agent=user_agent,
        )
        self._open_socket = open_socket
        self._turns = asyncio.Semaphore(max_inflight)
        self._kept_connections = kept_connections
        self._free: list[Transfer] = []
        self._running: set[Transfer] = set()
        self._judged: dict[Pin, Addresses] = {}
        self._pins: OrderedDict[Pin, Addresses] = OrderedDict()
        self._new_pins: list[tuple[Pin, Addresses]] = []
        self._wanted: set[int] = set()
        self._watched: dict[int, tuple[int, int]] = {}
        self._opens = 0
        self._copies: list[socket.socket] = []
        self._tick_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._is_started = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def start(self) -> None:
        """Bind to the running loop. Must come before the first `post`."""
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_interest)
        self._multi.setopt(pycurl.M_MAXCONNECTS, self._kept_connections)
        self._loop.add_reader(self._epoll.fileno(), self._on_events)
        self._is_started = True

    async def close(self) -> None:
        """Take no more requests, wait for those on their way (each has its deadline), then free everything."""
        self._is_closing = True
        await self._is_idle.wait()
        if not self._is_started:
            return
        self._is_started = False
        self._loop.remove_reader(self._epoll.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._multi.close()
        for transfer in self._free:
            transfer.close()
        self._free.clear()
        self._epoll.close()

    async def post(self, url: str, body: bytes, headers: Headers = ()) -> Reply:
        """POST once and return the complete answer, whatever its status; or raise UnreachableError.

        At most 16 KiB of the answer's body are read and kept. A Content-Type of JSON is added if `headers` has none.
        """
        target = target_of(url)
        outgoing = compose(headers, target.authorization)
        dns_seconds = None
        addresses = self._vetted(target)
        if addresses is None:
            began = self._loop.time()
            addresses = await self._vet(target)
            if target.address is None:
                dns_seconds = self._loop.time() - began
        async with self._turns:
            if self._is_closing:
                raise UnreachableError(
                    Code.INTERRUPTED, "The server is shutting down.", fault=Fault.OURS
                )
            seconds = self._limits.timeout - (dns_seconds or 0.0)
            future: asyncio.Future[Reply] = self._loop.create_future()
            work = Work(target, addresses, outgoing, dns_seconds, seconds, future)
            transfer = self._begin(work, body)
            try:
                return await future
            except asyncio.CancelledError:
                if transfer.work is work:
                    self._end(transfer)
                raise

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
        addresses = (
            (target.address,)
            if target.address is not None
            else self._resolver.known(target.host)
        )
        if addresses is None or self._judged.get((target.host, target.port)) != addresses:
            return None
        return addresses

    async def _vet(self, target: Target) -> Addresses:
        """All addresses of the target; UnreachableError if even one of them may not be reached."""
        if target.address is not None:
            addresses: Addresses = (target.address,)
        else:
            addresses = await self._resolver.resolve(target.host)
        for address in addresses:
            refusal = self._policy.refusal(target.host, target.port, address)
            if refusal is not None:
                raise _blocked(refusal)
        if len(self._judged) >= _MOST_PINS:
            self._judged.clear()
        self._judged[target.host, target.port] = addresses
        return addresses

    def _begin(self, work: Work, body: bytes) -> Transfer:
        transfer = (
            self._free.pop() if self._free else Transfer(self._policy, self._open, self._limits)
        )
        transfer.prepare(work, body, self._pin(work))
        self._multi.add_handle(transfer.curl)
        self._running.add(transfer)
        self._is_idle.clear()
        self._tick_soon()
        return transfer

    def _pin(self, work: Work) -> list[str]:
        """RESOLVE lines that make libcurl use the judged addresses, if it does not know them yet."""
        target = work.target
        pin = target.host, target.port
        if target.address is not None or self._pins.get(pin) == work.addresses:
            return []
        self._new_pins.append((pin, work.addresses))
        texts = [
            f"[{address}]" if isinstance(address, IPv6Address) else str(address)
            for address in work.addresses[:_MOST_ADDRESSES]
        ]
        lines = [f"{target.host}:{target.port}:{','.join(texts)}"]
        while len(self._pins) > _MOST_PINS:
            (host, port), _ = self._pins.popitem(last=False)
            lines.append(f"-{host}:{port}")
        return lines

    def _end(self, transfer: Transfer) -> None:
        """Take the handle off libcurl; an unfinished request ends with its connection."""
        self._multi.remove_handle(transfer.curl)
        transfer.clear()
        self._running.discard(transfer)
        self._free.append(transfer)
        if not self._running:
            self._is_idle.set()

    def _open(self, family: int, kind: int, protocol: int, peer: Peer) -> socket.socket | None:
        self._opens += 1
        made = self._open_socket(family, kind, protocol, peer)
        if made is not None:
            self._copies.append(made)
        return made

    def _act(self, descriptor: int, bits: int) -> None:
        self._multi.socket_action(descriptor, bits)
        # pycurl has duplicated the descriptors of new sockets by now. Ours must go at once: an epoll set forgets a
        # closed descriptor only when its last duplicate is closed.
        if self._copies:
            for made in self._copies:
                made.close()
            self._copies.clear()

    def _on_interest(self, what: int, descriptor: int, multi: object, data: object) -> None:
        """Watch what libcurl wants watched, with as few system calls as possible.

        A connection that libcurl keeps for later stays in the epoll set: the next request on it wants the same.
        A descriptor's number may have gone to another connection meanwhile, but only if one was opened.
        """
        del multi, data
        if what == pycurl.POLL_REMOVE:
            self._wanted.discard(descriptor)
            return
        self._wanted.add(descriptor)
        watched = _MASKS[what], self._opens
        if self._watched.get(descriptor) == watched:
            return
        self._watched[descriptor] = watched
        try:
            self._epoll.modify(descriptor, watched[0])
        except FileNotFoundError:
            self._epoll.register(descriptor, watched[0])

    def _on_events(self) -> None:
        self._serve_sockets()
        self._settle()

    def _serve_sockets(self) -> None:
        events = self._epoll.poll(0)
        for descriptor, _ in events:
            if descriptor not in self._wanted:
                self._retire(descriptor)
        for descriptor, event in events:
            if descriptor in self._wanted:
                bits = pycurl.CSELECT_OUT if event & select.EPOLLOUT else 0
                if event & ~select.EPOLLOUT:
                    bits |= pycurl.CSELECT_IN
                self._act(descriptor, bits)

    def _retire(self, descriptor: int) -> None:
        """Make sure that an idle connection that was closed, or spoke out of turn, is never used again.

        libcurl does not look at a connection that it used a moment ago: stray bytes would be the answer to the next
        request. A dead socket in its place makes that request go to a new connection, before anything is sent.
        """
        self._watched.pop(descriptor, None)
        dead, peer = socket.socketpair()
        with dead, peer:
            os.dup2(dead.fileno(), descriptor, inheritable=False)

    def _tick_soon(self) -> None:
        if not self._tick_is_due:
            self._tick_is_due = True
            self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        """Let libcurl do what is due: begin new requests, end late ones."""
        self._tick_is_due = False
        if self._is_started:
            self._serve_sockets()  # a request must not begin on a connection that is dead by now
            self._act(pycurl.SOCKET_TIMEOUT, 0)
            self._settle()

    def _on_timer(self) -> None:
        self._timer = None
        self._tick()

    def _settle(self) -> None:
        """Hand over what has finished, and see when libcurl wants to be called next."""
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read(_MESSAGES)
            for curl in succeeded:
                self._finish(curl.transfer, 0, "")
            for curl, error, message in failed:
                self._finish(curl.transfer, error, message)
        milliseconds = self._multi.timeout()
        if milliseconds == 0:
            self._tick_soon()
            return
        if self._new_pins:
            self._confirm_pins()
        if milliseconds > 0:
            due = self._loop.time() + milliseconds / 1000
            if self._timer is None:
                self._timer = self._loop.call_at(due, self._on_timer)
            elif due < self._timer.when():
                self._timer.cancel()
                self._timer = self._loop.call_at(due, self._on_timer)

    def _finish(self, transfer: Transfer, error: int, message: str) -> None:
        work = transfer.work
        if work is None:
            return
        result = transfer.result(work, error, message)
        if error:
            self._pins.pop((work.target.host, work.target.port), None)
        self._end(transfer)
        if work.future.done():
            return
        if isinstance(result, Reply):
            work.future.set_result(result)
        else:
            work.future.set_exception(result)

    def _confirm_pins(self) -> None:
        """Every request begun so far has handed its pins to libcurl by now."""
        for pin, addresses in self._new_pins:
            self._pins[pin] = addresses
            self._pins.move_to_end(pin)
        self._new_pins.clear()


def _blocked(refusal: Refusal) -> UnreachableError:
    return UnreachableError(refusal.code, refusal.detail, exchange=Exchange())

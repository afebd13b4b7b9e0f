"""Connections that requests are made on: opened to one judged address after the other, kept, and watched while idle."""

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from time import perf_counter
from typing import cast

from dockbell.net.addresses import Address
from dockbell.net.answers import NO_ANSWER, Answer, MalformedError, whole_answer

Peer = tuple[str, int]
# Makes the socket of a connection that was allowed. A test puts one here that records and returns None: nothing is sent.
OpenSocket = Callable[[int, int, int, Peer], socket.socket | None]

_LEAD_SECONDS = 0.2  # that an address has before the next one is tried beside it
_LARGE_BODY = 64 * 1024  # not worth a copy only to save a call


def open_socket(family: int, kind: int, protocol: int, peer: Peer) -> socket.socket | None:
    del peer
    return socket.socket(family, kind, protocol)


class Connection(asyncio.Protocol):
    """One connection to a target, for one request after the other."""

    __slots__ = (
        "_on_idle_end", "_poll", "_transport", "address", "answer", "error", "first_byte_at", "idle_since", "is_late",
        "is_lost", "opened_at", "waiter",
    )  # fmt: skip

    def __init__(self, address: str, on_idle_end: "Callable[[Connection], None]") -> None:
        self.address = address
        self.answer = NO_ANSWER
        self.waiter: Callable[[Connection], None] | None = None  # of the request under way
        self.first_byte_at = 0.0
        self.error: Exception | None = None  # that ended the request
        self.is_late = False
        self.is_lost = False
        self.opened_at = self.idle_since = perf_counter()
        self._on_idle_end = on_idle_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._poll = poll.poll

    @property
    def is_quiet(self) -> bool:
        """Whether nothing came on an idle connection: neither its end, nor bytes that nobody asked for."""
        return not self.is_lost and not self._poll(0)

    @property
    def is_sent(self) -> bool:
        """Whether the system has taken all of the request."""
        return self._transport.get_write_buffer_size() == 0

    @property
    def is_unheard(self) -> bool:
        """Whether the connection ended, and not a byte of an answer came."""
        return self.is_lost and not self.first_byte_at and not self.is_late

    def is_reusable(self) -> bool:
        """Whether the request went out whole and in time, and nothing has ended the connection."""
        return not (self.is_late or self.is_lost or self._transport.get_write_buffer_size())

    def begin(self, head: bytes, body: bytes, waiter: "Callable[[Connection], None]") -> None:
        """Send a request. The waiter is called when the answer is complete, or when none can come any more."""
        self.answer = NO_ANSWER
        self.first_byte_at = 0.0
        self.waiter = waiter
        if self.is_lost:
            self._finish()
        elif len(body) < _LARGE_BODY:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def expire(self) -> None:
        """The request's time is over."""
        self.is_late = True
        self._finish()

    def abort(self) -> None:
        self.is_lost = True
        self.waiter = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        waiter = self.waiter
        if waiter is None:  # it speaks out of turn: whatever it says next may be wrong too
            self._end_idle()
            return
        try:
            if self.answer is NO_ANSWER:
                self.first_byte_at = perf_counter()
                whole = whole_answer(data)
                if whole is not None:  # as nearly always
                    self.answer, self.waiter = whole, None
                    waiter(self)
                    return
                self.answer = Answer()
            is_complete = self.answer.feed(data)
        except MalformedError as error:
            self.error = error
            is_complete = True
        if is_complete:
            self._finish()

    def eof_received(self) -> None:
        self._come_to_end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._come_to_end(exc)

    def _come_to_end(self, error: Exception | None) -> None:
        self.is_lost = True
        if self.waiter is None:
            self._end_idle()
            return
        if error is not None or not self.answer.end():
            self.error = error or ConnectionError()
        self._finish()

    def _end_idle(self) -> None:
        self.abort()
        self._on_idle_end(self)

    def _finish(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter(self)


async def connect(
    addresses: Sequence[Address], port: int, make: Callable[[Address], socket.socket]
) -> tuple[socket.socket, Address]:
    """A socket that is connected to the first of the addresses to answer, which are tried in their order.

    `make` makes a socket for one of them, or raises. Each has a short lead before the next is tried as well
    (RFC 8305). The last error is raised if there is no way to any.
    """
    if len(addresses) == 1:
        return await _connect_to(addresses[0], port, make), addresses[0]
    tasks: dict[asyncio.Task[socket.socket], Address] = {}
    waiting = list(addresses)
    last_error: Exception = OSError()
    try:
        while waiting or tasks:
            if waiting:
                address = waiting.pop(0)
                tasks[asyncio.create_task(_connect_to(address, port, make))] = address
            done, _ = await asyncio.wait(
                tasks,
                timeout=_LEAD_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                address = tasks.pop(task)
                error = task.exception()
                if error is None:
                    return task.result(), address
                if not isinstance(error, OSError):
                    raise error
                last_error = error
        raise last_error
    finally:
        await _drop(tasks)


async def _drop(tasks: "dict[asyncio.Task[socket.socket], Address]") -> None:
    for task in tasks:
        task.cancel()
    for made in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(
            made, socket.socket
        ):  # it was connected at the same moment as another one
            made.close()


async def _connect_to(
    address: Address, port: int, make: Callable[[Address], socket.socket]
) -> socket.socket:
    made = make(address)
    try:
        made.settimeout(0)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, (str(address), port))
    except BaseException:
        made.close()
        raise
    return made


def family_of(address: Address) -> int:
    return socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6


def secured(ca_file: str | None) -> ssl.SSLContext:
    """What TLS has to be: 1.2 or newer, with a certificate for the target's name that one of these authorities signed.

    Without a file there are no authorities yet. Raise OSError if the file holds none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= (
        ssl.VERIFY_X509_PARTIAL_CHAIN
    )  # an authority below a root is trusted as well
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    with contextlib.suppress(NotImplementedError):  # an OpenSSL without it does without
        context.set_alpn_protocols(["http/1.1"])
    return context

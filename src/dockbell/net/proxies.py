"""Going through the operator's HTTP proxy: a tunnel to the very address that was judged."""

import asyncio
import socket
from dataclasses import field
from functools import partial
from ipaddress import IPv6Address
from typing import Self

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net.addresses import Address
from dockbell.net.connections import OpenSocket, connect, family_of
from dockbell.net.failures import Failure
from dockbell.net.resolver import Resolver
from dockbell.net.urls import target_of

OF_SERVER = "The proxy of this server"
_LONGEST_HEAD = 16 * 1024
_ESTABLISHED = 200
_CREDENTIALS_WANTED = 407
_REFUSED = 403
_NO_WAY = {502, 503, 504}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is. One that the operator's setting names may have any address: the setting allows it."""

    host: str
    port: int
    address: Address | None
    authorization: str | None = field(default=None, repr=False)
    said: str = OF_SERVER  # in what is told of it

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return (
            f"http://[{self.host}]:{self.port}/"
            if ":" in self.host
            else f"http://{self.host}:{self.port}/"
        )

    @classmethod
    def of(cls, url: str, *, said: str = OF_SERVER) -> Self:
        """The proxy of `http://user:password@host:port`, or ValueError."""
        try:
            target = target_of(url)
        except UnreachableError as error:
            raise ValueError(error.detail) from error
        if target.scheme != "http" or not target.head.startswith("POST / HTTP"):
            raise ValueError("a proxy is spoken to in http and has no path")
        return cls(target.host, target.port, target.address, target.authorization, said)

    async def open(
        self,
        resolver: Resolver,
        open_socket: OpenSocket,
        address: Address,
        port: int,
        host: str,
    ) -> socket.socket:
        """A socket that leads to this address of the target `host`; or UnreachableError.

        Nothing in what it says names the proxy: it is read by people who are not to know it.
        """
        try:
            made = await self._reach(resolver, open_socket)
        except (OSError, UnreachableError) as error:
            raise self.unreachable() from error
        return await self.tunnel(made, address, port, host)

    def unreachable(self) -> UnreachableError:
        return _failed(f"{self.said} cannot be reached.")

    async def tunnel(
        self, made: socket.socket, address: Address, port: int, host: str
    ) -> socket.socket:
        """The same socket, which is connected to the proxy, as one that leads to the target. It is closed if none can be made."""
        try:
            status = await self._ask(made, address, port)
        except OSError as error:
            made.close()
            raise _failed(f"{self.said} broke the connection.") from error
        except BaseException:
            made.close()
            raise
        if status == _ESTABLISHED:
            return made
        made.close()
        if status in _NO_WAY:
            raise UnreachableError(
                Code.CONNECT_FAILED, f"The proxy found no way to {host} port {port} ({status})."
            )
        if status == _CREDENTIALS_WANTED:
            raise _failed(f"{self.said} wants other credentials (407).")
        if status == _REFUSED:
            raise _failed(f"{self.said} does not allow {host} port {port} (403).")
        raise _failed(f"{self.said} made no tunnel ({status}).")

    def late(self, host: str) -> Failure:
        """The time for a connection is over before there was a tunnel."""
        return Code.PROXY_ERROR, f"{self.said} opened no way to {host} in time.", Fault.PROXY

    async def _reach(self, resolver: Resolver, open_socket: OpenSocket) -> socket.socket:
        addresses = (
            await resolver.resolve(self.host) if self.address is None else (self.address,)
        )
        made, _ = await connect(addresses, self.port, partial(self._make, open_socket))
        return made

    def _make(self, open_socket: OpenSocket, address: Address) -> socket.socket:
        made = open_socket(
            family_of(address),
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            (str(address), self.port),
        )
        if made is None:
            raise OSError("no socket was made")
        return made

    async def _ask(self, made: socket.socket, address: Address, port: int) -> int:
        """Ask for the tunnel; return the status of the answer."""
        loop = asyncio.get_running_loop()
        shown = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        lines = [f"CONNECT {shown}:{port} HTTP/1.1", f"Host: {shown}:{port}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        await loop.sock_sendall(made, "\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = await loop.sock_recv(made, 4096)
            head += data
            if not data or len(head) > _LONGEST_HEAD:
                raise ConnectionError
        words = head.split(b"\r\n", 1)[0].split(b" ", 2)
        is_http = words[0].startswith(b"HTTP/1.") and len(words) > 1 and words[1].isdigit()
        status = int(words[1][:4]) if is_http else 0
        # A target never speaks first: what follows the head would be taken for its answer.
        if status == _ESTABLISHED and not head.endswith(b"\r\n\r\n"):
            raise ConnectionError
        return status


def _failed(detail: str) -> UnreachableError:
    return UnreachableError(Code.PROXY_ERROR, detail, fault=Fault.PROXY)

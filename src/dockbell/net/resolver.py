"""Names to addresses: with a time limit, in threads of their own, remembered for a moment."""

import asyncio
import contextlib
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code
from dockbell.net.addresses import Address, parse
from dockbell.net.failures import OUT_OF_SOCKETS, SHORTAGES

Lookup = Callable[[str], Sequence[str]]
Addresses = tuple[Address, ...]

_MOST_NAMES = 4096
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def look_up(host: str) -> Sequence[str]:
    """Ask the operating system (its hosts file and name servers) for all addresses of a name."""
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in answers]


class Resolver:
    """Every answer is complete: all addresses of a name, so that one forbidden among them can be seen.

    Lookups run in daemon threads, at most `threads` at once, because the system's resolver cannot be interrupted:
    one that hangs costs a thread until it returns, and never the caller more than `timeout` seconds.
    """

    def __init__(
        self,
        *,
        lookup: Lookup = look_up,
        timeout: float = 5.0,
        keep: float = 15.0,
        threads: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._timeout = timeout
        self._keep = keep
        self._clock = clock
        self._slots = asyncio.Semaphore(threads)
        self._known: OrderedDict[str, tuple[float, Addresses]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Addresses]] = {}

    def known(self, host: str) -> Addresses | None:
        """The addresses, if an answer is at hand that is still fresh."""
        found = self._known.get(host)
        if found is None or found[0] <= self._clock():
            return None
        return found[1]

    async def resolve(self, host: str) -> Addresses:
        """All addresses of the name, or UnreachableError with a code that begins with dns_."""
        addresses = self.known(host)
        if addresses is not None:
            return addresses
        task = self._asked.get(host)
        if task is None:
            task = asyncio.create_task(self._ask(host))
            self._asked[host] = task
            task.add_done_callback(lambda done: self._forget(host, done))
        try:
            # One question serves all who wait for the name; one of them giving up must not end it.
            async with asyncio.timeout(self._timeout):
                return await asyncio.shield(task)
        except TimeoutError as error:
            raise UnreachableError(
                Code.DNS_TIMEOUT,
                f"No name server answered for {host} within {self._timeout:g} s.",
            ) from error

    async def close(self) -> None:
        """End every question; whoever still waits for one is cancelled."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, host: str, task: asyncio.Task[Addresses]) -> None:
        self._asked.pop(host, None)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it when all who asked have left

    async def _ask(self, host: str) -> Addresses:
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str] | OSError] = loop.create_future()

        def settle(result: Sequence[str] | OSError) -> None:
            self._slots.release()
            if not answer.done():
                answer.set_result(result)

        def run() -> None:
            try:
                result: Sequence[str] | OSError = self._lookup(host)
            except (OSError, UnicodeError) as error:
                result = error if isinstance(error, OSError) else OSError(str(error))
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, result)

        threading.Thread(target=run, name="dockbell-dns", daemon=True).start()
        return self._accept(host, await answer)

    def _accept(self, host: str, result: Sequence[str] | OSError) -> Addresses:
        if isinstance(result, socket.gaierror) and result.errno in _NO_SUCH_NAME:
            raise UnreachableError(Code.DNS_NXDOMAIN, f"The name {host} does not exist.")
        if isinstance(result, OSError) and result.errno in SHORTAGES:
            code, detail, fault = OUT_OF_SOCKETS
            raise UnreachableError(code, detail, fault=fault)
        if isinstance(result, OSError):
            raise UnreachableError(
                Code.DNS_FAILED, f"The name servers could not answer for {host}."
            )
        addresses = []
        for text in dict.fromkeys(result):
            address = parse(text.partition("%")[0])
            if address is None:
                raise UnreachableError(
                    Code.DNS_FAILED, f"The name servers gave no usable address for {host}."
                )
            addresses.append(address)
        if not addresses:
            raise UnreachableError(Code.DNS_NXDOMAIN, f"The name {host} has no address.")
        self._remember(host, tuple(addresses))
        return tuple(addresses)

    def _remember(self, host: str, addresses: Addresses) -> None:
        self._known[host] = (self._clock() + self._keep, addresses)
        self._known.move_to_end(host)
        if len(self._known) > _MOST_NAMES:
            self._known.popitem(last=False)

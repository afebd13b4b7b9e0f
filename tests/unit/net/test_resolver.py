"""Names to addresses: complete answers, bounded time, one question for all who ask at once."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence

import pytest

from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code
from dockbell.net.addresses import Address, parse
from dockbell.net.resolver import Resolver


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(found for text in texts if (found := parse(text)) is not None)


def fails(error: Exception) -> Callable[[str], Sequence[str]]:
    def lookup(host: str) -> Sequence[str]:
        raise error

    return lookup


async def test_an_answer_has_all_addresses_once() -> None:
    resolver = Resolver(lookup=lambda _: ["8.8.8.8", "10.0.0.1", "8.8.8.8", "fe80::1%eth0"])

    found = await resolver.resolve("example.org")

    assert found == addresses("8.8.8.8", "10.0.0.1", "fe80::1")


async def test_the_hosts_file_of_the_system_is_asked() -> None:
    found = await Resolver().resolve("localhost")

    assert set(found) <= set(addresses("127.0.0.1", "::1"))
    assert found != ()


async def test_an_answer_is_kept_for_a_moment() -> None:
    now = [100.0]
    asked: list[str] = []

    def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return ["8.8.8.8"]

    resolver = Resolver(lookup=lookup, keep=10.0, clock=lambda: now[0])

    assert resolver.known("example.org") is None
    await resolver.resolve("example.org")
    now[0] = 109.9
    assert resolver.known("example.org") == addresses("8.8.8.8")
    await resolver.resolve("example.org")
    now[0] = 110.0
    assert resolver.known("example.org") is None
    await resolver.resolve("example.org")

    assert asked == ["example.org", "example.org"]


async def test_those_who_ask_at_once_share_one_question() -> None:
    asked: list[str] = []
    go = threading.Event()

    def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        go.wait(5)
        return ["8.8.8.8"]

    resolver = Resolver(lookup=lookup)
    waiting = [asyncio.create_task(resolver.resolve("example.org")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    go.set()

    found = await asyncio.gather(*waiting[1:])

    assert (found, asked) == ([addresses("8.8.8.8")] * 4, ["example.org"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no name"), Code.DNS_NXDOMAIN),
        (socket.gaierror(socket.EAI_NODATA, "no address"), Code.DNS_NXDOMAIN),
        (socket.gaierror(socket.EAI_AGAIN, "later"), Code.DNS_FAILED),
        (socket.gaierror(socket.EAI_FAIL, "servfail"), Code.DNS_FAILED),
        (OSError(24, "too many files"), Code.OUT_OF_SOCKETS),
        (UnicodeError("label too long"), Code.DNS_FAILED),
    ],
)
async def test_a_failed_lookup_has_its_code(error: Exception, code: Code) -> None:
    resolver = Resolver(lookup=fails(error))

    with pytest.raises(UnreachableError) as caught:
        await resolver.resolve("example.org")

    assert caught.value.code == code
    assert resolver.known("example.org") is None


@pytest.mark.parametrize(
    ("answer", "code"), [([], Code.DNS_NXDOMAIN), (["8.8.8.8", "nonsense"], Code.DNS_FAILED)]
)
async def test_an_answer_that_cannot_be_used_has_its_code(
    answer: Sequence[str], code: Code
) -> None:
    resolver = Resolver(lookup=lambda _: answer)

    with pytest.raises(UnreachableError) as caught:
        await resolver.resolve("example.org")

    assert caught.value.code == code


async def test_a_lookup_that_hangs_ends_in_time_and_holds_nobody_up() -> None:
    go = threading.Event()

    def lookup(host: str) -> Sequence[str]:
        if host == "slow.example":
            go.wait(5)
        return ["8.8.8.8"]

    resolver = Resolver(lookup=lookup, timeout=0.05, threads=2)

    with pytest.raises(UnreachableError) as caught:
        await resolver.resolve("slow.example")
    found = await resolver.resolve("quick.example")
    go.set()

    assert (caught.value.code, found) == (Code.DNS_TIMEOUT, addresses("8.8.8.8"))


async def test_no_more_lookups_than_threads_run_at_once() -> None:
    running: list[str] = []
    most: list[int] = []
    lock = threading.Lock()
    both = threading.Barrier(2)

    def lookup(host: str) -> Sequence[str]:
        with lock:
            running.append(host)
            most.append(len(running))
        both.wait(5)
        with lock:
            running.remove(host)
        return ["8.8.8.8"]

    resolver = Resolver(lookup=lookup, threads=2)

    await asyncio.gather(*(resolver.resolve(f"{number}.example") for number in range(6)))

    assert max(most) == 2


async def test_closing_ends_the_questions() -> None:
    go = threading.Event()
    resolver = Resolver(lookup=lambda _: ["8.8.8.8"] if go.wait(5) else [])
    waiting = asyncio.create_task(resolver.resolve("example.org"))
    await asyncio.sleep(0)

    await resolver.close()
    go.set()

    with pytest.raises(asyncio.CancelledError):
        await waiting

"""The way out for HTTP, with real sockets on loopback: what is sent, what comes back, what is refused."""

import asyncio
import contextlib
import gzip
import itertools
import os
import resource
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path

import pytest

from dockbell.domain.methods import Reply, UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net import kept
from dockbell.net.addresses import METADATA, Address
from dockbell.net.answers import KEPT_BODY
from dockbell.net.connections import OpenSocket, Peer, open_socket
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy, Refusal
from dockbell.net.resolver import Resolver
from tests import hostile
from tests.receiver import Answer, Drop, Receiver, certificate

BODY = b'{"repository": "ns/app"}'


@contextlib.asynccontextmanager
async def opened(
    allow: str = "loopback",
    *,
    lookup: Callable[[str], Sequence[str]] = lambda _: ["127.0.0.1"],
    keep: float = 15.0,
    timeout: float = 5.0,
    connect_timeout: float = 2.0,
    max_inflight: int = 256,
    kept_connections: int = 512,
    policy: EgressPolicy | None = None,
    ca_file: Path | None = None,
    opener: OpenSocket = open_socket,
) -> AsyncIterator[Sender]:
    resolver = Resolver(lookup=lookup, keep=keep)
    sender = Sender(
        policy if policy is not None else EgressPolicy.of(allow),
        resolver,
        timeout=timeout,
        connect_timeout=connect_timeout,
        max_inflight=max_inflight,
        kept_connections=kept_connections,
        ca_file=None if ca_file is None else str(ca_file),
        open_socket=opener,
    )
    sender.start()
    try:
        yield sender
    finally:
        await sender.close()
        await resolver.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as started:
        yield started


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with opened() as started:
        yield started


async def failure(sender: Sender, url: str) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        await sender.post(url, BODY)
    return caught.value


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class Recorder:
    """Stands where the socket is made: notes the peer and makes none, so that nothing is ever sent."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __call__(
        self, family: int, kind: int, protocol: int, peer: Peer
    ) -> socket.socket | None:
        del family, kind, protocol
        self.peers.append(peer)
        return None


# What is sent


async def test_a_request_has_the_body_and_headers_of_its_caller(
    receiver: Receiver, sender: Sender
) -> None:
    reply = await sender.post(
        receiver.url("/hook?a=b"),
        BODY,
        [("Content-Type", "application/json"), ("webhook-id", "msg_1"), ("X-Empty", "")],
    )

    [request] = receiver.requests
    assert (request.verb, request.path, request.body) == ("POST", "/hook?a=b", BODY)
    assert request.headers == (
        ("Host", f"127.0.0.1:{receiver.port}"),
        ("User-Agent", "dockbell"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Content-Type", "application/json"),
        ("webhook-id", "msg_1"),
        ("X-Empty", ""),
        ("Content-Length", str(len(BODY))),
    )
    assert reply.status == 200


async def test_a_second_request_has_nothing_of_the_first(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answer(body=b"first", headers=[("Set-Cookie", "a=b"), ("X-First", "1")], times=1)
    await sender.post(
        receiver.url("/first").replace("//", "//user:secret@"), BODY, [("X-First", "1")]
    )

    reply = await sender.post(receiver.url("/second"), b"")

    second = receiver.requests[1]
    assert (second.path, second.body) == ("/second", b"")
    assert [name for name, _ in second.headers] == [
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Content-Length",
    ]  # fmt: skip
    assert (reply.exchange.response_body, reply.exchange.response_headers) == (
        b"",
        (("Content-Length", "0"),),
    )


async def test_credentials_of_the_url_are_sent_and_never_shown(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answer_by(
        lambda request: Answer(
            body=(request.header("authorization") or "").encode(),
            headers=[("X-Echo", request.header("webhook-signature") or "")],
        )
    )

    reply = await sender.post(
        receiver.url().replace("//", "//user:pass-word@"),
        BODY,
        [("webhook-signature", "v1,c2lnbmF0dXJl")],
    )

    [request] = receiver.requests
    assert request.header("authorization") == "Basic dXNlcjpwYXNzLXdvcmQ="
    assert request.header("webhook-signature") == "v1,c2lnbmF0dXJl"
    assert reply.exchange.response_body == b"(redacted)"
    assert ("X-Echo", "(redacted)") in reply.exchange.response_headers
    shown = repr(reply)
    assert [text for text in ("dXNlcj", "pass-word", "c2lnbmF0") if text in shown] == []


PLACE, QUERY = "hooks/a%20place", "a=b&token=livesecret99"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"Cannot POST /{PLACE}?{QUERY}.", "Cannot POST /(redacted)."),
        (f"{PLACE} is not here", "(redacted) is not here"),
        ("/hooks/a place is not here", "/(redacted) is not here"),
        (f"what is {QUERY}?", "what is (redacted)?"),
        (f"what is {escape(QUERY)}?", "what is (redacted)?"),
        ("hello user:pass-word, or pass-word", "hello (redacted), or (redacted)"),
        ("hooks/b", "hooks/b"),
    ],
)
async def test_what_is_secret_in_the_url_is_masked_where_the_target_says_it(
    receiver: Receiver, sender: Sender, said: str, kept: str
) -> None:
    url = receiver.url(f"/{PLACE}?{QUERY}").replace("//", "//user:pass-word@", 1)
    receiver.answer(status=404, body=said.encode(), headers=[("X-Said", said)])

    exchange = (await sender.post(url, BODY)).exchange

    [request] = receiver.requests
    assert request.path == f"/{PLACE}?{QUERY}"
    assert exchange.response_body == kept.encode()
    assert ("X-Said", kept) in exchange.response_headers


async def test_a_short_path_is_no_secret_and_a_redirect_still_says_where_to(
    receiver: Receiver, sender: Sender
) -> None:
    place = "https://new.test/token=1234/"
    receiver.answer(status=308, body=b"no POST /hook?", headers=[("Location", place)])

    short = (await sender.post(receiver.url("/hook"), BODY)).exchange
    long = (await sender.post(receiver.url("/token=1234"), BODY)).exchange

    assert short.response_body == long.response_body == b"no POST /hook?"
    assert ("Location", place) in short.response_headers
    assert ("Location", "https://new.test/(redacted)/") in long.response_headers


@pytest.mark.parametrize(
    "header", [("X-A", "a\r\nX-B: b"), ("X-A\r\nX-B", "a"), ("X-A", "a\0"), ("Host", "other")]
)
async def test_a_header_that_could_break_the_request_is_not_sent(
    receiver: Receiver, sender: Sender, header: tuple[str, str]
) -> None:
    with pytest.raises(UnreachableError) as caught:
        await sender.post(receiver.url(), BODY, [header])

    assert (caught.value.code, caught.value.fault) == (Code.CONFIG_INVALID, Fault.CONFIG)
    assert receiver.requests == []


async def test_a_name_keeps_its_host_header_and_is_not_looked_up_twice(
    receiver: Receiver,
) -> None:
    asked: list[str] = []

    def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with opened(lookup=lookup) as sender:
        for _ in range(3):
            await sender.post(receiver.url(host="hooks.example.org"), BODY)

    assert [request.header("host") for request in receiver.requests] == [
        f"hooks.example.org:{receiver.port}"
    ] * 3
    assert asked == ["hooks.example.org"]
    assert receiver.connections == 1


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
async def test_an_ipv6_target_is_reached_by_address_and_by_name() -> None:
    async with (
        Receiver("::1") as receiver,
        opened(lookup=lambda _: ["::1", "127.0.0.1"]) as sender,
    ):
        by_address = await sender.post(receiver.url(), BODY)
        by_name = await sender.post(receiver.url(host="hooks.example.org"), BODY)

        assert [by_address.exchange.address, by_name.exchange.address] == ["::1", "::1"]
        assert receiver.requests[0].header("host") == f"[::1]:{receiver.port}"


async def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.delenv("no_proxy", raising=False)

        async with opened() as sender:
            await sender.post(receiver.url(), BODY)

        assert (len(receiver.requests), proxy.requests) == (1, [])


async def test_a_netrc_file_is_ignored(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    await sender.post(receiver.url(), BODY)

    assert receiver.requests[0].header("authorization") is None


async def test_a_large_body_arrives_whole(receiver: Receiver, sender: Sender) -> None:
    body = os.urandom(3_000_000)

    await sender.post(receiver.url(), body)

    assert receiver.requests[0].body == body
    assert receiver.requests[0].header("expect") is None


# What comes back


async def test_the_first_of_two_waits_counts(receiver: Receiver, sender: Sender) -> None:
    receiver.answer(status=429, headers=[("Retry-After", "5"), ("retry-after", "99999")])

    reply = await sender.post(receiver.url(), BODY)

    assert reply.retry_after == "5"


async def test_an_exchange_tells_the_whole_story(receiver: Receiver) -> None:
    receiver.answer(
        status=202, headers=[("X-A", "1"), ("Retry-After", "7")], body=b"thanks", wait=0.02
    )

    async with opened() as sender:
        reply = await sender.post(receiver.url(host="hooks.example.org"), BODY, [("X-B", "2")])

    exchange = reply.exchange
    assert (reply.status, reply.retry_after) == (202, "7")
    assert exchange.address == "127.0.0.1"
    assert exchange.request_headers == (("X-B", "2"), ("Content-Type", "application/json"))
    assert exchange.response_headers == (
        ("X-A", "1"),
        ("Retry-After", "7"),
        ("Content-Length", "6"),
    )
    assert (exchange.response_body, exchange.response_truncated) == (b"thanks", False)
    assert list(exchange.phases) == ["dns", "connect", "first_byte", "total"]
    times = list(exchange.phases.values())
    assert times == sorted(times)
    assert 0.02 <= exchange.phases["first_byte"] <= exchange.phases["total"] < 5


async def test_a_connection_is_kept_and_used_again(receiver: Receiver, sender: Sender) -> None:
    replies = [await sender.post(receiver.url(), BODY) for _ in range(5)]

    assert receiver.connections == 1
    assert ["connect" in reply.exchange.phases for reply in replies] == [True, *[False] * 4]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.quirk("Q13")
async def test_a_redirect_is_an_answer_and_not_followed(
    receiver: Receiver, sender: Sender, status: int
) -> None:
    async with Receiver() as other:
        receiver.answer(status=status, headers=[("Location", other.url("/elsewhere"))])

        reply = await sender.post(receiver.url(), BODY)

        assert (reply.status, len(receiver.requests), other.requests) == (status, 1, [])
        assert ("Location", other.url("/elsewhere")) in reply.exchange.response_headers


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "", "/"])
async def test_a_redirect_to_anywhere_is_not_followed(
    receiver: Receiver, sender: Sender, location: str
) -> None:
    receiver.answer(status=302, headers=[("Location", location)])

    reply = await sender.post(receiver.url(), BODY)

    assert (reply.status, len(receiver.requests)) == (302, 1)


@pytest.mark.parametrize("status", [200, 204, 205, 304, 400, 401, 404, 410, 429, 500, 503, 599])
async def test_any_status_is_an_answer(receiver: Receiver, sender: Sender, status: int) -> None:
    receiver.answer(status=status, headers=[("WWW-Authenticate", "Basic realm=x")])

    reply = await sender.post(receiver.url(), BODY)

    assert (reply.status, len(receiver.requests)) == (status, 1)


@pytest.mark.parametrize(
    ("size", "is_truncated"),
    [(KEPT_BODY - 1, False), (KEPT_BODY, False), (KEPT_BODY + 1, True)],
)
async def test_a_body_is_kept_up_to_the_cap(
    receiver: Receiver, sender: Sender, size: int, *, is_truncated: bool
) -> None:
    receiver.answer(body=b"x" * size)

    reply = await sender.post(receiver.url(), BODY)

    assert len(reply.exchange.response_body) == min(size, KEPT_BODY)
    assert reply.exchange.response_truncated is is_truncated


def endless() -> Iterator[bytes]:
    return itertools.repeat(b"y" * 65536)


def chunked() -> Iterator[bytes]:
    return itertools.repeat(b"10000\r\n" + b"y" * 65536 + b"\r\n")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("Content-Length", str(2 * 1024**3))], endless),
        ([("Transfer-Encoding", "chunked")], chunked),
        ([("X-Ends", "never")], endless),
    ],
)
async def test_an_enormous_body_is_left_unread_and_the_status_wins(
    receiver: Receiver,
    sender: Sender,
    headers: list[tuple[str, str]],
    body: Callable[[], Iterator[bytes]],
) -> None:
    receiver.answer(status=201, headers=headers, body=body)
    await sender.post(receiver.url(), BODY)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    replies = [await sender.post(receiver.url(), BODY) for _ in range(5)]

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert [reply.status for reply in replies] == [201] * 5
    assert {len(reply.exchange.response_body) for reply in replies} == {KEPT_BODY}
    assert {reply.exchange.response_truncated for reply in replies} == {True}
    assert grown < 20 * 1024  # KiB


@pytest.mark.parametrize("header", ["Content-Encoding", "Transfer-Encoding"])
async def test_a_gzip_bomb_does_not_unfold(
    receiver: Receiver, sender: Sender, header: str
) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    receiver.answer(headers=[(header, "gzip"), ("Connection", "close")], body=bomb)

    try:
        size = len((await sender.post(receiver.url(), BODY)).exchange.response_body)
    except UnreachableError as error:
        size = len(error.exchange.response_body)

    assert size <= KEPT_BODY


async def test_an_encoded_body_is_kept_as_it_came(receiver: Receiver, sender: Sender) -> None:
    body = gzip.compress(b"hello")
    receiver.answer(headers=[("Content-Encoding", "gzip")], body=body)

    reply = await sender.post(receiver.url(), BODY)

    assert reply.exchange.response_body == body


async def test_a_body_dripped_for_ever_ends_at_the_deadline_and_the_status_wins(
    receiver: Receiver,
) -> None:
    receiver.answer(status=200, body=b"z" * 10_000, drip="body", pace=0.05)

    async with opened(timeout=0.4) as sender:
        reply = await sender.post(receiver.url(), BODY)

    assert (reply.status, reply.exchange.response_truncated) == (200, True)
    assert 0 < len(reply.exchange.response_body) < 100
    assert 0.4 <= reply.exchange.phases["total"] < 2


async def test_a_204_with_a_body_and_a_200_without_length_are_answers(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answer(raw=b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", times=1)
    receiver.answer(raw=b"HTTP/1.1 200 OK\r\n\r\nhello", cut=24, drop="close", times=1)

    first = await sender.post(receiver.url(), BODY)
    second = await sender.post(receiver.url(), BODY)
    third = await sender.post(receiver.url(), BODY)

    assert [first.status, second.status, third.status] == [204, 200, 200]
    assert second.exchange.response_body == b"hello"
    assert third.exchange.response_headers == (("Content-Length", "0"),)


async def test_stray_bytes_after_an_answer_are_not_the_next_one(
    receiver: Receiver, sender: Sender
) -> None:
    stray = b"HTTP/1.1 299 Stray\r\nContent-Length: 0\r\n\r\n"
    receiver.answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + stray, times=3)

    replies = [await sender.post(receiver.url(), BODY) for _ in range(4)]

    assert [reply.status for reply in replies] == [200] * 4
    assert len(receiver.requests) == 4


async def test_stray_bytes_that_come_late_are_not_the_next_answer(
    receiver: Receiver, sender: Sender
) -> None:
    await sender.post(receiver.url(), BODY)
    receiver.say(b"HTTP/1.1 299 Stray\r\nContent-Length: 0\r\n\r\n")

    reply = await sender.post(receiver.url(), BODY)

    assert (reply.status, receiver.connections) == (200, 2)


async def test_an_idle_connection_that_was_closed_is_replaced(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", cut=38, drop="close")

    replies = [await sender.post(receiver.url(), BODY) for _ in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
    assert (len(receiver.requests), receiver.connections) == (3, 3)


@pytest.mark.parametrize("drop", ["close", "reset"])
async def test_a_request_is_made_once_more_at_most_when_kept_connections_fail(
    receiver: Receiver, sender: Sender, drop: Drop
) -> None:
    receiver.answer(wait=0.05)
    await asyncio.gather(*(sender.post(receiver.url(), BODY) for _ in range(4)))
    receiver.answer(drop=drop)

    error = await failure(sender, receiver.url())
    receiver.answer(status=200)
    reply = await sender.post(receiver.url(), BODY)  # and the way is free again

    assert error.code is Code.CONNECT_RESET
    assert error.detail.endswith(" the connection without an answer.")
    assert reply.status == 200
    assert len(receiver.requests) == 4 + 2 + 1


async def test_a_new_connection_that_ends_without_an_answer_is_one_request(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answer(drop="close")

    error = await failure(sender, receiver.url())

    assert error.code is Code.CONNECT_RESET
    assert len(receiver.requests) == 1


async def test_only_so_many_connections_are_kept(receiver: Receiver) -> None:
    receiver.answer(wait=0.05)

    async with opened(kept_connections=2) as sender:
        for _ in range(2):
            await asyncio.gather(*(sender.post(receiver.url(), BODY) for _ in range(4)))

        assert receiver.connections == 4 + 2


async def test_a_connection_that_nobody_needs_is_closed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(kept, "_SWEEP_SECONDS", 0.05)

    async with opened() as sender:
        await sender.post(receiver.url(), BODY)
        await receiver.wait_for_silence()
        reply = await sender.post(receiver.url(), BODY)

    assert (reply.status, receiver.connections) == (200, 2)


async def test_an_old_connection_is_replaced(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_LONGEST_LIFE_SECONDS", 0.0)

    async with opened() as sender:
        replies = [await sender.post(receiver.url(), BODY) for _ in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
    assert receiver.connections == 3


async def test_an_answer_before_the_request_was_read_counts_and_its_connection_does_not() -> (
    None
):
    handlers = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        async with opened() as sender:
            replies = [await sender.post(url, b"x" * 20_000_000) for _ in range(2)]
        await asyncio.gather(*handlers)

    assert [reply.status for reply in replies] == [413, 413]
    assert len(handlers) == 2


# What goes wrong


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"garbage\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/0.9 hello\r\n", Code.PROTOCOL_ERROR),
        (b"<html>no status line</html>", Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 abc OK\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 20 OK\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/7.0 200 OK\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 10_000 + b"\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\n", Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 103 Early\r\n\r\n" * 1000, Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, Code.PROTOCOL_ERROR),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", Code.PROTOCOL_ERROR),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            Code.PROTOCOL_ERROR,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            Code.PROTOCOL_ERROR,
        ),
        (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", Code.CONNECT_RESET),
        (b"HTTP/1.1 200 OK\r\nX-A", Code.CONNECT_RESET),
        (b"HTTP/1", Code.CONNECT_RESET),
    ],
)
async def test_an_answer_that_is_no_http_has_its_code(
    receiver: Receiver, sender: Sender, raw: bytes, code: Code
) -> None:
    receiver.answer(raw=raw, cut=len(raw), drop="close")

    error = await failure(sender, receiver.url())

    assert (error.code, error.fault) == (code, Fault.TARGET)
    assert error.detail.endswith(".")


async def test_headers_that_are_not_ascii_do_no_harm(
    receiver: Receiver, sender: Sender
) -> None:
    receiver.answer(
        raw=b"HTTP/1.1 200 OK\r\nX-A: \xff\xfe\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n"
    )

    reply = await sender.post(receiver.url(), BODY)

    assert ("X-A", "\xff\xfe") in reply.exchange.response_headers


async def test_interim_answers_are_not_the_answer(receiver: Receiver, sender: Sender) -> None:
    receiver.answer(
        raw=b"HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"
    )

    reply = await sender.post(receiver.url(), BODY)

    assert reply.status == 200
    assert reply.exchange.response_headers == (("X-A", "1"), ("Content-Length", "0"))


async def test_a_refused_connection_has_its_code(sender: Sender) -> None:
    async with Receiver() as gone:
        url = gone.url()

    error = await failure(sender, url)

    assert (error.code, error.fault) == (Code.CONNECT_REFUSED, Fault.TARGET)
    assert error.detail == f"127.0.0.1 refused the connection to port {gone.port}."


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(drop="reset"), None),
        (Answer(drop="close"), None),
        (Answer(body=b"hello", cut=10, drop="reset"), None),
        (Answer(body=b"hello" * 100, cut=100, drop="reset"), 200),
        (Answer(body=b"hello" * 100, cut=100, drop="close"), 200),
    ],
)
async def test_a_broken_connection_is_told_at_each_point(
    receiver: Receiver, sender: Sender, answer: Answer, status: int | None
) -> None:
    receiver.answer_by(lambda _: answer)

    error = await failure(sender, receiver.url())

    assert (error.code, error.fault) == (Code.CONNECT_RESET, Fault.TARGET)
    assert (error.exchange.status, error.exchange.address) == (status, "127.0.0.1")
    assert len(receiver.requests) == 1


async def test_a_connection_reset_at_once_has_its_code(sender: Sender) -> None:
    async with Receiver(at_accept="reset") as receiver:
        error = await failure(sender, receiver.url())

    assert (error.code, error.fault) == (Code.CONNECT_RESET, Fault.TARGET)


async def test_a_target_that_never_answers_ends_at_the_deadline(receiver: Receiver) -> None:
    receiver.answer(drop="stall")

    async with opened(timeout=0.2) as sender:
        error = await failure(sender, receiver.url())

    assert error.code == Code.FIRST_BYTE_TIMEOUT
    assert error.detail == "127.0.0.1 did not answer within 0.2 s."
    assert 0.2 <= error.exchange.phases["total"] < 2


@pytest.mark.parametrize(
    ("pace", "code"), [(0.05, Code.FIRST_BYTE_TIMEOUT), (0.002, Code.TOTAL_TIMEOUT)]
)
async def test_a_dripped_head_ends_at_the_deadline(
    receiver: Receiver, pace: float, code: Code
) -> None:
    receiver.answer(headers=[("X-Long", "x" * 1000)], drip="head", pace=pace)

    async with opened(timeout=0.5) as sender:
        error = await failure(sender, receiver.url())

    assert (error.code, error.exchange.status is None) == (code, pace > 0.01)
    assert 0.5 <= error.exchange.phases["total"] < 2


async def test_a_target_that_never_reads_ends_at_the_deadline() -> None:
    async with Receiver(at_accept="stall") as receiver, opened(timeout=0.5) as sender:
        with pytest.raises(UnreachableError) as caught:
            await sender.post(receiver.url(), b"x" * 20_000_000)

    assert caught.value.code == Code.WRITE_TIMEOUT


async def test_a_target_that_takes_no_connection_ends_in_time(tmp_path: Path) -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.settimeout(0)
        filler.connect_ex(full.getsockname())

    async with opened(connect_timeout=0.3) as sender:
        error = await failure(sender, f"http://127.0.0.1:{full.getsockname()[1]}/")
    for each in (full, *fillers):
        each.close()

    assert error.code == Code.CONNECT_TIMEOUT


async def test_the_next_address_is_tried_beside_one_that_hangs(receiver: Receiver) -> None:
    full = socket.socket()
    full.bind(("127.0.0.2", receiver.port))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.settimeout(0)
        filler.connect_ex(full.getsockname())

    async with opened(lookup=lambda _: ["127.0.0.2", "127.0.0.1"]) as sender:
        reply = await sender.post(receiver.url(host="hooks.example.org"), BODY)
    for each in (full, *fillers):
        each.close()

    assert reply.exchange.address == "127.0.0.1"
    assert 0.2 <= reply.exchange.phases["connect"] < 1


async def test_the_next_address_is_tried_at_once_after_one_that_refuses(
    receiver: Receiver,
) -> None:
    async with opened(lookup=lambda _: ["127.0.0.2", "127.0.0.3", "127.0.0.1"]) as sender:
        reply = await sender.post(receiver.url(host="hooks.example.org"), BODY)

    assert reply.exchange.address == "127.0.0.1"
    assert reply.exchange.phases["connect"] < 0.2


async def test_a_name_that_does_not_exist_has_its_code() -> None:
    def lookup(host: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, host)

    async with opened(lookup=lookup) as sender:
        error = await failure(sender, "http://hooks.example.org/")
        at_save = await sender.address_error("http://hooks.example.org/")

    assert (error.code, at_save) == (Code.DNS_NXDOMAIN, None)
    assert error.detail == "The name hooks.example.org does not exist."


# TLS


async def test_a_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    made = certificate(tmp_path)

    async with (
        Receiver(tls=made.context) as receiver,
        opened(ca_file=made.ca_file) as sender,
    ):
        replies = [
            await sender.post(receiver.url(host="localhost"), BODY),
            await sender.post(receiver.url(), BODY),
            await sender.post(receiver.url(), BODY),
        ]

        assert [reply.status for reply in replies] == [200] * 3
        assert list(replies[0].exchange.phases) == [
            "dns", "connect", "tls", "first_byte", "total",
        ]  # fmt: skip
        assert receiver.connections == 2


@pytest.mark.parametrize(
    ("names", "valid", "host", "reason"),
    [
        (["other.example"], 1, "hooks.example.org", "subject name"),
        (["hooks.example.org"], -1, "hooks.example.org", "expired"),
        (["localhost"], 1, "127.0.0.1", "127.0.0.1"),
    ],
)
async def test_a_wrong_certificate_is_refused_with_its_reason(
    tmp_path: Path, names: list[str], valid: int, host: str, reason: str
) -> None:
    made = certificate(tmp_path, names, valid=timedelta(days=valid))

    async with (
        Receiver(tls=made.context) as receiver,
        opened(ca_file=made.ca_file) as sender,
    ):
        error = await failure(sender, receiver.url(host=host))

        assert (error.code, error.fault) == (Code.TLS_VERIFY, Fault.TARGET)
        assert reason in error.detail
        assert receiver.requests == []


async def test_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    made = certificate(tmp_path)

    async with Receiver(tls=made.context) as receiver, opened() as sender:
        error = await failure(sender, receiver.url())

        assert error.code == Code.TLS_VERIFY
        assert receiver.requests == []


async def test_a_file_of_authorities_that_is_none_is_our_own_fault(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")

    async with Receiver(tls=made.context) as receiver, opened(ca_file=nonsense) as sender:
        error = await failure(sender, receiver.url())

    assert (error.code, error.fault) == (Code.INTERNAL_ERROR, Fault.OURS)
    assert receiver.connections == 0


async def test_an_authority_below_the_root_can_be_trusted_alone(tmp_path: Path) -> None:
    made = certificate(tmp_path, issued=True)

    async with (
        Receiver(tls=made.context) as receiver,
        opened(ca_file=made.ca_file) as sender,
    ):
        reply = await sender.post(receiver.url(host="localhost"), BODY)

    assert reply.status == 200


async def test_an_old_tls_version_is_refused(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
        made.context.minimum_version = ssl.TLSVersion.TLSv1
        made.context.maximum_version = ssl.TLSVersion.TLSv1_1
    made.context.set_ciphers("ALL:@SECLEVEL=0")

    async with (
        Receiver(tls=made.context) as receiver,
        opened(ca_file=made.ca_file) as sender,
    ):
        error = await failure(sender, receiver.url())

    assert error.code == Code.TLS_HANDSHAKE


async def test_a_cipher_that_hides_nothing_is_refused(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    made.context.maximum_version = ssl.TLSVersion.TLSv1_2
    made.context.set_ciphers("NULL:@SECLEVEL=0")

    async with (
        Receiver(tls=made.context) as receiver,
        opened(ca_file=made.ca_file) as sender,
    ):
        error = await failure(sender, receiver.url())

    assert error.code == Code.TLS_HANDSHAKE


async def test_a_target_that_does_not_speak_tls_has_its_code(
    receiver: Receiver, sender: Sender
) -> None:
    error = await failure(sender, receiver.url().replace("http:", "https:"))

    assert error.code == Code.TLS_HANDSHAKE
    assert receiver.requests == []


@pytest.mark.parametrize("at_accept", ["stall", "reset", "close"])
async def test_a_tls_handshake_that_does_not_end_has_its_code(at_accept: Drop) -> None:
    async with (
        Receiver(at_accept=at_accept) as receiver,
        opened(timeout=0.5, connect_timeout=0.3) as sender,
    ):
        error = await failure(sender, receiver.url().replace("http:", "https:"))

    assert error.code == Code.TLS_HANDSHAKE


# The guard


@pytest.mark.parametrize("url", hostile.URLS)
async def test_nothing_internal_is_connected_to(url: str) -> None:
    recorder = Recorder()
    async with opened("", lookup=lambda _: ["127.0.0.1"], opener=recorder) as sender:
        error = await failure(sender, url)
        at_save = await sender.address_error(url)

    assert error.code in {Code.BLOCKED_ADDRESS, Code.BLOCKED_PORT, Code.CONFIG_INVALID}
    assert at_save == error.detail
    assert recorder.peers == []


async def test_a_public_address_reaches_the_last_step() -> None:
    recorder = Recorder()
    answers = {"hooks.example.org": ["8.8.8.8"], "six.example.org": ["2606:4700::1111"]}
    async with opened("", lookup=lambda host: answers[host], opener=recorder) as sender:
        errors = [
            await failure(sender, "http://hooks.example.org/"),
            await failure(sender, "https://six.example.org:8443/"),
            await failure(sender, "http://1.1.1.1/"),
        ]

    assert recorder.peers == [("8.8.8.8", 80), ("2606:4700::1111", 8443), ("1.1.1.1", 80)]
    assert {error.code for error in errors} == {Code.CONNECT_FAILED}


@pytest.mark.parametrize(
    "answer",
    [
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "::1"],
        ["8.8.8.8", "fe80::1%eth0"],
        [*(f"8.8.{high}.{low}" for high in range(2) for low in range(250)), "192.168.0.1"],
    ],
)
async def test_one_forbidden_address_among_many_refuses_all(answer: list[str]) -> None:
    recorder = Recorder()
    async with opened("", lookup=lambda _: answer, opener=recorder) as sender:
        error = await failure(sender, "http://hooks.example.org/")

    assert (error.code, recorder.peers) == (Code.BLOCKED_ADDRESS, [])


async def test_an_answer_of_500_addresses_is_bounded() -> None:
    recorder = Recorder()
    answer = [f"8.8.{high}.{low}" for high in range(2) for low in range(250)]
    async with opened("", lookup=lambda _: answer, opener=recorder) as sender:
        await failure(sender, "http://hooks.example.org/")

    assert recorder.peers == [(text, 80) for text in answer[:8]]


async def test_a_name_that_turns_private_is_refused_at_the_next_try(
    receiver: Receiver,
) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]])
    url = receiver.url(host="hooks.example.org")

    async with opened(lookup=lambda _: next(answers), keep=0.0) as sender:
        first = await sender.post(url, BODY)
        second = await sender.post(url, BODY)
        third = await failure(sender, url)
        fourth = await sender.post(url, BODY)

    assert (first.status, second.status, fourth.status) == (200, 200, 200)
    assert third.code == Code.BLOCKED_ADDRESS
    assert len(receiver.requests) == 3


class Turning(EgressPolicy):
    """Allows an address when it is asked for the first time, and never again."""

    def refusal(self, host: str, port: int, address: Address) -> Refusal | None:
        if (host, port, address) in SEEN:
            return Refusal(Code.BLOCKED_ADDRESS, "It has turned.")
        SEEN.add((host, port, address))
        return None


SEEN: set[tuple[str, int, Address]] = set()


async def test_the_guard_at_the_socket_has_the_last_word() -> None:
    SEEN.clear()
    recorder = Recorder()
    async with opened(policy=Turning(), opener=recorder) as sender:
        error = await failure(sender, "http://hooks.example.org/")

    assert (error.code, error.detail, recorder.peers) == (
        Code.BLOCKED_ADDRESS,
        "It has turned.",
        [],
    )


async def test_a_connection_goes_to_the_address_that_was_judged(receiver: Receiver) -> None:
    async with (
        Receiver("127.0.0.2", port=receiver.port) as other,
        opened(lookup=lambda _: ["127.0.0.2"]) as sender,
    ):
        # The system's own hosts file says 127.0.0.1 for this name.
        await sender.post(receiver.url(host="localhost"), BODY)

        assert (len(receiver.requests), len(other.requests)) == (0, 1)


@pytest.mark.parametrize("metadata", sorted(map(str, METADATA)))
async def test_metadata_is_refused_though_private_is_allowed(metadata: str) -> None:
    recorder = Recorder()
    async with opened(
        "private,loopback", lookup=lambda _: [metadata], opener=recorder
    ) as sender:
        error = await failure(sender, "http://hooks.example.org/")

    assert (error.code, recorder.peers) == (Code.BLOCKED_ADDRESS, [])


async def test_an_allowed_name_opens_its_private_address(receiver: Receiver) -> None:
    async with opened("hooks.internal") as sender:
        allowed = await sender.post(receiver.url(host="hooks.internal"), BODY)
        refused = await failure(sender, receiver.url(host="evilhooks.internal"))
        at_save = await sender.address_error(receiver.url(host="hooks.internal"))

    assert (allowed.status, refused.code, at_save) == (200, Code.BLOCKED_ADDRESS, None)


async def test_our_own_port_is_refused(receiver: Receiver) -> None:
    policy = EgressPolicy.of("loopback", own=[("127.0.0.1", receiver.port)])

    async with opened(policy=policy) as sender:
        error = await failure(sender, receiver.url())

    assert (error.code, receiver.requests) == (Code.BLOCKED_ADDRESS, [])


async def test_the_refusal_of_a_private_name_does_not_tell_its_address() -> None:
    async with opened("", lookup=lambda _: ["10.20.30.40"]) as sender:
        error = await failure(sender, "http://hooks.internal/")

    assert "10.20.30.40" not in repr((error.detail, error.exchange))


# Many at once, and the end


async def test_no_more_requests_than_allowed_are_on_their_way(receiver: Receiver) -> None:
    go = asyncio.Event()
    receiver.answer(wait=go)

    async with opened(max_inflight=3) as sender:
        waiting = [asyncio.create_task(sender.post(receiver.url(), BODY)) for _ in range(7)]
        await receiver.wait_for(3)
        begun = len(receiver.requests)
        go.set()
        replies = await asyncio.gather(*waiting)

    assert (begun, [reply.status for reply in replies]) == (3, [200] * 7)
    assert receiver.connections == 3


async def test_many_requests_to_many_targets_each_get_their_own_answer() -> None:
    async with contextlib.AsyncExitStack() as stack:
        receivers = [
            await stack.enter_async_context(Receiver(f"127.0.0.{1 + number % 3}"))
            for number in range(6)
        ]
        for number, receiver in enumerate(receivers):
            receiver.answer(status=210 + number, body=str(number).encode() * number)
        sender = await stack.enter_async_context(opened(max_inflight=20))

        replies = await asyncio.gather(
            *(
                sender.post(receivers[count % 6].url(), str(count).encode())
                for count in range(600)
            )
        )

    assert [reply.status for reply in replies] == [210 + count % 6 for count in range(600)]
    assert [reply.exchange.response_body for reply in replies] == [
        str(count % 6).encode() * (count % 6) for count in range(600)
    ]
    sent = [int(request.body) for receiver in receivers for request in receiver.requests]
    assert sorted(sent) == list(range(600))


async def test_a_cancelled_request_ends_and_leaves_the_rest_alone(receiver: Receiver) -> None:
    receiver.answer(drop="stall", times=1)

    async with opened(max_inflight=1) as sender:
        first = asyncio.create_task(sender.post(receiver.url(), BODY))
        await receiver.wait_for(1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        reply = await sender.post(receiver.url(), BODY)

    assert (reply.status, len(receiver.requests)) == (200, 2)


async def test_a_request_that_is_cancelled_before_its_turn_takes_none(
    receiver: Receiver,
) -> None:
    receiver.answer(drop="stall", times=1)

    async with opened(max_inflight=1) as sender:
        first = asyncio.create_task(sender.post(receiver.url(), BODY))
        await receiver.wait_for(1)
        second, third = (asyncio.create_task(sender.post(receiver.url(), BODY)) for _ in "ab")
        await asyncio.sleep(0)
        second.cancel()
        first.cancel()
        reply = await third
        await asyncio.gather(first, second, return_exceptions=True)

    assert (first.cancelled(), second.cancelled(), reply.status) == (True, True, 200)
    assert len(receiver.requests) == 2


async def test_a_request_that_is_cancelled_as_its_turn_comes_gives_it_on(
    receiver: Receiver,
) -> None:
    async with opened(max_inflight=1) as sender:
        first, second, third = (
            asyncio.create_task(sender.post(receiver.url(), BODY)) for _ in "abc"
        )
        first.add_done_callback(lambda _: second.cancel())
        replies = await asyncio.gather(first, second, third, return_exceptions=True)

    assert [type(reply) for reply in replies] == [Reply, asyncio.CancelledError, Reply]


async def test_a_request_that_is_cancelled_while_it_connects_leaves_no_socket() -> None:
    async with Receiver(at_accept="stall") as receiver, opened() as sender:
        before = count_descriptors()
        task = asyncio.create_task(sender.post(receiver.url().replace("http:", "https:"), BODY))
        while not receiver.connections:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(5):
            while count_descriptors() > before + 1:  # the receiver's own end
                await asyncio.sleep(0.01)

    assert task.cancelled()


async def test_a_hanging_target_does_not_delay_another(receiver: Receiver) -> None:
    async with Receiver() as hanging, opened(timeout=3.0) as sender:
        hanging.answer(drop="stall")
        stuck = [asyncio.create_task(sender.post(hanging.url(), BODY)) for _ in range(100)]
        await hanging.wait_for(100)

        reply = await sender.post(receiver.url(), BODY)

        assert reply.exchange.phases["total"] < 1
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_closing_waits_for_requests_on_their_way_and_takes_no_more(
    receiver: Receiver,
) -> None:
    go = asyncio.Event()
    receiver.answer(wait=go)
    async with opened() as sender:
        on_its_way = asyncio.create_task(sender.post(receiver.url(), BODY))
        await receiver.wait_for(1)

        closing = asyncio.create_task(sender.close())
        await asyncio.sleep(0)
        late = await failure(sender, receiver.url())
        go.set()
        await closing
        await sender.close()

    assert (await on_its_way).status == 200
    assert (late.code, late.fault) == (Code.INTERRUPTED, Fault.OURS)


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_descriptors_are_all_given_back(receiver: Receiver) -> None:
    async def use() -> None:
        async with opened(max_inflight=10) as sender:
            await asyncio.gather(*(sender.post(receiver.url(), BODY) for _ in range(30)))
            async with Receiver(at_accept="reset") as resetting:
                await failure(sender, resetting.url())

    async def descriptors() -> int:
        await receiver.wait_for_silence()
        return count_descriptors()

    await use()
    before = await descriptors()

    await use()

    assert await descriptors() == before

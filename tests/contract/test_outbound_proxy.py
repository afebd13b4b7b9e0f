"""Going out through the operator's proxy: what it is asked, what stays guarded, and how it may fail."""

import base64
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dockbell import bootstrap
from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net.fetching import Fetcher
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.proxies import Proxy
from dockbell.net.resolver import Resolver
from dockbell.settings import Settings
from tests.proxy import ProxyServer
from tests.receiver import Receiver, certificate

BODY = b"{}"
# The proxy's address is none that the policy allows: the setting does.
TARGET, PROXY = "127.0.0.1", "127.0.0.2"


@asynccontextmanager
async def opened(
    url: str,
    *,
    lookup: Callable[[str], Sequence[str]] = lambda _: [TARGET],
    allow: str = TARGET,
    ca_file: Path | None = None,
) -> AsyncIterator[Sender]:
    resolver = Resolver(lookup=lookup)
    sender = Sender(
        EgressPolicy.of(allow),
        resolver,
        timeout=5.0,
        connect_timeout=1.0,
        ca_file=None if ca_file is None else str(ca_file),
        proxy=Proxy.of(url),
    )
    sender.start()
    try:
        yield sender
    finally:
        await sender.close()
        await resolver.close()


@pytest.fixture
async def proxy() -> AsyncIterator[ProxyServer]:
    async with ProxyServer(PROXY) as started:
        yield started


async def failure(sender: Sender, url: str) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        await sender.post(url, BODY)
    return caught.value


async def test_a_tunnel_leads_to_the_address_that_was_judged(
    proxy: ProxyServer, tmp_path: Path
) -> None:
    made = certificate(tmp_path, ["hooks.example.org"])
    async with (
        Receiver(tls=made.context) as receiver,
        opened(proxy.url(), ca_file=made.ca_file) as sender,
    ):
        url = receiver.url(host="hooks.example.org")
        replies = [await sender.post(url, BODY) for _ in range(2)]

        assert [reply.status for reply in replies] == [200, 200]
        assert [reply.exchange.address for reply in replies] == [TARGET, TARGET]
        # One tunnel serves both: it asks for the address and not for the name.
        place = f"{TARGET}:{receiver.port}"
        assert proxy.asked == [[f"CONNECT {place} HTTP/1.1", f"Host: {place}"]]
        assert receiver.requests[0].header("host") == f"hooks.example.org:{receiver.port}"


async def test_a_proxy_of_ones_own_is_reached_through_that_of_the_server(
    proxy: ProxyServer,
) -> None:
    async with Receiver() as receiver, ProxyServer("127.0.0.3") as own:
        fetcher = Fetcher(
            EgressPolicy.of("loopback"), Resolver(), proxy=Proxy.of(proxy.url("server:a@"))
        )
        way = Proxy.of(own.url("own:b@"), said="The proxy of the mirror")
        async with fetcher.open("GET", receiver.url(), way=lambda _: way) as answer:
            status = answer.status
        await fetcher.close()

    heads = [server.asked[0][0] for server in (proxy, own)]
    credentials = [server.asked[0][2] for server in (proxy, own)]
    assert (status, heads) == (
        200,
        [
            f"CONNECT 127.0.0.3:{own.port} HTTP/1.1",
            f"CONNECT {TARGET}:{receiver.port} HTTP/1.1",
        ],
    )
    assert credentials == [
        f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}"
        for pair in (b"server:a", b"own:b")
    ]


async def test_credentials_are_for_the_proxy_alone(proxy: ProxyServer) -> None:
    async with Receiver() as receiver, opened(proxy.url("bell:s%40cret@")) as sender:
        reply = await sender.post(receiver.url(), BODY)

    token = base64.b64encode(b"bell:s@cret").decode()
    assert proxy.asked[0][2:] == [f"Proxy-Authorization: Basic {token}"]
    assert receiver.requests[0].header("proxy-authorization") is None
    assert token not in str(reply.exchange)
    assert "cret" not in repr(Proxy.of("http://bell:s%40cret@proxy.test:3128"))


@pytest.mark.parametrize("answers", [["10.0.0.1"], [TARGET, "10.0.0.1"], ["169.254.169.254"]])
async def test_a_forbidden_target_never_reaches_the_proxy(
    proxy: ProxyServer, answers: list[str]
) -> None:
    async with opened(proxy.url(), lookup=lambda _: answers) as sender:
        error = await failure(sender, "https://hooks.example.org/")

    assert (error.code, proxy.asked) == (Code.BLOCKED_ADDRESS, [])


@pytest.mark.parametrize(
    ("answer", "code", "fault", "detail"),
    [
        (b"HTTP/1.1 407 Who?\r\n\r\n", Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server wants other credentials (407)."),
        (b"HTTP/1.1 403 No\r\n\r\n", Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server does not allow 127.0.0.1 port 9999 (403)."),
        (b"HTTP/1.1 502 No\r\n\r\n", Code.CONNECT_FAILED, Fault.TARGET, "The proxy found no way to 127.0.0.1 port 9999 (502)."),
        (b"HTTP/1.0 500\r\n\r\n", Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server made no tunnel (500)."),
        (b"SSH-2.0-x\r\n\r\n", Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server made no tunnel (0)."),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server broke the connection."),
        (b"x" * 20_000, Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server broke the connection."),
        (b"", Code.PROXY_ERROR, Fault.PROXY, "The proxy of this server opened no way to 127.0.0.1 in time."),
    ],
)  # fmt: skip
async def test_what_the_proxy_does_wrong_is_not_the_targets_fault(
    proxy: ProxyServer, answer: bytes, code: Code, fault: Fault, detail: str
) -> None:
    proxy.answer = answer
    async with opened(proxy.url()) as sender:
        error = await failure(sender, "http://127.0.0.1:9999/")

    assert (error.code, error.fault, error.detail) == (code, fault, detail)


async def test_a_proxy_that_is_not_there_is_nobodys_fault_but_its_own() -> None:
    with socket.create_server((PROXY, 0)) as listener:
        port = listener.getsockname()[1]
    async with opened(f"http://{PROXY}:{port}") as sender:
        error = await failure(sender, "http://127.0.0.1:9999/")

    assert (error.code, error.fault) == (Code.PROXY_ERROR, Fault.PROXY)
    assert error.detail == "The proxy of this server cannot be reached."


async def test_the_setting_is_what_the_server_sends_through(
    proxy: ProxyServer, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path, egress_allow=(TARGET,), egress_proxy=proxy.url())
    application = bootstrap.build(settings)
    application.sender.start()
    async with Receiver() as receiver:
        reply = await application.sender.post(receiver.url(), BODY)
        await application.close()

    assert (reply.status, len(proxy.asked)) == (200, 1)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_not_used(
    proxy: ProxyServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy.url())
    sender = Sender(EgressPolicy.of(TARGET), Resolver())
    sender.start()
    async with Receiver() as receiver:
        reply = await sender.post(receiver.url(), BODY)
        await sender.close()

    assert (reply.status, proxy.asked) == (200, [])


@pytest.mark.parametrize(
    "url", ["proxy.test:3128", "https://proxy.test", "http://proxy.test/path", "socks5://x", ""]
)
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Proxy.of(url)

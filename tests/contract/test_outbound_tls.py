"""A notification's own authorities and client certificate, over real TLS on loopback."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.domain.tls import Tls
from tests.contract.test_outbound import BODY, opened
from tests.receiver import Certificate, Receiver, certificate


@pytest.fixture
def server(tmp_path: Path) -> Certificate:
    (tmp_path / "server").mkdir()
    return certificate(tmp_path / "server")


@pytest.fixture
def client(tmp_path: Path) -> Certificate:
    (tmp_path / "client").mkdir()
    return certificate(tmp_path / "client")


def asking(server: Certificate, client: Certificate, version: ssl.TLSVersion) -> ssl.SSLContext:
    """The server's side, which wants to see this client certificate."""
    context = server.context
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client.ca_file)
    context.maximum_version = version
    return context


def shown_by(client: Certificate, *, ca: Certificate) -> Tls:
    return Tls(ca.pem, client.pem, client.key)


async def test_authorities_of_a_notification_hold_for_its_requests_alone(
    server: Certificate,
) -> None:
    async with Receiver(tls=server.context) as receiver, opened() as sender:
        with pytest.raises(UnreachableError) as before:
            await sender.post(receiver.url(), BODY)
        reply = await sender.post(receiver.url(), BODY, tls=Tls(ca=server.pem))
        with pytest.raises(UnreachableError) as after:
            await sender.post(receiver.url(), BODY)

        assert reply.status == 200
        assert [(one.value.code, one.value.fault) for one in (before, after)] == [
            (Code.TLS_VERIFY, Fault.TARGET)
        ] * 2
        assert len(receiver.requests) == 1


async def test_authorities_of_a_notification_stand_in_place_of_all_others(
    server: Certificate, client: Certificate
) -> None:
    async with (
        Receiver(tls=server.context) as receiver,
        opened(ca_file=server.ca_file) as sender,
    ):
        with pytest.raises(UnreachableError) as caught:
            await sender.post(receiver.url(), BODY, tls=Tls(ca=client.pem))

        # It says nothing against the host, to which others send.
        assert (caught.value.code, caught.value.fault) == (Code.TLS_VERIFY, Fault.CONFIG)
        assert receiver.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_to_who_asks(
    server: Certificate, client: Certificate, version: ssl.TLSVersion
) -> None:
    context = asking(server, client, version)
    async with Receiver(tls=context) as receiver, opened() as sender:
        replies = [
            await sender.post(receiver.url(), BODY, tls=shown_by(client, ca=server))
            for _ in range(2)
        ]

        assert [reply.status for reply in replies] == [200, 200]
        assert receiver.connections == 1


async def test_a_connection_that_showed_a_certificate_serves_nobody_else(
    server: Certificate, client: Certificate
) -> None:
    context = asking(server, client, ssl.TLSVersion.TLSv1_3)
    async with Receiver(tls=context) as receiver, opened(ca_file=server.ca_file) as sender:
        await sender.post(receiver.url(), BODY, tls=shown_by(client, ca=server))
        with pytest.raises(UnreachableError):
            await sender.post(receiver.url(), BODY)

        assert len(receiver.requests) == 1


@contextlib.contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[str]:
    """The address of a server that takes one connection, says in TLS why it wants no more of it, and hears it out.

    The event loop's own TLS drops the connection before it has said so.
    """

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            _refuse(connection, context)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def _refuse(connection: socket.socket, context: ssl.SSLContext) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_side=True)
    is_under_way = True
    while is_under_way:
        incoming.write(connection.recv(65536))
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            is_under_way = False
        connection.sendall(outgoing.read())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_the_target_does_not_know_has_its_code(
    server: Certificate, client: Certificate, version: ssl.TLSVersion
) -> None:
    with refusing(asking(server, client, version)) as url:
        async with opened() as sender:
            with pytest.raises(UnreachableError) as caught:
                await sender.post(url, BODY, tls=shown_by(server, ca=server))

    assert (caught.value.code, caught.value.fault) == (
        Code.TLS_CLIENT_CERTIFICATE,
        Fault.CONFIG,
    )


async def test_a_target_that_wants_a_certificate_where_there_is_none_has_its_code(
    server: Certificate, client: Certificate
) -> None:
    with refusing(asking(server, client, ssl.TLSVersion.TLSv1_3)) as url:
        async with opened(ca_file=server.ca_file) as sender:
            with pytest.raises(UnreachableError) as caught:
                await sender.post(url, BODY)

    assert (caught.value.code, caught.value.fault) == (
        Code.TLS_CLIENT_CERTIFICATE,
        Fault.CONFIG,
    )

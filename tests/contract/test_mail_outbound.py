"""The way out for mail, with a real mail server on loopback: what arrives, what each answer means, what is refused."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dockbell.domain import mail_outcomes
from dockbell.domain.letters import Letter
from dockbell.domain.mailboxes import Sender
from dockbell.domain.methods import MailPhase, MailReply, UnreachableError
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected
from dockbell.net.connections import OpenSocket, Peer, open_socket
from dockbell.net.mail import Mailer, Relay, Security
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from tests.factories import NOON
from tests.mail_server import MailServer
from tests.receiver import certificate

ACCOUNTS = {"bell": "correct horse"}
LETTER = Letter(
    to="ops@example.com",
    subject="Repository acme/web updated",
    text="alice pushed latest\n.\nin acme/web\n",
    html="<p>alice pushed <b>latest</b></p>",
    message_id="dlv_1@dockbell.test",
    date=NOON,
    unsubscribe="https://dockbell.test/unsubscribe?id=aem_1&code=c0de",
)


def mailer_of(
    server: MailServer,
    *,
    security: Security = Security.NONE,
    host: str | None = None,
    policy: EgressPolicy | None = None,
    timeout: float = 5.0,
    lookup: Callable[[str], Sequence[str]] = lambda _: ["127.0.0.1"],
    opener: OpenSocket = open_socket,
    **more: Any,
) -> Mailer:
    named = host if host is not None else server.host
    relay = Relay(
        named,
        server.port,
        Sender("bell@dockbell.test", "dockbell"),
        security=security,
        own_name="dockbell.test",
        **more,
    )
    return Mailer(
        relay,
        policy if policy is not None else EgressPolicy.of(named),
        Resolver(lookup=lookup),
        timeout=timeout,
        open_socket=opener,
    )


async def outcome_of(mailer: Mailer, letter: Letter = LETTER) -> Outcome | UnreachableError:
    try:
        return mail_outcomes.outcome_of(await mailer.send(letter))
    except UnreachableError as error:
        return error


def seen(result: Outcome | UnreachableError) -> tuple[type, Code, Fault | None, int | None]:
    fault = None if isinstance(result, Delivered) else result.fault
    return type(result), result.code, fault, result.exchange.status


async def test_a_mail_arrives_with_both_bodies_and_its_headers() -> None:
    async with MailServer() as server:
        reply = await mailer_of(server).send(LETTER)

    [mail] = server.mails
    assert (mail.sender, mail.recipients) == ("bell@dockbell.test", ("ops@example.com",))
    assert dict(mail.message.items()) | {"Content-Type": ""} == {
        "List-Unsubscribe": "<https://dockbell.test/unsubscribe?id=aem_1&code=c0de>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "From": "dockbell <bell@dockbell.test>",
        "To": "ops@example.com",
        "Subject": "Repository acme/web updated",
        "Date": "Sat, 14 Mar 2026 12:00:00 +0000",
        "Message-ID": "<dlv_1@dockbell.test>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": "",
    }
    assert mail.message.get_content_type() == "multipart/alternative"
    assert mail.part("plain").replace("\r\n", "\n") == LETTER.text
    assert mail.part("html").strip() == LETTER.html
    assert (reply.phase, reply.status, reply.is_accepted) == (MailPhase.BODY, 250, True)
    assert (reply.exchange.address, reply.exchange.response_body) == (
        "127.0.0.1",
        b"2.0.0 Ok: queued",
    )
    assert server.commands == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_the_phases_are_in_order_of_time(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    async with MailServer(tls=tls.context, accounts=ACCOUNTS) as server:
        mailer = mailer_of(
            server,
            host="localhost",
            security=Security.STARTTLS,
            ca_file=str(tls.ca_file),
            username="bell",
            password="correct horse",
        )
        reply = await mailer.send(LETTER)

    phases = reply.exchange.phases
    assert list(phases) == ["dns", "connect", "first_byte", "tls", "login", "total"]
    assert list(phases.values()) == sorted(phases.values())


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN"])
async def test_the_way_is_encrypted_and_the_login_is_made_inside(
    tmp_path: Path, security: Security, mechanisms: str
) -> None:
    tls = certificate(tmp_path)
    async with MailServer(
        tls=tls.context,
        is_implicit=security is Security.TLS,
        accounts=ACCOUNTS,
        mechanisms=mechanisms,
    ) as server:
        mailer = mailer_of(
            server,
            security=security,
            ca_file=str(tls.ca_file),
            username="bell",
            password="correct horse",
        )
        await mailer.send(LETTER)

    assert [(mail.is_encrypted, mail.login) for mail in server.mails] == [(True, "bell")]


async def test_a_server_without_starttls_gets_nothing() -> None:
    async with MailServer(accounts=ACCOUNTS) as server:
        mailer = mailer_of(
            server, security=Security.STARTTLS, username="bell", password="correct horse"
        )
        result = await outcome_of(mailer)

    assert seen(result) == (UnreachableError, Code.MAIL_NO_TLS, Fault.OURS, None)
    assert server.commands == ["EHLO"]


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize("wrong", ["authority", "name", "time"])
async def test_a_certificate_that_is_not_right_ends_the_try(
    tmp_path: Path, security: Security, wrong: str
) -> None:
    names = ("elsewhere.test",) if wrong == "name" else ("localhost", "127.0.0.1")
    valid = timedelta(days=-1) if wrong == "time" else timedelta(days=1)
    tls = certificate(tmp_path, names, valid=valid)
    async with MailServer(tls=tls.context, is_implicit=security is Security.TLS) as server:
        mailer = mailer_of(
            server,
            security=security,
            ca_file=None if wrong == "authority" else str(tls.ca_file),
        )
        result = await outcome_of(mailer)

    assert seen(result) == (UnreachableError, Code.TLS_VERIFY, Fault.OURS, None)
    assert server.mails == []


async def test_a_server_that_speaks_no_tls_ends_the_try() -> None:
    async with MailServer() as server:
        result = await outcome_of(mailer_of(server, security=Security.TLS))

    assert seen(result) == (UnreachableError, Code.TLS_HANDSHAKE, Fault.OURS, None)


async def test_a_login_that_is_refused_is_the_operators_to_mend(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    async with MailServer(tls=tls.context, accounts={"bell": "another one"}) as server:
        mailer = mailer_of(
            server,
            security=Security.STARTTLS,
            ca_file=str(tls.ca_file),
            username="bell",
            password="correct horse",
        )
        result = await outcome_of(mailer)

    assert seen(result) == (Failed, Code.MAIL_LOGIN_FAILED, Fault.OURS, 535)


async def test_a_password_that_the_server_sends_back_is_masked() -> None:
    async with MailServer(
        accounts=ACCOUNTS, answers={"auth": "535 no such password: correct horse"}
    ) as server:
        mailer = mailer_of(server, username="bell", password="correct horse")
        result = await outcome_of(mailer)

    assert b"correct horse" not in result.exchange.response_body
    assert result.exchange.response_body.startswith(b"no such password: ")


async def test_a_server_without_a_login_is_the_operators_to_mend() -> None:
    async with MailServer() as server:
        result = await outcome_of(mailer_of(server, username="bell", password="x"))

    assert seen(result) == (UnreachableError, Code.MAIL_LOGIN_FAILED, Fault.OURS, None)
    assert server.commands == ["EHLO"]


@pytest.mark.parametrize(
    ("step", "answer", "outcome", "code", "fault"),
    [
        ("greeting", "421 4.3.2 Later", Failed, Code.MAIL_UNAVAILABLE, Fault.OURS),
        ("greeting", "554 5.7.1 No", Failed, Code.MAIL_UNAVAILABLE, Fault.OURS),
        ("ehlo", "421 4.3.2 Later", Failed, Code.MAIL_UNAVAILABLE, Fault.OURS),
        ("ehlo", "550 5.7.1 No", Failed, Code.MAIL_UNAVAILABLE, Fault.OURS),
        ("mail", "451 4.3.0 Later", Failed, Code.MAIL_DEFERRED, Fault.TARGET),
        ("mail", "553 5.7.1 Not yours", Rejected, Code.MAIL_REFUSED, Fault.OURS),
        ("rcpt", "450 4.2.0 Greylisted", Failed, Code.MAIL_DEFERRED, Fault.TARGET),
        ("rcpt", "550 5.1.1 Unknown", Rejected, Code.MAIL_RECIPIENT_REFUSED, Fault.TARGET),
        ("data", "451 4.3.0 Later", Failed, Code.MAIL_DEFERRED, Fault.TARGET),
        ("data", "554 5.5.1 No", Rejected, Code.MAIL_REFUSED, Fault.TARGET),
        ("body", "452 4.2.2 Full", Failed, Code.MAIL_DEFERRED, Fault.TARGET),
        ("body", "552 5.3.4 Too large", Rejected, Code.MAIL_REFUSED, Fault.TARGET),
    ],
)
async def test_each_answer_at_each_step_means_what_it_says(
    step: str, answer: str, outcome: type, code: Code, fault: Fault
) -> None:
    async with MailServer(answers={step: answer}) as server:
        result = await outcome_of(mailer_of(server))

    assert seen(result) == (outcome, code, fault, int(answer[:3]))
    assert result.exchange.response_body.decode() == answer[4:]
    assert server.mails == []


@pytest.mark.parametrize(
    ("answer", "status"), [("454 4.7.0 Later", 454), ("501 5.5.4 No", 501)]
)
async def test_starttls_that_is_refused_sends_nothing(
    tmp_path: Path, answer: str, status: int
) -> None:
    tls = certificate(tmp_path)
    async with MailServer(tls=tls.context, answers={"starttls": answer}) as server:
        mailer = mailer_of(server, security=Security.STARTTLS, ca_file=str(tls.ca_file))
        result = await outcome_of(mailer)

    assert seen(result) == (Failed, Code.MAIL_UNAVAILABLE, Fault.OURS, status)
    assert server.commands == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize("step", ["greeting", "ehlo", "mail", "rcpt", "data", "body"])
@pytest.mark.parametrize("how", ["stall", "drip"])
async def test_a_server_that_takes_too_long_costs_the_time_limit_and_no_more(
    step: str, how: str
) -> None:
    async with MailServer(answers={step: how}) as server:
        async with asyncio.timeout(2):
            result = await outcome_of(mailer_of(server, timeout=0.3))

    assert seen(result) == (UnreachableError, Code.FIRST_BYTE_TIMEOUT, Fault.OURS, None)


@pytest.mark.parametrize("step", ["greeting", "ehlo", "mail", "rcpt", "data", "body"])
async def test_a_server_that_hangs_up_is_tried_again(step: str) -> None:
    async with MailServer(answers={step: "close"}) as server:
        result = await outcome_of(mailer_of(server))

    assert seen(result) == (UnreachableError, Code.CONNECT_RESET, Fault.OURS, None)


async def test_a_tls_handshake_that_never_ends_costs_the_time_limit() -> None:
    async with MailServer(answers={"greeting": "stall"}) as server:
        result = await outcome_of(mailer_of(server, security=Security.TLS, timeout=0.3))

    assert seen(result) == (UnreachableError, Code.TLS_HANDSHAKE, Fault.OURS, None)


@pytest.mark.parametrize("is_implicit", [True, False], ids=["greeting", "handshake"])
async def test_servers_that_never_speak_leave_no_connection_behind(
    tmp_path: Path,
    is_implicit: bool,  # noqa: FBT001 -- whether it finishes the handshake at all
) -> None:
    tls = certificate(tmp_path)
    before = _descriptors()
    async with MailServer(
        tls=tls.context, is_implicit=is_implicit, answers={"greeting": "stall"}
    ) as server:
        mailer = mailer_of(server, security=Security.TLS, ca_file=str(tls.ca_file), timeout=0.2)
        codes = [(await outcome_of(mailer)).code for _ in range(8)]

    async with asyncio.timeout(5):
        while _descriptors() != before:
            await asyncio.sleep(0.01)
    assert codes == [Code.TLS_HANDSHAKE] * 8


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("answer", ["stall", "close", "500 5.5.1 What?"])
async def test_a_mail_that_was_taken_is_delivered_however_the_goodbye_goes(answer: str) -> None:
    async with MailServer(answers={"quit": answer}) as server:
        result = await outcome_of(mailer_of(server))

    assert seen(result) == (Delivered, Code.OK, None, 250)


async def test_a_mail_whose_answer_was_lost_comes_again_with_the_same_id() -> None:
    async with MailServer(answers={"body": "take and close"}) as server:
        first = await outcome_of(mailer_of(server))
        server.answers.clear()
        second = await outcome_of(mailer_of(server))

    assert (first.code, second.code) == (Code.CONNECT_RESET, Code.OK)
    assert [mail.message["Message-ID"] for mail in server.mails] == [
        "<dlv_1@dockbell.test>"
    ] * 2


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 Hello", "nonsense", "250-" + "x" * 40_000])
async def test_what_is_no_smtp_is_named_as_that(answer: str) -> None:
    async with MailServer(answers={"greeting": answer}) as server:
        result = await outcome_of(mailer_of(server))

    assert seen(result) == (UnreachableError, Code.PROTOCOL_ERROR, Fault.OURS, None)


async def test_a_port_where_nothing_listens_is_named() -> None:
    async with MailServer() as server:
        pass

    result = await outcome_of(mailer_of(server))

    assert seen(result) == (UnreachableError, Code.CONNECT_REFUSED, Fault.OURS, None)


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    async with MailServer() as server:
        mailer = mailer_of(
            server, host="mail.test", lookup=lambda _: ["127.0.0.2", "127.0.0.1"]
        )
        result = await outcome_of(mailer)

    assert (result.code, result.exchange.address) == (Code.OK, "127.0.0.1")


# The guard


class Recorder:
    """Stands where the socket is made, and makes none."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __call__(
        self, family: int, kind: int, protocol: int, peer: Peer
    ) -> socket.socket | None:
        del family, kind, protocol
        self.peers.append(peer)
        return None


@pytest.mark.parametrize(
    ("host", "address", "reached", "code"),
    [
        ("mail.internal", "10.0.0.25", ["10.0.0.25"], Code.CONNECT_FAILED),
        ("10.0.0.25", "10.0.0.25", ["10.0.0.25"], Code.CONNECT_FAILED),
        ("mail.internal", "169.254.169.254", [], Code.BLOCKED_ADDRESS),
    ],
)
async def test_the_operators_own_server_may_be_private_and_never_metadata(
    host: str, address: str, reached: list[str], code: Code
) -> None:
    recorder = Recorder()
    async with MailServer() as server:
        mailer = mailer_of(server, host=host, lookup=lambda _: [address], opener=recorder)
        result = await outcome_of(mailer)

    assert recorder.peers == [(one, server.port) for one in reached]
    assert seen(result) == (UnreachableError, code, Fault.OURS, None)


async def test_our_own_port_is_never_a_mail_server() -> None:
    async with MailServer() as server:
        policy = EgressPolicy.of("127.0.0.1", own=[("127.0.0.1", server.port)])
        result = await outcome_of(mailer_of(server, policy=policy))

    assert seen(result) == (UnreachableError, Code.BLOCKED_ADDRESS, Fault.OURS, None)
    assert server.connections == 0


# What could break out


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "ops@example.com\r\nRCPT TO:<evil@example.com>"},
        {"to": "ops@example.com, evil@example.com"},
        {"message_id": "x>\r\nBcc: evil@example.com"},
        {"unsubscribe": "https://dockbell.test/>\r\nBcc: evil@example.com"},
    ],
)
async def test_a_part_that_could_break_out_is_never_sent(changes: dict[str, str]) -> None:
    async with MailServer() as server:
        result = await outcome_of(mailer_of(server), replace(LETTER, **changes))

    assert seen(result) == (UnreachableError, Code.CONFIG_INVALID, Fault.CONFIG, None)
    assert server.connections == 0


async def test_a_subject_with_line_ends_and_signs_of_any_kind_stays_one_header() -> None:
    subject = "Build failure\r\nBcc: evil@example.com\r\n\r\n\x00 für \u202eacme 🔔"
    async with MailServer() as server:
        await mailer_of(server).send(replace(LETTER, subject=subject))

    [mail] = server.mails
    assert mail.message["Subject"] == "Build failure Bcc: evil@example.com für acme 🔔"
    assert (mail.message["Bcc"], mail.recipients) == (None, ("ops@example.com",))
    assert mail.raw.isascii()


async def test_many_mails_at_once_open_few_connections_and_all_arrive() -> None:
    async with MailServer() as server:
        mailer = mailer_of(server)
        replies: list[MailReply] = await asyncio.gather(
            *(mailer.send(LETTER) for _ in range(100))
        )

    assert [reply.is_accepted for reply in replies] == [True] * 100
    assert len(server.mails) == 100

"""Sending mail: one connection to the operator's mail server for each mail, behind the address guard."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import field
from enum import StrEnum

import aiosmtplib
import certifi
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPResponseException,
)

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.letters import Letter, compose
from dockbell.domain.mailboxes import Sender
from dockbell.domain.methods import MailPhase, MailReply, UnreachableError
from dockbell.domain.outcomes import Code, Exchange, Fault
from dockbell.net.addresses import Address, parse
from dockbell.net.answers import KEPT_BODY
from dockbell.net.connections import OpenSocket, connect, family_of, open_socket
from dockbell.net.failures import OUT_OF_SOCKETS, SHORTAGES
from dockbell.net.headers import mask
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver

_MOST_ADDRESSES = 8  # of one name are tried
_CONNECT_SECONDS = 5.0
_GOODBYE_SECONDS = 0.5
_MOST_AT_ONCE = 32  # mail servers refuse a client that opens many connections
_LET_IN = 250


class Security(StrEnum):
    """How the way to the mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Relay:
    """The operator's mail server, and how it is spoken to."""

    host: str  # a name, or an address in its plain form
    port: int
    sender: Sender
    security: Security = Security.STARTTLS
    username: str = ""
    password: str = field(default="", repr=False)
    own_name: str = "localhost"  # how we greet it
    ca_file: str | None = None


@dataclass(slots=True)
class _Course:
    """How far a mail has come."""

    began: float
    clock: Callable[[], float]
    step: str = "turn"
    phase: MailPhase = MailPhase.GREETING
    address: Address | None = None
    line: socket.socket | None = None  # a transport's own from the moment it is here
    phases: dict[str, float] = field(default_factory=dict)

    def over(self, name: str) -> None:
        """Note that a phase has ended."""
        self.phases[name] = self.clock() - self.began

    def exchange(self, status: int | None = None, said: str = "") -> Exchange:
        self.over("total")
        body = said.encode("utf-8", "replace")
        return Exchange(
            address=None if self.address is None else str(self.address),
            status=status,
            response_body=body[:KEPT_BODY],
            response_truncated=len(body) > KEPT_BODY,
            phases=dict(self.phases),
        )


class Mailer:
    """The way out for mail: bounded in time and size, encrypted as the operator says, to their server only.

    What goes wrong on the way there is never the recipient's fault, so it is not counted as a try.
    """

    def __init__(
        self,
        relay: Relay,
        policy: EgressPolicy,
        resolver: Resolver,
        *,
        timeout: float = 10.0,
        open_socket: OpenSocket = open_socket,
    ) -> None:
        self._relay = relay
        self._policy = policy
        self._resolver = resolver
        self._timeout = timeout
        self._open_socket = open_socket
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._context = None if relay.security is Security.NONE else _context(relay.ca_file)

    async def send(self, letter: Letter) -> MailReply:
        """Hand over one mail; return the answer that decides about it, or raise UnreachableError.

        If the answer to the mail itself is lost, the server may have taken it, and a repeat has the same Message-ID.
        """
        try:
            content = compose(letter, self._relay.sender)
        except ValueError as error:
            raise UnreachableError(
                Code.CONFIG_INVALID, "The mail cannot be put into words.", fault=Fault.CONFIG
            ) from error

        async def hand_over(client: aiosmtplib.SMTP, course: _Course) -> MailReply:
            return await self._hand_over(client, course, letter.to, content)

        return await self._in_session(hand_over)

    async def check(self) -> MailReply:
        """Go as far as the login and leave; return the answer that turned us away, or that we were let in."""

        async def nothing(client: aiosmtplib.SMTP, course: _Course) -> MailReply:
            del client
            return MailReply(course.phase, course.exchange(_LET_IN))

        return await self._in_session(nothing)

    async def _in_session(
        self, work: Callable[[aiosmtplib.SMTP, _Course], Awaitable[MailReply]]
    ) -> MailReply:
        loop = asyncio.get_running_loop()
        course = _Course(loop.time(), loop.time)
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                client = await self._open(course)
                reply = await work(client, course)
            await _say_goodbye(client)
        except TimeoutError as error:
            raise self._late(course) from error
        except UnreachableError as error:
            raise UnreachableError(
                error.code, error.detail, fault=Fault.OURS, exchange=course.exchange()
            ) from error
        except SMTPResponseException as error:
            reply = self._refused(course, error)
        except (SMTPException, OSError) as error:
            raise self._lost(course, error) from error
        finally:
            if course.line is not None:
                _cut(course.line)
        return reply

    async def _open(self, course: _Course) -> aiosmtplib.SMTP:
        """A session that is ready to take mail: encrypted and logged in as the operator says."""
        relay = self._relay
        course.line = made = await self._connect(course)
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            sock=made,
            use_tls=relay.security is Security.TLS,
            start_tls=False,
            tls_context=self._context,
            local_hostname=relay.own_name,
            timeout=None,
        )
        course.step = "tls" if relay.security is Security.TLS else "greeting"
        await client.connect()
        course.step = "greeting"
        course.over("first_byte")
        await client.ehlo()
        if relay.security is Security.STARTTLS:
            await self._encrypt(client, course)
        if relay.username:
            await self._log_in(client, course)
        return client

    async def _connect(self, course: _Course) -> socket.socket:
        relay, literal = self._relay, parse(self._relay.host)
        course.step = "dns"
        addresses = (
            (literal,) if literal is not None else await self._resolver.resolve(relay.host)
        )
        for address in addresses:
            refusal = self._policy.refusal(relay.host, relay.port, address)
            if refusal is not None:
                raise UnreachableError(refusal.code, refusal.detail, fault=Fault.OURS)
        if literal is None:
            course.over("dns")
        course.step = "connect"
        course.address = addresses[0]
        async with asyncio.timeout(_CONNECT_SECONDS):
            made, course.address = await connect(
                addresses[:_MOST_ADDRESSES], self._relay.port, self._make
            )
        course.over("connect")
        return made

    def _make(self, address: Address) -> socket.socket:
        peer = (str(address), self._relay.port)
        made = self._open_socket(family_of(address), socket.SOCK_STREAM, 0, peer)
        if made is None:
            raise ConnectionError
        return made

    async def _encrypt(self, client: aiosmtplib.SMTP, course: _Course) -> None:
        course.phase = MailPhase.STARTTLS
        if not client.supports_extension("starttls"):
            raise UnreachableError(
                Code.MAIL_NO_TLS,
                f"{self._relay.host} offers no STARTTLS, and smtp_tls asks for it: nothing was sent.",
                fault=Fault.OURS,
            )
        course.step = "tls"
        await client.starttls()
        course.over("tls")
        course.step = "greeting"
        await client.ehlo()

    async def _log_in(self, client: aiosmtplib.SMTP, course: _Course) -> None:
        course.step, course.phase = "login", MailPhase.LOGIN
        if not client.supported_auth_methods:
            raise UnreachableError(
                Code.MAIL_LOGIN_FAILED,
                f"{self._relay.host} offers no login that we know, and smtp_username is set.",
                fault=Fault.OURS,
            )
        await client.login(self._relay.username, self._relay.password)
        course.over("login")

    async def _hand_over(
        self, client: aiosmtplib.SMTP, course: _Course, to: str, content: bytes
    ) -> MailReply:
        course.step, course.phase = "sender", MailPhase.SENDER
        await client.mail(self._relay.sender.address)
        course.phase = MailPhase.RECIPIENT
        await client.rcpt(to)
        course.phase = MailPhase.BODY
        answer = await client.data(content)
        return MailReply(MailPhase.BODY, course.exchange(answer.code, answer.message))

    def _refused(self, course: _Course, error: SMTPResponseException) -> MailReply:
        """The answer of a server that said no; UnreachableError for one that did not speak SMTP."""
        is_answer = 200 <= error.code <= 599  # noqa: PLR2004 -- the numbers of the standard
        said = error.message
        if isinstance(error, SMTPAuthenticationError):
            secret = self._relay.password.encode()
            said = mask(said.encode("utf-8", "replace"), [secret]).decode("utf-8", "replace")
        if not is_answer:
            raise UnreachableError(
                Code.PROTOCOL_ERROR,
                f"{self._relay.host} did not answer in SMTP.",
                fault=Fault.OURS,
                exchange=course.exchange(),
            )
        phase = (
            MailPhase.GREETING if isinstance(error, SMTPConnectResponseError) else course.phase
        )
        return MailReply(phase, course.exchange(error.code, said))

    def _late(self, course: _Course) -> UnreachableError:
        host, limit = self._relay.host, f"{self._timeout:g} s"
        code, detail = {
            "turn": (
                Code.MAIL_UNAVAILABLE,
                f"The mails before it kept {host} busy for {limit}.",
            ),
            "dns": (Code.DNS_TIMEOUT, f"No name server answered for {host} within {limit}."),
            "connect": (
                Code.CONNECT_TIMEOUT,
                f"{host} did not take the connection in time.",
            ),
            "tls": (
                Code.TLS_HANDSHAKE,
                f"{host} did not finish the TLS handshake, or did not greet after it, in time.",
            ),
        }.get(
            course.step,
            (
                Code.FIRST_BYTE_TIMEOUT,
                f"{host} did not answer to {course.phase.value} within {limit}.",
            ),
        )
        return UnreachableError(code, detail, fault=Fault.OURS, exchange=course.exchange())

    def _lost(self, course: _Course, error: Exception) -> UnreachableError:
        host, port = self._relay.host, self._relay.port
        cause = next((one for one in _causes(error) if isinstance(one, OSError)), None)
        number = None if cause is None else cause.errno
        tls = next((one for one in _causes(error) if isinstance(one, ssl.SSLError)), None)
        if isinstance(tls, ssl.SSLCertVerificationError):
            code = Code.TLS_VERIFY
            detail = f"The TLS certificate of {host} was not accepted: {tls.verify_message}."
        elif course.step == "tls":
            code, detail = Code.TLS_HANDSHAKE, f"No TLS session with {host} came about."
        elif number in SHORTAGES:
            code, detail, _ = OUT_OF_SOCKETS
        elif course.step != "connect":
            code = Code.CONNECT_RESET
            detail = f"{host} closed the connection without an answer to {course.phase.value}."
        else:
            code, detail = {
                errno.ECONNREFUSED: (
                    Code.CONNECT_REFUSED,
                    f"{host} refused the connection to port {port}.",
                ),
                errno.ECONNRESET: (Code.CONNECT_RESET, f"{host} reset the connection."),
            }.get(number or 0, (Code.CONNECT_FAILED, f"There is no way to {host} port {port}."))
        return UnreachableError(code, detail, fault=Fault.OURS, exchange=course.exchange())


def _context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and what led to it, the library's wrapping last."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found[::-1]


def _cut(made: socket.socket) -> None:
    """End the connection now: a TLS goodbye would wait for a server that may never say it.

    The transport closes the socket when it sees that. Closed here, its number could go to another socket first.
    """
    with contextlib.suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    """The mail is in other hands by now, so nothing that goes wrong here matters."""
    with contextlib.suppress(SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await client.quit()

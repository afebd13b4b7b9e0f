"""A local mail server that does as it is told and keeps what came: obliging, strict, slow, broken or hostile."""

import asyncio
import base64
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it came in."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    is_encrypted: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, kind: str) -> str:
        """The text of the part of this kind, such as "plain" or "html"."""
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())


@dataclass(slots=True)
class MailServer:
    """`async with MailServer() as server:` listens on a free port of `host` until the block ends.

    `answers` gives what a step is answered instead of the usual: its keys are "greeting", "ehlo", "starttls", "auth",
    "mail", "rcpt", "data", "body" and "quit"; a value is a line, or "stall", "close" or "drip". A list is used up answer by
    answer, then the usual comes.
    """

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None  # for STARTTLS, or from the first byte
    is_implicit: bool = False
    accounts: Mapping[str, str] = field(default_factory=dict)
    mechanisms: str = "PLAIN LOGIN"
    answers: dict[str, str | list[str]] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(
        default_factory=list
    )  # of all sessions, without what they carry
    port: int = 0
    connections: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self.tls if self.is_implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def until(self, count: int, within: float = 5.0) -> Sequence[Mail]:
        """The mails, once there are so many."""
        async with asyncio.timeout(within), self._came:
            await self._came.wait_for(lambda: len(self.mails) >= count)
        return self.mails

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, reader, writer)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, _ClosedError):
            pass  # the other side left, or was told to
        finally:
            writer.transport.abort()

    def told(self, step: str, usual: str) -> str:
        told = self.answers.get(step, usual)
        if isinstance(told, list):
            return told.pop(0) if told else usual
        return told

    async def take(self, mail: Mail) -> None:
        async with self._came:
            self.mails.append(mail)
            self._came.notify_all()


class _ClosedError(Exception):
    pass


@dataclass(slots=True)
class _Session:
    server: MailServer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    login: str | None = None
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    is_encrypted: bool = False

    async def run(self) -> None:
        self.is_encrypted = self.server.is_implicit
        await self.answer("greeting", "220 mail.test ESMTP")
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            verb = line.split(" ")[0].upper()
            self.server.commands.append(verb)
            match verb:
                case "EHLO" | "HELO":
                    await self.answer("ehlo", self.extensions())
                case "STARTTLS":
                    await self.encrypt()
                case "AUTH":
                    await self.authenticate(line)
                case "MAIL":
                    self.sender = _address_of(line)
                    await self.answer("mail", "250 2.1.0 Ok")
                case "RCPT":
                    if (await self.answer("rcpt", "250 2.1.5 Ok")).startswith("2"):
                        self.recipients.append(_address_of(line))
                case "DATA":
                    await self.receive()
                case "QUIT":
                    await self.answer("quit", "221 2.0.0 Bye")
                    return
                case _:
                    await self.say("500 5.5.1 What?")

    def extensions(self) -> str:
        server = self.server
        lines = ["mail.test", "PIPELINING"]
        if server.tls is not None and not self.is_encrypted:
            lines.append("STARTTLS")
        if server.accounts:
            lines.append(f"AUTH {server.mechanisms}")
        lines.append("SIZE 10240000")
        return "\r\n".join(f"250{' ' if line == lines[-1] else '-'}{line}" for line in lines)

    async def encrypt(self) -> None:
        said = await self.answer("starttls", "220 2.0.0 Ready")
        if said.startswith("220"):
            assert self.server.tls is not None
            await self.writer.start_tls(self.server.tls)
            self.is_encrypted = True

    async def authenticate(self, line: str) -> None:
        _, mechanism, *rest = line.split(" ")
        if mechanism.upper() == "PLAIN":
            _, name, password = base64.b64decode(rest[0]).decode().split("\0")
        else:
            name = await self.ask(rest[0] if rest else None, "VXNlcm5hbWU6")
            password = await self.ask(None, "UGFzc3dvcmQ6")
        if self.server.accounts.get(name) != password:
            await self.answer("auth", "535 5.7.8 Wrong name or password")
            return
        if (await self.answer("auth", "235 2.7.0 Welcome")).startswith("235"):
            self.login = name

    async def ask(self, given: str | None, prompt: str) -> str:
        if given is None:
            await self.say(f"334 {prompt}")
            given = (await self.reader.readline()).decode().strip()
        return base64.b64decode(given).decode()

    async def receive(self) -> None:
        if not (await self.answer("data", "354 Go on")).startswith("354"):
            return
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionError
            lines.append(line.removeprefix(b"."))
        mail = Mail(
            self.sender, tuple(self.recipients), b"".join(lines), self.is_encrypted, self.login
        )
        self.recipients = []
        if self.server.answers.get("body") == "take and close":
            await self.server.take(mail)
            raise _ClosedError
        if (await self.answer("body", "250 2.0.0 Ok: queued")).startswith("2"):
            await self.server.take(mail)

    async def answer(self, step: str, usual: str) -> str:
        told = self.server.told(step, usual)
        if told == "stall":
            await asyncio.Event().wait()
        if told == "close":
            raise _ClosedError
        if told == "drip":
            for sign in "250-slow" * 1000:
                self.writer.write(sign.encode())
                await self.writer.drain()
                await asyncio.sleep(0.02)
        await self.say(told)
        return told

    async def say(self, line: str) -> None:
        self.writer.write(f"{line}\r\n".encode())
        await self.writer.drain()


def _address_of(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]

"""A local HTTP proxy that makes tunnels, or answers as it is told, and records what it was asked."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self


@dataclass(slots=True)
class ProxyServer:
    """`answer` stands in place of a tunnel; an empty one means silence."""

    host: str = "127.0.0.1"
    answer: bytes | None = None
    asked: list[list[str]] = field(default_factory=list)  # lines of each head
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}{self.host}:{self.port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().rstrip().split("\r\n")
        self.asked.append(lines)
        if self.answer is not None:
            writer.write(self.answer)
            await reader.read()
            return
        host, _, port = lines[0].split(" ")[1].rpartition(":")
        assert host.startswith("127.")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

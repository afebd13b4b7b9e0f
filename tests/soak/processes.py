"""The processes of a soak: killed, stopped, frozen and always started again."""

import asyncio
import contextlib
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import programs
from tests.e2e.programs import Program

START_SECONDS = 40.0
END_SECONDS = 30.0


@dataclass(slots=True)
class Slot:
    """A place for one process: a server or a worker. Whatever ends it, it can be started again."""

    folder: Path
    words: tuple[str, ...]
    settings: dict[str, str]
    ready: str  # what it says when it is ready
    killed: list[int] = field(default_factory=list)  # process ids
    bad_ends: list[str] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    program: Program | None = None
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        self.close()
        self.program = self._stack.enter_context(
            programs.running(self.folder, *self.words, **self.settings)
        )
        self.logs.append(self.program.log)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._stack.close()
        self.program = None

    async def until_ready(self) -> None:
        program = self._running()
        async with asyncio.timeout(START_SECONDS):
            while re.search(self.ready, program.said) is None:
                if (code := program.process.poll()) is not None:
                    raise AssertionError(f"ended with {code} at its start:\n{program.said}")
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        program = self._running()
        program.send(signal.SIGKILL)
        await self._end_of(program)
        self.killed.append(program.process.pid)

    def usage(self) -> tuple[int, int]:
        """The most memory that it held at once, in bytes, and how many descriptors it has open now."""
        process = Path(f"/proc/{self._running().process.pid}")
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
        return int(kilobytes) << 10, len(list((process / "fd").iterdir()))

    async def freeze(self, seconds: float) -> None:
        program = self._running()
        program.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            program.send(signal.SIGCONT)

    async def end(self) -> None:
        """Ask it to end. It must do so in time and with code 0."""
        program = self._running()
        program.send(signal.SIGTERM)
        try:
            code = await self._end_of(program)
        except TimeoutError:
            self.bad_ends.append(f"did not end:\n{program.said[-2000:]}")
            await self.kill()
        else:
            if code != 0:
                self.bad_ends.append(f"ended with {code}:\n{program.said[-2000:]}")

    async def _end_of(self, program: Program) -> int:
        async with asyncio.timeout(END_SECONDS):
            while (code := program.process.poll()) is None:
                await asyncio.sleep(0.01)
            return code

    def _running(self) -> Program:
        assert self.program is not None
        return self.program

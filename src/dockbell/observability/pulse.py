"""Whether this process comes to everything in time: how late its event loop is."""

import asyncio

import structlog

from dockbell.observability.metrics import Metrics

_log = structlog.get_logger("dockbell.pulse")

BEAT_SECONDS = 1.0
_LONG_SECONDS = 1.0  # a delay that is worth a line: everything waited for so long


async def feel(metrics: Metrics, every: float = BEAT_SECONDS) -> None:
    """Ask the loop to come back after a while, for ever, and note by how much it came too late.

    What keeps it from that keeps everything else waiting as well: a computation, a frozen process, a starved machine.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        late = max(0.0, loop.time() - due)
        metrics.note_loop_delay(late)
        if late >= _LONG_SECONDS:
            _log.warning("everything stood still", seconds=round(late, 1))

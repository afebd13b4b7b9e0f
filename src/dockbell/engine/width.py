"""How many tries one process makes at once: fewer while it runs out of sockets."""

import structlog

_log = structlog.get_logger("dockbell.engine")

_STEPS_BACK = 32


class Width:
    """Half as many after each look that finds a shortage; a thirty-second part more after each that finds none."""

    def __init__(self, full: int) -> None:
        self._full = full
        self._is_short = False
        self.now = full

    def note_shortage(self) -> None:
        """Some try found no socket or memory."""
        self._is_short = True

    def adjust(self) -> int:
        """So many may be under way from now on. Called a few times a second."""
        if self._is_short:
            if self.now == self._full:
                _log.warning("out of sockets; fewer tries are made at once for a while")
            self.now = max(1, self.now // 2)
            self._is_short = False
        elif self.now < self._full:
            self.now = min(self._full, self.now + max(1, self._full // _STEPS_BACK))
            if self.now == self._full:
                _log.info("as many tries are made at once as before")
        return self.now

"""What the system says of this process: memory, time, open files."""

import os
import resource

from dockbell.observability.exposition import Family, Sample, gauge

_PAGE = resource.getpagesize()


def families() -> list[Family]:
    """The usual `process_…` lines, as far as the system tells."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    found = [
        Family(
            "process_cpu_seconds_total",
            "counter",
            "Processor time, in seconds.",
            [Sample(seconds, {})],
        )
    ]
    memory = _resident()
    if memory is not None:
        found.append(gauge("process_resident_memory_bytes", "Memory in use.", memory))
    descriptors = open_files()
    if descriptors is not None:
        found.append(gauge("process_open_fds", "Open file descriptors.", descriptors))
    found.append(
        gauge(
            "process_max_fds",
            "The most file descriptors that may be open.",
            _most(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        )
    )
    return found


def _most(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _resident() -> int | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 -- read on the loop, and quick
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def open_files() -> int | None:
    """How many file descriptors are open, or None where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- names are enough
    except OSError:
        return None

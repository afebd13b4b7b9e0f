"""When a host counts as down, and how long it is left alone. Pure."""

from datetime import timedelta

from dockbell.domain.outcomes import Code, Delivered, Fault, Outcome

FAILURES_TO_OPEN = 5  # in a row, of whatever goes to the host
WAITS = (
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=10),
)
_JITTER = 0.2

# What says something about the host. A 404 or a 401 is about one address on it.
_DOWN = frozenset(
    {
        Code.DNS_TIMEOUT,
        Code.DNS_FAILED,
        Code.DNS_NXDOMAIN,
        Code.CONNECT_REFUSED,
        Code.CONNECT_TIMEOUT,
        Code.CONNECT_RESET,
        Code.CONNECT_FAILED,
        Code.TLS_HANDSHAKE,
        Code.TLS_VERIFY,
        Code.WRITE_TIMEOUT,
        Code.FIRST_BYTE_TIMEOUT,
        Code.TOTAL_TIMEOUT,
        Code.HTTP_5XX,
    }
)

_UP = frozenset({Code.HTTP_4XX, Code.HTTP_410, Code.REDIRECT_NOT_FOLLOWED})


def is_down(outcome: Outcome) -> bool:
    """Whether the outcome speaks against the host, and not only against one address on it."""
    return (
        not isinstance(outcome, Delivered)
        and outcome.fault is Fault.TARGET
        and outcome.code in _DOWN
    )


def is_up(outcome: Outcome) -> bool:
    """Whether the host answered like one that is well, even if it refused."""
    return isinstance(outcome, Delivered) or outcome.code in _UP


def wait_of(failed_trials: int, chance: float) -> timedelta:
    """How long an open breaker stays so before the next trial, after so many that failed."""
    wait = WAITS[min(failed_trials, len(WAITS) - 1)]
    return wait * (1 + _JITTER * chance)

"""Rate limits: how many deliveries of one notification go out in a second."""

from dockbell.domain.errors import ConfigError

LEAST = 0.01
MOST = 1000.0


def check(per_second: float | None) -> None:
    """Raise ConfigError for a rate that cannot be kept. None is no limit."""
    if per_second is not None and not LEAST <= per_second <= MOST:
        raise ConfigError(
            f"A rate limit is between {LEAST:g} and {MOST:g} deliveries per second, or null for none.",
            field="rate_limit",
        )


def burst_of(per_second: float) -> int:
    """So many may go out at once: what a second allows, and one at least."""
    return max(1, int(per_second))

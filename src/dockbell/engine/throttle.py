"""Until when a target that asks for time is left alone. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dockbell.domain.deliveries import Result, Trigger
from dockbell.domain.outcomes import Code, Failed
from dockbell.engine.retry import Policy

# After a 429 that does not say for how long.
UNTOLD = timedelta(seconds=5)


def holds_of(
    results: Sequence[Result], now: datetime, policy: Policy
) -> Mapping[str, datetime]:
    """The notifications whose target asked for time in these results, and until when nothing of them is sent.

    It asked by 429, or by 503 with `Retry-After`. What else waits is spared a try that would be refused.
    """
    holds: dict[str, datetime] = {}
    for result in [one for one in results if isinstance(one.outcome, Failed)]:
        wait = _asked(result)
        if wait is not None:
            until = now + min(wait, policy.longest_asked)
            notification_id = result.order.notification_id
            holds[notification_id] = max(until, holds.get(notification_id, until))
    return holds


def _asked(result: Result) -> timedelta | None:
    outcome = result.outcome
    if not isinstance(outcome, Failed) or result.order.trigger is Trigger.TEST:
        return None
    if outcome.retry_after is None and outcome.code is Code.HTTP_429:
        return UNTOLD
    return outcome.retry_after

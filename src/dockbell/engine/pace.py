"""Keeps the rate limits of notifications: what may go out now, and how long the next has to wait. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from dockbell.domain.deliveries import Order, Trigger
from dockbell.domain.rates import burst_of
from dockbell.engine.attempt import Job


def sift(jobs: Sequence[Job]) -> tuple[Sequence[Job], Sequence[Order], Mapping[str, timedelta]]:
    """Part leased jobs that may go out from those to be given back; with how long each limited notification rests.

    A test goes out whatever the limit: somebody waits for what it says.
    """
    if {job.notification is None or job.notification.rate_limit for job in jobs} == {None}:
        return jobs, [], {}  # as nearly always
    good: list[Job] = []
    too_many: list[Order] = []
    taken: dict[str, int] = {}
    rests: dict[str, timedelta] = {}
    for job in jobs:
        rate = None if job.notification is None else job.notification.rate_limit
        if rate is None or job.order.trigger is Trigger.TEST:
            good.append(job)
            continue
        notification_id = job.order.notification_id
        count = taken.get(notification_id, 0)
        if count >= burst_of(rate):
            too_many.append(job.order)
            continue
        good.append(job)
        taken[notification_id] = count + 1
        rests[notification_id] = timedelta(seconds=(count + 1) / rate)
    return good, too_many, rests

"""All handlers of `/api/v2`, gathered for the application."""

from dockbell.api.v2 import deliveries, events, notifications, previews, redelivery_jobs, stats

HANDLERS = [
    *deliveries.HANDLERS,
    *events.HANDLERS,
    *notifications.HANDLERS,
    *previews.HANDLERS,
    *redelivery_jobs.HANDLERS,
    *stats.HANDLERS,
]

"""All handlers of `/api/v2`, gathered for the application."""

from dockbell.api.v2 import deliveries, events, notifications, previews, stats

HANDLERS = [
    *deliveries.HANDLERS,
    *events.HANDLERS,
    *notifications.HANDLERS,
    *previews.HANDLERS,
    *stats.HANDLERS,
]

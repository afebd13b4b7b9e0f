"""All handlers of `/api/v2`, gathered for the application."""

from dockbell.api.v2 import deliveries, notifications

HANDLERS = [*deliveries.HANDLERS, *notifications.HANDLERS]

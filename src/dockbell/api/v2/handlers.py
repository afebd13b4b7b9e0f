"""All handlers of `/api/v2`, gathered for the application."""

from dockbell.api.v2 import (
    builds,
    deliveries,
    events,
    feeds,
    live,
    messages,
    notifications,
    previews,
    redelivery_jobs,
    scans,
    signing_secrets,
    stats,
)

HANDLERS = [
    *builds.HANDLERS,
    *deliveries.HANDLERS,
    *events.HANDLERS,
    *feeds.HANDLERS,
    *live.HANDLERS,
    *messages.HANDLERS,
    *notifications.HANDLERS,
    *previews.HANDLERS,
    *redelivery_jobs.HANDLERS,
    *scans.HANDLERS,
    *signing_secrets.HANDLERS,
    *stats.HANDLERS,
]
# What receivers ask for, beside the API.
PUBLIC_HANDLERS = signing_secrets.PUBLIC_HANDLERS

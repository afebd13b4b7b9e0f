"""All handlers of `/api/v1`, gathered for the application."""

from dockbell.api.v1 import (
    app_tokens,
    applications,
    authorized_emails,
    builds,
    discovery,
    errors,
    logs,
    manifests,
    namespace_notifications,
    notices,
    notifications,
    organization_members,
    organizations,
    permissions,
    repositories,
    robots,
    sessions,
    superusers,
    tags,
    teams,
    tokens,
    users,
)

_DESCRIBED = [
    *app_tokens.HANDLERS,
    *applications.HANDLERS,
    *authorized_emails.HANDLERS,
    *builds.HANDLERS,
    *errors.HANDLERS,
    *logs.HANDLERS,
    *namespace_notifications.HANDLERS,
    *manifests.HANDLERS,
    *notices.HANDLERS,
    *notifications.HANDLERS,
    *organization_members.HANDLERS,
    *organizations.HANDLERS,
    *permissions.HANDLERS,
    *repositories.HANDLERS,
    *robots.HANDLERS,
    *sessions.HANDLERS,
    *superusers.HANDLERS,
    *tags.HANDLERS,
    *teams.HANDLERS,
    *tokens.HANDLERS,
    *users.HANDLERS,
]

HANDLERS = [*_DESCRIBED, discovery.handler_of(_DESCRIBED)]
PUBLIC_HANDLERS = [*sessions.PUBLIC_HANDLERS]

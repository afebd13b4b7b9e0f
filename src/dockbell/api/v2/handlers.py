"""All handlers of `/api/v2`, and what receivers ask for beside it, gathered for the application."""

from dockbell.api.v2 import messages, signing_secrets

HANDLERS = [*messages.HANDLERS, *signing_secrets.HANDLERS]
PUBLIC_HANDLERS = [*signing_secrets.PUBLIC_HANDLERS]

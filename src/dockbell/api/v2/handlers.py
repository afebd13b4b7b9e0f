"""All handlers of `/api/v2`, and what receivers ask for beside it, gathered for the application."""

from dockbell.api.v2 import signing_secrets

HANDLERS = [*signing_secrets.HANDLERS]
PUBLIC_HANDLERS = [*signing_secrets.PUBLIC_HANDLERS]

"""All handlers of pages, gathered for the application."""

from dockbell.ui import mail_links, oauth, sign_in, sign_up, start

HANDLERS = [
    *mail_links.HANDLERS,
    *sign_in.HANDLERS,
    *oauth.HANDLERS,
    *sign_up.HANDLERS,
    *start.HANDLERS,
]

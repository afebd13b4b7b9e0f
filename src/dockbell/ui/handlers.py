"""All handlers of pages, gathered for the application."""

from dockbell.ui import mail_links

HANDLERS = [*mail_links.HANDLERS]

"""The pieces that messages in HTML are made of. Whatever comes from data is escaped here (quay-compat 3.6, FIX)."""

import html
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from dockbell.domain.events import Event, Performer
from dockbell.domain.links import Links


def escaped(text: str) -> str:
    """Text that is safe between tags and in quoted attributes."""
    return html.escape(text)


def link(url: str, text: str) -> str:
    """A link, or the text alone if the address is not a plain http or https URL.

    Addresses come from scanners and build services, so `javascript:` must not get through.
    """
    if not _is_web_address(url):
        return escaped(text)
    return f'<a href="{escaped(url)}">{escaped(text)}</a>'


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and parts.netloc != ""
        and url.isprintable()
        and " " not in url
    )


def bold(text: str) -> str:
    return f"<b>{escaped(text)}</b>"


def repository(event: Event, links: Links) -> str:
    """A link to the repository's page. Quay puts a square with a letter before it, which spoils plain text: W21."""
    path = event.subject.path
    return link(links.repository(path), path)


def tags(names: Iterable[str], event: Event, links: Links) -> str:
    """Links to tags, with commas between."""
    path = event.subject.path
    return ", ".join(link(links.tag(path, quote(name, safe=":")), name) for name in names)


def performer(who: Performer | None) -> str:
    """The bold name of who caused the event, or nothing."""
    return "" if who is None else bold(who.name)

"""Pieces of HTML messages: data never becomes markup."""

import pytest

from dockbell.domain import markup
from dockbell.domain.events import Performer
from tests.factories import LINKS, event_of


@pytest.mark.parametrize(
    ("url", "html"),
    [
        ("https://h/x?a=1&b=2", '<a href="https://h/x?a=1&amp;b=2">&lt;t&gt;</a>'),
        ("http://h", '<a href="http://h">&lt;t&gt;</a>'),
        ('http://h/"><script>', '<a href="http://h/&quot;&gt;&lt;script&gt;">&lt;t&gt;</a>'),
        ("javascript:alert(1)", "&lt;t&gt;"),
        ("JAVASCRIPT:alert(1)", "&lt;t&gt;"),
        ("data:text/html,x", "&lt;t&gt;"),
        ("//h/x", "&lt;t&gt;"),
        ("http:///x", "&lt;t&gt;"),
        ("http://[::1/x", "&lt;t&gt;"),
        ("http://h/a b", "&lt;t&gt;"),
        ("http://h/\n", "&lt;t&gt;"),
        ("", "&lt;t&gt;"),
    ],
)
def test_a_link_is_made_of_web_addresses_only(url: str, html: str) -> None:
    assert markup.link(url, "<t>") == html


def test_tags_are_links_with_commas_between() -> None:
    event = event_of("repo_push", {})

    assert markup.tags(["v1", 'x&"<'], event, LINKS) == (
        '<a href="https://dockbell.test/repository/acme/web?tag=v1&amp;tab=tags">v1</a>, '
        '<a href="https://dockbell.test/repository/acme/web?tag=x%26%22%3C&amp;tab=tags">'
        "x&amp;&quot;&lt;</a>"
    )


@pytest.mark.parametrize(
    ("who", "html"), [(None, ""), (Performer("acme+<bot>", "robot"), "<b>acme+&lt;bot&gt;</b>")]
)
def test_a_performer_is_bold(who: Performer | None, html: str) -> None:
    assert markup.performer(who) == html

"""Every page: whole markup, names for all that can be used, and letters that can be read."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from dockbell.store.transactions import Store
from dockbell.ui import pages
from tests.asgi import Answer
from tests.browsers import csrf_token, signed_in
from tests.consents import HTML, application, asked, authorize, post_form
from tests.ui.test_start import add_tag
from tests.world import World, open_world

VOID = {"input", "link", "meta", "br", "hr", "img"}


class Page(HTMLParser):
    """What is on a page, and what is wrong with its markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[int, str] = {}
        self._within: list[int] = []
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.wrong.append(f"<{tag}> has an attribute twice")
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self._within.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")
        if self._within:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        for index in self._within:
            self.texts[index] = self.texts.get(index, "") + data

    def all(self, *tags: str) -> list[tuple[int, dict[str, str]]]:
        return [
            (index, attrs) for index, (tag, attrs) in enumerate(self.elements) if tag in tags
        ]

    def text(self, index: int) -> str:
        return self.texts.get(index, "").strip()


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _pages(world: World) -> dict[str, Answer]:
    await add_tag(world, "web", "v1")
    app = await application(world)
    boss, _ = await signed_in(world, "boss")
    nobody = world.anonymous.as_browser()
    token = await csrf_token(nobody)
    return {
        "start": await nobody.get("/"),
        "start, signed in": await boss.get("/"),
        "sign in": await nobody.get("/signin"),
        "sign in, refused": await post_form(
            nobody, "/signin", {"_csrf_token": token, "username": "x", "password": "y"}
        ),
        "consent": await authorize(boss, asked(app["client_id"]), HTML),
        "consent, impossible": await authorize(boss, asked("x" * 20), HTML),
        "token": await nobody.get("/oauth/localapp"),
        "no token": await nobody.get("/oauth/localapp?error=access_denied"),
        "repository": await boss.get("/repository/acme/web?tag=v1"),
        "repository without tags": await boss.get("/repository/acme/api"),
        "organization": await boss.get("/organization/acme"),
        "user": await nobody.get("/user/admin"),
        "nothing": await boss.get("/repository/acme/none"),
    }


def _without_names(page: Page) -> list[str]:
    """Fields without labels, links and buttons without text, headings of tables that head nothing."""
    labels = {attrs.get("for") for _, attrs in page.all("label")}
    found = [
        f"the field {attrs.get('name')} has no label"
        for _, attrs in page.all("input")
        if attrs.get("type") != "hidden" and attrs.get("id") not in labels
    ]
    found += [
        f"{attrs} has no text"
        for index, attrs in page.all("a", "button")
        if not page.text(index)
    ]
    found += [
        f"the heading {page.text(index)!r} heads nothing"
        for index, attrs in page.all("th")
        if attrs.get("scope") not in {"col", "row"} or not page.text(index)
    ]
    return found


def _without_order(page: Page) -> list[str]:
    """Ids that are there twice or not at all; a page without language, title or one first heading."""
    ids = Counter(attrs["id"] for _, attrs in page.elements if "id" in attrs)
    found = [f"the id {one} is there twice" for one, count in ids.items() if count > 1]
    found += [
        f"{name}={attrs[name]} is not there"
        for _, attrs in page.elements
        for name in ("aria-describedby", "for")
        if name in attrs and attrs[name] not in ids
    ]
    ((_, html),) = page.all("html")
    ((title, _),) = page.all("title")
    ((heading, _),) = page.all("h1")
    if html.get("lang") != "en" or not page.text(title) or not page.text(heading):
        found.append("it has no language, title or heading")
    return found


async def test_the_markup_is_whole_and_everything_has_a_name(world: World) -> None:
    wrong = {}

    for name, answer in (await _pages(world)).items():
        page = Page(answer.body.decode())
        wrong[name] = [*page.wrong, *_without_names(page), *_without_order(page)]

    assert len(wrong) == 13
    assert {name: found for name, found in wrong.items() if found} == {}


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_letters_stand_out_in_light_and_in_the_dark() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text; 1.4.11: 3 to 1 for the edges of fields."""
    style = pages.STATIC["dockbell.css"][1].decode()
    schemes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(schemes) == 2

    for scheme in schemes:
        colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        pairs = [(name, "back") for name in ("text", "soft", "link", "warn")]
        pairs.append(("button-text", "button"))
        low = {
            pair: round(_contrast(colors[pair[0]], colors[pair[1]]), 2)
            for pair in pairs
            if _contrast(colors[pair[0]], colors[pair[1]]) < 4.5
        }
        assert low == {}
        assert _contrast(colors["soft"], colors["back"]) >= 3


def test_the_style_loads_nothing_and_keeps_the_outline() -> None:
    style = pages.STATIC["dockbell.css"][1].decode()

    assert re.findall(r"url\(|@import|outline: (?:none|0)", style) == []
    assert ":focus-visible" in style

"""Answers that the pages show have the shape that the server gives."""

import msgspec

from dockbell.api.v2.events import EventInFull
from dockbell.domain.templates import compile_template
from tests.docs.pages import blocks_of, section_of


def test_the_event_that_is_shown_is_one_of_ours() -> None:
    (shown,) = blocks_of(section_of("api-v2.md", "## Events"), "json")

    decoded = msgspec.json.decode(shown, type=EventInFull)

    assert msgspec.to_builtins(decoded) == msgspec.json.decode(shown)


def test_the_card_for_teams_is_a_message_with_a_link() -> None:
    (template,) = blocks_of(section_of("methods.md", "### Microsoft Teams"), "json")
    data = {
        "repository": "acme/web",
        "docker_url": "bell.example.org/acme/web",
        "homepage": "https://bell.example.org/repository/acme/web",
        "updated_tags": ["latest", 'v1"<at>'],
    }

    card = msgspec.json.decode(compile_template(template).render(data))["attachments"][0]

    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in card["content"]["body"]] == [
        "Push to acme/web",
        'bell.example.org/acme/web: latest,v1"<at>',
    ]
    assert card["content"]["actions"][0]["url"] == data["homepage"]

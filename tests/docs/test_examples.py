"""Answers that the pages show have the shape that the server gives."""

import msgspec

from dockbell.api.v2.events import EventInFull
from tests.docs.pages import blocks_of, section_of


def test_the_event_that_is_shown_is_one_of_ours() -> None:
    (shown,) = blocks_of(section_of("api-v2.md", "## Events"), "json")

    decoded = msgspec.json.decode(shown, type=EventInFull)

    assert msgspec.to_builtins(decoded) == msgspec.json.decode(shown)

"""A push: who, which tags, where."""

import pytest

from dockbell.domain.events import Performer
from tests.factories import KINDS, LINKS, event_of

_REPOSITORY = 'repository <a href="https://dockbell.test/repository/acme/web">acme/web</a>'
_TAG = '<a href="https://dockbell.test/repository/acme/web?tag=v1&amp;tab=tags">v1</a>'


@pytest.mark.parametrize(
    ("performer", "details", "html"),
    [
        (
            Performer("alice"),
            {"updated_tags": ["v1"]},
            f"<b>alice</b> pushed {_TAG} in {_REPOSITORY}",
        ),
        (
            Performer("acme+bot", "robot"),
            {"updated_tags": ["v1", "v1"]},
            f"<b>acme+bot</b> pushed {_TAG}, {_TAG} in {_REPOSITORY}",
        ),
        (None, {"updated_tags": ["v1"]}, f"Push of {_TAG} in {_REPOSITORY}"),
        (None, {}, f"Push of {_REPOSITORY}"),
    ],
)
def test_the_message_tells(
    performer: Performer | None, details: dict[str, object], html: str
) -> None:
    event = event_of("repo_push", details, performer=performer)

    assert KINDS["repo_push"].html(event, LINKS) == html

"""Tags that expire soon: the days, and the message without them."""

import pytest

from dockbell.domain.errors import ConfigError
from tests.factories import KINDS, LINKS, WEB, event_of

_KIND = KINDS["repo_image_expiry"]


@pytest.mark.parametrize(
    ("event_config", "text"),
    [({"days": 7}, "7 days"), ({"days": "30"}, "30 days"), ({}, "None days")],
)
def test_the_sample_tells_the_days(event_config: dict[str, object], text: str) -> None:
    assert _KIND.sample(WEB, event_config) == {"tags": ["latest", "v1"], "expiring_in": text}


@pytest.mark.parametrize("days", [1, "1", "007", 36_500, "36500", None], ids=repr)
def test_days_may_be_saved(days: object) -> None:
    _KIND.check({"days": days})


@pytest.mark.parametrize(
    "days",
    [0, -1, "0", "-1", "x", "", " 1", "1.5", 1.5, True, [7], {}, 36_501, "99999", "٣"],
    ids=ascii,
)
def test_wrong_days_may_not_be_saved(days: object) -> None:
    with pytest.raises(ConfigError) as refused:
        _KIND.check({"days": days})

    assert (refused.value.detail, refused.value.field) == (
        "days must be a whole number from 1 to 36500",
        "days",
    )


def test_the_message_can_do_without_days() -> None:
    event = event_of(_KIND.name, {"tags": []})

    assert _KIND.html(event, LINKS) == (
        'The following tags of repository <a href="https://dockbell.test/repository/acme/web">'
        "acme/web</a> are due to expire:<br>"
    )

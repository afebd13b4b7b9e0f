"""Payloads: the base fields, in Quay's order and notation (quay-compat 3.2)."""

from collections.abc import Mapping

import pytest

from dockbell.domain.events import Subject, body_of, is_same_payload
from dockbell.domain.links import Links

_LINKS = Links("https://bell.example.org:8443")
_WEB = (
    '{"repository": "acme/web", "namespace": "acme", "name": "web", '
    '"docker_url": "bell.example.org:8443/acme/web", '
    '"homepage": "https://bell.example.org:8443/repository/acme/web'
)


@pytest.mark.parametrize(
    ("subject", "details", "build_id", "body"),
    [
        (Subject("acme", "web"), {}, None, f'{_WEB}"}}'),
        (
            Subject("acme", "web"),
            {"z": [1, 2.5, None, True], "a": {"é": "🐳"}},
            None,
            f'{_WEB}", "z": [1, 2.5, null, true], "a": {{"\\u00e9": "\\ud83d\\udc33"}}}}',
        ),
        (
            Subject("acme", "web"),
            {"build_id": "b-1"},
            "b-1",
            f'{_WEB}/build/b-1", "build_id": "b-1"}}',
        ),
        # An event's own field takes the place of a base field: a queued build names its namespace again.
        (
            Subject("acme", "web"),
            {"docker_tags": [], "namespace": "other", "name": "else"},
            None,
            f'{_WEB}", "docker_tags": []}}'.replace(
                '"namespace": "acme"', '"namespace": "other"'
            ).replace('"name": "web"', '"name": "else"'),
        ),
        (
            Subject("acme", "team/app"),
            {},
            None,
            f'{_WEB}"}}'.replace("acme/web", "acme/team/app").replace(
                '"name": "web"', '"name": "team/app"'
            ),
        ),
        (
            Subject("acme"),
            {"usage_percent": 80},
            None,
            '{"namespace": "acme", "homepage": "https://bell.example.org:8443/organization/acme", "usage_percent": 80}',
        ),
        # Quay links to an organization here too: FIX W28.
        (
            Subject("alice", is_user=True),
            {},
            None,
            '{"namespace": "alice", "homepage": "https://bell.example.org:8443/user/alice"}',
        ),
        (
            Subject("alice", "web", is_user=True),
            {},
            None,
            f'{_WEB}"}}'.replace("acme", "alice"),
        ),
    ],
)
def test_a_payload_begins_with_quays_fields(
    subject: Subject, details: dict[str, object], build_id: str | None, body: str
) -> None:
    assert body_of(subject, details, _LINKS, build_id=build_id).decode() == body


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"build_id": "1", "n": 1}, True),
        ({"build_id": "1", "n": True}, False),
        ({"build_id": "1", "n": 1.0}, False),
        ({"n": 1, "build_id": "1"}, False),
        ({"build_id": "2", "n": 1}, False),
    ],
)
def test_payloads_are_the_same_under_another_address_of_the_server(
    details: Mapping[str, object], expected: object
) -> None:
    web = Subject("acme", "web")
    one = body_of(web, {"build_id": "1", "n": 1}, _LINKS, build_id="1")

    other = body_of(web, details, Links("http://elsewhere.test:81"), build_id="1")

    assert is_same_payload(one, other) is expected

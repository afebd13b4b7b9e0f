"""Every event reaches the in-app inbox of a user, a team and an organization (quay-compat 9.3 D1, 9.6 B1, B2, 12 Q17)."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dockbell import events
from dockbell.domain.events import EventScope, Subject, body_of
from dockbell.domain.links import Links
from tests.e2e.programs import LIMIT, serving

KINDS = {
    name: kind for name, kind in events.catalog().items() if kind.scope is EventScope.REPOSITORY
}


@pytest.mark.quirk("Q17")
def test_every_event_reaches_the_bell_of_each_kind_of_recipient(tmp_path: Path) -> None:
    first = {"username": "alice", "password": "correct-horse-1", "access_token": True}
    with serving(tmp_path, "--user-initialize") as server:
        _, made = server.call("POST", "/api/v1/user/initialize", first)
        bearer = f"Bearer {made['access_token']}"

        def call(verb: str, path: str, body: Any = None) -> Any:
            status, answer = server.call(verb, f"/api/v1/{path}", body, Authorization=bearer)
            assert status in {200, 201}, answer
            return answer

        call("POST", "organization/", {"name": "acme"})
        new = {"namespace": "acme", "repository": "web", "visibility": "private"}
        call("POST", "repository", {**new, "description": ""})
        for name in KINDS:
            for who, recipient in (("user", "alice"), ("team", "owners"), ("org", "acme")):
                uuid = call(
                    "POST",
                    "repository/acme/web/notification/",
                    {
                        "event": name,
                        "method": "quay_notification",
                        "config": {"target": {"kind": who, "name": recipient}},
                        "eventConfig": {},
                    },
                )["uuid"]
                call("POST", f"repository/acme/web/notification/{uuid}/test", {})

        def inbox() -> list[Any]:
            found: list[Any] = call("GET", "user/notifications?limit=100")["notifications"]
            return found

        notices = _once(lambda: len(inbox()) >= 3 * len(KINDS), inbox)
        alone = [call("GET", f"user/notifications/{notice['id']}") for notice in notices]
        for notice in notices:
            call("PUT", f"user/notifications/{notice['id']}", {"dismissed": True})
        left = inbox()

    links = Links(server.address)
    subject = Subject("acme", "web")
    expected = {}
    for name, kind in KINDS.items():
        details = kind.sample(subject, {})
        build_id: Any = details.get("build_id")
        expected[name] = body_of(subject, details, links, build_id=build_id)
    shown = [(notice["kind"], notice["organization"]) for notice in notices]
    assert sorted(shown, key=str) == sorted(
        [(name, organization) for name in KINDS for organization in (None, None, "acme")],
        key=str,
    )
    assert [json.dumps(notice["metadata"]) for notice in notices] == [
        expected[notice["kind"]].decode() for notice in notices
    ]
    assert (alone, left) == (notices, [])


def _once(is_so: Callable[[], bool], found: Callable[[], list[Any]]) -> list[Any]:
    """What is found once it is so, or after the limit."""
    until = time.monotonic() + LIMIT
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    return found()

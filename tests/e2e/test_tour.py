"""A tour through the whole of a served dockbell with Quay's calls alone: from the first user to each event by each method."""

import asyncio
import contextlib
import json
import re
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dockbell import events
from dockbell.domain.events import EventScope
from dockbell.domain.slack_text import slack_text
from tests.e2e.programs import LIMIT, Program, free_port, running
from tests.e2e.tour import EVENT_CONFIGS, EXPECTED, HIPCHAT_COLORS, PUBLIC_URL, SLACK_COLORS
from tests.mail_server import MailServer
from tests.receiver import Received, Receiver

MAIL_FROM = "bell@quay.example.com"
ADDRESSES = ("ops@example.com", "acme@example.com")
METHODS = ("webhook", "slack", "email", "quay_notification", "flowdock", "hipchat")
Call = Callable[..., Awaitable[Any]]


def configs_of(kind: str, receiver: Receiver) -> dict[str, Mapping[str, object]]:
    """Each method's config, by which what arrives can be told apart."""
    return {
        "webhook": {"url": receiver.url(f"/webhook/{kind}", host="127.0.0.2")},
        "slack": {"url": receiver.url(f"/slack/{kind}", host="127.0.0.2")},
        "email": {"email": "ops@example.com"},
        "quay_notification": {"target": {"kind": "user", "name": "alice"}},
        "flowdock": {"flow_api_token": kind},
        "hipchat": {"notification_token": "t0ken", "room_id": kind},
    }


async def walk(server: Program, mail_server: MailServer) -> Call:
    """Initialize, organization, application, token, repository, confirmed addresses: then a way to call as its holder."""

    async def call(verb: str, path: str, body: Any = None, token: str = "") -> Any:
        status, answer = await asyncio.to_thread(
            server.call, verb, f"/api/v1/{path}", body, Authorization=f"Bearer {token}"
        )
        assert status in {200, 201}, (verb, path, answer)
        return answer

    made = await call(
        "POST",
        "user/initialize",
        {
            "username": "alice",
            "password": "correct-horse-1",
            "email": "alice@example.com",
            "access_token": True,
        },
    )
    first = made["access_token"]
    await call("POST", "organization/", {"name": "acme", "email": "acme@example.com"}, first)
    application = await call("POST", "organization/acme/applications", {"name": "tour"}, first)
    tokens = f"organization/acme/applications/{application['client_id']}/tokens"
    scope = "repo:admin repo:create org:admin user:admin"
    token = (await call("POST", tokens, {"name": "tour", "scope": scope}, first))["token"]

    async def as_holder(verb: str, path: str, body: Any = None) -> Any:
        return await call(verb, path, body, token)

    new = {"namespace": "acme", "repository": "web", "visibility": "private"}
    await as_holder("POST", "repository", {**new, "description": ""})
    # The organization's own address gets its mail only if its owner has agreed to mail of one of its repositories.
    for number, address in enumerate(ADDRESSES, start=1):
        await as_holder("POST", f"repository/acme/web/authorizedemail/{address}")
        asking = (await mail_server.until(number, within=LIMIT))[-1]
        (link,) = re.findall(rf"{PUBLIC_URL}(/authrepoemail\?code=\w+)", asking.part("plain"))
        request = urllib.request.Request(f"{server.address}{link}", data=b"", method="POST")  # noqa: S310 -- our own server
        page = await asyncio.to_thread(urllib.request.urlopen, request)
        with contextlib.closing(page):
            assert page.status == 200
    return as_holder


async def bell_of(call: Call, count: int) -> list[Any]:
    """The rows of the in-app inbox, once there are so many."""
    until = time.monotonic() + LIMIT
    while True:
        rows: list[Any] = (await call("GET", "user/notifications?limit=100"))["notifications"]
        if len(rows) >= count or time.monotonic() > until:
            return rows
        await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_event_by_every_method_is_what_quay_sends(tmp_path: Path) -> None:
    kinds = {name: kind for name, kind in events.catalog().items() if name in EXPECTED}
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver("127.0.0.2"))
        mail_server = await stack.enter_async_context(MailServer())
        port = free_port()
        server = stack.enter_context(
            running(
                tmp_path,
                "serve",
                "--port",
                str(port),
                "--user-initialize",
                DOCKBELL_PUBLIC_URL=PUBLIC_URL,
                DOCKBELL_EGRESS_ALLOW="loopback",
                DOCKBELL_SMTP_HOST="127.0.0.1",
                DOCKBELL_SMTP_PORT=str(mail_server.port),
                DOCKBELL_SMTP_TLS="none",
                DOCKBELL_MAIL_FROM=MAIL_FROM,
                DOCKBELL_FLOWDOCK_URL=receiver.url("/flow").rstrip("/"),
                DOCKBELL_HIPCHAT_URL=receiver.url("/hip").rstrip("/"),
            ),
        )
        await asyncio.to_thread(server.wait_for, "is ready at")
        server.address = f"http://127.0.0.1:{port}"
        call = await walk(server, mail_server)
        for name, kind in kinds.items():
            place = "organization/acme/notifications"
            if kind.scope is EventScope.REPOSITORY:
                place = "repository/acme/web/notification"
            for method, config in configs_of(name, receiver).items():
                new = {"event": name, "method": method, "config": config}
                made = await call(
                    "POST", place, {**new, "eventConfig": EVENT_CONFIGS.get(name, {})}
                )
                assert await call("POST", f"{place}/{made['uuid']}/test") == {}
        requests = await receiver.wait_for(4 * len(kinds), within=LIMIT)
        mails = await mail_server.until(len(ADDRESSES) + len(kinds), within=LIMIT)
        rows = await bell_of(call, len(kinds))

    by_path: dict[str, Received] = {one.path: one for one in requests}
    letters = {str(mail.message["Subject"]): mail for mail in mails[len(ADDRESSES) :]}
    bell = {row["kind"]: row for row in rows}
    told = 0
    assert (sorted(EXPECTED), len(EXPECTED)) == (sorted(kinds), 13)
    for name, expected in EXPECTED.items():
        webhook = by_path[f"/webhook/{name}"]
        assert webhook.body == expected.body
        assert (webhook.verb, webhook.header("Content-type")) == ("POST", "application/json")
        told += 1

        hipchat = by_path[f"/hip/v2/room/{name}/notification?auth_token=t0ken"]
        html = json.loads(hipchat.body)["message"]
        told += hipchat.body == _json(
            color=HIPCHAT_COLORS[expected.level],
            message=html,
            notify=expected.level == "error",
            message_format="html",
        )
        flowdock = by_path[f"/flow/v1/messages/team_inbox/{name}"]
        project = "acme web" if kinds[name].scope is EventScope.REPOSITORY else "acme"
        told += flowdock.body == _json(
            source="Quay",
            from_address=MAIL_FROM,
            subject=expected.summary,
            content=html,
            from_name="acme",
            project=project,
            tags=[f"#{name}"],
            link=expected.page,
        )
        assert slack_text(html) == expected.slack  # so the HTML says the same
        attachment = {
            "fallback": expected.summary,
            "text": expected.slack,
            "color": SLACK_COLORS[expected.level],
            "mrkdwn_in": ["text"],
        }
        slack = by_path[f"/slack/{name}"]
        told += slack.body == _json(
            text=expected.summary, username="quayiobot", attachments=[attachment]
        )
        mail = letters[expected.summary]
        to = ADDRESSES[0] if project == "acme web" else ADDRESSES[1]
        assert (mail.recipients, str(mail.message["From"])) == ((to,), MAIL_FROM)
        assert html in mail.part("html")
        told += 1
        assert json.dumps(bell[name]["metadata"]).encode() == expected.body
        told += 1

    print(f"{told} of {len(kinds)} events x {len(METHODS)} methods")  # noqa: T201 -- the size of the tour
    assert told == len(kinds) * len(METHODS) == 78
    assert len(requests) == 4 * len(kinds)
    assert (len(mails) - len(ADDRESSES), len(rows)) == (len(kinds), len(kinds))


def _json(**values: object) -> bytes:
    return json.dumps(values).encode()

"""Quay's methods against real servers, through a server that is a process of its own (quay-compat 9.6 U1, W27)."""

import asyncio
import contextlib
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from dockbell import events
from dockbell.domain.events import EventScope
from tests.e2e.programs import LIMIT, Program, serving
from tests.mail_server import MailServer
from tests.receiver import Receiver, certificate

KINDS = [name for name, kind in events.catalog().items() if kind.scope is EventScope.REPOSITORY]
Call = Callable[..., Any]


@contextlib.asynccontextmanager
async def with_repository(
    folder: Path, **environment: str
) -> AsyncIterator[tuple[Program, Call]]:
    """A server with the repository `acme/web`, and a way to call it as its owner."""

    def start() -> tuple[Program, str]:
        server = stack.enter_context(serving(folder, "--user-initialize", **environment))
        _, made = server.call(
            "POST",
            "/api/v1/user/initialize",
            {"username": "alice", "password": "correct-horse-1", "access_token": True},
        )
        return server, f"Bearer {made['access_token']}"

    with contextlib.ExitStack() as stack:
        server, bearer = await asyncio.to_thread(start)

        async def call(verb: str, path: str, body: Any = None) -> Any:
            status, answer = await asyncio.to_thread(
                server.call, verb, f"/api/{path}", body, Authorization=bearer
            )
            assert status in {200, 201}, answer
            return answer

        await call("POST", "v1/organization/", {"name": "acme"})
        new = {"namespace": "acme", "repository": "web", "visibility": "private"}
        await call("POST", "v1/repository", {**new, "description": ""})
        yield server, call


def _press(url: str) -> str:
    """Press the button of the page that a mailed link leads to."""
    request = urllib.request.Request(url, data=b"", method="POST")  # noqa: S310 -- our own server
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:  # noqa: S310 -- our own server
        return str(answer.read().decode())


async def test_every_event_is_mailed_to_an_address_that_agreed_until_it_ends_that(
    tmp_path: Path,
) -> None:
    tls = certificate(tmp_path)
    async with (
        MailServer(tls=tls.context, accounts={"bell": "correct horse"}) as mail_server,
        with_repository(
            tmp_path,
            DOCKBELL_SMTP_HOST="localhost",
            DOCKBELL_SMTP_PORT=str(mail_server.port),
            DOCKBELL_SMTP_USERNAME="bell",
            DOCKBELL_SMTP_PASSWORD="correct horse",
            DOCKBELL_MAIL_FROM="dockbell <bell@dockbell.test>",
            DOCKBELL_CA_FILE=str(tls.ca_file),
        ) as (server, call),
    ):
        address = "v1/repository/acme/web/authorizedemail/ops@example.com"
        asked = await call("POST", address)
        [asking] = await mail_server.until(1)
        (link,) = re.findall(r"http://\S+/authrepoemail\?code=\w+", asking.part("plain"))
        page = await asyncio.to_thread(_press, link)
        agreed = await call("GET", address)

        for kind in KINDS:
            made = await call(
                "POST",
                "v1/repository/acme/web/notification/",
                {
                    "event": kind,
                    "method": "email",
                    "config": {"email": "ops@example.com"},
                    "eventConfig": {},
                },
            )
            await call("POST", f"v1/repository/acme/web/notification/{made['uuid']}/test", {})
        mails = await mail_server.until(1 + len(KINDS), within=LIMIT)

        end = mails[-1].message["List-Unsubscribe"].strip("<>")
        await asyncio.to_thread(_press, end)
        ended = await call("GET", address)
        log = server.said

    assert (asked["confirmed"], agreed["confirmed"], ended["confirmed"]) == (False, True, False)
    assert "has been authorized to receive notifications for the repository" in page
    assert {(mail.is_encrypted, mail.login) for mail in mails} == {(True, "bell")}
    assert {mail.message["From"] for mail in mails} == {"dockbell <bell@dockbell.test>"}
    assert len({mail.message["Message-ID"] for mail in mails}) == len(mails)
    subjects = {mail.message["Subject"] for mail in mails[1:]}
    assert len(subjects) == len(KINDS)
    texts = [mail.part("plain") for mail in mails[1:]]
    assert [text for text in texts if "acme/web" not in text or "<" in text] == []
    secrets = ["correct horse", link.partition("=")[2], end.rpartition("=")[2]]
    assert [secret for secret in secrets if secret in log] == []


async def test_messages_for_services_that_are_gone_reach_what_stands_in_for_them(
    tmp_path: Path,
) -> None:
    async with (
        Receiver() as receiver,
        with_repository(
            tmp_path,
            DOCKBELL_EGRESS_ALLOW="loopback",
            DOCKBELL_FLOWDOCK_URL=receiver.url("/flow").rstrip("/"),
            DOCKBELL_HIPCHAT_URL=receiver.url("/hip").rstrip("/"),
        ) as (_, call),
    ):
        outcomes = []
        for method, config in (
            ("flowdock", {"flow_api_token": "t0ken"}),
            ("hipchat", {"notification_token": "t0ken", "room_id": "42"}),
        ):
            made = await call("POST", "v2/notifications", _new(method, config))
            test = await call("POST", f"v2/notifications/{made['notification']['id']}/test")
            outcomes.append((made["warnings"], test["delivery"]["state"]))

    assert outcomes == [([], "delivered")] * 2
    assert [request.path for request in receiver.requests] == [
        "/flow/v1/messages/team_inbox/t0ken",
        "/hip/v2/room/42/notification?auth_token=t0ken",
    ]
    assert json.loads(receiver.requests[0].body)["subject"] == "Repository acme/web updated"
    assert json.loads(receiver.requests[1].body)["color"] == "purple"


async def test_without_a_stand_in_they_are_dead_at_once_and_whoever_makes_them_is_warned(
    tmp_path: Path,
) -> None:
    async with with_repository(tmp_path) as (_, call):
        found = {}
        for method, config in (
            ("flowdock", {"flow_api_token": "t0ken"}),
            ("hipchat", {"notification_token": "t0ken", "room_id": "42"}),
        ):
            made = await call("POST", "v2/notifications", _new(method, config))
            test = await call("POST", f"v2/notifications/{made['notification']['id']}/test")
            (one,) = test["attempts"]
            found[method] = (
                [warning.partition(",")[0] for warning in made["warnings"]],
                test["delivery"]["state"],
                one["code"],
            )

    assert found == {
        "flowdock": (["Flowdock was shut down"], "dead", "service_discontinued"),
        "hipchat": (["HipChat was shut down"], "dead", "service_discontinued"),
    }


def _new(method: str, config: dict[str, str]) -> dict[str, object]:
    return {"repository": "acme/web", "event": "repo_push", "method": method, "config": config}

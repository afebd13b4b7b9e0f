"""A mirror of one dockbell at another, both as processes: configured by Quay's API, pulled by a client, told of by webhook."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dockbell.cli.own_image import build_image, push
from dockbell.cli.own_server import StepError
from tests.e2e.programs import LIMIT, Program, serving
from tests.receiver import Receiver

LOOPBACK = "--egress-allow=loopback"
FIRST = {"username": "boss", "password": "correct-horse-1", "access_token": True}


@dataclass(frozen=True, slots=True)
class Server:
    program: Program
    token: str
    robot: tuple[str, str]

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        status, answer = self.program.call(
            verb, f"/api/v1/{path}", body, Authorization=f"Bearer {self.token}"
        )
        assert status in {200, 201, 204}, answer
        return answer

    @property
    def host(self) -> str:
        return urlsplit(self.program.address).netloc


@contextlib.contextmanager
def server_in(folder: Path, **environment: str) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    with serving(folder, "--user-initialize", LOOPBACK, **environment) as program:
        status, made = program.call("POST", "/api/v1/user/initialize", FIRST)
        assert status == 200, made
        token = made["access_token"]
        opened = Server(program, token, ("", ""))
        opened.call("POST", "organization/", {"name": "acme"})
        opened.call(
            "POST",
            "repository",
            {
                "namespace": "acme",
                "repository": "web",
                "visibility": "private",
                "description": "",
            },
        )
        robot = opened.call("PUT", "organization/acme/robots/ci", {})
        opened.call("PUT", "repository/acme/web/permissions/user/acme+ci", {"role": "write"})
        yield Server(program, token, (robot["name"], robot["token"]))


def configured(there: Server, **changes: Any) -> dict[str, Any]:
    return {
        "external_reference": f"{there.host}/acme/web",
        "external_registry_username": there.robot[0],
        "external_registry_password": there.robot[1],
        "external_registry_config": {"verify_tls": False},
        "sync_interval": 86400,
        "sync_start_date": "2020-01-01T00:00:00Z",
        "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["v*"]},
        "robot_username": "acme+ci",
        **changes,
    }


def until(here: Server, *statuses: str) -> dict[str, Any]:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        shown: dict[str, Any] = here.call("GET", "repository/acme/web/mirror")
        if shown["sync_status"] in statuses:
            return shown
        time.sleep(0.1)
    raise AssertionError(f"never {statuses}, but {shown}")


async def test_one_dockbell_mirrors_another(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        messages = await asyncio.to_thread(_mirror, tmp_path, receiver.url("/hook"))
        await receiver.wait_for(3)

    bodies = [json.loads(one.body) for one in receiver.requests]
    assert [body["message"] for body in bodies] == messages
    assert [body["docker_url"].endswith("/acme/web") for body in bodies] == [True] * 3


def _mirror(folder: Path, hook: str) -> list[str]:
    """Sync, and fail to sync; return the messages of the events to come."""
    image = build_image()
    with server_in(folder / "there") as there, server_in(folder / "here") as here:
        for tag in ("v1", "v2", "nightly"):
            push(there.program.address, "acme/web", tag, image, there.robot)
        for kind in ("started", "success", "failed"):
            here.call(
                "POST",
                "repository/acme/web/notification/",
                {
                    "event": f"repo_mirror_sync_{kind}",
                    "method": "webhook",
                    "config": {"url": hook},
                    "eventConfig": {},
                },
            )
        # Not by itself, so that the second sync is not told before the first is over.
        here.call("POST", "repository/acme/web/mirror", configured(there, is_enabled=False))
        here.call("POST", "repository/acme/web/mirror/sync-now")

        shown = until(here, "SUCCESS", "FAIL")

        assert shown["sync_status"] == "SUCCESS"
        assert there.robot[1] not in here.program.said
        tags = here.call("GET", "repository/acme/web")["tags"]
        assert {name: tag["manifest_digest"] for name, tag in tags.items()} == {
            "v1": image.digest,
            "v2": image.digest,
        }
        with pytest.raises(StepError, match="405"):
            push(here.program.address, "acme/web", "v9", image, here.robot)
        message = f"'{there.host}/acme/web' with tag pattern 'v*'"
        time.sleep(1)  # events are delivered side by side
        return _fail(here, there, message)


def _fail(here: Server, there: Server, message: str) -> list[str]:
    """The same with another password, of which only the failure is awaited."""
    here.call(
        "DELETE",
        "repository/acme/web/notification/"
        + next(
            one["uuid"]
            for one in here.call("GET", "repository/acme/web/notification/")["notifications"]
            if one["event"] == "repo_mirror_sync_started"
        ),
    )
    here.call(
        "PUT",
        "repository/acme/web/mirror",
        {"external_registry_username": "acme+ci", "external_registry_password": "wrong"},
    )
    here.call("POST", "repository/acme/web/mirror/sync-now")
    until(here, "FAIL")
    time.sleep(1)
    words = f"{there.host} does not accept the credentials for a token (401)"
    return [message, message, f"{message}: {words}"]


def test_a_killed_server_goes_on_with_its_sync(tmp_path: Path) -> None:
    image = build_image()
    with server_in(tmp_path / "there") as there:
        for number in range(20):
            push(there.program.address, "acme/web", f"v{number}", image, there.robot)
        with server_in(tmp_path / "here") as here:
            here.call("POST", "repository/acme/web/mirror", configured(there))
            until(here, "SYNCING", "SUCCESS")
            here.program.end(signal.SIGKILL)
        with serving(tmp_path / "here", LOOPBACK) as again:
            here = Server(again, here.token, here.robot)
            until(here, "SUCCESS")
            tags = here.call("GET", "repository/acme/web")["tags"]
            assert sorted(tags) == sorted(f"v{number}" for number in range(20))

"""The live stream over real sockets, of a server beside the process that delivers."""

import contextlib
import http.client
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.programs import LIMIT, Program, running, serving

FIRST = {"username": "alice", "password": "correct-horse-1", "access_token": True}
LIVE = "/api/v2/live?repository=alice/web"


@contextlib.contextmanager
def listening(
    server: Program, bearer: str, last_id: str = ""
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=LIMIT)
    with contextlib.closing(connection):
        headers = {"Authorization": bearer, "Last-Event-ID": last_id}
        connection.request("GET", LIVE, headers=headers)
        yield connection.getresponse()


def told(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str, Any]]:
    """Each message with the id to go on from: kind, id, data. Ends with the stream."""
    fields: dict[str, str] = {}
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def test_a_stream_tells_what_another_process_does_and_ends_with_its_server(
    tmp_path: Path, database_url: str
) -> None:
    words = ["--user-initialize"]
    environment = {"DOCKBELL_DATABASE_URL": database_url}
    with contextlib.ExitStack() as programs:
        if not database_url.startswith("sqlite:"):
            words.append("--no-engine")
        server = programs.enter_context(serving(tmp_path, *words, **environment))
        if not database_url.startswith("sqlite:"):
            worker = programs.enter_context(running(tmp_path, "worker", **environment))
            worker.wait_for("delivering")
        _, made = server.call("POST", "/api/v1/user/initialize", FIRST)
        bearer = f"Bearer {made['access_token']}"

        def call(path: str, body: Any = None) -> Any:
            status, answer = server.call("POST", path, body, Authorization=bearer)
            assert status in {200, 201, 202}, answer
            return answer

        new = {"namespace": "alice", "repository": "web", "visibility": "private"}
        call("/api/v1/repository", {**new, "description": ""})
        made = call(
            "/api/v2/notifications",
            {
                "repository": "alice/web",
                "event": "repo_push",
                "method": "quay_notification",
                "config": {"target": {"kind": "user", "name": "alice"}},
            },
        )
        test = f"/api/v2/notifications/{made['notification']['id']}/test"

        with listening(server, bearer) as answer:
            call(test)
            first, last_id = until_delivered(answer)
        call(test)
        with listening(server, bearer, last_id) as answer:
            second = first
            while second == first:  # the last seconds may come again
                second, _ = until_delivered(answer)
            began = time.monotonic()
            server.send(signal.SIGTERM)
            *_, (kind, _, data) = told(answer)
        code = server.process.wait(LIMIT)
        took = time.monotonic() - began

    assert (kind, data["code"]) == ("end", "stopping")
    assert code == 0
    assert took < 8  # well under the ten seconds that requests get


def until_delivered(answer: http.client.HTTPResponse) -> tuple[str, str]:
    """The id of the next delivery that arrived, and the id to go on from."""
    for kind, last_id, data in told(answer):
        if kind == "delivery" and data["state"] == "delivered":
            return data["id"], last_id
    raise AssertionError("the stream ended")

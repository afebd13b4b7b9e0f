"""The receivers that the page of webhooks prints, run as they stand there."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dockbell.domain import signing
from tests.docs.pages import blocks_of, section_of

SECRET = bytes(range(32))
BODY = b'{"docker_url": "bell.example.org/acme/web", "updated_tags": ["v1"]}'
LIMIT = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    port: int
    log: Path

    def answer(self, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request("POST", "/hook", body, headers)
            return connection.getresponse().status

    def said(self, words: str) -> bool:
        """Whether it prints that, at last."""
        until = time.monotonic() + LIMIT
        while words not in self.log.read_text():
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True


def headers_of(body: bytes, *, age: timedelta = timedelta()) -> dict[str, str]:
    timestamp = int((datetime.now(UTC) - age).timestamp())
    return {
        "Content-type": "application/json",
        "webhook-id": "dlv_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.sign([SECRET], "dlv_1", timestamp, body),
        "dockbell-event": "repo_push",
    }


def program_of(language: str, folder: Path) -> list[str]:
    heading, runner, suffix = {
        "python": ("### Python (standard library)", sys.executable, "py"),
        "javascript": ("### Node (no packages)", shutil.which("node"), "js"),
    }[language]
    if runner is None:
        pytest.skip("node is not installed")
    path = folder / f"receiver.{suffix}"
    (program,) = blocks_of(section_of("webhooks.md", heading), language)
    path.write_text(program)
    return [runner, str(path)]


@pytest.fixture(params=["python", "javascript"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    program = program_of(request.param, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = os.environ | {
        "DOCKBELL_SECRET": signing.to_text(SECRET),
        "PORT": str(port),
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(program, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_it_listens(process, port, log)
        yield Receiver(port, log)
    finally:
        process.kill()
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + LIMIT
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"it never listened:\n{log.read_text()}")
        time.sleep(0.01)


def test_a_receiver_takes_what_is_genuine(receiver: Receiver) -> None:
    status = receiver.answer(BODY, headers_of(BODY))

    assert status == 204
    assert receiver.said("repo_push bell.example.org/acme/web")


def test_a_receiver_takes_one_good_signature_among_several(receiver: Receiver) -> None:
    headers = headers_of(BODY)
    headers["webhook-signature"] = f"v1,AAAA {headers['webhook-signature']}"

    assert receiver.answer(BODY, headers) == 204


def test_a_receiver_refuses_a_changed_body(receiver: Receiver) -> None:
    assert receiver.answer(BODY + b" ", headers_of(BODY)) == 401


def test_a_receiver_refuses_an_old_request(receiver: Receiver) -> None:
    assert receiver.answer(BODY, headers_of(BODY, age=timedelta(minutes=6))) == 401


def test_a_receiver_refuses_a_request_without_a_signature(receiver: Receiver) -> None:
    assert receiver.answer(BODY, {"Content-type": "application/json"}) == 401


@pytest.mark.parametrize(("sent", "verdict"), [(BODY, "genuine"), (BODY + b" ", "forged")])
def test_the_shell_lines_tell_genuine_from_forged(
    tmp_path: Path, sent: bytes, verdict: str
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    heading = "### Shell, to check one request by hand"
    (lines,) = blocks_of(section_of("webhooks.md", heading), "sh")
    (tmp_path / "body.json").write_bytes(sent)
    headers = headers_of(BODY)
    environment = os.environ | {
        "DOCKBELL_SECRET": signing.to_text(SECRET),
        "ID": headers["webhook-id"],
        "TIMESTAMP": headers["webhook-timestamp"],
        "SIGNATURE": headers["webhook-signature"],
    }

    done = subprocess.run(
        ["sh", "-c", lines],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == (f"{verdict}\n", "")


def test_the_lines_for_public_keys_tell_genuine_from_forged() -> None:
    (program,) = blocks_of(section_of("webhooks.md", "## More signatures"), "python")
    (shown,) = blocks_of(section_of("webhooks.md", "## More signatures"), "json")
    found: dict[str, Any] = {}
    exec(program, found)  # noqa: S102 -- our own page's lines are what is tried
    private = Ed25519PrivateKey.from_private_bytes(SECRET)  # the pair of the key that is shown
    signed = signing.signed_bytes("dlv_1", 7, BODY)
    signature = base64.b64encode(private.sign(signed)).decode()
    headers = {
        "webhook-id": "dlv_1",
        "webhook-timestamp": "7",
        "webhook-signature": f"v1,AAAA v1a,{signature}",
    }
    keys = json.loads(shown)["keys"]

    verdicts = [
        found["is_genuine"](headers, BODY, keys),
        found["is_genuine"](headers, BODY + b" ", keys),
        found["is_genuine"]({**headers, "webhook-id": "dlv_2"}, BODY, keys),
        found["is_genuine"](headers, BODY, []),
    ]

    assert verdicts == [True, False, False, False]
    assert keys[0]["standard_webhooks"] == signing.public_text(
        private.public_key().public_bytes_raw()
    )

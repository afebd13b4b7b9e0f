"""`dockbell demo`: a push rings the bell, for real, in a temporary folder that is gone afterwards."""

import base64
import contextlib
import hmac
import json
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer

from dockbell.cli.apps import examples, new_command
from dockbell.cli.own_image import build_image, push
from dockbell.cli.own_server import Client, StepError, serving
from dockbell.domain.late_dataclasses import dataclass

_WAIT_SECONDS = 15.0
_SETTINGS = {"DOCKBELL_USER_INITIALIZE": "true", "DOCKBELL_EGRESS_ALLOW": "loopback"}


@dataclass(slots=True)
class _Received:
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(slots=True)
class _Receiver:
    """The webhook's target: keeps what comes and answers 200."""

    port: int = 0
    webhooks: list[_Received] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.perf_counter()
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.webhooks.append(_Received(headers, body, at))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.arrived.set()

            def log_message(self, *_: object) -> None:
                """Keep the terminal for the demo's own lines."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


def _verify(webhook: _Received, secret: str) -> bool:
    """Standard Webhooks, in the few lines that any receiver needs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook.headers['webhook-id']}.{webhook.headers['webhook-timestamp']}.".encode()
    expected = base64.b64encode(hmac.digest(key, signed + webhook.body, "sha256")).decode()
    given = [part.partition(",")[2] for part in webhook.headers["webhook-signature"].split()]
    return any(hmac.compare_digest(expected, one) for one in given)


class _Steps:
    """One numbered line for each step."""

    def __init__(self) -> None:
        self._number = 0
        self._since = time.perf_counter()

    def done(self, text: str) -> None:
        self._number += 1
        now = time.perf_counter()
        typer.echo(f" {self._number:2}. {text}  ({(now - self._since) * 1000:.0f} ms)")
        self._since = now


app = new_command()


@app.command(epilog=examples("dockbell demo", "dockbell demo --keep"))
def demo(
    *,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave the server running until Ctrl-C, for your own calls."
        ),
    ] = False,
) -> None:
    """See a push ring the bell, from the first account to the verified webhook.

    Starts a server and a receiver on free ports with a temporary folder, and cleans up afterwards.
    """
    began = time.perf_counter()
    receiver = _Receiver()
    with (
        tempfile.TemporaryDirectory(prefix="dockbell-demo-") as folder,
        receiver.listening(),
        serving(Path(folder), _SETTINGS) as own,
    ):
        token = _show(own.base, receiver)
        typer.echo(f"\nAll of it took {time.perf_counter() - began:.1f} s.\n")
        _suggest(own.base, token, keep=keep)
        if keep:
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()


def _show(base: str, receiver: _Receiver) -> str:
    """Go through all steps; return the token that was made."""
    steps = _Steps()
    steps.done(f"a server of your own answers at {base}, on SQLite in a temporary folder")
    password = secrets.token_urlsafe(12)
    first = Client(base).call(
        "POST",
        "/api/v1/user/initialize",
        {
            "username": "alice",
            "password": password,
            "email": "alice@example.org",
            "access_token": True,
        },
    )
    client = Client(base, first.json()["access_token"])
    steps.done("user alice, with an OAuth token")
    client.call("POST", "/api/v1/organization/", {"name": "acme", "email": "acme@example.org"})
    client.call(
        "POST",
        "/api/v1/repository",
        {
            "namespace": "acme",
            "repository": "web",
            "visibility": "private",
            "description": "The shop",
        },
    )
    steps.done("organization acme, with the repository acme/web")
    robot = client.call(
        "PUT", "/api/v1/organization/acme/robots/ci", {"description": "Pushes images"}
    ).json()
    client.call(
        "PUT",
        f"/api/v1/repository/acme/web/permissions/user/{robot['name']}",
        {"role": "write"},
    )
    steps.done(f"robot {robot['name']}, which may push to it")
    created = client.call(
        "POST",
        "/api/v1/repository/acme/web/notification/",
        {
            "event": "repo_push",
            "method": "webhook",
            "config": {"url": f"http://127.0.0.1:{receiver.port}/hook"},
            "eventConfig": {},
            "title": "Tell my receiver",
        },
    )
    secret = created.headers["dockbell-signing-secret"]
    steps.done(
        f"notification {created.json()['uuid']}: on repo_push, POST to a receiver on port {receiver.port}"
    )
    image = build_image()
    push(base, "acme/web", "v1", image, (robot["name"], robot["token"]))
    pushed = time.perf_counter()
    steps.done(f"pushed a real image as acme/web:v1, {image.digest[:19]}…")
    if not receiver.arrived.wait(_WAIT_SECONDS):
        raise StepError("No webhook came within 15 s.")
    webhook = receiver.webhooks[0]
    if not _verify(webhook, secret):
        raise StepError("The webhook's signature does not fit its body.")
    lag = max(0.0, webhook.at - pushed) * 1000
    steps.done(
        f"the webhook came {lag:.1f} ms after the push was acknowledged; its signature is right"
    )
    typer.echo("\nWhat the receiver got:\n")
    for name in (
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "dockbell-event",
        "dockbell-attempt",
    ):
        typer.echo(f"  {name}: {webhook.headers[name]}")
    typer.echo()
    for line in json.dumps(json.loads(webhook.body), indent=2).splitlines():
        typer.echo(f"  {line}")
    return str(client.token)


def _suggest(base: str, token: str, *, keep: bool) -> None:
    typer.echo("What to try next:")
    if keep:
        typer.echo("  this server keeps running until you press Ctrl-C; in another terminal:")
        typer.echo(
            f"    curl -H 'Authorization: Bearer {token}' {base}/api/v1/repository/acme/web/notification/"
        )
    else:
        typer.echo(
            "  python3 run.py demo --keep      the same, and the server stays up for your own calls"
        )
    typer.echo(
        "  python3 run.py serve            a server that keeps its data (see README.md, first notification)"
    )
    typer.echo("  python3 run.py serve --help     every option")

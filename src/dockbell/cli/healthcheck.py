"""`dockbell healthcheck`: for containers and scripts that wait for a server."""

import http.client
import json
from typing import Annotated
from urllib.parse import urlsplit

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_command
from dockbell.cli.failures import say
from dockbell.domain.errors import SetupError, UnavailableError
from dockbell.settings import Settings

app = new_command()

_READY = 200

Url = Annotated[
    str | None,
    typer.Option(
        help="The server. Default: host and port of the settings.", show_default=False
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the answer.")]


@app.command(
    epilog=examples(
        "dockbell healthcheck",
        "dockbell healthcheck --url http://127.0.0.1:9000 --timeout 2",
    )
)
@flags.takes_settings("host", "port", "data")
def healthcheck(settings: Settings, *, url: Url = None, timeout: Timeout = 5.0) -> None:
    """Exit with 0 if the server is ready, 1 if it says it is not, 5 if it does not answer."""
    address = urlsplit(url or _local(settings))
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise typer.BadParameter("Expected http://host:port.", param_hint="'--url'")
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[address.scheme](address.hostname, address.port, timeout=timeout)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnavailableError(f"No answer from {address.geturl()}: {why}.") from error
    finally:
        connection.close()
    if answer.status != _READY:
        raise SetupError(f"{address.geturl()} is not ready: {_reasons(answer.status, body)}.")
    say(f"{address.geturl()} is ready.")


def _local(settings: Settings) -> str:
    """Where this machine reaches the server, also when it listens on all addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 -- compared
    return (
        f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    )


def _reasons(status: int, body: bytes) -> str:
    try:
        reasons = json.loads(body)["reasons"]
        return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it answers {status}"

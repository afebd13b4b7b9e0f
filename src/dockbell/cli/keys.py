"""`dockbell keys`: the key that encrypts secrets at rest."""

import base64
import os

import typer

from dockbell.cli.apps import examples, new_group

app = new_group("Make a secret key.")


@app.command(
    epilog=examples(
        "dockbell keys new",
        "(umask 077; dockbell keys new > /etc/dockbell/secret.key)",
    )
)
def new() -> None:
    """Print a new secret key for DOCKBELL_SECRET_KEY or a file that DOCKBELL_SECRET_KEY_FILE names.

    What was encrypted with one key is not readable with another: set it before the first start, and keep a
    copy apart from the backups of the data.
    """
    typer.echo(base64.urlsafe_b64encode(os.urandom(32)).decode())

"""`dockbell keys`: the key that encrypts secrets at rest."""

import asyncio
import base64
import os

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.settings import Settings

app = new_group("Make, rotate and retire a secret key.")


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


@app.command(
    epilog=examples("dockbell keys rotate", "dockbell keys rotate --data /var/lib/dockbell")
)
@flags.takes_settings(*flags.DATABASE)
def rotate(settings: Settings) -> None:
    """Replace the secret key: seal everything in the database with a new one, while the server runs.

    The old key still opens until `dockbell keys retire`. Broken off, it goes on where it was when it is run
    again. Where DOCKBELL_SECRET_KEY holds the key, first put the new one in front of it, with a comma between.
    """
    from dockbell.cli import key_rotation

    done = asyncio.run(key_rotation.rotate(settings, say))
    say(
        f"Sealed {done.moved} values with the new key. Back it up, and run `dockbell keys retire` "
        "in a few minutes."
    )


@app.command(
    epilog=examples("dockbell keys retire", "dockbell keys retire --data /var/lib/dockbell")
)
@flags.takes_settings(*flags.DATABASE)
def retire(settings: Settings) -> None:
    """Drop the old secret key after `dockbell keys rotate`, once every running server has the new one.

    Encrypted passwords that users made with the old key end with it.
    """
    from dockbell.cli import key_rotation

    asyncio.run(key_rotation.retire(settings, say))

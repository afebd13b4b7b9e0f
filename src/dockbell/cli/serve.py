"""`dockbell serve`."""

import dataclasses

from dockbell.cli import flags, imports, signals, sockets, turns
from dockbell.cli.apps import examples, new_command
from dockbell.settings import Settings

app = new_command()


@app.command(
    epilog=examples(
        "dockbell serve",
        "dockbell serve --port 9000 --data /var/lib/dockbell --public-url https://bell.example.org",
    )
)
@flags.takes_settings(*flags.ALL)
def serve(settings: Settings) -> None:
    """Start the server: API, registry and delivery in one process, until SIGTERM or Ctrl-C.

    On a signal it stops to accept, lets running requests and tries end, and exits with 0; a second signal
    ends it at once.
    """
    with signals.end_at_once(), sockets.listen(settings.host, settings.port) as listener:
        _, port, *_ = listener.getsockname()
        with turns.only_server(settings):
            # The rest takes a while to import; what can be refused was refused before.
            with imports.quick():
                from dockbell.cli import serving

            serving.run(dataclasses.replace(settings, port=port), listener)

"""`dockbell export`: what this server holds, by whoever may read the database."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_command
from dockbell.cli.output import show_json
from dockbell.settings import Settings

app = new_command()


class Form(StrEnum):
    JSON = "json"
    LINES = "lines"


Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        help="Only this user or organization; can be given several times.",
        show_default=False,
    ),
]
FormOption = Annotated[
    Form,
    typer.Option(
        "--form",
        help="`json` is one document, `lines` a JSON object for each thing, as it is read.",
    ),
]
WithSecrets = Annotated[
    bool,
    typer.Option("--with-secrets", help="Print the addresses and tokens of targets as well."),
]


@app.command(
    epilog=examples(
        "dockbell export > here.json",
        "dockbell export --namespace acme --form lines | grep '\"quay_notification\"'",
        "dockbell export --with-secrets > both-targets-and-tokens.json",
    )
)
@flags.takes_settings(*flags.DATABASE)
def export(
    settings: Settings,
    *,
    namespace: Namespaces = None,
    form: FormOption = Form.JSON,
    with_secrets: WithSecrets = False,
) -> None:
    """Print users, organizations, teams, robots, default permissions, quotas, repositories, mirrors, immutable tags, permissions and notifications as JSON.

    The order is always the same, so that two servers can be compared. It is no backup: it has no images, no
    passwords and no tokens.
    """
    from dockbell.cli import exporting

    names = tuple(namespace or ())
    if form is Form.LINES:
        asyncio.run(
            exporting.each(
                settings,
                names,
                lambda kind, one: typer.echo(
                    json.dumps({"record": kind, **one}, ensure_ascii=False)
                ),
                with_secrets=with_secrets,
            )
        )
        return
    document: dict[str, list[object]] = {"users": [], "namespaces": [], "repositories": []}
    asyncio.run(
        exporting.each(
            settings,
            names,
            lambda kind, one: document[
                f"{kind}s" if kind != "repository" else "repositories"
            ].append(one),
            with_secrets=with_secrets,
        )
    )
    show_json({"format": 1, **document})

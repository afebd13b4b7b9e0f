"""`dockbell import`: moving in from another server, by whoever may write the database."""  # noqa: N999 -- commands and their modules have one name

import asyncio
from typing import Annotated, Any

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.cli.output import Output, is_json, show_json, show_rows
from dockbell.settings import Settings

app = new_group("Move in from another server.")

_FASTEST = 1000.0
_NO_SUPERUSER = (
    "Nobody here is a superuser, and nobody becomes one by moving in; once there is any user, the set-up token makes none. "
    "Make one with `dockbell users create NAME --superuser`, or name somebody in the setting `superusers`."
)

Url = Annotated[
    str,
    typer.Option("--url", help="The Quay, as https://quay.example.org.", show_default=False),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        help="An OAuth access token of that Quay, of somebody who administers what is to move, with the scopes "
        "`org:admin repo:admin user:admin`. Other users of this machine can see flags: better set the variable.",
        envvar="DOCKBELL_IMPORT_TOKEN",
        show_envvar=True,
        show_default=False,
    ),
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        help="Move this organization, or the token's own user; can be given several times. "
        "Default: all organizations of the token's user, or every one if they are a superuser, and their own repositories.",
        show_default=False,
    ),
]
Applies = Annotated[
    bool, typer.Option("--apply", help="Do it. Without this, only the plan is shown.")
]
Rate = Annotated[
    float,
    typer.Option(
        min=0.1, max=_FASTEST, help="How many calls in a second the Quay gets at most."
    ),
]


@app.command(
    epilog=examples(
        "DOCKBELL_IMPORT_TOKEN=… dockbell import quay --url https://quay.example.org",
        "DOCKBELL_IMPORT_TOKEN=… dockbell import quay --url https://quay.example.org --apply",
        "dockbell import quay --url https://quay.example.org --token … --namespace acme --rate 5",
    )
)
@flags.takes_settings(*flags.DATABASE, "egress_allow", "ca_file")
def quay(  # noqa: PLR0913 -- one argument for each thing that can be said
    settings: Settings,
    *,
    url: Url,
    token: Token,
    namespace: Namespaces = None,
    apply: Applies = False,
    rate: Rate = 20.0,
    output: Output = None,
) -> None:
    """Move organizations, teams, robots, default permissions, quotas, repositories, mirrors, immutable tags, permissions and notifications in from a live Quay.

    Without --apply nothing is written: the plan shows what would be. What is here already is left as it is, so
    it can be run again at any time, and goes on after it was ended in the middle. Images do not move.
    """
    from dockbell.cli import moving_in

    report = asyncio.run(
        moving_in.run(
            settings, url, token, names=tuple(namespace or ()), applies=apply, rate=rate
        )
    )
    if is_json(output):
        show_json(report)
    else:
        show_rows(report["changes"] + report["remarks"], output)
    _sum_up(report)


def _sum_up(report: dict[str, Any]) -> None:
    done = "moved in" if report["applied"] else "to move in"
    say(
        f"{len(report['changes'])} things {done}, {report['same']} here already, "
        f"{len(report['remarks'])} remarks."
    )
    for line in report["left_behind"]:
        say(f"  not moved: {line}")
    if not report["has_superuser"]:
        say(_NO_SUPERUSER)
    if not report["applied"] and report["changes"]:
        say("Nothing was written. Add --apply to do it.")

"""`dockbell deliveries`: what was sent to whom and what came of it, by whoever may read the database."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.cli.output import Output, is_json, show_json, show_rows
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.records import DeliveryFilter
from dockbell.settings import Settings

app = new_group("List deliveries, watch them live, send them again.")

_MOST = 1000
_PLACES = ["--repository", "--namespace", "--instance", "--notification", "--event-id"]
_AN_ID = "dlv_01kkp3fdg0000000000000000e"

DeliveryId = Annotated[
    str, typer.Argument(metavar="DELIVERY", help="The id, as dlv_….", show_default=False)
]
Repository = Annotated[
    str | None,
    typer.Option(
        "--repository", "-r", help="Those of this repository, as acme/web.", show_default=False
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        help="Those of this namespace's own notifications, as acme.", show_default=False
    ),
]
WatchedNamespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        help="Those of this namespace and all its repositories, as acme.",
        show_default=False,
    ),
]
IsInstance = Annotated[
    bool, typer.Option("--instance", help="Those of the whole server's own notifications.")
]
Notification = Annotated[
    str | None, typer.Option(help="Those of this notification, as ntf_….", show_default=False)
]
EventId = Annotated[
    str | None,
    typer.Option("--event-id", help="Those of this event, as evt_….", show_default=False),
]
States = Annotated[
    list[State] | None,
    typer.Option("--state", help="In this state; may stand several times.", show_default=False),
]
Kind = Annotated[
    str | None,
    typer.Option("--event", help="Of this kind of event, as repo_push.", show_default=False),
]
TriggerOption = Annotated[
    Trigger | None, typer.Option("--trigger", help="Made for this reason.", show_default=False)
]
Codes = Annotated[
    list[str] | None,
    typer.Option(
        "--code",
        help="Whose last try ended with this code; may stand several times.",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(help="Made then or later, as 2026-03-14T12:00:00Z.", show_default=False),
]
Until = Annotated[str | None, typer.Option(help="Made before then.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, max=_MOST, help="How many at most.")]
Before = Annotated[
    str | None,
    typer.Option(help="Go on below this delivery, as dlv_….", show_default=False),
]
After = Annotated[
    str | None,
    typer.Option(
        help="Go on from where an earlier tail ended; it says how.", show_default=False
    ),
]
Once = Annotated[
    bool, typer.Option("--once", help="Print what happened since `--after`, and end.")
]


@app.command(
    "list",
    epilog=examples(
        "dockbell deliveries list --repository acme/web",
        "dockbell deliveries list --namespace acme --state dead --since 2026-03-14T00:00:00Z",
        "dockbell deliveries list --event-id evt_01kkp3fdg0000000000000000d -o json",
    ),
)
@flags.takes_settings(*flags.DATABASE)
def list_(  # noqa: PLR0913 -- one argument for each filter
    settings: Settings,
    *,
    repository: Repository = None,
    namespace: Namespace = None,
    instance: IsInstance = False,
    notification: Notification = None,
    event_id: EventId = None,
    state: States = None,
    event: Kind = None,
    trigger: TriggerOption = None,
    code: Codes = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    before: Before = None,
    output: Output = None,
) -> None:
    """List the deliveries of a place, a notification or an event, the newest first."""
    from dockbell.cli import delivery_records

    if not (repository or namespace or instance or notification or event_id):
        raise typer.BadParameter("Name one of them.", param_hint=_PLACES)
    wanted = DeliveryFilter(
        states=state or (),
        kind=event,
        event_id=event_id,
        notification_id=notification,
        codes=code or (),
        trigger=trigger,
        since=_moment(since, "--since"),
        until=_moment(until, "--until"),
    )
    delivery_records.check_words(wanted)
    place = delivery_records.Place(repository, namespace, is_instance=instance)
    found, last = asyncio.run(
        delivery_records.list_page(settings, place, wanted, before=before or "", limit=limit)
    )
    if is_json(output):
        show_json([delivery_records.document_of(one) for one in found])
    else:
        now = datetime.now(UTC)
        rows = [delivery_records.row_of(one, now) for one in found]
        show_rows(rows, output, spare=delivery_records.SPARE)
    if last is not None:
        say(f"There are more: go on with --before {last}")


@app.command(
    epilog=examples(
        f"dockbell deliveries get {_AN_ID}", f"dockbell deliveries get {_AN_ID} -o json"
    )
)
@flags.takes_settings(*flags.DATABASE)
def get(settings: Settings, delivery: DeliveryId, *, output: Output = None) -> None:
    """Show a delivery with its last tries: what was sent where, what came back, and what to do about it."""
    from dockbell.cli import delivery_records

    found = asyncio.run(delivery_records.load(settings, delivery))
    if is_json(output):
        show_json(delivery_records.document_in_full(found))
        return
    line = delivery_records.line_of(found.delivery)
    show_rows([{"delivery": name, "value": value} for name, value in line.items()], output)
    if found.attempts:
        typer.echo()
        rows = [delivery_records.line_of_attempt(one) for one in found.attempts]
        show_rows(rows, output, spare=delivery_records.SPARE_OF_ATTEMPTS)


@app.command(
    epilog=examples(
        f"dockbell deliveries redeliver {_AN_ID}",
        "dockbell deliveries list -r acme/web --state dead -o json | jq -r '.[].id' | xargs -n 1 dockbell deliveries redeliver",
    )
)
@flags.takes_settings(*flags.DATABASE)
def redeliver(settings: Settings, delivery: DeliveryId) -> None:
    """Send a delivery again, whatever came of it: a new series of tries under the same id.

    A running server takes it up within two seconds.
    """
    from dockbell.cli import delivery_records

    asyncio.run(delivery_records.redeliver(settings, delivery))
    say(f"The delivery {delivery} is sent again.")


@app.command(
    epilog=examples(
        "dockbell deliveries tail --repository acme/web",
        "dockbell deliveries tail --namespace acme --state dead --state waiting",
        "dockbell deliveries tail -r acme/web --after 1773489600000.01kkp3fdg0000000000000000e --once -o json",
    )
)
@flags.takes_settings(*flags.DATABASE)
def tail(  # noqa: PLR0913 -- one argument for each filter
    settings: Settings,
    *,
    repository: Repository = None,
    namespace: WatchedNamespace = None,
    notification: Notification = None,
    state: States = None,
    event: Kind = None,
    trigger: TriggerOption = None,
    code: Codes = None,
    after: After = None,
    once: Once = False,
    output: Output = None,
) -> None:
    """Print deliveries as they are made and change, until Ctrl-C; a line each, as JSON for programs.

    With `--after` nothing that happened since an earlier tail is left out.
    """
    from dockbell.cli import delivery_records

    if (repository is None) is (namespace is None):
        only = "" if repository is None else "only "
        raise typer.BadParameter(f"Name {only}one of them.", param_hint=_PLACES[:2])
    wanted = DeliveryFilter(
        states=state or (),
        kind=event,
        notification_id=notification,
        codes=code or (),
        trigger=trigger,
    )
    delivery_records.check_words(wanted)
    as_json = is_json(output)

    def take(one: Any, position: str) -> None:
        if as_json:
            document = {"position": position, "delivery": delivery_records.document_of(one)}
            typer.echo(json.dumps(document, ensure_ascii=False))
        else:
            typer.echo(delivery_records.sentence_of(one))

    watch = delivery_records.Tail(settings, repository, namespace, wanted, take)
    try:
        asyncio.run(watch.run(after, once=once))
    finally:
        if watch.position is not None:
            say(f"Go on from here with --after {watch.position}")


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise InvalidRequestError(
            f"{name} must be a time with its zone, such as 2026-03-14T12:00:00Z"
        )
    return value

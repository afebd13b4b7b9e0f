"""Events that are expected and do not come. For the server itself."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor, NamespaceKind
from dockbell.domain.events import Subject
from dockbell.domain.expectations import expectation_of
from dockbell.services.intake import Draft, Intake
from dockbell.store import events, namespaces, notifications
from dockbell.store import repositories as repository_rows
from dockbell.store.notifications import Watcher
from dockbell.store.transactions import Tx

KIND = "event_missing"
_NOTIFICATIONS = 100  # looked at in one reading transaction


async def list_watchers(tx: Tx, actor: Actor, *, after: str) -> Sequence[Watcher]:
    """Some notifications that expect events, from behind this id."""
    del actor  # nobody else has a way to this
    return await notifications.find_of_kind(tx, KIND, after=after, limit=_NOTIFICATIONS)


async def is_missing(tx: Tx, actor: Actor, watcher: Watcher) -> bool:
    """Whether what the notification expects is overdue, and it was not told of that silence yet."""
    draft = await _draft(tx, watcher)
    del actor
    return draft is not None and not await events.has_key(tx, str(draft.producer_key))


async def tell(tx: Tx, actor: Actor, intake: Intake, watcher: Watcher) -> None:
    """Tell the notification of the silence, once for each, however many processes see it."""
    del actor
    draft = await _draft(tx, watcher)
    if draft is not None:
        await intake.record_for(tx, draft, watcher)


async def _draft(tx: Tx, watcher: Watcher) -> Draft | None:
    """The news that nothing came; None while it is not overdue, or if its place is gone or is the whole server."""
    expectation = expectation_of(watcher.event_config)
    last = await events.find_last(tx, watcher.place_id, expectation.kind)
    since = watcher.created_at if last is None else max(last.occurred_at, watcher.created_at)
    if tx.now - since < expectation.span:
        return None
    place = await _place(tx, watcher.place_id)
    if place is None:
        return None
    subject, namespace_id, repository_id = place
    return Draft(
        kind=KIND,
        subject=subject,
        namespace_id=namespace_id,
        repository_id=repository_id,
        details={
            "expected": expectation.kind,
            "hours": expectation.hours,
            "last_event_at": None if last is None else last.occurred_at.isoformat(),
        },
        facts={"last_event_id": None if last is None else last.id},
        performer=None,
        occurred_at=tx.now,
        # The next event of the kind begins another silence.
        producer_key=f"{KIND}:{watcher.id}:{expectation.kind}:{'' if last is None else last.id}",
    )


async def _place(tx: Tx, place_id: str) -> tuple[Subject, str, str | None] | None:
    repository = await repository_rows.find_by_id(tx, place_id)
    namespace = await namespaces.find_by_id(
        tx, place_id if repository is None else repository.namespace_id
    )
    if namespace is None:
        return None
    is_user = namespace.kind is NamespaceKind.USER
    if repository is None:
        return Subject(namespace.name, None, is_user), namespace.id, None
    return Subject(namespace.name, repository.name, is_user), namespace.id, repository.id

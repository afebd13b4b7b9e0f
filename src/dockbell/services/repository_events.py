"""Events beyond Quay's about a repository: kept where somebody listens for them, in the transaction of the fact."""

from collections.abc import Mapping
from dataclasses import field

from dockbell.domain.accounts import Actor, ActorKind, NamespaceKind
from dockbell.domain.events import Performer, Subject
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.repositories import Repository
from dockbell.services.intake import Draft, Intake
from dockbell.store import namespaces
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened in a repository."""

    kind: str
    details: Mapping[str, object]
    facts: Mapping[str, object] = field(default_factory=dict)


def tag_set(tag: str, digest: str, previous: str | None, media_type: str | None) -> News | None:
    """That a tag was set; None if it points where it did."""
    facts = {
        "tag": tag,
        "digest": digest,
        "media_type": media_type,
        "previous_digest": previous,
    }
    if previous is None:
        return News("tag_created", {"tag": tag, "digest": digest}, facts)
    if previous == digest:
        return None
    details = {"tag": tag, "digest": digest, "previous_digest": previous}
    return News("tag_moved", details, facts)


def tag_gone(tag: str, digest: str, reason: str = "deleted") -> News:
    return News(
        "tag_deleted",
        {"tag": tag, "digest": digest, "reason": reason},
        {"tag": tag, "digest": digest},
    )


async def tell(
    tx: Tx, actor: Actor, intake: Intake, repository: Repository, *news: News | None
) -> None:
    """Keep each event whose kind a notification at its place wants; of the others, nothing is kept.

    Whoever changed the repository calls it, in the same transaction.
    """
    happened = [one for one in news if one is not None]
    wanted = await intake.wanted(
        tx, repository.namespace_id, repository.id, {one.kind for one in happened}
    )
    heard = [one for one in happened if one.kind in wanted]
    if not heard:
        return
    subject, performer = await subject_of(tx, actor, repository), performer_of(actor)
    for one in heard:
        await intake.record(
            tx,
            Draft(
                kind=one.kind,
                subject=subject,
                namespace_id=repository.namespace_id,
                repository_id=repository.id,
                details=one.details,
                facts=one.facts,
                performer=performer,
                occurred_at=tx.now,
            ),
        )


async def subject_of(tx: Tx, actor: Actor, repository: Repository) -> Subject:
    """What an event about the repository names."""
    del actor  # whoever makes the event
    namespace = await namespaces.load(tx, repository.namespace_id)
    return Subject(
        namespace=repository.namespace,
        repository=repository.name,
        is_user=namespace.kind is NamespaceKind.USER,
    )


def performer_of(actor: Actor) -> Performer | None:
    """Whom an event names as having caused it; None for the server itself and for nobody in particular."""
    if actor.kind in {ActorKind.SYSTEM, ActorKind.ANONYMOUS}:
        return None
    return Performer(actor.name, "robot" if actor.kind is ActorKind.ROBOT else "user")

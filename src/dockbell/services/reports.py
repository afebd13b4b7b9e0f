"""Taking in what programs report: who may, and one event for each report that nobody told before."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from dockbell.domain.accounts import Actor, ActorKind, NamespaceKind
from dockbell.domain.errors import DockbellError, UnauthenticatedError
from dockbell.domain.events import Performer, Subject, base_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.permissions import ReporterOf
from dockbell.domain.reports import Receipt, Report, ReusedIdError, Status
from dockbell.services import repositories
from dockbell.services.intake import Draft, Intake, Kept
from dockbell.store.transactions import Tx

_Place = tuple[str, str, str | None]  # the actor's token, namespace, repository


@dataclass(frozen=True, slots=True)
class Reports:
    """Where programs' events come in."""

    intake: Intake
    links: Links

    async def receive(
        self, tx: Tx, told: Sequence[tuple[Actor | None, Report]]
    ) -> Sequence[Receipt]:
        """Record the reports, each with who tells it; return a receipt for the first ones, at least for one.

        None stands for a caller whom nobody knows. One report's refusal changes nothing for the others. Rights
        are asked once for each caller and place. The rest, if there is one, is left for another transaction
        (see `Intake.record_many`).
        """
        places = [None if actor is None else _place(actor, report) for actor, report in told]
        grounds = await self._grounds(tx, dict(zip(places, told, strict=True)))
        answers: list[Receipt | Draft] = []
        for place, (_, report) in zip(places, told, strict=True):
            if place is None:
                answers.append(Receipt.refused(UnauthenticatedError()))
                continue
            ground = grounds[place]
            answers.append(
                Receipt.refused(ground, _place_field(report))
                if isinstance(ground, DockbellError)
                else self._draft(tx, ground, report)
            )
        drafts = [one for one in answers if isinstance(one, Draft)]
        kept = iter(await self.intake.record_many(tx, drafts) if drafts else ())
        receipts: list[Receipt] = []
        for answer in answers:
            if isinstance(answer, Receipt):
                receipts.append(answer)
                continue
            done = next(kept, None)
            if done is None:
                break
            receipts.append(_receipt(done))
        return receipts

    async def _grounds(
        self, tx: Tx, told: Mapping[_Place | None, tuple[Actor | None, Report]]
    ) -> dict[_Place, "_Ground | DockbellError"]:
        asked = {
            place: (actor, report.namespace, report.repository)
            for place, (actor, report) in told.items()
            if place is not None and actor is not None
        }
        rights = await repositories.reporters_of(tx, list(asked.values()))
        return {
            place: right if isinstance(right, DockbellError) else self._ground(right)
            for place, right in zip(asked, rights, strict=True)
        }

    def _ground(self, right: ReporterOf) -> "_Ground":
        namespace, repository = right.namespace, right.repository
        subject = Subject(
            namespace.name,
            None if repository is None else repository.name,
            is_user=namespace.kind is NamespaceKind.USER,
        )
        return _Ground(
            subject=subject,
            namespace_id=namespace.id,
            repository_id=None if repository is None else repository.id,
            performer=_performer(right.actor),
            base=_base(subject, self.links, None, None),
        )

    def _draft(self, tx: Tx, ground: "_Ground", report: Report) -> Draft:
        base = ground.base
        if report.build_id is not None or report.homepage is not None:
            base = _base(ground.subject, self.links, report.build_id, report.homepage)
        return Draft(
            kind=report.kind,
            subject=ground.subject,
            namespace_id=ground.namespace_id,
            repository_id=ground.repository_id,
            details={},
            facts=report.facts,
            source="api",
            performer=ground.performer if report.is_by_caller else report.performer,
            occurred_at=report.occurred_at or tx.now,
            # A namespace's own, so that nobody can take an id before another namespace's program does.
            producer_key=None
            if report.producer_id is None
            else f"{ground.namespace_id}/{report.producer_id}",
            body=_joined(base, report.details),
        )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all events of one caller and place share."""

    subject: Subject
    namespace_id: str
    repository_id: str | None
    performer: Performer
    base: bytes  # what their payloads begin with


def _place(actor: Actor, report: Report) -> _Place:
    return actor.token_id or actor.name, report.namespace, report.repository


def _place_field(report: Report) -> str:
    return "namespace" if report.repository is None else "repository"


def _performer(actor: Actor) -> Performer:
    return Performer(actor.name, "robot" if actor.kind is ActorKind.ROBOT else "user")


@lru_cache(maxsize=256)
def _base(subject: Subject, links: Links, build_id: str | None, homepage: str | None) -> bytes:
    """What the payload begins with. Most events are about a repository that just had another."""
    base = dict(base_of(subject, links, build_id=build_id))
    if homepage is not None:
        base["homepage"] = homepage
    return json.dumps(base).encode()


def _joined(one: bytes, other: bytes) -> bytes:
    """Two JSON objects without a common key as one, with the bytes that encoding them together gives."""
    return one if other == b"{}" else one[:-1] + b", " + other[1:]


def _receipt(kept: Kept) -> Receipt:
    if kept.earlier is None:
        return Receipt(Status.ACCEPTED, kept.event_id, kept.deliveries)
    if kept.earlier.is_same:
        return Receipt(Status.DUPLICATE, kept.event_id)
    return Receipt.refused(
        ReusedIdError(
            f"The event {kept.event_id} has this id and tells something else. "
            "Send another event under an id of its own."
        ),
        "id",
    )

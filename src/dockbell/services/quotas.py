"""Quotas: what is admitted, who is told at which limit, and changing them."""

from collections.abc import Mapping, Sequence

from dockbell.domain.accounts import Actor, ActorKind, Namespace, NamespaceKind
from dockbell.domain.digests import Digest
from dockbell.domain.errors import ForbiddenError, InvalidRequestError, NotFoundError
from dockbell.domain.events import Performer, Subject
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import (
    MemberOfNamespace,
    Self,
    SuperUser,
    SuperViewer,
    WriterOf,
)
from dockbell.domain.quotas import (
    EVENT_OF,
    LARGEST,
    LimitKind,
    Quota,
    QuotaLimit,
    Room,
    Standing,
    event_fields,
)
from dockbell.domain.repositories import Repository
from dockbell.services import audit_entries, organizations, users
from dockbell.services.intake import Draft, Intake
from dockbell.store import namespaces, notices, quotas, storage
from dockbell.store.transactions import DuplicateError, Tx

Viewer = MemberOfNamespace | Self | SuperViewer
_ALL_OF_IT = 100


async def hold(tx: Tx, writer: WriterOf) -> None:
    """Hold the storage of the namespace, for whoever is about to take a blob out of one of its repositories."""
    await storage.hold(tx, writer.repository.namespace_id)


async def release(tx: Tx, writer: WriterOf, digest: Digest) -> None:
    """Give back a blob that the repository no longer holds, unless another repository of the namespace does."""
    namespace_id = writer.repository.namespace_id
    used = await storage.give_back(tx, namespace_id, [str(digest)])
    await quotas.rearm(tx, namespace_id, used)


async def recount(tx: Tx, actor: Actor, namespace_id: str) -> tuple[int, int]:
    """Make the sum of a namespace anew; return it as it was and as it is. For the server and its operator."""
    del actor  # nobody else has a way to this
    before = await storage.hold(tx, namespace_id)
    after = await storage.recount(tx, namespace_id)
    await quotas.rearm(tx, namespace_id, after)
    return before, after


async def list_counted(tx: Tx, actor: Actor) -> Sequence[str]:
    """The ids of the namespaces that store anything. For the server and its operator."""
    del actor  # as above
    return await storage.namespaces_with_blobs(tx)


async def list_limited(tx: Tx, actor: Actor) -> Sequence[str]:
    """The ids of the namespaces that have a quota. For the server and its operator."""
    del actor  # as above
    return await quotas.namespaces_with_one(tx)


async def size_of_all(tx: Tx, viewer: SuperViewer) -> int:
    """How much the server stores, each blob once."""
    del viewer
    return await storage.of_all(tx)


async def viewer_of(tx: Tx, actor: Actor, organization: str | None) -> tuple[Viewer, str]:
    """The right to see an organization's quota or, without one, one's own, and whose it is. Or raise.

    Members of the organization have it, and whoever sees what superusers see.
    """
    if organization is None:
        me = await users.myself(tx, actor)
        return me, me.namespace.name
    try:
        return await organizations.member_of(tx, actor, organization), organization
    except ForbiddenError:
        return await users.superviewer(tx, actor), organization


async def load(tx: Tx, viewer: Viewer, name: str) -> Quota | None:
    """The quota of the user or organization of that name, if it has one; raise NotFoundError if there is no such one."""
    del viewer
    return await quotas.find(tx, (await _namespace(tx, name)).id)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What is admitted, and where limits are watched and changed.

    A limit is told of once, and again when the usage fell below it since.
    """

    intake: Intake
    default_bytes: int = 0  # that a namespace without a quota of its own may store; 0 is no end

    async def admit(self, tx: Tx, writer: WriterOf, digest: Digest, size: int) -> None:
        """Count a blob that the repository is about to hold; raise QuotaExceededError if it is one too many.

        A blob that a repository of the namespace holds already costs nothing. The namespace's storage is held until
        the end of the transaction.
        """
        namespace_id = writer.repository.namespace_id
        used = await storage.hold(tx, namespace_id)
        if await storage.holds(tx, namespace_id, str(digest)):
            return
        most = self._most(await quotas.find(tx, namespace_id))
        if most is not None and used + size > most:
            # Nobody is refused for the sake of a sum that is not right any more.
            Room(await storage.recount(tx, namespace_id), most).check(size)
        await storage.change(tx, namespace_id, size)

    async def room(self, tx: Tx, writer: WriterOf, digest: Digest | None = None) -> Room | None:
        """What the namespace stores and may store; None if there is no end to it, or it holds this blob already.

        It may have changed when the bytes have come: `admit` decides.
        """
        namespace_id = writer.repository.namespace_id
        most = self._most(await quotas.find(tx, namespace_id))
        if most is None:
            return None
        if digest is not None and await storage.holds(tx, namespace_id, str(digest)):
            return None
        return Room(await storage.find(tx, namespace_id), most)

    def _most(self, quota: Quota | None) -> int | None:
        """The bytes beyond which pushes are refused; None if none ever is."""
        return (self.default_bytes or None) if quota is None else quota.most

    async def standings_of(
        self, tx: Tx, actor: Actor, namespace_ids: Sequence[str]
    ) -> Mapping[str, Standing]:
        """How each of these namespaces stands with its quota. Two queries."""
        del actor  # what they may see was decided when the namespaces were found
        found = await quotas.find_many(tx, namespace_ids)
        used = await storage.find_many(tx, namespace_ids)
        return {one: self._standing(used.get(one, 0), found.get(one)) for one in namespace_ids}

    async def standing_of(self, tx: Tx, actor: Actor, namespace: Namespace) -> Standing:
        """How one namespace stands with its quota."""
        return (await self.standings_of(tx, actor, [namespace.id]))[namespace.id]

    async def standings_of_repositories(
        self, tx: Tx, actor: Actor, page: Sequence[Repository]
    ) -> Mapping[str, Standing]:
        """How much each of these repositories stores, and the quota of its namespace, by its id. Two queries."""
        del actor  # as above
        found = await quotas.find_many(tx, sorted({one.namespace_id for one in page}))
        used = await storage.of_repositories(tx, [one.id for one in page])
        return {
            one.id: self._standing(used.get(one.id, 0), found.get(one.namespace_id))
            for one in page
        }

    def _standing(self, used: int, quota: Quota | None) -> Standing:
        default = self.default_bytes or None
        return Standing(used, quota, default if quota is None else quota.limit_bytes)

    async def watch(self, tx: Tx, actor: Actor, namespace_id: str) -> None:
        """Tell of limits that the namespace has reached."""
        if await quotas.find(tx, namespace_id) is None:
            return  # mostly so, and nothing is held for it
        used = await storage.hold(tx, namespace_id)
        quota = await quotas.find(tx, namespace_id)
        if quota is None or not _reached(quota, used):
            return
        used = await storage.recount(tx, namespace_id)
        await self._tell(tx, actor, quota, _reached(quota, used), used)

    async def note_refusal(self, tx: Tx, writer: WriterOf, usage: int) -> None:
        """Tell of limits that a push would have passed, and was refused for."""
        namespace_id = writer.repository.namespace_id
        await storage.hold(tx, namespace_id)
        quota = await quotas.find(tx, namespace_id)
        if quota is None:
            await self._tell_of_default(tx, writer, usage)
        else:
            passed = [one for one in _reached(quota, usage) if one.kind is LimitKind.REJECT]
            await self._tell(tx, writer.actor, quota, passed, usage)

    async def look(self, tx: Tx, actor: Actor, namespace_id: str) -> None:
        """Count anew what the namespace stores and tell of limits that it has reached, for the server itself.

        What was deleted behind the sum's back is given back by this.
        """
        await recount(tx, actor, namespace_id)
        await self.watch(tx, actor, namespace_id)

    async def create(self, tx: Tx, superuser: SuperUser, name: str, limit_bytes: int) -> Quota:
        """Give the namespace a quota, which has no limits yet and so changes nothing."""
        namespace = await _namespace(tx, name)
        _check_size(limit_bytes)
        await storage.hold(tx, namespace.id)
        await storage.recount(tx, namespace.id)
        try:
            await quotas.add(tx, namespace.id, limit_bytes)
        except DuplicateError:
            is_user = namespace.kind is NamespaceKind.USER
            raise InvalidRequestError(
                f"{'Quota' if is_user else 'Organization quota'} for '{name}' already exists"
            ) from None
        await _note(tx, superuser, namespace, "org_create_quota", limit=limit_bytes)
        return await _load(tx, namespace)

    async def change(
        self, tx: Tx, superuser: SuperUser, name: str, quota_id: int, limit_bytes: int | None
    ) -> Quota:
        """Make the quota larger or smaller, if there is a size; limits that are reached by that are told of at once."""
        namespace = await _namespace(tx, name)
        await storage.hold(tx, namespace.id)
        quota = await _load(tx, namespace, quota_id)
        if limit_bytes is None:
            return quota
        _check_size(limit_bytes)
        await quotas.set_size(tx, quota.id, limit_bytes)
        await _note(tx, superuser, namespace, "org_change_quota", limit=limit_bytes)
        return await self._look_again(tx, superuser, namespace)

    async def delete(self, tx: Tx, superuser: SuperUser, name: str, quota_id: int) -> None:
        """Take the quota away. Notifications for its events stay, for the next one."""
        namespace = await _namespace(tx, name)
        await storage.hold(tx, namespace.id)
        quota = await _load(tx, namespace, quota_id)
        await quotas.remove(tx, quota.id)
        await _note(tx, superuser, namespace, "org_delete_quota")

    async def add_limit(  # noqa: PLR0913 -- where, and what it says
        self,
        tx: Tx,
        superuser: SuperUser,
        name: str,
        quota_id: int,
        *,
        kind: str,
        percent: int,
    ) -> Quota:
        """Add a limit; if it is reached already, somebody is told at once."""
        namespace = await _namespace(tx, name)
        await storage.hold(tx, namespace.id)
        quota = await _load(tx, namespace, quota_id)
        checked = _check_limit(quota, kind, percent)
        try:
            await quotas.add_limit(tx, quota.id, checked, percent)
        except DuplicateError:
            raise InvalidRequestError("Quota limit already exists") from None
        await _note(
            tx, superuser, namespace, "org_create_quota_limit", type=kind, threshold=percent
        )
        return await self._look_again(tx, superuser, namespace)

    async def change_limit(  # noqa: PLR0913 -- where, and what it says
        self,
        tx: Tx,
        superuser: SuperUser,
        name: str,
        place: tuple[int, int],
        *,
        kind: str | None,
        percent: int | None,
    ) -> Quota:
        """Make a limit another one. `place` is the quota's id and its own."""
        namespace = await _namespace(tx, name)
        await storage.hold(tx, namespace.id)
        quota = await _load(tx, namespace, place[0])
        limit = limit_of(quota, place[1])
        wanted = limit.percent if percent is None else percent
        checked = _check_limit(quota, limit.kind if kind is None else kind, wanted, limit)
        try:
            await quotas.set_limit(tx, limit.id, checked, wanted)
        except DuplicateError:
            raise InvalidRequestError("Quota limit already exists") from None
        await _note(
            tx, superuser, namespace, "org_change_quota_limit", type=checked, threshold=wanted
        )
        return await self._look_again(tx, superuser, namespace)

    async def delete_limit(
        self, tx: Tx, superuser: SuperUser, name: str, place: tuple[int, int]
    ) -> None:
        namespace = await _namespace(tx, name)
        await storage.hold(tx, namespace.id)
        limit = limit_of(await _load(tx, namespace, place[0]), place[1])
        await quotas.remove_limit(tx, limit.id)
        await _note(tx, superuser, namespace, "org_delete_quota_limit")

    async def _look_again(self, tx: Tx, superuser: SuperUser, namespace: Namespace) -> Quota:
        """What follows from a change. The storage is held."""
        await quotas.rearm(tx, namespace.id, await storage.find(tx, namespace.id))
        await self.watch(tx, superuser.actor, namespace.id)
        return await _load(tx, namespace)

    async def _tell(
        self, tx: Tx, actor: Actor, quota: Quota, reached: Sequence[QuotaLimit], usage: int
    ) -> None:
        """One event for the highest limit of each sort that nobody was told of. The storage is held."""
        news = [one for one in reached if one.crossed_at is None]
        if not news:
            return
        await quotas.mark(tx, [one.id for one in news], is_crossed=True)
        namespace = await namespaces.load(tx, quota.namespace_id)
        for kind in LimitKind:
            of_kind = [one for one in news if one.kind is kind]
            if of_kind:
                highest = max(of_kind, key=lambda one: one.percent)
                await self._ring(tx, namespace, kind)
                await self._record(tx, actor, namespace, highest, (usage, quota.limit_bytes))

    async def _tell_of_default(self, tx: Tx, writer: WriterOf, usage: int) -> None:
        """The same for what the operator lets every namespace store. It is told of again once somebody dismissed the notice."""
        namespace = await namespaces.load(tx, writer.repository.namespace_id)
        if self.default_bytes and await self._ring(tx, namespace, LimitKind.REJECT):
            whole = QuotaLimit(0, LimitKind.REJECT, _ALL_OF_IT)
            await self._record(tx, writer.actor, namespace, whole, (usage, self.default_bytes))

    async def _ring(self, tx: Tx, namespace: Namespace, kind: LimitKind) -> bool:
        """Put a line into the namespace's inbox, unless it is there; return whether it was put."""
        # Quay: its keys, whatever notifications there are. Pinned by integration/test_quotas.py.
        severity = {"severity": kind.value} if kind is LimitKind.REJECT else {}
        return await notices.tell_once(
            tx,
            kind=EVENT_OF[kind],
            metadata={**severity, "namespace": namespace.name},
            namespace_id=namespace.id,
        )

    async def _record(
        self,
        tx: Tx,
        actor: Actor,
        namespace: Namespace,
        limit: QuotaLimit,
        sizes: tuple[int, int],
    ) -> None:
        """Fire the event of a limit. `sizes` are what is used and the whole quota."""
        await self.intake.record(
            tx,
            Draft(
                kind=EVENT_OF[limit.kind],
                subject=Subject(namespace.name, is_user=namespace.kind is NamespaceKind.USER),
                namespace_id=namespace.id,
                repository_id=None,
                details=event_fields(limit, *sizes),
                facts={},
                performer=_performer(actor),
                occurred_at=tx.now,
                source="quota",
            ),
        )


def _reached(quota: Quota, usage: int) -> Sequence[QuotaLimit]:
    """The limits that this usage has reached and that nobody was told of."""
    return [
        one
        for one in quota.limits
        if one.crossed_at is None and one.is_reached(usage, quota.limit_bytes)
    ]


def limit_of(quota: Quota, limit_id: int) -> QuotaLimit:
    """The quota's limit with this id, or NotFoundError."""
    for one in quota.limits:
        if one.id == limit_id:
            return one
    raise NotFoundError


async def _namespace(tx: Tx, name: str) -> Namespace:
    found = await namespaces.find(tx, name)
    if found is None:
        raise NotFoundError
    return found


async def _load(tx: Tx, namespace: Namespace, quota_id: int | None = None) -> Quota:
    quota = await quotas.find(tx, namespace.id)
    if quota is None or quota_id not in {None, quota.id}:
        raise NotFoundError
    return quota


def _check_size(limit_bytes: int) -> None:
    if limit_bytes < 1:
        # Quay: its words. Pinned by compat/test_quotas.py.
        raise InvalidRequestError(f"Invalid quota size limit value: '{limit_bytes}'")
    if limit_bytes > LARGEST:
        raise InvalidRequestError(f"limit_bytes must be from 1 to {LARGEST}")


def _check_limit(
    quota: Quota, kind: str, percent: int, instead: QuotaLimit | None = None
) -> LimitKind:
    # Quay: in any case, as `reject`. Pinned by compat/test_quotas.py.
    wanted = next((one for one in LimitKind if one.lower() == kind.lower()), None)
    if wanted is None:
        raise InvalidRequestError(
            f"Quota type {kind[:64]!r} is not one of {', '.join(LimitKind)}"
        )
    if not 1 <= percent <= _ALL_OF_IT:
        raise InvalidRequestError("Quota limit threshold must be between 1 and 100")
    others = [one for one in quota.limits if instead is None or one.id != instead.id]
    if wanted is LimitKind.REJECT and any(one.kind is LimitKind.REJECT for one in others):
        raise InvalidRequestError("Only one quota limit of type 'Reject' allowed.")
    return wanted


def _performer(actor: Actor) -> Performer | None:
    if actor.kind is ActorKind.SYSTEM:
        return None
    return Performer(actor.name, "robot" if actor.kind is ActorKind.ROBOT else "user")


async def _note(
    tx: Tx, superuser: SuperUser, namespace: Namespace, kind: str, **more: object
) -> None:
    await audit_entries.write(
        tx,
        superuser.actor,
        kind,
        namespace_id=namespace.id,
        repository_id=None,
        metadata={"namespace": namespace.name, **more},
    )

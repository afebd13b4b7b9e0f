"""Moving in from another server: doing what a plan says, as the operator of this one."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from dockbell.domain import authorized_emails as rules
from dockbell.domain.accounts import Actor, Namespace, NamespaceKind
from dockbell.domain.deliveries import PauseReason
from dockbell.domain.errors import DockbellError, InvalidRequestError
from dockbell.domain.inventories import (
    HeldChoices,
    HeldMirror,
    HeldNamespace,
    HeldNotification,
    HeldQuota,
    HeldRepository,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import Recipient
from dockbell.domain.mirrors import (
    Mirror,
    architectures_of,
    interval_of,
    merged_config,
    timeout_of,
)
from dockbell.domain.move_ins import (
    AddDefaultRole,
    AddEmail,
    AddMember,
    AddMirror,
    AddNotification,
    AddOrganization,
    AddQuota,
    AddRepository,
    AddRobot,
    AddRule,
    AddTeam,
    AddUser,
    GiveRole,
    Plan,
    Remark,
    Step,
    of_namespace,
    of_repository,
)
from dockbell.domain.permissions import (
    AdminOf,
    AdminOfAll,
    AdminOfNamespace,
    AdminOfPlace,
    SuperUser,
)
from dockbell.domain.repositories import Repository, RepositoryState
from dockbell.domain.standings import FAILURE_LIMIT
from dockbell.domain.tls import Tls
from dockbell.services import (
    audit_entries,
    default_roles,
    immutability,
    inventories,
    mirrors,
    organizations,
    passwords,
    permissions,
    repositories,
    robots,
    team_members,
    teams,
    users,
)
from dockbell.services.lookups import Lookup, Lookups, Reading
from dockbell.services.mirrors import Mirrors, WantedMirror
from dockbell.services.notifications import NewNotification, Notifications
from dockbell.services.quotas import Quotas
from dockbell.store import authorized_emails, namespaces
from dockbell.store import notifications as notification_rows
from dockbell.store import repositories as repository_rows
from dockbell.store import users as user_rows
from dockbell.store.transactions import Tx

_UNKNOWN_PASSWORD_LENGTH = 64


@dataclass(frozen=True, slots=True)
class _ExpectingLookup(Lookup):
    """Counts what the same plan brings as being there."""

    recipients: Collection[Recipient] = ()
    emails: Collection[str] = ()

    async def recipient_error(self, recipient: Recipient) -> str | None:
        if recipient in self.recipients:
            return None
        # Not super(): it does not know the class that slots make anew.
        return await Lookup.recipient_error(self, recipient)

    async def is_confirmed(self, email: str) -> bool:
        return email in self.emails or await Lookup.is_confirmed(self, email)


@dataclass(frozen=True, slots=True)
class _ExpectingLookups(Lookups):
    recipients: Collection[Recipient] = ()
    emails: Collection[str] = ()

    def of(self, reading: Reading, admin: AdminOfPlace) -> Lookup:
        return _ExpectingLookup(
            reading=reading,
            namespace=admin.namespace_name,
            repository_id=admin.repository_id or None,
            refusal=self.refusal,
            recipients=self.recipients,
            emails=self.emails,
        )


@dataclass(frozen=True, slots=True)
class MoveIns:
    """What the command line asks. A plan is made with no transaction open, and done in one: all of it, or nothing."""

    notifications: Notifications
    mirrors: Mirrors
    quotas: Quotas
    own_host: str  # of which nothing here is a mirror

    async def plan_namespace(
        self,
        reading: Reading,
        superuser: SuperUser,
        wanted: HeldNamespace,
        expected: Collection[Recipient],
    ) -> Plan:
        """What the namespace itself lacks here. `expected` is as below."""
        async with reading() as tx:
            here = await inventories.find_namespace(tx, superuser, wanted.name)
            place = await namespaces.find(tx, wanted.name) if here is not None else None
            taken = await _taken(tx, wanted.notifications, "" if place is None else place.id)
        plan = of_namespace(wanted, here, taken)
        right = AdminOfAll(superuser.actor, place or _namespace_to_be(wanted, tx.now))
        await self._check_notifications(reading, right, plan, expected, ())
        return plan

    async def plan_repository(
        self,
        reading: Reading,
        superuser: SuperUser,
        wanted: HeldRepository,
        expected: Collection[Recipient],
    ) -> Plan:
        """What the repository lacks here. `expected` are the people, teams and organizations that will be there."""
        async with reading() as tx:
            place = await repository_rows.find(tx, wanted.namespace, wanted.name)
            here = None if place is None else await inventories.hold(tx, superuser, place)
            place = place or _to_be(wanted, tx.now)
            taken = await _taken(tx, wanted.notifications, place.id)
        plan = of_repository(wanted, here, taken)
        right = AdminOf(superuser.actor, place)
        await self._check_notifications(reading, right, plan, expected, wanted.emails)
        emails = {
            one.notification.config.get("email")
            for one in plan.steps
            if isinstance(one, AddNotification)
        }
        plan.steps = [
            one for one in plan.steps if not isinstance(one, AddEmail) or one.email in emails
        ]
        for step in [one for one in plan.steps if isinstance(one, AddMirror)]:
            try:
                await mirrors.check(
                    reading,
                    right,
                    self.notifications.lookups,
                    self.own_host,
                    _mirror_of(step.mirror, place.id),
                )
            except InvalidRequestError as error:
                plan.steps.remove(step)
                plan.remarks = [one for one in plan.remarks if one.subject != step.subject]
                plan.leave(step.subject, error.words)
        return plan

    async def _check_notifications(
        self,
        reading: Reading,
        right: AdminOfPlace,
        plan: Plan,
        recipients: Collection[Recipient],
        emails: Collection[str],
    ) -> None:
        """Take out of the plan what may not be made here, and say why."""
        lookups = _ExpectingLookups(
            refusal=self.notifications.lookups.refusal, recipients=recipients, emails=emails
        )
        checking = replace(self.notifications, lookups=lookups)
        for step in [one for one in plan.steps if isinstance(one, AddNotification)]:
            try:
                await checking.check(reading, right, _new(step.notification))
            except InvalidRequestError as error:
                plan.steps.remove(step)
                plan.leave(step.subject, error.words)

    async def do(self, tx: Tx, superuser: SuperUser, steps: Sequence[Step]) -> Sequence[Remark]:
        """Do the steps in the caller's transaction; return those that cannot be done, and why. They change nothing."""
        refused: list[Remark] = []
        for step in steps:
            try:
                async with tx.nested():
                    await self._do(tx, superuser, step)
            except DockbellError as error:
                if error.kind == "unavailable":
                    raise
                refused.append(Remark(step.subject, error.words))
        return refused

    async def _do(self, tx: Tx, superuser: SuperUser, step: Step) -> None:
        match step:
            case AddNotification():
                await self._add_notification(tx, superuser.actor, step)
            case AddQuota(namespace, quota):
                await self._add_quota(tx, superuser, namespace, quota)
            case AddRule():
                await _add_rule(tx, superuser.actor, step)
            case AddRepository() | GiveRole() | AddEmail() | AddMirror():
                await self._do_in_repository(tx, superuser.actor, step)
            case _:
                await _do_in_namespace(tx, superuser, step)

    async def _do_in_repository(
        self, tx: Tx, actor: Actor, step: AddRepository | GiveRole | AddEmail | AddMirror
    ) -> None:
        match step:
            case AddRepository(repository):
                creator = await repositories.creator_in(tx, actor, repository.namespace)
                await repositories.create(
                    tx,
                    creator,
                    repository.name,
                    visibility=repository.visibility,
                    description=repository.description,
                )
            case GiveRole(path, holder, role, is_team):
                right = await repositories.admin_of(tx, actor, path)
                if is_team:
                    await permissions.put_team(tx, right, holder, role)
                else:
                    await permissions.put_held(tx, right, holder, role)
            case AddEmail(path, email):
                await self._add_email(tx, await repositories.admin_of(tx, actor, path), email)
            case AddMirror(path, mirror):
                await self._add_mirror(tx, await repositories.admin_of(tx, actor, path), mirror)

    async def _add_email(self, tx: Tx, admin: AdminOf, email: str) -> None:
        await authorized_emails.carry_over(
            tx,
            admin.repository.id,
            email,
            unsubscribe_code=self.notifications.chance(rules.UNSUBSCRIBE_BYTES).hex(),
        )
        await audit_entries.write_about(
            tx, admin.actor, admin.repository, "authorize_repo_email", email=email
        )

    async def _add_mirror(self, tx: Tx, admin: AdminOf, mirror: HeldMirror) -> None:
        wanted = _mirror_of(mirror, admin.repository.id)
        await self.mirrors.create(tx, admin, WantedMirror(wanted, robot=mirror.robot or ""))
        if not mirror.refuses_pushes:
            await mirrors.set_state(tx, admin, RepositoryState.NORMAL)

    async def _add_quota(
        self, tx: Tx, superuser: SuperUser, namespace: str, quota: HeldQuota
    ) -> None:
        made = await self.quotas.create(tx, superuser, namespace, quota.limit_bytes)
        for kind, percent in sorted(quota.limits, key=lambda one: one[1]):
            await self.quotas.add_limit(
                tx, superuser, namespace, made.id, kind=kind, percent=percent
            )

    async def _add_notification(self, tx: Tx, actor: Actor, step: AddNotification) -> None:
        """Make it with the failures that it had: what Quay has switched off arrives paused."""
        admin = (
            await repositories.admin_of_all(tx, actor, step.path)
            if step.is_of_namespace
            else await repositories.admin_of(tx, actor, step.path)
        )
        notification = step.notification
        made = await self.notifications.create(tx, admin, _new(notification))
        if notification.failures:
            await notification_rows.set_streak(tx, made.id, notification.failures)
        if notification.failures >= FAILURE_LIMIT:
            await notification_rows.pause(tx, made.id, PauseReason.FAILURES)


async def _add_rule(tx: Tx, actor: Actor, step: AddRule) -> None:
    admin = (
        await organizations.admin_of_namespace(tx, actor, step.path)
        if step.is_of_namespace
        else await repositories.admin_of(tx, actor, step.path)
    )
    rule = step.rule
    await immutability.create_rule(tx, admin, rule.pattern, matches=rule.matches)


async def _do_in_namespace(
    tx: Tx,
    superuser: SuperUser,
    step: AddUser | AddOrganization | AddTeam | AddMember | AddRobot | AddDefaultRole,
) -> None:
    actor = superuser.actor
    match step:
        case AddUser(user):
            await _add_user(tx, superuser, user.name, user.email, is_on=user.is_enabled)
        case AddOrganization(name, email):
            await _add_organization(tx, superuser, name, email)
        case AddTeam(organization, team):
            admin = await organizations.admin_of_namespace(tx, actor, organization)
            await teams.put(tx, admin, team.name, team.role, team.description)
        case AddMember(organization, name, member):
            admin = await organizations.admin_of_namespace(tx, actor, organization)
            found = await teams.load(tx, admin, name)
            await team_members.put(tx, admin, found, member, requires_invite=False)
        case AddRobot(namespace, robot):
            owner = await namespaces.find(tx, namespace)
            if owner is None:
                raise InvalidRequestError(f"{namespace} is not here")
            await robots.create(
                tx,
                AdminOfNamespace(actor, owner),
                robot.name,
                description=robot.description,
            )
        case AddDefaultRole(organization, one):
            admin = await organizations.admin_of_namespace(tx, actor, organization)
            await default_roles.create(
                tx,
                admin,
                one.role,
                creator=one.creator,
                holder=None if one.is_team else one.holder,
                team=one.holder if one.is_team else None,
            )


async def _taken(
    tx: Tx, notifications: Collection[HeldNotification], place_id: str
) -> Collection[str]:
    """The UUIDs of these that notifications of other places have."""
    places = await notification_rows.places_of_uuids(tx, [one.uuid for one in notifications])
    return {uuid for uuid, found in places.items() if found != place_id}


def _mirror_of(held: HeldMirror, repository_id: str) -> Mirror:
    """The mirror as it will be here; InvalidRequestError for settings that none has here."""
    return Mirror(
        repository_id=repository_id,
        is_enabled=held.is_enabled,
        reference=held.reference,
        username=held.username,
        registry_config=merged_config({}, held.registry_config),
        robot=held.robot,
        globs=held.globs,
        interval=interval_of(held.interval_seconds),
        start_at=held.start_at,
        timeout=timeout_of(held.timeout_seconds),
        architectures=architectures_of(held.architectures),
    )


def _namespace_to_be(wanted: HeldNamespace, now: datetime) -> Namespace:
    kind = NamespaceKind.ORGANIZATION if wanted.is_organization else NamespaceKind.USER
    return Namespace(id="", name=wanted.name, kind=kind, email=wanted.email, created_at=now)


def _to_be(wanted: HeldRepository, now: datetime) -> Repository:
    """The repository as it will be; nothing belongs to it yet."""
    return Repository(
        id="",
        namespace_id="",
        namespace=wanted.namespace,
        name=wanted.name,
        visibility=wanted.visibility,
        description=wanted.description,
        created_at=now,
    )


def _new(one: HeldNotification) -> NewNotification:
    choices = one.choices or HeldChoices()
    return NewNotification(
        kind=one.event,
        method=one.method,
        config=one.config,
        event_config=one.event_config,
        title=one.title,
        uuid=one.uuid,
        further_kinds=choices.further_events,
        filters=choices.filters,
        payload_form=choices.payload_form,
        rate_limit=choices.rate_limit,
        in_order=choices.in_order,
        tls=Tls(ca=choices.ca) if choices.ca else None,
    )


async def _add_user(
    tx: Tx, superuser: SuperUser, name: str, email: str | None, *, is_on: bool
) -> None:
    """Make the account with a password that nobody knows: an operator or a superuser gives it another."""
    made = await users.create(
        tx,
        superuser.actor,
        username=name,
        email=email,
        password=passwords.random_secret(_UNKNOWN_PASSWORD_LENGTH),
    )
    if not is_on:
        await user_rows.set_enabled(tx, made.id, is_enabled=False)


async def _add_organization(tx: Tx, superuser: SuperUser, name: str, email: str | None) -> None:
    """Make the organization without a team: those of the other server follow, the team of its owners among them."""
    await users.check_email(tx, email)
    made = await namespaces.add(tx, name, NamespaceKind.ORGANIZATION, email)
    await audit_entries.write(
        tx,
        superuser.actor,
        "org_create",
        namespace_id=made.id,
        repository_id=None,
        metadata={"namespace": name, "email": email},
    )

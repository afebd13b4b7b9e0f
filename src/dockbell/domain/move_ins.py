"""What has to be done so that this server holds what another one does. Pure: it compares, and writes nothing.

What is here already is left as it is: doing all that is said here, and comparing again, finds nothing more to do.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from typing import TypeVar

from dockbell.domain.accounts import Role
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.ids import is_uuid
from dockbell.domain.immutability import check_pattern
from dockbell.domain.inventories import (
    HeldChoices,
    HeldDefaultRole,
    HeldMirror,
    HeldNamespace,
    HeldNotification,
    HeldQuota,
    HeldRepository,
    HeldRobot,
    HeldRule,
    HeldTeam,
    HeldUser,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.names import is_namespace, is_repository, is_robot, is_team

_T = TypeVar("_T")


class Thing(StrEnum):
    """What a line of a plan is about."""

    USER = "user"
    ORGANIZATION = "organization"
    TEAM = "team"
    MEMBER = "member"
    ROBOT = "robot"
    DEFAULT_ROLE = "default permission"
    REPOSITORY = "repository"
    PERMISSION = "permission"
    EMAIL = "e-mail address"
    NOTIFICATION = "notification"
    QUOTA = "quota"
    MIRROR = "mirror"
    IMMUTABLE_TAGS = "immutable tags"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a line is about: enough to find it on both servers."""

    thing: Thing
    name: str


@dataclass(frozen=True, slots=True)
class AddUser:
    user: HeldUser

    @property
    def subject(self) -> Subject:
        return Subject(Thing.USER, self.user.name)


@dataclass(frozen=True, slots=True)
class AddOrganization:
    name: str
    email: str | None

    @property
    def subject(self) -> Subject:
        return Subject(Thing.ORGANIZATION, self.name)


@dataclass(frozen=True, slots=True)
class AddTeam:
    organization: str
    team: HeldTeam

    @property
    def subject(self) -> Subject:
        return Subject(Thing.TEAM, f"{self.organization}/{self.team.name}")


@dataclass(frozen=True, slots=True)
class AddMember:
    organization: str
    team: str
    member: str

    @property
    def subject(self) -> Subject:
        return Subject(Thing.MEMBER, f"{self.organization}/{self.team}: {self.member}")


@dataclass(frozen=True, slots=True)
class AddRobot:
    namespace: str
    robot: HeldRobot

    @property
    def subject(self) -> Subject:
        return Subject(Thing.ROBOT, f"{self.namespace}+{self.robot.name}")


@dataclass(frozen=True, slots=True)
class AddDefaultRole:
    organization: str
    default_role: HeldDefaultRole

    @property
    def subject(self) -> Subject:
        one = self.default_role
        whom = f"team {one.holder}" if one.is_team else one.holder
        where = "" if one.creator is None else f" on what {one.creator} makes"
        return Subject(Thing.DEFAULT_ROLE, f"{self.organization}: {whom}{where}")


@dataclass(frozen=True, slots=True)
class AddRepository:
    repository: HeldRepository

    @property
    def subject(self) -> Subject:
        return Subject(Thing.REPOSITORY, self.repository.path)


@dataclass(frozen=True, slots=True)
class GiveRole:
    path: str
    holder: str
    role: Role
    is_team: bool

    @property
    def subject(self) -> Subject:
        whom = f"team {self.holder}" if self.is_team else self.holder
        return Subject(Thing.PERMISSION, f"{self.path}: {whom}")


@dataclass(frozen=True, slots=True)
class AddEmail:
    path: str
    email: str

    @property
    def subject(self) -> Subject:
        return Subject(Thing.EMAIL, f"{self.path}: {self.email}")


@dataclass(frozen=True, slots=True)
class AddNotification:
    path: str  # of the repository, or the name of the namespace
    notification: HeldNotification
    is_of_namespace: bool = False

    @property
    def subject(self) -> Subject:
        one = self.notification
        return Subject(
            Thing.NOTIFICATION, f"{self.path} {one.uuid} ({one.event}, {one.method})"
        )


@dataclass(frozen=True, slots=True)
class AddQuota:
    namespace: str
    quota: HeldQuota

    @property
    def subject(self) -> Subject:
        return Subject(Thing.QUOTA, self.namespace)


@dataclass(frozen=True, slots=True)
class AddMirror:
    path: str
    mirror: HeldMirror

    @property
    def subject(self) -> Subject:
        return Subject(Thing.MIRROR, f"{self.path} of {self.mirror.reference}")


@dataclass(frozen=True, slots=True)
class AddRule:
    path: str  # of the repository, or the name of the organization
    rule: HeldRule
    is_of_namespace: bool = False

    @property
    def subject(self) -> Subject:
        which = "that match" if self.rule.matches else "that do not match"
        return Subject(Thing.IMMUTABLE_TAGS, f"{self.path}: {which} {self.rule.pattern}")


Step = (
    AddUser
    | AddOrganization
    | AddTeam
    | AddMember
    | AddRobot
    | AddDefaultRole
    | AddRepository
    | GiveRole
    | AddEmail
    | AddNotification
    | AddQuota
    | AddMirror
    | AddRule
)


@dataclass(frozen=True, slots=True)
class Remark:
    """What is not moved, or is here otherwise, and why."""

    subject: Subject
    reason: str
    is_different: bool = False  # it is here, and not the same


@dataclass(slots=True)
class Plan:
    """Steps in an order in which they can be done."""

    steps: list[Step] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    same: int = 0  # how many things are here already

    def leave(self, subject: Subject, reason: str) -> None:
        self.remarks.append(Remark(subject, reason))

    def note_difference(self, subject: Subject, what: str) -> None:
        reason = f"{what} here, and is left as it is"
        self.remarks.append(Remark(subject, reason, is_different=True))

    def meet(
        self, step: Step, there: _T, here: _T | None, differences: "Callable[[_T, _T], str]"
    ) -> None:
        """Add the step if the thing is not here, and else say how it differs."""
        if here is None:
            self.steps.append(step)
            return
        self.same += 1
        said = differences(there, here)
        if said:
            self.note_difference(step.subject, said)


def of_users(wanted: Collection[HeldUser], here: Collection[str]) -> Plan:
    """Accounts that are missing. Their passwords stay behind: nobody but their owners knows them."""
    plan = Plan()
    for user in sorted(wanted, key=lambda one: one.name):
        subject = Subject(Thing.USER, user.name)
        if user.name in here:
            plan.same += 1
        elif is_namespace(user.name):
            plan.steps.append(AddUser(user))
        else:
            plan.leave(subject, "the name is not allowed here")
    return plan


def of_namespace(
    wanted: HeldNamespace, here: HeldNamespace | None, taken: Collection[str] = ()
) -> Plan:
    """What an organization, or a user who is here, lacks; without repositories. `taken` is as below."""
    plan = Plan()
    subject = Subject(Thing.ORGANIZATION, wanted.name)
    if not is_namespace(wanted.name):
        plan.leave(subject, "the name is not allowed here")
        return plan
    if here is not None and here.is_organization is not wanted.is_organization:
        other = "organization" if here.is_organization else "user"
        plan.leave(subject, f"the name belongs to another {other} here")
        return plan
    if wanted.is_organization:
        plan.meet(AddOrganization(wanted.name, wanted.email), wanted, here, _otherwise_named)
    robots = {one.name: one for one in here.robots} if here else {}
    for robot in sorted(wanted.robots, key=lambda one: one.name):
        step = AddRobot(wanted.name, robot)
        if is_robot(robot.name):
            plan.meet(step, robot, robots.get(robot.name), _otherwise_described)
        else:
            plan.leave(step.subject, "the name is not allowed here")
    _add_teams(plan, wanted, {one.name: one for one in here.teams} if here else {})
    default_roles = {one.key: one.role for one in here.default_roles} if here else {}
    for key, one in sorted({one.key: one for one in wanted.default_roles}.items()):
        plan.meet(
            AddDefaultRole(wanted.name, one), one.role, default_roles.get(key), _other_role
        )
    if wanted.quota is not None:
        plan.meet(
            AddQuota(wanted.name, wanted.quota),
            wanted.quota,
            None if here is None else here.quota,
            _otherwise_bounded,
        )
    _add_notifications(
        plan,
        [
            AddNotification(wanted.name, one, is_of_namespace=True)
            for one in wanted.notifications
        ],
        () if here is None else here.notifications,
        taken,
    )
    _add_rules(
        plan,
        [AddRule(wanted.name, one, is_of_namespace=True) for one in wanted.immutable_tags],
        frozenset() if here is None else here.immutable_tags,
    )
    return plan


def _add_teams(plan: Plan, wanted: HeldNamespace, here: Mapping[str, HeldTeam]) -> None:
    for team in sorted(wanted.teams, key=lambda one: one.name):
        step = AddTeam(wanted.name, team)
        if not is_team(team.name):
            plan.leave(step.subject, "the name is not allowed here")
            continue
        known = here.get(team.name)
        plan.meet(step, team, known, _otherwise_ranked)
        for member in sorted(team.members):
            if known is not None and member in known.members:
                plan.same += 1
            else:
                plan.steps.append(AddMember(wanted.name, team.name, member))


def of_repository(
    wanted: HeldRepository, here: HeldRepository | None, taken: Collection[str] = ()
) -> Plan:
    """What the repository lacks. `taken` are the UUIDs of notifications of other places."""
    plan = Plan()
    step = AddRepository(wanted)
    if not is_repository(wanted.name):
        plan.leave(step.subject, "the name is not allowed here")
        return plan
    plan.meet(step, wanted, here, _otherwise_open)
    for is_a_team, roles in ((False, wanted.users), (True, wanted.teams)):
        known: Mapping[str, Role] = {}
        if here is not None:
            known = here.teams if is_a_team else here.users
        for holder, role in sorted(roles.items()):
            if holder == wanted.namespace:
                continue  # an owner needs no role
            plan.meet(
                GiveRole(wanted.path, holder, role, is_a_team),
                role,
                known.get(holder),
                _other_role,
            )
    for email in sorted(wanted.emails):
        if here is not None and email in here.emails:
            plan.same += 1
        else:
            plan.steps.append(AddEmail(wanted.path, email))
    _add_notifications(
        plan,
        [AddNotification(wanted.path, one) for one in wanted.notifications],
        () if here is None else here.notifications,
        taken,
    )
    if wanted.mirror is not None:
        _add_mirror(plan, wanted.path, wanted.mirror, None if here is None else here.mirror)
    _add_rules(
        plan,
        [AddRule(wanted.path, one) for one in wanted.immutable_tags],
        frozenset() if here is None else here.immutable_tags,
    )
    return plan


def _add_rules(plan: Plan, wanted: Collection[AddRule], here: Collection[HeldRule]) -> None:
    for step in sorted(wanted, key=lambda one: one.rule.key):
        if step.rule in here:
            plan.same += 1
            continue
        try:
            check_pattern(step.rule.pattern)
        except InvalidRequestError as error:
            plan.leave(step.subject, error.words)
        else:
            plan.steps.append(step)


def _add_notifications(
    plan: Plan,
    wanted: Collection[AddNotification],
    here: Collection[HeldNotification],
    taken: Collection[str],
) -> None:
    known = {one.uuid: one for one in here}
    for step in wanted:
        uuid = step.notification.uuid
        if not is_uuid(uuid):
            plan.leave(step.subject, "its id is no UUID as Quay makes them")
        elif uuid in taken:
            plan.leave(step.subject, "another place here has a notification of this UUID")
        else:
            plan.meet(step, step.notification, known.get(uuid), _set_otherwise)
            choices = step.notification.choices
            if uuid not in known and choices is not None and choices.has_client_certificate:
                plan.leave(
                    step.subject, "its client certificate: the key is not told. Set both"
                )


def _add_mirror(plan: Plan, path: str, wanted: HeldMirror, here: HeldMirror | None) -> None:
    step = AddMirror(path, wanted)
    if wanted.robot is None:
        plan.leave(step.subject, "its robot is gone there, and without one nothing is synced")
        return
    plan.meet(step, wanted, here, _mirrored_otherwise)
    if here is None and wanted.username is not None:
        plan.leave(
            step.subject,
            f"the password of {wanted.username} is not told: set it, or the syncs will fail",
        )


def _otherwise_named(there: HeldNamespace, here: HeldNamespace) -> str:
    # An address that was not told is no difference.
    return "it has another address" if there.email and there.email != here.email else ""


def _otherwise_described(there: HeldRobot, here: HeldRobot) -> str:
    return "it has another description" if there.description != here.description else ""


def _otherwise_ranked(there: HeldTeam, here: HeldTeam) -> str:
    if there.role is not here.role:
        return f"it is a team of the role {here.role}"
    return "it has another description" if there.description != here.description else ""


def _other_role(there: Role, here: Role) -> str:
    return "" if there is here else f"the role is {here}"


def _otherwise_open(there: HeldRepository, here: HeldRepository) -> str:
    if there.visibility is not here.visibility:
        return f"it is {here.visibility}"
    return "it has another description" if there.description != here.description else ""


def _another(*pairs: tuple[str, object, object]) -> str:
    """What of it is not the same there and here, by name; empty if all is."""
    names = [name for name, there, here in pairs if there != here]
    return f"it has another {', '.join(names)}" if names else ""


def _set_otherwise(there: HeldNotification, here: HeldNotification) -> str:
    return _another(
        ("event", there.event, here.event),
        ("method", there.method, here.method),
        ("title", there.title, here.title),
        ("config", there.config, here.config),
        ("event_config", there.event_config, here.event_config),
        *_chosen_otherwise(there.choices, here.choices or HeldChoices()),
    )


def _chosen_otherwise(
    there: HeldChoices | None, here: HeldChoices
) -> Iterator[tuple[str, object, object]]:
    if there is None:  # what was not told is no difference
        return
    yield "further events", there.further_events, here.further_events
    yield "filter", there.filters, here.filters
    yield "payload_form", there.payload_form, here.payload_form
    yield "rate_limit", there.rate_limit, here.rate_limit
    yield "in_order", there.in_order, here.in_order
    yield "ca", there.ca, here.ca


def _otherwise_bounded(there: HeldQuota, here: HeldQuota) -> str:
    if there.limit_bytes != here.limit_bytes:
        return f"it is {here.limit_bytes} bytes"
    return "it has other limits" if there.limits != here.limits else ""


def _mirrored_otherwise(there: HeldMirror, here: HeldMirror) -> str:
    """When it is synced next is no difference: that moves on with each sync."""
    return _another(
        ("location", there.reference, here.reference),
        ("username", there.username, here.username),
        ("configuration", there.registry_config, here.registry_config),
        ("tag pattern", there.globs, here.globs),
        ("interval", there.interval_seconds, here.interval_seconds),
        ("robot", there.robot, here.robot),
        ("architecture filter", there.architectures, here.architectures),
        ("time limit", there.timeout_seconds, here.timeout_seconds),
        ("switch", there.is_enabled, here.is_enabled),
        ("repository state", there.refuses_pushes, here.refuses_pushes),
    )

"""What `import` does: reads one namespace after the other from the other server, and writes each part in a transaction."""

import contextlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from dockbell import bootstrap
from dockbell.cli.failures import say
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.errors import DockbellError, ForbiddenError, NotFoundError
from dockbell.domain.inventories import (
    HeldChoices,
    HeldDefaultRole,
    HeldNamespace,
    HeldNotification,
    HeldRepository,
    HeldRule,
    HeldUser,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import Recipient
from dockbell.domain.move_ins import Plan, Remark, Step, Subject, Thing, of_users
from dockbell.domain.permissions import SuperUser
from dockbell.net.quay import Listed
from dockbell.observability import logs
from dockbell.services import users
from dockbell.settings import Settings

_SHOW_EVERY = 25  # repositories

_LEFT_BEHIND = (
    "passwords of users: nobody can read them. New users get one with `dockbell users reset-password NAME`",
    "who is a superuser there: nobody is by moving in",
    "tokens of robots: each robot that is made here has a new one",
    "OAuth applications and access tokens, sessions, and invitations that nobody has accepted yet",
    "passwords of mirrors: set each one anew, by hand or by API",
    "signing secrets and client certificates of notifications, and those notifications that a dockbell has for all of it",
    "images, tags, logs, build triggers, and quotas of users other than the token's",
    "settings of proxies, and of mirrors of whole organizations",
)


async def run(  # noqa: PLR0913 -- one argument for each thing that can be said
    settings: Settings,
    url: str,
    token: str,
    *,
    names: tuple[str, ...],
    applies: bool,
    rate: float,
) -> dict[str, Any]:
    """Make the plan and, if that is wanted, do it; return the report."""
    logs.configure(style=settings.log_format, level="warning")
    async with bootstrap.moving_in(settings, url, token, rate=rate, say=say) as kit:
        async with kit.store.read() as tx:
            right = await users.superuser(tx, SYSTEM)
            here = await users.list_all(tx, right)
        move = _Move(
            kit,
            right,
            applies=applies,
            has_superuser=bool(settings.superusers) or any(one.is_superuser for one in here),
            users_here={one.namespace.name for one in here},
        )
        try:
            await move.all_of(names)
        except DockbellError:
            if applies and move.changes:
                say(
                    f"{len(move.changes)} things have moved in before this. Run it again to go on."
                )
            raise
        return move.report()


@dataclass(slots=True)
class _Move:
    """One run."""

    kit: bootstrap.MovingIn
    right: SuperUser
    applies: bool
    has_superuser: bool  # here, or somebody who is to be one by setting
    users_here: set[str]
    is_dockbell: bool = False  # the other server, which tells more of its notifications
    choices: Mapping[str, HeldChoices] = field(default_factory=dict)  # of one namespace
    has_rules: bool = True  # at the other server: which tags do not change
    lacking: set[Thing] = field(default_factory=set)  # at the other server
    known: dict[str, HeldUser] = field(default_factory=dict)  # of the other server, if it tells
    expected: set[Recipient] = field(default_factory=set)
    changes: list[Subject] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    same: int = 0

    async def all_of(self, names: tuple[str, ...]) -> None:
        """Everything, or these namespaces."""
        quay = self.kit.quay
        own, organizations = await quay.myself()
        self.is_dockbell = await quay.is_dockbell()
        self.known = {one.name: one for one in await quay.users() or ()}
        if not names:
            everything = await quay.organizations()
            names = (*(organizations if everything is None else everything), own)
        for name in names:
            await self._namespace(name, own)

    async def _namespace(self, name: str, own: str) -> None:
        held = await self.kit.quay.namespace(name, own=own)
        listed = deque([one async for one in self.kit.quay.repositories(name)])
        say(
            f"{name}: {len(held.teams)} teams, {len(held.robots)} robots, {len(listed)} repositories"
        )
        held = await self._completed(held, own)
        has_any = held.robots or listed or held.quota or held.notifications
        if not held.is_organization and not has_any:
            return
        self._expect(held)
        people = {member for team in held.teams for member in team.members} | _targets_of(held)
        people |= _people_of(held.default_roles)
        self.expected |= {Recipient("user", one) for one in people}
        plan = await self.kit.moves.plan_namespace(
            self.kit.store.read, self.right, held, self.expected
        )
        await self._do(plan, people if held.is_organization else {*people, name})
        if any(
            one.subject == Subject(Thing.ORGANIZATION, name) and not one.is_different
            for one in plan.remarks
        ):
            return
        count = len(listed)
        while listed:
            await self._repository(listed.popleft())
            done = count - len(listed)
            if done % _SHOW_EVERY == 0 and listed:
                say(f"{name}: {done} of {count} repositories")

    async def _completed(self, held: HeldNamespace, own: str) -> HeldNamespace:
        """The namespace with its default roles, quota and notifications, as far as they are told; what is not is said."""
        quay, name = self.kit.quay, held.name
        default_roles, quota, notifications = held.default_roles, held.quota, held.notifications
        self.choices = {}
        if self.is_dockbell:
            with self._saying(Subject(Thing.NOTIFICATION, name)):
                self.choices = await quay.choices(name)
        if held.is_organization:
            with self._saying(Subject(Thing.DEFAULT_ROLE, name)):
                default_roles = await quay.default_roles(name)
        with self._saying(Subject(Thing.QUOTA, name)):
            quota = await quay.quota(name, own=own)
        with self._saying(Subject(Thing.NOTIFICATION, name)):
            notifications = await quay.namespace_notifications(name, own=own)
        rules = await self._rules(name) if held.is_organization else frozenset()
        return replace(
            held,
            immutable_tags=rules,
            default_roles=default_roles,
            quota=quota,
            notifications=self._chosen(notifications),
        )

    async def _rules(self, place: str | Listed) -> frozenset[HeldRule]:
        """Which tags of it do not change, if the other server has such rules, which is asked once."""
        if not self.has_rules:
            return frozenset()
        path = place if isinstance(place, str) else place.path
        with self._saying(Subject(Thing.IMMUTABLE_TAGS, path)):
            try:
                return await self.kit.quay.immutable_tags(place)
            except NotFoundError:
                self.has_rules = False
        return frozenset()

    def _chosen(
        self, notifications: Iterable[HeldNotification]
    ) -> tuple[HeldNotification, ...]:
        """The same with what is known besides of each."""
        return tuple(replace(one, choices=self.choices.get(one.uuid)) for one in notifications)

    @contextlib.contextmanager
    def _saying(self, subject: Subject) -> Iterator[None]:
        """Go on without what the other server does not tell, or does not have, and say so; the latter once."""
        try:
            yield
        except ForbiddenError as error:
            self.remarks.append(Remark(subject, error.detail))
        except NotFoundError as error:
            if subject.thing not in self.lacking:
                self.lacking.add(subject.thing)
                reason = f"{error.detail} That Quay has none, of any namespace"
                self.remarks.append(Remark(subject, reason))

    async def _repository(self, listed: Listed) -> None:
        subject = Subject(Thing.REPOSITORY, listed.path)
        if listed.kind != "image":
            self.remarks.append(
                Remark(subject, f"it holds no images but is of the kind {listed.kind}")
            )
            return
        try:
            wanted = await self.kit.quay.repository(listed)
            wanted = replace(wanted, notifications=self._chosen(wanted.notifications))
        except (ForbiddenError, NotFoundError) as error:
            self.remarks.append(Remark(subject, error.detail))
            return
        with self._saying(Subject(Thing.MIRROR, listed.path)):
            wanted = replace(wanted, mirror=await self.kit.quay.mirror(listed))
        moved = {"NORMAL"} if wanted.mirror is None else {"NORMAL", "MIRROR"}
        wanted = replace(wanted, immutable_tags=await self._rules(listed))
        if listed.state not in moved:
            reason = f"its state {listed.state} does not move: it takes pushes here"
            self.remarks.append(Remark(subject, reason))
        people = set(wanted.users) | _targets_of(wanted)
        self.expected |= {Recipient("user", one) for one in people}
        plan = await self.kit.moves.plan_repository(
            self.kit.store.read, self.right, wanted, self.expected
        )
        await self._do(plan, people)

    def _expect(self, held: HeldNamespace) -> None:
        self.expected = {Recipient("team", team.name) for team in held.teams}
        if held.is_organization:
            self.expected.add(Recipient("org", held.name))

    async def _do(self, plan: Plan, people: set[str]) -> None:
        """Note the plan and, if that is wanted, do it: the accounts that it needs first."""
        missing = {one for one in people if "+" not in one} - self.users_here
        accounts = of_users([self.known.get(one, HeldUser(one)) for one in missing], ())
        steps: Sequence[Step] = [*accounts.steps, *plan.steps]
        refused: Sequence[Remark] = ()
        if self.applies and steps:
            async with self.kit.store.begin() as tx:
                refused = await self.kit.moves.do(tx, self.right, steps)
        undone = {one.subject for one in refused}
        self.changes += [one.subject for one in steps if one.subject not in undone]
        self.remarks += [*accounts.remarks, *plan.remarks, *refused]
        self.same += plan.same
        self.users_here |= missing

    def report(self) -> dict[str, Any]:
        verb = "added" if self.applies else "to add"
        return {
            "applied": self.applies,
            "has_superuser": self.has_superuser,
            "same": self.same,
            "changes": [
                {"what": one.thing.value, "name": one.name, "result": verb, "reason": ""}
                for one in self.changes
            ],
            "remarks": [
                {
                    "what": one.subject.thing.value,
                    "name": one.subject.name,
                    "result": "differs" if one.is_different else "not moved",
                    "reason": one.reason,
                }
                for one in self.remarks
            ],
            "left_behind": list(_LEFT_BEHIND),
        }


def _people_of(default_roles: Collection[HeldDefaultRole]) -> set[str]:
    """The users who get roles, or for whose repositories there are some."""
    holders = {one.holder for one in default_roles if not one.is_team}
    return holders | {one.creator for one in default_roles if one.creator is not None}


def _targets_of(held: HeldNamespace | HeldRepository) -> set[str]:
    """The users whose inboxes its notifications fill."""
    targets = [one.config.get("target") for one in held.notifications]
    return {
        name
        for target in targets
        if isinstance(target, dict)
        and target.get("kind") == "user"
        and isinstance(name := target.get("name"), str)
    }

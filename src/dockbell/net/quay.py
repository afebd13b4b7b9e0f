"""Reading a live Quay, or another server that speaks its API v1: what it holds, page by page, and nothing changed there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import field
from datetime import datetime
from time import perf_counter
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from dockbell.domain.accounts import Role, TeamRole
from dockbell.domain.errors import (
    DockbellError,
    ForbiddenError,
    NotFoundError,
    SetupError,
    UnauthenticatedError,
    UnavailableError,
)
from dockbell.domain.forms import PayloadForm
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
from dockbell.domain.methods import UnreachableError
from dockbell.domain.mirrors import SHORTEST_TIMEOUT
from dockbell.domain.outcomes import Code
from dockbell.domain.product import NAME
from dockbell.domain.repositories import RepositoryState, Visibility
from dockbell.net.fetching import Fetcher
from dockbell.net.urls import target_of

_T = TypeVar("_T")

LARGEST_ANSWER = 16 << 20
MOST_PAGES = 10_000
_MOST_TRIES = 6
_LONGEST_WAIT = 60.0
_ANSWER_SECONDS = 120.0
_REDIRECTS = 3  # Quay sends on to the address with a slash at its end
_PASSING = {429, 500, 502, 503, 504, 520}
# Trying again changes nothing about these.
_LASTING = {
    Code.BLOCKED_ADDRESS,
    Code.BLOCKED_PORT,
    Code.BODY_TOO_LARGE,
    Code.CONFIG_INVALID,
    Code.DNS_NXDOMAIN,
    Code.REDIRECT_NOT_FOLLOWED,
    Code.TLS_VERIFY,
}


class StrangeAnswerError(DockbellError):
    """The other server answered what Quay would not."""


class _Named(msgspec.Struct):
    name: str


class _Myself(msgspec.Struct):
    username: str
    organizations: list[_Named] = []


class _Organizations(msgspec.Struct):
    organizations: list[_Named]


class _User(msgspec.Struct):
    username: str
    email: str | None = None
    enabled: bool = True


class _Users(msgspec.Struct):
    users: list[_User]


class _Team(msgspec.Struct):
    name: str
    role: TeamRole
    description: str | None = None


class _Organization(msgspec.Struct):
    name: str
    email: str | None = None
    teams: dict[str, _Team] | None = None


class _Member(msgspec.Struct):
    name: str
    invited: bool = False


class _Members(msgspec.Struct):
    members: list[_Member]


class _Robot(msgspec.Struct):
    name: str
    description: str | None = None


class _Robots(msgspec.Struct):
    robots: list[_Robot]


class _Delegate(msgspec.Struct):
    name: str
    kind: Literal["user", "team"]


class _Prototype(msgspec.Struct):
    role: Role
    delegate: _Delegate
    activating_user: _Named | None = None


class _Prototypes(msgspec.Struct):
    prototypes: list[_Prototype]


class _Repository(msgspec.Struct):
    namespace: str
    name: str
    is_public: bool
    description: str | None = None
    kind: str | None = "image"
    state: str | None = "NORMAL"


class _Repositories(msgspec.Struct):
    repositories: list[_Repository]
    next_page: str | None = None


class _Held(msgspec.Struct):
    role: Role


class _Permissions(msgspec.Struct):
    permissions: dict[str, _Held]


class _Notification(msgspec.Struct):
    uuid: str
    event: str
    method: str
    config: dict[str, Any]
    title: str | None = None
    event_config: dict[str, Any] | None = None
    number_of_failures: int = 0


class _Notifications(msgspec.Struct):
    notifications: list[_Notification]


class _About(msgspec.Struct):
    title: str = ""


class _Discovery(msgspec.Struct):
    info: _About


class _Rate(msgspec.Struct):
    per_second: float


class _Tls(msgspec.Struct):
    ca: str | None = None
    client_certificate: str | None = None


class _Chosen(msgspec.Struct):
    """A notification as API v2 shows it. Its configuration is masked, and read from API v1."""

    uuid: str
    events: list[str]
    filter: dict[str, Any] | None = None
    payload_form: PayloadForm = PayloadForm.QUAY
    rate_limit: _Rate | None = None
    in_order: bool = False
    tls: _Tls | None = None


class _ChosenPage(msgspec.Struct):
    items: list[_Chosen]
    next_cursor: str | None = None


class _Limit(msgspec.Struct):
    type: str
    limit_percent: int


class _Quota(msgspec.Struct):
    limit_bytes: int | None = None
    limits: list[_Limit] = []
    default_config: bool = False  # the whole server's, shown where there is no other


class _Rule(msgspec.Struct):
    rule_value: list[str]


class _Mirror(msgspec.Struct):
    is_enabled: bool
    external_reference: str
    sync_interval: int
    root_rule: _Rule
    sync_start_date: str | None = None
    external_registry_username: str | None = None
    external_registry_config: dict[str, Any] | None = None
    robot_username: str | None = None
    skopeo_timeout_interval: int | None = None  # older ones have neither
    architecture_filter: list[str] | None = None


class _Policy(msgspec.Struct):
    tag_pattern: str = msgspec.field(name="tagPattern")
    matches: bool = msgspec.field(name="tagPatternMatches", default=True)


class _Policies(msgspec.Struct):
    policies: list[_Policy]


class _Email(msgspec.Struct):
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository in a list: what there is before its permissions and notifications are read."""

    namespace: str
    name: str
    visibility: Visibility
    description: str
    kind: str
    state: str

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class Quay:
    """One Quay, asked at most `rate` times in a second. What passes (429, 5xx, no answer) is asked again, with patience.

    Every function raises DockbellError in words that name the address which was asked.
    """

    fetcher: Fetcher
    address: str  # with its scheme, without a slash at the end
    token: str = field(repr=False)
    rate: float = 20.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    say: Callable[[str], None] = lambda _: (
        None
    )  # hears of every wait for a Quay that does not answer well
    _next_at: float = 0.0

    async def myself(self) -> tuple[str, tuple[str, ...]]:
        """Whose token it is, and the organizations that they belong to."""
        me = await self._get("user/", _Myself)
        return me.username, tuple(sorted(one.name for one in me.organizations))

    async def organizations(self) -> tuple[str, ...] | None:
        """All organizations; None if the token is no superuser's."""
        found = await self._if_allowed(self._get("superuser/organizations/", _Organizations))
        return None if found is None else tuple(sorted(one.name for one in found.organizations))

    async def users(self) -> tuple[HeldUser, ...] | None:
        """All users with their addresses; None if the token is no superuser's."""
        found = await self._if_allowed(self._get("superuser/users/", _Users))
        if found is None:
            return None
        return tuple(HeldUser(one.username, one.email, one.enabled) for one in found.users)

    async def namespace(self, name: str, *, own: str) -> HeldNamespace:
        """The organization with its teams and robots; of the token's user `own`, and of another user, the robots."""
        if name == own:
            robots = await self._robots("user/robots", name)
            return HeldNamespace(name, is_organization=False, robots=robots)
        organization = f"organization/{_part(name)}"
        found = await self._get(organization, _Organization)
        if found.teams is None:
            raise ForbiddenError(
                f"The token may not look into the organization {name} at {self.address}: "
                "its user must administer it, and it needs the scope org:admin. "
                "To move others without it, name them with --namespace."
            )
        teams = []
        for team in found.teams.values():
            members = await self._get(
                f"{organization}/team/{_part(team.name)}/members", _Members
            )
            teams.append(
                HeldTeam(
                    team.name,
                    team.role,
                    team.description or "",
                    tuple(one.name for one in members.members if not one.invited),
                )
            )
        return HeldNamespace(
            name,
            is_organization=True,
            email=found.email or None,
            teams=tuple(teams),
            robots=await self._robots(f"{organization}/robots", name),
        )

    async def repositories(self, namespace: str) -> AsyncIterator[Listed]:
        """The namespace's repositories, in the order in which they are listed there."""
        query, seen = {"namespace": namespace}, set[str]()
        for _ in range(MOST_PAGES):
            page = await self._get(f"repository?{urlencode(query)}", _Repositories)
            for one in page.repositories:
                if one.namespace == namespace:
                    yield Listed(
                        one.namespace,
                        one.name,
                        Visibility.PUBLIC if one.is_public else Visibility.PRIVATE,
                        one.description or "",
                        one.kind or "image",
                        one.state or "NORMAL",
                    )
            if not page.next_page:
                return
            if page.next_page in seen:
                break
            seen.add(page.next_page)
            query["next_page"] = page.next_page
        raise StrangeAnswerError(
            f"The list of repositories of {namespace} at {self.address} does not end."
        )

    async def repository(self, listed: Listed) -> HeldRepository:
        """All there is to know of a listed repository. Its administrator's token is needed."""
        address = _address(listed)
        users = await self._get(f"{address}/permissions/user/", _Permissions)
        teams: Mapping[str, _Held] = {}
        teams = (await self._get(f"{address}/permissions/team/", _Permissions)).permissions
        notifications = await self._get(f"{address}/notification/", _Notifications)
        emails = {
            email
            for one in notifications.notifications
            if one.method == "email" and isinstance(email := one.config.get("email"), str)
        }
        return HeldRepository(
            listed.namespace,
            listed.name,
            listed.visibility,
            listed.description,
            users={name: held.role for name, held in users.permissions.items()},
            teams={name: held.role for name, held in teams.items()},
            emails=frozenset(
                [email for email in sorted(emails) if await self._has_agreed(address, email)]
            ),
            notifications=_held(notifications),
        )

    async def default_roles(self, organization: str) -> tuple[HeldDefaultRole, ...]:
        """What new repositories of the organization begin with. NotFoundError where there is no such thing."""
        found = await self._get(f"organization/{_part(organization)}/prototypes", _Prototypes)
        return tuple(
            HeldDefaultRole(
                one.delegate.name,
                is_team=one.delegate.kind == "team",
                creator=None if one.activating_user is None else one.activating_user.name,
                role=one.role,
            )
            for one in found.prototypes
        )

    async def quota(self, namespace: str, *, own: str) -> HeldQuota | None:
        """How much the organization, or the token's user `own`, may store. NotFoundError where there are no quotas at all."""
        place = "user" if namespace == own else f"organization/{_part(namespace)}"
        for one in await self._get(f"{place}/quota", list[_Quota]):
            if one.limit_bytes is not None and not one.default_config:
                limits = frozenset((limit.type, limit.limit_percent) for limit in one.limits)
                return HeldQuota(one.limit_bytes, limits)
        return None

    async def namespace_notifications(
        self, namespace: str, *, own: str
    ) -> tuple[HeldNotification, ...]:
        """Those of the organization, or of the token's user `own`, itself. NotFoundError where there is no such thing."""
        place = (
            "user/namespacenotifications"
            if namespace == own
            else f"organization/{_part(namespace)}/notifications"
        )
        return _held(await self._get(place, _Notifications))

    async def is_dockbell(self) -> bool:
        """Whether it is no Quay but a dockbell, which knows more of its notifications than API v1 tells."""
        try:
            found = await self._if_allowed(self._get("discovery", _Discovery))
        except StrangeAnswerError:
            return False
        return found is not None and found.info.title == NAME

    async def choices(self, namespace: str) -> Mapping[str, HeldChoices]:
        """What a dockbell knows besides of the notifications of the namespace and its repositories, by their UUIDs."""
        query, found = {"namespace": namespace, "limit": "200"}, dict[str, HeldChoices]()
        for _ in range(MOST_PAGES):
            page = await self._get(f"notifications?{urlencode(query)}", _ChosenPage, api="v2")
            for one in page.items:
                tls = one.tls or _Tls()
                found[one.uuid.lower()] = HeldChoices(
                    further_events=tuple(one.events[1:]),
                    filters=one.filter,
                    payload_form=one.payload_form,
                    rate_limit=None if one.rate_limit is None else one.rate_limit.per_second,
                    in_order=one.in_order,
                    ca=tls.ca or "",
                    has_client_certificate=bool(tls.client_certificate),
                )
            if not page.next_cursor:
                return found
            query["cursor"] = page.next_cursor
        raise StrangeAnswerError(
            f"The list of notifications of {namespace} at {self.address} does not end."
        )

    async def mirror(self, listed: Listed) -> HeldMirror | None:
        """How a listed repository is mirrored; None if it is not, or there are no mirrors at all."""
        try:
            found = await self._get(f"{_address(listed)}/mirror", _Mirror)
        except NotFoundError:
            return None
        seconds = found.skopeo_timeout_interval
        return HeldMirror(
            is_enabled=found.is_enabled,
            reference=found.external_reference,
            username=found.external_registry_username or None,
            registry_config=found.external_registry_config or {},
            globs=tuple(found.root_rule.rule_value),
            interval_seconds=found.sync_interval,
            start_at=_moment_of(found.sync_start_date),
            robot=found.robot_username,
            timeout_seconds=int(SHORTEST_TIMEOUT.total_seconds())
            if seconds is None
            else seconds,
            architectures=tuple(found.architecture_filter or ()),
            refuses_pushes=listed.state == RepositoryState.MIRROR,
        )

    async def immutable_tags(self, place: str | Listed) -> frozenset[HeldRule]:
        """Which tags of an organization or of a listed repository do not change. NotFoundError where there are no such rules."""
        path = f"organization/{_part(place)}" if isinstance(place, str) else _address(place)
        found = await self._get(f"{path}/immutabilitypolicy/", _Policies)
        return frozenset(HeldRule(one.tag_pattern, one.matches) for one in found.policies)

    async def _robots(self, path: str, namespace: str) -> tuple[HeldRobot, ...]:
        # Their tokens are not asked for: they are made anew here.
        found = await self._get(f"{path}?permissions=false&token=false", _Robots)
        return tuple(
            HeldRobot(one.name.removeprefix(f"{namespace}+"), one.description or "")
            for one in found.robots
        )

    async def _has_agreed(self, address: str, email: str) -> bool:
        try:
            found = await self._get(f"{address}/authorizedemail/{_part(email)}", _Email)
        except NotFoundError:
            return False
        return found.confirmed

    async def _if_allowed(self, asking: Awaitable[_T]) -> _T | None:
        try:
            return await asking
        except (ForbiddenError, NotFoundError, UnauthenticatedError):
            return None

    async def _get(self, path: str, shape: type[_T], *, api: Literal["v1", "v2"] = "v1") -> _T:
        """What is at this path below the API, in this shape. Tried again while what is wrong may pass."""
        url = f"{self.address}/api/{api}/{path}"
        for number in range(1, _MOST_TRIES + 1):
            await self._take_turn()
            wait = min(_LONGEST_WAIT, 2.0 ** (number - 1))
            try:
                status, headers, body = await self._ask(url)
                trouble = f"{self.address} answers {status}"
            except UnreachableError as error:
                trouble = error.detail
                if error.code in _LASTING or number == _MOST_TRIES:
                    raise UnavailableError(f"{url} cannot be read: {error.detail}") from error
            else:
                if status not in _PASSING:
                    return _decoded(url, status, body, shape)
                if number == _MOST_TRIES:
                    raise UnavailableError(
                        f"{url} answered {status}, also when it was asked {number} times."
                    )
                wait = max(wait, _seconds_of(headers.get("retry-after")))
            self.say(f"{trouble.rstrip('.')}; trying again in {wait:.0f} s …")
            await self.sleep(wait)
        raise UnavailableError(f"{url} cannot be read.")

    async def _ask(self, url: str) -> tuple[int, Mapping[str, str], bytes]:
        headers = [("Authorization", f"Bearer {self.token}"), ("Accept", "application/json")]
        try:
            async with (
                asyncio.timeout(_ANSWER_SECONDS),
                self.fetcher.open("GET", url, headers, redirects=_REDIRECTS) as fetched,
            ):
                body = await fetched.read(LARGEST_ANSWER)
                return fetched.status, fetched.headers, body
        except TimeoutError:
            raise UnreachableError(
                Code.TOTAL_TIMEOUT, f"The answer took more than {_ANSWER_SECONDS:g} s."
            ) from None

    async def _take_turn(self) -> None:
        now = perf_counter()
        if self._next_at > now:
            await self.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + 1 / self.rate


def address_of(text: str) -> str:
    """The address of a Quay as somebody writes it, without a slash at its end; or SetupError."""
    try:
        target = target_of(text)
    except UnreachableError as error:
        raise SetupError(f"--url: {error.detail}") from error
    if target.authorization is not None or "?" in target.url:
        raise SetupError("--url: write the address alone, as https://quay.example.org.")
    return target.url.rstrip("/").removesuffix("/api/v1")


def host_of_url(address: str) -> str:
    """The host of what `address_of` returned."""
    return target_of(address).host


def _address(listed: Listed) -> str:
    return f"repository/{'/'.join(map(_part, listed.path.split('/')))}"


def _held(found: _Notifications) -> tuple[HeldNotification, ...]:
    return tuple(
        HeldNotification(
            one.uuid.lower(),
            one.event,
            one.method,
            one.title,
            one.config,
            one.event_config or {},
            max(0, one.number_of_failures),
        )
        for one in found.notifications
    )


def _part(text: str) -> str:
    return quote(text, safe="")


def _decoded(url: str, status: int, body: bytes, shape: type[_T]) -> _T:
    if status == 401:  # noqa: PLR2004 -- HTTP's own numbers
        raise UnauthenticatedError(f"{url} does not accept the token (401).")
    if status == 403:  # noqa: PLR2004
        raise ForbiddenError(
            f"{url} is not for this token (403): its user lacks the right, or it lacks the scope."
        )
    if status in {400, 404}:
        raise NotFoundError(f"{url} is not there ({status}).")
    if status != 200:  # noqa: PLR2004
        raise StrangeAnswerError(f"{url} answered {status}. Is there a Quay?")
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise StrangeAnswerError(f"{url} answered what Quay would not: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StrangeAnswerError(f"{url} answered no JSON, or a part of it.") from error


def _moment_of(text: str | None) -> datetime | None:
    """The moment; None if it cannot be read, which is no reason to leave all the rest behind."""
    try:
        return None if text is None else msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def _seconds_of(text: str | None) -> float:
    """What Retry-After says in seconds, within reason; a date in it is not waited for."""
    return min(_LONGEST_WAIT, float(text)) if text and text.isdecimal() else 0.0

"""What the faces are given by the composition root."""

from collections.abc import Mapping
from dataclasses import field

from dockbell.domain.accounts import Powers
from dockbell.domain.events import EventKind
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.methods import Method
from dockbell.domain.scans import Scanner
from dockbell.services.authorized_emails import AuthorizedEmails
from dockbell.services.builds import Builds
from dockbell.services.feeds import Feeds
from dockbell.services.intake import Intake
from dockbell.services.mirrors import Mirrors
from dockbell.services.notifications import Notifications
from dockbell.services.quotas import Quotas
from dockbell.services.scans import Scans
from dockbell.services.sign_ups import SignUps
from dockbell.sources import build_sources, scanners


@dataclass(frozen=True, slots=True)
class ClairCalls:
    """Whether a Clair may call us, the key that it proves to know, and whether it is asked about what is pushed."""

    is_set_up: bool = False
    key: bytes | None = field(default=None, repr=False)
    indexes: bool = False


@dataclass(frozen=True, slots=True)
class Faces:
    """The parts and switches that API, pages and registry share."""

    kinds: Mapping[str, EventKind]
    methods: Mapping[str, Method]
    links: Links
    intake: Intake
    notifications: Notifications
    emails: AuthorizedEmails
    is_initialize_open: bool = False  # POST /api/v1/user/initialize without a set-up token
    requires_team_invite: bool = True
    allows_sign_up: bool = False  # POST /api/v1/user
    allows_anonymous: bool = True  # whoever is not signed in sees what is public
    default_quota: int = 0  # bytes of a namespace that has no quota of its own; 0 is no end
    is_readonly: bool = False  # nobody changes anything
    powers: Powers = field(default_factory=Powers)
    clair: ClairCalls = ClairCalls()

    @property
    def sign_ups(self) -> SignUps:
        return SignUps(self.links, has_mail=self.emails.is_open, is_open=self.allows_sign_up)

    @property
    def mirrors(self) -> Mirrors:
        return Mirrors(self.intake, self.clair.indexes)

    @property
    def builds(self) -> Builds:
        return Builds(self.intake)

    @property
    def quotas(self) -> Quotas:
        return Quotas(self.intake, self.default_quota)

    @property
    def scans(self) -> Scans:
        return Scans(self.intake)

    @property
    def feeds(self) -> Feeds:
        return Feeds(self.builds, build_sources())

    @property
    def scanners(self) -> Mapping[str, Scanner]:
        return scanners()

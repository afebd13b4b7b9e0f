"""Notifications: standing orders that say which event of what goes where, and how."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from dockbell.domain.deliveries import PauseReason
from dockbell.domain.forms import PayloadForm
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.signing import Signature, SigningSecret
from dockbell.domain.tls import Tls

INSTANCE = (
    "instance"  # the place of notifications for the whole server, where others have an id
)


class NotificationScope(StrEnum):
    """Whose events a notification is for."""

    REPOSITORY = "repository"
    NAMESPACE = "namespace"  # those of all its repositories, and its own
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Notification:
    """Some kinds of events of a repository, a namespace or the whole server, sent by one method.

    `config` and `event_config` are kept as sent, because Quay's clients compare them (quay-compat 2.1).
    """

    id: str
    uuid: str  # the id that API v1 shows
    namespace_id: str | None
    repository_id: str | None
    kind: str  # the first of its kinds, and the one that API v1 shows
    method: str
    title: str | None
    config: Mapping[str, object]
    event_config: Mapping[str, object]
    failure_streak: int
    paused_at: datetime | None
    pause_reason: PauseReason | None
    created_at: datetime
    payload_form: PayloadForm = PayloadForm.QUAY
    signatures: tuple[Signature, ...] = (Signature.V1,)
    further_kinds: tuple[str, ...] = ()
    filters: Mapping[str, object] | None = None
    rate_limit: float | None = None  # deliveries in a second
    in_order: bool = False  # one at a time, each when the one before is over
    failing_since: datetime | None = None  # its first failed try since one that succeeded
    tls: Tls | None = None
    # Signing secrets that were live when this was read, newest first.
    secrets: tuple[SigningSecret, ...] = field(default=(), repr=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.kind, *self.further_kinds)

    @property
    def scope(self) -> NotificationScope:
        if self.repository_id is not None:
            return NotificationScope.REPOSITORY
        if self.namespace_id is not None:
            return NotificationScope.NAMESPACE
        return NotificationScope.INSTANCE

    @property
    def place_id(self) -> str:
        """The id of the repository or namespace that it belongs to, or INSTANCE."""
        return self.repository_id or self.namespace_id or INSTANCE

    def live_secrets(self, now: datetime) -> tuple[SigningSecret, ...]:
        """Those that sign at this moment, newest first."""
        for secret in self.secrets:
            if not secret.is_live(now):
                return tuple(one for one in self.secrets if one.is_live(now))
        return self.secrets


class Outline(NamedTuple):
    """A notification as a list of API v1 shows it, its documents as the JSON text that is shown.

    A tuple, because lists are long and nothing of it is looked into: making one costs a fraction of a dataclass.
    """

    uuid: str
    title: str | None
    kind: str
    method: str
    config: str
    event_config: str
    failure_streak: int
    is_paused: bool

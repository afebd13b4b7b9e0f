"""E-mail addresses whose owners were asked whether they want a repository's mail."""

from datetime import datetime, timedelta

from dockbell.domain.late_dataclasses import dataclass

CODE_LIFETIME = timedelta(days=3)
CODE_BYTES = 10  # Quay's codes have 16 letters, which is 80 bits in base 32
UNSUBSCRIBE_BYTES = 16

# What one address can be sent, whoever asks, and what one account or one namespace can ask for.
LEAST_WAIT = timedelta(minutes=1)
DAY = timedelta(days=1)
MOST_OF_ADDRESS = 5  # in a day
HOUR = timedelta(hours=1)
MOST_OF_ASKER = 30  # in an hour


@dataclass(frozen=True, slots=True)
class AuthorizedEmail:
    """One address of one repository. It gets mail only while `confirmed_at` is set."""

    id: str
    namespace: str
    repository: str  # without the namespace
    email: str
    confirmed_at: datetime | None
    code_expires_at: datetime | None  # None if no code is out

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.repository}"


@dataclass(frozen=True, slots=True)
class Consent:
    """What it takes to end an address's mails without a login."""

    id: str
    code: str

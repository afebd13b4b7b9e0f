"""Sessions of browsers: the cookie, and what proves that a request was made on purpose."""

import base64
import hashlib
import hmac
from dataclasses import field
from datetime import datetime, timedelta

from dockbell.domain.late_dataclasses import dataclass

SECRET_LENGTH = 48
LIFETIME = timedelta(days=7)
FRESH = timedelta(
    minutes=10
)  # Quay: how long after signing in one need not show the password again


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was begun. The secret is the cookie, and is known to the browser alone."""

    secret: str = field(repr=False)
    expires_at: datetime


def is_secret(text: str) -> bool:
    """Whether this can be a session's secret at all. Asks nobody."""
    return len(text) == SECRET_LENGTH and text.isascii() and text.isalnum()


def csrf_token_of(secret: str) -> str:
    """What a page sends along with the cookie, and another site's page cannot know.

    It follows from the secret, so that nobody has to keep it, and tells nothing about it.
    """
    digest = hmac.new(secret.encode(), b"csrf", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_csrf_token(secret: str, given: str) -> bool:
    """Whether this is the session's token, in a time that tells nothing about it."""
    return hmac.compare_digest(csrf_token_of(secret).encode(), given.encode())

"""The cookie of a session, and the token that proves a request was meant (quay-compat 6.4)."""

from dockbell.domain.errors import ForbiddenError
from dockbell.domain.links import Links
from dockbell.domain.sessions import LIFETIME, Session, csrf_token_of, is_csrf_token, is_secret

# Quay: the session's cookie has the name that one expects of the other. Pinned by compat/test_sessions.py.
COOKIE = "_csrf_token"
FIELD = "_csrf_token"  # in a query or a form
HEADER = "x-csrf-token"
NEXT_HEADER = "x-next-csrf-token"

READING_VERBS = frozenset({"GET", "HEAD", "OPTIONS"})


class CsrfError(ForbiddenError):
    """CSRF token was invalid or missing."""


def secret_in(cookies: dict[str, str]) -> str | None:
    """The secret in the cookie, whether or not a session has it."""
    given = cookies.get(COOKIE, "")
    return given if is_secret(given) else None


def check_csrf(secret: str | None, given: str) -> None:
    """Raise CsrfError unless this is the token that goes with the cookie."""
    if secret is None or not is_csrf_token(secret, given):
        raise CsrfError


def cookie_of(links: Links, secret: str, *, seconds: int | None = None) -> str:
    """The header that keeps this secret in the browser, out of reach of any script."""
    words = [f"{COOKIE}={secret}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if seconds is not None:
        words.append(f"Max-Age={seconds}")
    if links.scheme == "https":
        words.append("Secure")
    return "; ".join(words)


def keep(links: Links, session: Session) -> dict[str, str]:
    """The headers of an answer that begins a session: its cookie, and the next CSRF token."""
    seconds = int(LIFETIME.total_seconds())
    return {
        "set-cookie": cookie_of(links, session.secret, seconds=seconds),
        NEXT_HEADER: csrf_token_of(session.secret),
    }


def forget(links: Links) -> dict[str, str]:
    """The header that takes the cookie away."""
    return {"set-cookie": cookie_of(links, "", seconds=0)}

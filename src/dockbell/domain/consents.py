"""What each scope means, in the words that people read before they agree."""

from collections.abc import Iterable, Mapping

from dockbell.domain.accounts import IMPLIED, Scope
from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """A scope as a page or a client shows it."""

    scope: Scope
    title: str
    about: str
    is_dangerous: bool = False  # worth a second look before one agrees


MEANINGS: Mapping[Scope, Meaning] = {
    one.scope: one
    for one in (
        Meaning(
            Scope.REPO_READ,
            "See repositories",
            "See and pull the repositories that you may see.",
        ),
        Meaning(
            Scope.REPO_WRITE,
            "Push to repositories",
            "Pull from your repositories and push to them.",
        ),
        Meaning(
            Scope.REPO_ADMIN,
            "Manage repositories",
            "Pull from your repositories, push to them, and manage them and their notifications.",
            is_dangerous=True,
        ),
        Meaning(Scope.REPO_CREATE, "Create repositories", "Create repositories."),
        Meaning(Scope.USER_READ, "Read your account", "Read your own account."),
        Meaning(
            Scope.USER_ADMIN,
            "Manage your account",
            "Read your account and your inbox, change your account, and create organizations.",
            is_dangerous=True,
        ),
        Meaning(
            Scope.ORG_ADMIN,
            "Manage your organizations",
            "Manage your organizations: teams, robots, applications, tokens.",
            is_dangerous=True,
        ),
        Meaning(
            Scope.SUPER_USER,
            "Manage the server",
            "Manage all users. Only superusers can have it.",
            is_dangerous=True,
        ),
    )
}


def meanings_of(scopes: Iterable[Scope]) -> list[Meaning]:
    """What these scopes mean, in our order, without those that another of them holds already."""
    held = frozenset(scopes)
    implied = frozenset().union(*(IMPLIED.get(scope, frozenset()) for scope in held))
    return [MEANINGS[scope] for scope in Scope if scope in held and scope not in implied]

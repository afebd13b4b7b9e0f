"""Scopes: how they are written, and what they imply (quay-compat 6.2)."""

import pytest

from dockbell.domain.accounts import Actor, ActorKind, Powers, Scope, scopes_of


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("repo:read", {"repo:read"}),
        ("repo:write", {"repo:read", "repo:write"}),
        ("repo:admin", {"repo:read", "repo:write", "repo:admin"}),
        ("repo:create", {"repo:create"}),
        ("user:read", {"user:read"}),
        ("user:admin", {"user:read", "user:admin"}),
        ("org:admin", {"org:admin"}),
        ("super:user", {"super:user"}),
        ("org:admin repo:create", {"org:admin", "repo:create"}),
        ("org:admin,repo:create", {"org:admin", "repo:create"}),
        (" org:admin ,\n repo:create,", {"org:admin", "repo:create"}),
        ("", set()),
        (",", set()),
        # One unknown part, and the whole of it grants nothing.
        ("repo:admin repo:nope", set()),
        ("Repo:Admin", set()),
        ("repo:admin;repo:read", set()),
    ],
)
def test_a_text_of_scopes_grants(text: str, scopes: set[str]) -> None:
    assert {scope.value for scope in scopes_of(text)} == scopes


POWERS = Powers(frozenset({"root"}), frozenset({"eye", "both"}), have_full_access=True)
BOTH = Powers(frozenset({"both"}), frozenset({"both"}))


def _powers(actor: Actor) -> tuple[bool, bool, bool, bool, bool]:
    return (
        actor.is_superuser,
        actor.has_full_access,
        actor.is_readonly_superuser,
        actor.manages_all,
        actor.sees_all,
    )


@pytest.mark.parametrize(
    ("powers", "name", "expected"),
    [
        (POWERS, "root", (True, True, False, True, True)),
        (POWERS, "eye", (False, False, True, False, True)),
        (POWERS, "alice", (False, False, False, False, False)),
        (BOTH, "both", (False, False, True, False, True)),
        (Powers(), "root", (False, False, False, False, False)),
    ],
)
def test_a_user_has_the_powers_of_their_name(
    powers: Powers, name: str, expected: tuple[bool, ...]
) -> None:
    assert _powers(powers.of(Actor(kind=ActorKind.USER, name=name))) == expected


def test_full_access_takes_the_scope_and_seeing_takes_none() -> None:
    scopes = frozenset({Scope.REPO_ADMIN})
    root, eye = (
        Actor(kind=ActorKind.USER, name=name, scopes=scopes) for name in ("root", "eye")
    )

    assert (POWERS.of(root).manages_all, POWERS.of(root).sees_all) == (False, False)
    assert POWERS.of(eye).sees_all


@pytest.mark.parametrize("kind", [ActorKind.ROBOT, ActorKind.ANONYMOUS, ActorKind.SYSTEM])
def test_only_users_have_powers(kind: ActorKind) -> None:
    actor = Actor(kind=kind, name="root")

    assert POWERS.of(actor) is actor


def test_a_superuser_by_account_has_full_access_too() -> None:
    actor = Actor(kind=ActorKind.USER, name="alice", is_superuser=True)

    assert _powers(POWERS.of(actor)) == (True, True, False, True, True)

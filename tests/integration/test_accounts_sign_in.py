"""Passwords, robots' tokens, OAuth tokens: who gets in, and how guessing is slowed down."""

import importlib.util

import pytest
from sqlalchemy import update

from dockbell.domain.accounts import SYSTEM, ActorKind, Scope
from dockbell.domain.errors import ForbiddenError, NotFoundError
from dockbell.domain.permissions import AdminOfNamespace
from dockbell.services import authentication, passwords, robots, tokens, users
from dockbell.services.authentication import SignInError, TooManySignInsError
from dockbell.store import namespaces
from dockbell.store.tables import tokens as token_table
from dockbell.store.tables import users as user_table
from dockbell.store.transactions import Store
from tests.accounts import PASSWORD
from tests.conftest import SetClock


async def _alice(store: Store) -> None:
    async with store.begin() as tx:
        await users.create(tx, SYSTEM, username="alice", email=None, password=PASSWORD)


async def _refusal(store: Store, username: str, password: str) -> SignInError:
    """Try to sign in as a face does: refused in one transaction, counted in another."""
    with pytest.raises(SignInError) as refused:
        async with store.read() as tx:
            await authentication.actor_of_password(tx, username, password, None)
    async with store.begin() as tx:
        await authentication.record_failure(tx, refused.value)
    return refused.value


async def test_the_right_password_names_the_user(store: Store) -> None:
    await _alice(store)

    async with store.read() as tx:
        actor = await authentication.actor_of_password(tx, "alice", PASSWORD, "192.0.2.1")

    assert (actor.kind, actor.name, actor.scopes, actor.ip) == (
        ActorKind.USER,
        "alice",
        None,
        "192.0.2.1",
    )


_WRONG = [
    ("alice", "wrong-password"),
    ("nobody", PASSWORD),
    ("Not A Name", PASSWORD),
    ("alice\0", PASSWORD),
    ("", ""),
    ("alice", ""),
    ("alice", "x" * 5000),
    ("alice", "é" * 100),
]


async def test_wrong_name_and_wrong_password_look_alike(store: Store) -> None:
    await _alice(store)

    refusals = [await _refusal(store, username, password) for username, password in _WRONG]

    assert [(type(one), one.detail) for one in refusals] == [
        (SignInError, "Invalid Username or Password")
    ] * len(_WRONG)


async def test_a_disabled_user_does_not_get_in_by_any_way(store: Store) -> None:
    await _alice(store)
    async with store.begin() as tx:
        issued = await tokens.create_for(tx, SYSTEM, "alice", name="t", scope="repo:read")
        owner = await namespaces.find(tx, "alice")
        assert owner is not None
        _, robot_token = await robots.create(tx, AdminOfNamespace(SYSTEM, owner), "bot")
        await tx.run(update(user_table).values(is_enabled=False))

    by_password = await _refusal(store, "alice", PASSWORD)
    by_robot = await _refusal(store, "alice+bot", robot_token)
    async with store.read() as tx:
        by_token = await authentication.actor_of_bearer(tx, issued.secret, None)

    assert (by_password.detail, by_robot.detail, by_token) == (
        "Invalid Username or Password",
        "Could not find robot with username: alice+bot and supplied password.",
        None,
    )


async def test_after_five_failures_each_further_one_doubles_the_wait(
    store: Store, clock: SetClock
) -> None:
    await _alice(store)
    waits = []

    for _ in range(5):
        assert type(await _refusal(store, "alice", "wrong-password")) is SignInError
    for _ in range(11):
        refusal = await _refusal(store, "alice", PASSWORD)  # even the right one waits
        assert isinstance(refusal, TooManySignInsError)
        waits.append(refusal.wait.total_seconds())
        clock.move(seconds=refusal.wait.total_seconds())
        await _refusal(store, "alice", "wrong-password")

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_a_success_forgets_the_failures(store: Store) -> None:
    await _alice(store)
    for _ in range(4):
        await _refusal(store, "alice", "wrong-password")

    async with store.begin() as tx:
        actor = await authentication.actor_of_password(tx, "alice", PASSWORD, None)
        await authentication.touch(tx, actor)
    kinds = [type(await _refusal(store, "alice", "wrong-password")) for _ in range(5)]

    assert kinds == [SignInError] * 5


async def test_an_oauth_token_signs_in_under_its_own_user_name(store: Store) -> None:
    await _alice(store)
    async with store.begin() as tx:
        issued = await tokens.create_for(tx, SYSTEM, "alice", name="t", scope="repo:write")

    async with store.read() as tx:
        actor = await authentication.actor_of_password(tx, "$oauthtoken", issued.secret, None)
    refusal = await _refusal(store, "$oauthtoken", "x" * 40)

    assert (actor.name, actor.scopes) == (
        "alice",
        frozenset({Scope.REPO_READ, Scope.REPO_WRITE}),
    )
    assert refusal.username is None


async def test_a_stored_scope_with_an_unknown_part_allows_nothing(store: Store) -> None:
    await _alice(store)
    async with store.begin() as tx:
        issued = await tokens.create_for(tx, SYSTEM, "alice", name="t", scope="repo:admin")
    found = []

    for scope in ("repo:admin repo:nope", "", "all"):
        async with store.begin() as tx:
            await tx.run(update(token_table).values(scope=scope))
            actor = await authentication.actor_of_bearer(tx, issued.secret, None)
            found.append(None if actor is None else (actor.name, actor.scopes))

    assert found == [("alice", frozenset())] * 3


async def test_no_other_text_is_taken_for_a_token(store: Store) -> None:
    await _alice(store)
    async with store.begin() as tx:
        issued = await tokens.create_for(tx, SYSTEM, "alice", name="t", scope="repo:admin")
    secret = issued.secret
    texts = [
        "",
        secret[:20],
        secret[:39],
        secret + "A",
        secret[:39] + ("A" if secret[39] != "A" else "B"),
        secret.lower(),
        secret[:20] + "\0" * 20,
        "é" * 40,
    ]

    async with store.read() as tx:
        found = [await authentication.actor_of_bearer(tx, text, None) for text in texts]
        itself = await authentication.actor_of_bearer(tx, secret, None)

    assert found == [None] * len(texts)
    assert itself is not None


async def test_tokens_for_others_come_from_the_server_only(store: Store) -> None:
    await _alice(store)

    async with store.begin() as tx:
        actor = await authentication.actor_of_password(tx, "alice", PASSWORD, None)
        with pytest.raises(ForbiddenError):
            await tokens.create_for(tx, actor, "alice", name="t", scope="repo:read")
        with pytest.raises(NotFoundError) as unknown:
            await tokens.create_for(tx, SYSTEM, "bob", name="t", scope="repo:read")

    assert unknown.value.detail == "There is no user bob."


async def test_a_hash_is_as_dear_as_it_is_meant_to_be() -> None:
    """As a server makes it: for the other tests conftest.py makes hashes cheap."""
    found = importlib.util.find_spec("dockbell.services.passwords")
    assert found is not None
    assert found.loader is not None
    as_served = importlib.util.module_from_spec(found)
    found.loader.exec_module(as_served)

    made = await as_served.hash_of(PASSWORD)

    assert made.rpartition("$")[0].rpartition("$")[0] == "$argon2id$v=19$m=19456,t=2,p=1"
    assert made.split("$")[:4] == as_served._NOBODY.split("$")[:4]


async def test_a_password_is_kept_as_an_argon2_hash(store: Store) -> None:
    await _alice(store)

    async with store.read() as tx:
        row = await tx.first(user_table.select())

    assert row is not None
    assert row.password_hash.startswith("$argon2id$")
    assert await passwords.is_right(PASSWORD, row.password_hash) is True
    assert await passwords.is_right(PASSWORD + "x", row.password_hash) is False
    assert await passwords.is_right(PASSWORD, None) is False

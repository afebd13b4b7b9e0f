"""Tokens by themselves: one wrong word, and the door stays shut."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.accounts import ANONYMOUS, Actor, ActorKind, Scope
from dockbell.services.registry_tokens import (
    Access,
    Claim,
    Grant,
    RegistryTokens,
    ScopeError,
    TokenError,
    scopes_of,
)

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
HOST = "dockbell.test"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TOKENS = RegistryTokens({"key_1": KEY}, audience=HOST)
ROBOT = Actor(
    kind=ActorKind.ROBOT, id="rob_1", name="acme+ci", ip="192.0.2.7", credential="c0ffee"
)
PUSH = Access("repository", "acme/web", ("pull", "push"))
TOKEN = TOKENS.issue(ROBOT, [PUSH], NOW)


def text_of(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def claims_of(token: str) -> Any:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def sign(head: object, claims: object, key: rsa.RSAPrivateKey = KEY) -> str:
    signed = f"{text_of(json.dumps(head).encode())}.{text_of(json.dumps(claims).encode())}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{text_of(signature)}"


HEAD = {"alg": "RS256", "kid": "key_1", "typ": "JWT"}


def test_a_token_says_what_quays_says() -> None:
    claims = claims_of(TOKEN)

    del claims["context"]
    assert claims == {
        "iss": "quay",
        "aud": HOST,
        "nbf": 1773489600,
        "iat": 1773489600,
        "exp": 1773493200,
        "sub": "acme+ci",
        "access": [{"type": "repository", "name": "acme/web", "actions": ["pull", "push"]}],
    }


@pytest.mark.parametrize(
    "actor",
    [
        ROBOT,
        ANONYMOUS,
        Actor(
            kind=ActorKind.USER,
            id="ns_1",
            name="alice",
            scopes=frozenset({Scope.REPO_READ, Scope.REPO_WRITE}),
            is_superuser=True,
            token_id="tok_1",
            application_id="app_1",
            application_name="Deployer",
        ),
        Actor(kind=ActorKind.USER, id="ns_1", name="alice", scopes=frozenset()),
    ],
)
def test_the_actor_survives_the_way_through_a_token(actor: Actor) -> None:
    claim = TOKENS.verify(TOKENS.issue(actor, [PUSH], NOW), NOW, actor.ip)

    assert claim == Claim(actor, (PUSH,))


@pytest.mark.parametrize(
    ("head", "claims"),
    [
        ({"alg": "none"}, {}),
        ({"alg": "HS256"}, {}),
        ({"alg": None}, {}),
        ({"kid": "key_2"}, {}),
        ({"kid": ["key_1"]}, {}),
        ({}, {"aud": "elsewhere.test"}),
        ({}, {"aud": [HOST]}),
        ({}, {"iss": "somebody"}),
        ({}, {"nbf": 1773489600 + 31}),
        ({}, {"exp": 1773489600}),
        ({}, {"exp": "never"}),
        ({}, {"access": "everything"}),
        ({}, {"access": [{}]}),
        ({}, {"access": [{"type": "repository", "name": "a/b", "actions": None}]}),
        ({}, {"context": None}),
        ({}, {"context": {"kind": "emperor"}}),
        ({}, {"context": {"kind": "user"}}),
    ],
)
def test_a_token_with_one_wrong_word_is_refused(
    head: dict[str, object], claims: dict[str, object]
) -> None:
    words = claims_of(TOKEN)
    assert TOKENS.verify(sign(HEAD, words), NOW, None).access == (PUSH,)

    with pytest.raises(TokenError):
        TOKENS.verify(sign({**HEAD, **head}, {**words, **claims}), NOW, None)


def test_a_token_of_another_key_is_refused() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    with pytest.raises(TokenError):
        TOKENS.verify(sign(HEAD, claims_of(TOKEN), other), NOW, None)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_token_with_one_letter_changed_is_refused(index: int) -> None:
    parts = TOKEN.split(".")
    parts[index] = ("A" if parts[index][0] != "A" else "B") + parts[index][1:]

    with pytest.raises(TokenError):
        TOKENS.verify(".".join(parts), NOW, None)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        "..",
        "e30.e30.e30",
        "W10.W10.W10",
        "MQ.MQ.MQ",
        "a.a.a",
        f"{TOKEN}=",
        f"{TOKEN}\n",
        f" {TOKEN}",
        f"{TOKEN}.x",
        "x" * 20_000,
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        TOKENS.verify(token, NOW, None)


@given(st.text())
def test_no_text_makes_verify_fail_otherwise(text: str) -> None:
    with pytest.raises(TokenError):
        TOKENS.verify(text, NOW, None)


def test_a_token_is_good_for_an_hour() -> None:
    last = NOW + timedelta(seconds=3599)

    assert TOKENS.verify(TOKEN, last, None).actor.name == "acme+ci"
    with pytest.raises(TokenError):
        TOKENS.verify(TOKEN, last + timedelta(seconds=1), None)


def test_a_clock_that_is_a_little_behind_takes_the_token() -> None:
    assert TOKENS.verify(TOKEN, NOW - timedelta(seconds=30), None).access == (PUSH,)
    with pytest.raises(TokenError):
        TOKENS.verify(TOKEN, NOW - timedelta(seconds=31), None)


def test_a_grant_reaches_its_own_repository_and_actions_only() -> None:
    grant = Grant(ROBOT, (PUSH, Access("registry", "catalog", ())))
    asked = [("acme/web", "pull"), ("acme/web", "push"), ("acme/web", "delete")]
    asked += [("acme/api", "pull"), ("catalog", "pull")]

    found = [grant.allows(*each) for each in asked]

    assert found == [True, True, True, False, False]
    assert grant.allows_catalog is False
    assert (
        Grant(ROBOT, (Access("repository", "acme/web", ("pull",)),)).allows("acme/web", "push")
        is False
    )
    assert (
        Grant(ROBOT, (Access("repository", "acme/web", ("*",)),)).allows("acme/web", "push")
        is True
    )


def test_scopes_are_read_as_clients_write_them() -> None:
    found = scopes_of(
        [
            "repository:acme/team/app:pull,push registry:catalog:*",
            f"repository:{HOST}/acme/web:*",
            "",
        ],
        HOST,
    )

    assert found == (
        Access("repository", "acme/team/app", ("pull", "push")),
        Access("registry", "catalog", ("*",)),
        Access("repository", "acme/web", ("*",)),
    )


@pytest.mark.parametrize(
    "text",
    [
        "repository",
        "repository:acme/web",
        "repository:acme/web:",
        "repository::pull",
        ":a/b:pull",
        "repository:acme/web:pull,",
        "repository:acme/web:PULL",
        "repository:acme web:pull",
    ],
)
def test_a_scope_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ScopeError, match=r"^Unable to decode repository and actions: "):
        scopes_of([text], HOST)

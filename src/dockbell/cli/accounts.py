"""What `users` and `tokens` do with the database, as the operator of the server."""

from datetime import timedelta
from typing import Any

from dockbell.cli.direct import opened
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.errors import NotFoundError
from dockbell.services import tokens, users
from dockbell.settings import Settings


async def create_user(
    settings: Settings, name: str, email: str | None, password: str, *, is_superuser: bool
) -> str:
    """Make a user; return their id."""
    async with opened(settings) as store, store.begin() as tx:
        user = await users.create(
            tx,
            SYSTEM,
            username=name,
            email=email,
            password=password,
            is_superuser=is_superuser,
        )
        return user.id


async def list_users(settings: Settings) -> list[dict[str, Any]]:
    async with opened(settings) as store, store.read() as tx:
        found = await users.list_all(tx, await users.superuser(tx, SYSTEM))
    return [
        {
            "username": user.namespace.name,
            "email": user.namespace.email,
            "superuser": user.is_superuser,
            "enabled": user.is_enabled,
            "created_at": user.namespace.created_at.isoformat(timespec="seconds"),
            "id": user.namespace.id,
        }
        for user in found
    ]


async def set_password(settings: Settings, name: str, password: str) -> None:
    async with opened(settings) as store, store.begin() as tx:
        try:
            await users.change(tx, await users.superuser(tx, SYSTEM), name, password=password)
        except NotFoundError as error:
            raise NotFoundError(f"There is no user {name}.") from error


async def create_token(
    settings: Settings, username: str, *, name: str, scope: str, days: int
) -> dict[str, Any]:
    """Make a token that speaks for the user; return all that is known of it, with the token itself."""
    async with opened(settings) as store, store.begin() as tx:
        issued = await tokens.create_for(
            tx, SYSTEM, username, name=name, scope=scope, lifetime=timedelta(days=days)
        )
    expires_at = issued.token.expires_at
    return {
        "token": issued.secret,
        "uuid": issued.token.uuid,
        "username": username,
        "name": issued.token.name,
        "scope": issued.token.scope,
        "expires_at": None if expires_at is None else expires_at.isoformat(timespec="seconds"),
    }

"""Who reports what happens to a repository: a user by a token, or a robot by its name and token."""

from typing import Any

from dockbell.domain.accounts import Actor
from dockbell.services import authentication
from dockbell.web.basic import basic_of
from dockbell.web.calls import ApiCall


async def reporter(call: ApiCall, tx: Any) -> Actor:
    """The caller. Robots have no tokens of the API, so here they say who they are as they do at the registry.

    Raise UnauthenticatedError for a robot whose token is not good. Nobody else has a password here.
    """
    header = ", ".join(call.request.headers.getall("authorization", []))
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return await call.actor(tx)
    name, password = basic_of(value)
    if "+" not in name:
        return await call.actor(tx)
    return await authentication.actor_of_password(tx, name, password, call.ip)

"""Immutable tags of repositories and of organizations, with Quay's addresses, shapes and statuses."""

from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.domain.immutability import Rule
from dockbell.domain.permissions import (
    AdminOf,
    AdminOfNamespace,
    ViewerOf,
    ViewerOfNamespace,
)
from dockbell.services import immutability, organizations, repositories
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_POLICY = Schema(
    properties=(
        Property("tagPattern", "string", required=True),
        Property("tagPatternMatches", "boolean"),
    )
)
_ALL = [
    "/repository/{repository:str}/immutabilitypolicy",
    "/organization/{organization:str}/immutabilitypolicy",
]
_ONE = [f"{policies}/{{uuid:str}}" for policies in _ALL]


async def _viewer_of(call: Call, tx: Any) -> ViewerOf | ViewerOfNamespace:
    """The right to see the rules of the repository or organization in the address."""
    actor, organization = await call.actor(tx), call.request.path_params.get("organization")
    if organization is None:
        return await repositories.viewer_of(
            tx, actor, call.path(call.request.path_params["repository"])
        )
    return await organizations.viewer_of_namespace(tx, actor, organization)


async def _admin_of(call: Call, tx: Any) -> AdminOf | AdminOfNamespace:
    """The right to set them."""
    actor, organization = await call.actor(tx), call.request.path_params.get("organization")
    if organization is None:
        return await repositories.admin_of(
            tx, actor, call.path(call.request.path_params["repository"])
        )
    return await organizations.admin_of_namespace(tx, actor, organization)


def _shown(rule: Rule) -> dict[str, object]:
    return {
        "uuid": rule.uuid,
        "tagPattern": rule.pattern,
        "tagPatternMatches": rule.matches,
    }


@get(_ALL)
async def list_policies(call: Call) -> Response[bytes]:
    """200 with the rules that keep tags from changing."""
    async with call.read() as tx:
        viewer = await _viewer_of(call, tx)
        found = await immutability.list_rules(tx, viewer)
    return call.reply(200, {"policies": [_shown(rule) for rule in found]})


@post(_ALL)
async def create_policy(call: Call) -> Response[bytes]:
    """201 with the rule's UUID."""
    async with call.begin() as tx:
        admin = await _admin_of(call, tx)
        body = call.json(_POLICY)
        rule = await immutability.create_rule(
            tx,
            admin,
            body["tagPattern"].strip(),
            matches=body.get("tagPatternMatches", True),
        )
    return call.reply(201, {"uuid": rule.uuid})


@get(_ONE)
async def get_policy(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with one rule."""
    async with call.read() as tx:
        viewer = await _viewer_of(call, tx)
        rule = await immutability.load_rule(tx, viewer, uuid)
    return call.reply(200, _shown(rule))


@put(_ONE, status_code=200)
async def change_policy(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """204: the rule is another one."""
    async with call.begin() as tx:
        admin = await _admin_of(call, tx)
        body = call.json(_POLICY)
        await immutability.change_rule(
            tx,
            admin,
            uuid,
            body["tagPattern"].strip(),
            matches=body.get("tagPatternMatches", True),
        )
    return call.reply(204)


@delete(_ONE, status_code=200)
async def delete_policy(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with the UUID of the rule, which is gone."""
    async with call.begin() as tx:
        admin = await _admin_of(call, tx)
        await immutability.delete_rule(tx, admin, uuid)
    return call.reply(200, {"uuid": uuid})


HANDLERS = [list_policies, create_policy, get_policy, change_policy, delete_policy]

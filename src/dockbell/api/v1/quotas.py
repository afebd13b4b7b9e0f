"""Quotas of organizations and users with Quay's addresses and shapes."""

import re
from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.domain.errors import ForbiddenError, InvalidRequestError, NotFoundError
from dockbell.domain.permissions import MemberOfNamespace, Self, SuperUser
from dockbell.domain.quotas import Quota, QuotaLimit, formatted_limit
from dockbell.services import organizations, quotas, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ApiCall, Call

_ORGANIZATION = "/organization/{organization:str}/quota"
_USER = "/user/quota"
_SUPERUSER = [
    "/superuser/organization/{namespace:str}/quota",
    "/superuser/users/{namespace:str}/quota",
]
_ONE_OF_SUPERUSER = [f"{quota}/{{quota_id:str}}" for quota in _SUPERUSER]
_ONE = "/{quota_id:str}"
_LIMITS = f"{_ONE}/limit"
_LIMIT = f"{_LIMITS}/{{limit_id:str}}"

_SIZE = Schema(
    properties=(Property("limit_bytes", "integer"), Property("limit", "string", most=64))
)
_NEW_LIMIT = Schema(
    properties=(
        Property("type", "string", required=True),
        Property("threshold_percent", "integer", required=True),
    )
)
_CHANGED_LIMIT = Schema(
    properties=(Property("type", "string"), Property("threshold_percent", "integer"))
)
_HUMAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTPE]?)(i?)(?:B|Byte)?\s*", re.IGNORECASE)
_POWERS = "KMGTPE"
_LONGEST_ID = 9  # digits


def _shown(quota: Quota) -> dict[str, object]:
    return {
        "id": quota.id,
        "limit_bytes": quota.limit_bytes,
        "limit": formatted_limit(quota.limit_bytes),
        "default_config": False,
        "limits": [_shown_limit(one) for one in quota.limits],
        "default_config_exists": False,
    }


def _shown_limit(limit: QuotaLimit) -> dict[str, object]:
    return {"id": limit.id, "type": limit.kind.value, "limit_percent": limit.percent}


def _shown_all(quota: Quota | None) -> list[dict[str, object]]:
    return [] if quota is None else [_shown(quota)]


def _number(given: str) -> int:
    if not given.isascii() or not given.isdecimal() or len(given) > _LONGEST_ID:
        raise NotFoundError
    return int(given)


def _size(call: ApiCall) -> int:
    """The size that the body says, in bytes or as people write it."""
    body = call.json(_SIZE)
    if "limit_bytes" in body:
        size: int = body["limit_bytes"]
        return size
    if "limit" not in body:
        raise InvalidRequestError("'limit_bytes' is a required property")
    match = _HUMAN.fullmatch(body["limit"])
    if match is None:
        raise InvalidRequestError("limit must be a size such as '10 GiB'")
    power = _POWERS.find(match[2].upper()) + 1 if match[2] else 0
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


Reader = MemberOfNamespace | Self | SuperUser


async def _reader(call: ApiCall, tx: Any, organization: str) -> Reader:
    """The right to see an organization's quota: its members have it, and superusers."""
    actor = await call.actor(tx)
    try:
        return await organizations.member_of(tx, actor, organization)
    except ForbiddenError:
        return await users.superuser(tx, actor)


async def _found(call: ApiCall, organization: str | None, quota_id: str | None) -> Quota | None:
    """The quota of the organization, or of the caller without one; NotFoundError if it has another id."""
    async with call.read() as tx:
        if organization is None:
            me = await users.myself(tx, await call.actor(tx))
            quota = await quotas.load(tx, me, me.namespace.name)
        else:
            reader = await _reader(call, tx, organization)
            quota = await quotas.load(tx, reader, organization)
    if quota_id is not None and (quota is None or quota.id != _number(quota_id)):
        raise NotFoundError
    return quota


async def _one(call: ApiCall, organization: str | None, quota_id: str) -> Quota:
    quota = await _found(call, organization, quota_id)
    if quota is None:
        raise NotFoundError
    return quota


@get(_ORGANIZATION)
async def list_quotas(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with a list that holds the organization's quota, if it has one."""
    return call.reply(200, _shown_all(await _found(call, organization, None)))


@post(_ORGANIZATION)
async def create_quota(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """201 `"Created"`: the organization has a quota of `limit_bytes`, or of a `limit` such as `10 GiB`. Superusers only."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await call.faces.quotas.create(tx, right, organization, _size(call))
    return call.reply(201, "Created")


@get(_ORGANIZATION + _ONE)
async def get_quota(
    call: Call, organization: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """200 with the quota and its limits, or 404."""
    return call.reply(200, _shown(await _one(call, organization, quota_id)))


@put(_ORGANIZATION + _ONE)
async def change_quota(
    call: Call, organization: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """200 with the quota as it is now. Limits that are reached by that are told of at once."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        number = _number(quota_id)
        quota = await call.faces.quotas.change(tx, right, organization, number, _size(call))
    return call.reply(200, _shown(quota))


@delete(_ORGANIZATION + _ONE, status_code=200)
async def delete_quota(
    call: Call, organization: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """204: there is no quota any more. Notifications for its events stay."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await call.faces.quotas.delete(tx, right, organization, _number(quota_id))
    return call.reply(204)


@get(_ORGANIZATION + _LIMITS)
async def list_quota_limits(
    call: Call, organization: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """200 with the limits of the quota."""
    quota = await _one(call, organization, quota_id)
    return call.reply(200, [_shown_limit(one) for one in quota.limits])


@post(_ORGANIZATION + _LIMITS)
async def create_quota_limit(
    call: Call, organization: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """201 `"Created"`: from `threshold_percent` on there is a `Warning`, or pushes are refused (`Reject`)."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        body = call.json(_NEW_LIMIT)
        await call.faces.quotas.add_limit(
            tx,
            right,
            organization,
            _number(quota_id),
            kind=body["type"],
            percent=body["threshold_percent"],
        )
    return call.reply(201, "Created")


@get(_ORGANIZATION + _LIMIT)
async def get_quota_limit(
    call: Call, organization: FromPath[str], quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """200 with the limit, or 404."""
    quota = await _one(call, organization, quota_id)
    return call.reply(200, _shown_limit(quotas.limit_of(quota, _number(limit_id))))


@put(_ORGANIZATION + _LIMIT)
async def change_quota_limit(
    call: Call, organization: FromPath[str], quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """200 with the quota as it is now."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        body = call.json(_CHANGED_LIMIT)
        quota = await call.faces.quotas.change_limit(
            tx,
            right,
            organization,
            (_number(quota_id), _number(limit_id)),
            kind=body.get("type"),
            percent=body.get("threshold_percent"),
        )
    return call.reply(200, _shown(quota))


@delete(_ORGANIZATION + _LIMIT, status_code=200)
async def delete_quota_limit(
    call: Call, organization: FromPath[str], quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """204: the limit is gone."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        place = (_number(quota_id), _number(limit_id))
        await call.faces.quotas.delete_limit(tx, right, organization, place)
    return call.reply(204)


@get(_USER)
async def list_own_quotas(call: Call) -> Response[bytes]:
    """200 with a list that holds the caller's own quota, if they have one."""
    return call.reply(200, _shown_all(await _found(call, None, None)))


@get(_USER + _ONE)
async def get_own_quota(call: Call, quota_id: FromPath[str]) -> Response[bytes]:
    """200 with the caller's quota and its limits, or 404."""
    return call.reply(200, _shown(await _one(call, None, quota_id)))


@get(_USER + _LIMITS)
async def list_own_quota_limits(call: Call, quota_id: FromPath[str]) -> Response[bytes]:
    """200 with the limits of the caller's quota."""
    quota = await _one(call, None, quota_id)
    return call.reply(200, [_shown_limit(one) for one in quota.limits])


@get(_USER + _LIMIT)
async def get_own_quota_limit(
    call: Call, quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """200 with one limit of the caller's quota, or 404."""
    quota = await _one(call, None, quota_id)
    return call.reply(200, _shown_limit(quotas.limit_of(quota, _number(limit_id))))


@get(_SUPERUSER)
async def list_quotas_as_superuser(call: Call, namespace: FromPath[str]) -> Response[bytes]:
    """200 with a list that holds the quota of any organization or user, if it has one."""
    async with call.read() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        quota = await quotas.load(tx, right, namespace)
    return call.reply(200, _shown_all(quota))


@post(_SUPERUSER)
async def create_quota_as_superuser(call: Call, namespace: FromPath[str]) -> Response[bytes]:
    """201 `"Created"`: the organization or user has a quota of `limit_bytes`, or of a `limit` such as `10 GiB`."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await call.faces.quotas.create(tx, right, namespace, _size(call))
    return call.reply(201, "Created")


@put(_ONE_OF_SUPERUSER)
async def change_quota_as_superuser(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """200 with the quota as it is now."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        number = _number(quota_id)
        quota = await call.faces.quotas.change(tx, right, namespace, number, _size(call))
    return call.reply(200, _shown(quota))


@delete(_ONE_OF_SUPERUSER, status_code=200)
async def delete_quota_as_superuser(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """204: there is no quota any more."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await call.faces.quotas.delete(tx, right, namespace, _number(quota_id))
    return call.reply(204)


HANDLERS = [
    list_quotas,
    create_quota,
    get_quota,
    change_quota,
    delete_quota,
    list_quota_limits,
    create_quota_limit,
    get_quota_limit,
    change_quota_limit,
    delete_quota_limit,
    list_own_quotas,
    get_own_quota,
    list_own_quota_limits,
    get_own_quota_limit,
    list_quotas_as_superuser,
    create_quota_as_superuser,
    change_quota_as_superuser,
    delete_quota_as_superuser,
]

"""Quotas of organizations and users with Quay's addresses and shapes."""

import re
from collections.abc import Mapping
from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.quotas import Quota, QuotaLimit, Standing, formatted_limit
from dockbell.services import quotas, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ApiCall, Call

_ORGANIZATION = "/organization/{namespace:str}/quota"
_SUPERUSER = [
    "/superuser/organization/{namespace:str}/quota",
    "/superuser/users/{namespace:str}/quota",
]
# Where it is looked at one by one, by whom it is about, and where it is changed.
_VIEWED = [_ORGANIZATION, "/user/quota"]
_CHANGED = [_ORGANIZATION, *_SUPERUSER]
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


def report(standing: Standing) -> dict[str, object]:
    """What the objects of users and organizations hold of quotas. Pinned by compat/test_quotas.py."""
    quota = standing.quota
    limits = [] if quota is None else [_shown_limit(one) for one in quota.limits]
    return {
        "quotas": []
        if quota is None
        else [{"id": quota.id, "limit_bytes": quota.limit_bytes, "limits": limits}],
        "quota_report": {
            "quota_bytes": standing.used,
            "configured_quota": standing.configured,
            # Quay: under both names. The sum is always right here.
            "running_backfill": "complete",
            "backfill_status": "complete",
        },
    }


def _shown(call: ApiCall, quota: Quota | None) -> dict[str, object]:
    """The quota or, without one, what the operator lets every namespace store."""
    default = call.faces.default_quota
    size = default if quota is None else quota.limit_bytes
    return {
        "id": None if quota is None else quota.id,
        "limit_bytes": size,
        "limit": formatted_limit(size),
        "default_config": quota is None,
        "limits": [] if quota is None else [_shown_limit(one) for one in quota.limits],
        "default_config_exists": default > 0,
    }


def _shown_limit(limit: QuotaLimit) -> dict[str, object]:
    return {"id": limit.id, "type": limit.kind.value, "limit_percent": limit.percent}


def _shown_all(call: ApiCall, quota: Quota | None) -> list[dict[str, object]]:
    return [] if quota is None else [_shown(call, quota)]


def _number(given: str) -> int:
    if not given.isascii() or not given.isdecimal() or len(given) > _LONGEST_ID:
        raise NotFoundError
    return int(given)


def _size(body: Mapping[str, Any]) -> int | None:
    """The size that the body says, in bytes or as people write it; None if it says none."""
    if "limit" in body and "limit_bytes" in body:
        raise InvalidRequestError("Give limit_bytes or limit, not both")
    if "limit" not in body:
        return body.get("limit_bytes")
    match = _HUMAN.fullmatch(body["limit"])
    if match is None:
        raise InvalidRequestError("limit must be a size such as '10 GiB'")
    power = _POWERS.find(match[2].upper()) + 1 if match[2] else 0
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


async def _found(call: ApiCall) -> Quota | None:
    """The quota of the organization in the address, else of the caller."""
    async with call.read() as tx:
        viewer, name = await quotas.viewer_of(
            tx, await call.actor(tx), call.request.path_params.get("namespace")
        )
        return await quotas.load(tx, viewer, name)


async def _one(call: ApiCall, quota_id: str) -> Quota:
    """The same, if it has this id; else NotFoundError."""
    quota = await _found(call)
    if quota is None or quota.id != _number(quota_id):
        raise NotFoundError
    return quota


@get(_VIEWED)
async def list_quotas(call: Call) -> Response[bytes]:
    """200 with a list that holds the quota: an organization's, else the server's default; for `user` your own, and nothing if you have none."""
    quota = await _found(call)
    # Quay: only organizations show the default. Pinned by compat/test_quotas.py.
    if quota is None and call.faces.default_quota and "namespace" in call.request.path_params:
        return call.reply(200, [_shown(call, None)])
    return call.reply(200, _shown_all(call, quota))


@get(_SUPERUSER)
async def list_quotas_as_superuser(call: Call, namespace: FromPath[str]) -> Response[bytes]:
    """200 with a list that holds the quota of any organization or user, if it has one."""
    async with call.read() as tx:
        viewer = await users.superviewer(tx, await call.actor(tx))
        quota = await quotas.load(tx, viewer, namespace)
    return call.reply(200, _shown_all(call, quota))


@post(_CHANGED)
async def create_quota(call: Call, namespace: FromPath[str]) -> Response[bytes]:
    """201 `"Created"`: the organization or user has a quota of `limit_bytes`, or of a `limit` such as `10 GiB`. Superusers only."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        size = _size(call.json(_SIZE))
        if size is None:
            raise InvalidRequestError("'limit_bytes' is a required property")
        await call.faces.quotas.create(tx, right, namespace, size)
    return call.reply(201, "Created")


@get([f"{place}{_ONE}" for place in _VIEWED])
async def get_quota(call: Call, quota_id: FromPath[str]) -> Response[bytes]:
    """200 with the quota and its limits, or 404."""
    return call.reply(200, _shown(call, await _one(call, quota_id)))


@put([f"{place}{_ONE}" for place in _CHANGED])
async def change_quota(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """200 with the quota as it is now. Limits that are reached by that are told of at once."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        # Quay: a body that says no size changes nothing. Pinned by compat/test_quotas.py.
        size = _size(call.json(_SIZE))
        number = _number(quota_id)
        quota = await call.faces.quotas.change(tx, right, namespace, number, size)
    return call.reply(200, _shown(call, quota))


@delete([f"{place}{_ONE}" for place in _CHANGED], status_code=200)
async def delete_quota(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """204: there is no quota any more. Notifications for its events stay."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await call.faces.quotas.delete(tx, right, namespace, _number(quota_id))
    return call.reply(204)


@get([f"{place}{_LIMITS}" for place in _VIEWED])
async def list_quota_limits(call: Call, quota_id: FromPath[str]) -> Response[bytes]:
    """200 with the limits of the quota."""
    quota = await _one(call, quota_id)
    return call.reply(200, [_shown_limit(one) for one in quota.limits])


@post(_ORGANIZATION + _LIMITS)
async def create_quota_limit(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str]
) -> Response[bytes]:
    """201 `"Created"`: from `threshold_percent` on there is a `Warning`, or pushes are refused (`Reject`)."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        body = call.json(_NEW_LIMIT)
        await call.faces.quotas.add_limit(
            tx,
            right,
            namespace,
            _number(quota_id),
            kind=body["type"],
            percent=body["threshold_percent"],
        )
    return call.reply(201, "Created")


@get([f"{place}{_LIMIT}" for place in _VIEWED])
async def get_quota_limit(
    call: Call, quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """200 with one limit of the quota, or 404."""
    quota = await _one(call, quota_id)
    return call.reply(200, _shown_limit(quotas.limit_of(quota, _number(limit_id))))


@put(_ORGANIZATION + _LIMIT)
async def change_quota_limit(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """200 with the quota as it is now."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        body = call.json(_CHANGED_LIMIT)
        quota = await call.faces.quotas.change_limit(
            tx,
            right,
            namespace,
            (_number(quota_id), _number(limit_id)),
            kind=body.get("type"),
            percent=body.get("threshold_percent"),
        )
    return call.reply(200, _shown(call, quota))


@delete(_ORGANIZATION + _LIMIT, status_code=200)
async def delete_quota_limit(
    call: Call, namespace: FromPath[str], quota_id: FromPath[str], limit_id: FromPath[str]
) -> Response[bytes]:
    """204: the limit is gone."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        place = (_number(quota_id), _number(limit_id))
        await call.faces.quotas.delete_limit(tx, right, namespace, place)
    return call.reply(204)


HANDLERS = [
    list_quotas,
    list_quotas_as_superuser,
    create_quota,
    get_quota,
    change_quota,
    delete_quota,
    list_quota_limits,
    create_quota_limit,
    get_quota_limit,
    change_quota_limit,
    delete_quota_limit,
]

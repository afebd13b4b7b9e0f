"""Mirrors with Quay's addresses, shapes and statuses, and the states of repositories."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Response, get, post, put
from litestar.params import FromPath

from dockbell.domain.errors import ConflictError, InvalidRequestError
from dockbell.domain.mirrors import (
    SHORTEST_TIMEOUT,
    Mirror,
    architectures_of,
    interval_of,
    merged_config,
    timeout_of,
)
from dockbell.domain.repositories import RepositoryState
from dockbell.services import mirrors, repositories
from dockbell.services.mirrors import WantedMirror
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST = 1024
_NO_USERNAME = "Unable to set a new password without also specifying a username."
_DATE = "%Y-%m-%dT%H:%M:%SZ"

_SHARED = (
    Property("is_enabled", "boolean"),
    Property("external_registry_username", "string", nullable=True, most=_LONGEST),
    Property("external_registry_password", "string", nullable=True, most=8192),
    Property("external_registry_config", "object"),
    Property("skopeo_timeout_interval", "integer"),
    Property("architecture_filter", "array", nullable=True),
)
_NEW = Schema(
    properties=(
        Property("external_reference", "string", required=True, most=_LONGEST),
        Property("sync_interval", "integer", required=True),
        Property("sync_start_date", "string", required=True),
        Property("root_rule", "object", required=True),
        # Quay: not asked for by its schema, and without it a 500.
        Property("robot_username", "string", required=True),
        *_SHARED,
    )
)
_CHANGE = Schema(
    properties=(
        Property("external_reference", "string", most=_LONGEST),
        Property("sync_interval", "integer"),
        Property("sync_start_date", "string", nullable=True),
        Property("root_rule", "object"),
        Property("robot_username", "string"),
        *_SHARED,
    )
)
_STATE = Schema(
    properties=(
        Property(
            "state", "string", required=True, enum=tuple(one.value for one in RepositoryState)
        ),
    )
)
_ONE = "/repository/{repository:str}/mirror"


def _shown(mirror: Mirror) -> dict[str, object]:
    return {
        "is_enabled": mirror.is_enabled,
        "mirror_type": "PULL",
        "external_reference": mirror.reference,
        "external_registry_username": mirror.username,
        "external_registry_config": mirror.registry_config,
        "sync_interval": int(mirror.interval.total_seconds()),
        "sync_start_date": _spoken(mirror.start_at),
        "sync_expiration_date": _spoken(mirror.leased_until),
        "sync_retries_remaining": mirror.tries_left,
        "sync_status": mirror.status.value,
        "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": list(mirror.globs)},
        "robot_username": mirror.robot,
        "skopeo_timeout_interval": int(mirror.timeout.total_seconds()),
        "architecture_filter": list(mirror.architectures),
    }


def _spoken(moment: datetime | None) -> str | None:
    """As `_DATE` has it. `strftime` would leave out the zeros before an early year."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@get(_ONE)
async def get_mirror(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with how the repository is mirrored, but for the password; 404 if it is not."""
    async with call.read() as tx:
        viewer = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        found = await call.faces.mirrors.load(tx, viewer)
    return call.reply(200, _shown(found))


@post(_ONE)
async def create_mirror(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """201 with no content: the repository is a mirror now, and takes no pushes any more."""
    path = call.path(repository)
    async with call.read() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        body = call.json(_NEW)
    if body.get("external_registry_password") and not body.get("external_registry_username"):
        # Quay takes it and sends nothing to the other registry; here as when it is changed.
        return call.reply(400, {"detail": _NO_USERNAME})
    fresh = Mirror(
        repository_id=admin.repository.id,
        is_enabled=True,
        reference="",
        username=None,
        registry_config={},
        robot=None,
        globs=(),
        interval=timedelta(days=1),
        start_at=None,
        timeout=SHORTEST_TIMEOUT,
    )
    wanted = _wanted(fresh, body)
    await _check(call, admin, wanted.mirror)
    try:
        async with call.begin() as tx:
            admin = await repositories.admin_of(tx, await call.actor(tx), path)
            await call.faces.mirrors.create(tx, admin, wanted)
    except ConflictError as error:
        # Quay: this shape, and its spelling. Pinned by compat/test_mirrors.py.
        return call.reply(409, {"detail": error.detail})
    return call.reply(201, "")


@put(_ONE)
async def change_mirror(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """201 with no content: what was given is changed."""
    path = call.path(repository)
    async with call.read() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        body = call.json(_CHANGE)
        known = await call.faces.mirrors.load(tx, admin)
    refusal = _refusal_of_change(body)
    if refusal is not None:
        return call.reply(400, {"detail": refusal})
    wanted = _wanted(known, body)
    await _check(call, admin, wanted.mirror)
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        await call.faces.mirrors.change(tx, admin, wanted)
    return call.reply(201, "")


@post(f"{_ONE}/sync-now")
async def sync_now(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """204: it is synced as soon as a process is free. 404 while that is under way."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await call.faces.mirrors.sync_now(tx, admin)
    return call.reply(204)


@post(f"{_ONE}/sync-cancel")
async def cancel_sync(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """204: the sync is called off, and none begins before somebody asks. 404 if none was under way."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await call.faces.mirrors.cancel(tx, admin)
    return call.reply(204)


@put("/repository/{repository:str}/changestate")
async def change_state(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200: it takes pushes now (`NORMAL`), none (`READ_ONLY`), or only those of its mirror (`MIRROR`)."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        body = call.json(_STATE)
        await mirrors.set_state(tx, admin, RepositoryState(body["state"]))
    return call.reply(200, {"success": True})


async def _check(call: Call, admin: Any, mirror: Mirror) -> None:
    faces = call.faces
    await mirrors.check(call.read, admin, faces.notifications.lookups, faces.links.host, mirror)


def _refusal_of_change(body: Mapping[str, Any]) -> str | None:
    """What Quay says of bodies that it does not take. Pinned by compat/test_mirrors.py."""
    if body.get("external_reference") == "":
        return "Empty string is an invalid repository location."
    if "external_registry_password" in body and "external_registry_username" not in body:
        return _NO_USERNAME
    if body.get("external_registry_password") and not body["external_registry_username"]:
        return "Unable to delete username while setting a password."
    if body.get("sync_start_date") is not None and _date_of(body["sync_start_date"]) is None:
        return "Incorrect DateTime format for sync_start_date."
    return None


def _date_of(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def _wanted(known: Mirror, body: Mapping[str, Any]) -> WantedMirror:
    """The mirror with what the body says of it; InvalidRequestError for what cannot be."""
    start_at = known.start_at
    if body.get("sync_start_date") is not None:
        start_at = _date_of(body["sync_start_date"])
        if start_at is None:
            raise InvalidRequestError("Incorrect DateTime format for sync_start_date.")
    interval = body.get("sync_interval")
    timeout = body.get("skopeo_timeout_interval")
    username = body.get("external_registry_username", known.username) or None
    mirror = replace(
        known,
        is_enabled=body.get("is_enabled", known.is_enabled),
        reference=body.get("external_reference", known.reference),
        username=username,
        registry_config=merged_config(
            known.registry_config, body.get("external_registry_config", {})
        ),
        globs=_globs_of(body["root_rule"]) if "root_rule" in body else known.globs,
        interval=known.interval if interval is None else interval_of(interval),
        start_at=start_at,
        architectures=architectures_of(body["architecture_filter"])
        if "architecture_filter" in body
        else known.architectures,
        timeout=known.timeout if timeout is None else timeout_of(timeout),
    )
    return WantedMirror(
        mirror,
        robot=body.get("robot_username", known.robot) or "",
        password=body.get("external_registry_password") or None,
        # A username that goes takes its password along.
        keeps_password="external_registry_password" not in body
        and (username is not None or known.username is None),
    )


def _globs_of(rule: Mapping[str, Any]) -> tuple[str, ...]:
    for key in ("rule_kind", "rule_value"):
        if key not in rule:
            raise InvalidRequestError(f"{key!r} is a required property")
    if rule["rule_kind"] != "tag_glob_csv":
        raise InvalidRequestError(f"{rule['rule_kind']!r} is not one of ['tag_glob_csv']")
    values = rule["rule_value"]
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise InvalidRequestError("`rule_value` must be a list of tag patterns")
    return tuple(values)


HANDLERS = [get_mirror, create_mirror, change_mirror, sync_now, cancel_sync, change_state]

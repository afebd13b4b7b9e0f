"""Who did what, with Quay's addresses and shapes (quay-compat 8.1). Quay calls audit entries logs."""

from datetime import UTC, datetime
from typing import Any

from litestar import Response, get

from dockbell.api.v1 import page_tokens
from dockbell.api.v1.views import avatar, date
from dockbell.domain.accounts import ActorKind, NamespaceKind
from dockbell.domain.permissions import SuperViewer, ViewerOf
from dockbell.domain.records import AuditFilter, AuditRecord
from dockbell.services import audit_lists, users
from dockbell.web.calls import ApiCall, ArgumentError, Call

_START_HELP = 'Earliest time for logs. Format: "%m/%d/%Y" in UTC. (str)'
_END_HELP = 'Latest time for logs. Format: "%m/%d/%Y" in UTC. (str)'
_PLACES = ["/repository/{repository:str}", "/organization/{organization:str}", "/user"]


def _shown(record: AuditRecord, *, with_namespace: bool) -> dict[str, object]:
    view: dict[str, object] = {
        "kind": record.kind,
        "metadata": record.metadata,
        "ip": record.ip,
        "datetime": date(record.created_at),
    }
    if record.actor_kind in {ActorKind.USER, ActorKind.ROBOT}:
        is_robot = record.actor_kind is ActorKind.ROBOT
        kind = "robot" if is_robot else "user"
        view["performer"] = {
            "kind": "user",
            "name": record.actor_name,
            "is_robot": is_robot,
            "avatar": avatar(record.actor_name, record.actor_email, kind),
        }
    if with_namespace and record.namespace is not None:
        owner = record.namespace
        kind = "org" if owner.kind is NamespaceKind.ORGANIZATION else "user"
        view["namespace"] = {
            "kind": kind,
            "name": owner.name,
            "avatar": avatar(owner.name, owner.email, kind),
        }
    return view


def _moment(call: ApiCall, name: str, about: str) -> datetime | None:
    """The day of a query argument, or Quay's shape C error."""
    given = call.text(name)
    if not given:
        return None
    try:
        return datetime.strptime(given.removesuffix(" UTC"), "%m/%d/%Y").replace(tzinfo=UTC)
    except ValueError as error:
        raise ArgumentError(name, about) from error


async def _viewer(call: ApiCall, tx: Any) -> audit_lists.Viewer:
    """The right to what the address is about: a repository, an organization or, below `/user`, the caller."""
    parameters = call.request.path_params
    repository = parameters.get("repository")
    return await audit_lists.viewer_of(
        tx,
        await call.actor(tx),
        repository=None if repository is None else call.path(repository),
        organization=parameters.get("organization"),
    )


def _window(call: ApiCall, tx: Any, viewer: audit_lists.Viewer) -> AuditFilter:
    # Quay: nobody in particular is asked for in a repository. Pinned by compat/test_logs.py.
    asks_for_one = not isinstance(viewer, ViewerOf | SuperViewer)
    return audit_lists.window(
        tx,
        _moment(call, "starttime", _START_HELP),
        _moment(call, "endtime", _END_HELP),
        (call.text("performer") or None) if asks_for_one else None,
    )


async def _page(call: ApiCall, tx: Any, viewer: audit_lists.Viewer) -> Response[bytes]:
    wanted = _window(call, tx, viewer)
    before = page_tokens.of_token(call.text("next_page"))
    found, last_id = await audit_lists.list_page(tx, viewer, wanted, before=before)
    is_super = isinstance(viewer, SuperViewer)
    answer: dict[str, object] = {
        "start_time": date(wanted.since),
        "end_time": date(wanted.until),
        "logs": [_shown(one, with_namespace=is_super) for one in found],
    }
    if last_id is not None:
        answer["next_page"] = page_tokens.to_token(last_id)
    return call.reply(200, answer)


async def _counts(call: ApiCall, tx: Any, viewer: audit_lists.Viewer) -> Response[bytes]:
    found = await audit_lists.count_by_day(tx, viewer, _window(call, tx, viewer))
    return call.reply(
        200,
        {
            "aggregated": [
                {"kind": one.kind, "count": one.count, "datetime": date(one.day)}
                for one in found
            ]
        },
    )


@get([f"{place}/logs" for place in _PLACES])
async def list_logs(call: Call) -> Response[bytes]:
    """200 with who did what, the newest first, 20 on a page: between `starttime` and `endtime`, else since a day ago."""
    async with call.read() as tx:
        return await _page(call, tx, await _viewer(call, tx))


@get([f"{place}/aggregatelogs" for place in _PLACES])
async def count_logs(call: Call) -> Response[bytes]:
    """200 with how often each kind of thing was done on each day, for the same time."""
    async with call.read() as tx:
        return await _counts(call, tx, await _viewer(call, tx))


@get("/superuser/logs")
async def list_all_logs(call: Call) -> Response[bytes]:
    """200 with the same for the whole server, each with its namespace."""
    async with call.read() as tx:
        return await _page(call, tx, await users.superviewer(tx, await call.actor(tx)))


@get("/superuser/aggregatelogs")
async def count_all_logs(call: Call) -> Response[bytes]:
    """200 with the same counts for the whole server."""
    async with call.read() as tx:
        return await _counts(call, tx, await users.superviewer(tx, await call.actor(tx)))


HANDLERS = [list_logs, count_logs, list_all_logs, count_all_logs]

"""Rows of mirrors: how each is set, whose turn it is, and which process works on it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, case, insert, literal, or_, select, update

from dockbell.domain.mirrors import Mirror, MirrorStatus, SyncJob
from dockbell.domain.repositories import RepositoryState
from dockbell.store.tables import mirrors, namespaces, repositories, robots
from dockbell.store.transactions import DuplicateError, Tx

_SELECT: Select[Any] = (
    select(
        mirrors,
        robots.c.name.label("robot"),
        repositories.c.name.label("repository"),
        namespaces.c.name.label("namespace"),
    )
    .join(repositories, repositories.c.id == mirrors.c.repository_id)
    .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
    .outerjoin(robots, robots.c.id == mirrors.c.robot_id)
)


def _of_row(tx: Tx, row: Row[Any]) -> Mirror:
    return Mirror(
        repository_id=row.repository_id,
        is_enabled=row.is_enabled,
        reference=row.reference,
        username=None
        if row.username_sealed is None
        else tx.seal.open(row.username_sealed).decode(),
        registry_config=_opened_config(tx, row),
        robot=row.robot,
        globs=tuple(row.globs),
        interval=timedelta(seconds=row.interval_seconds),
        start_at=row.start_at,
        timeout=timedelta(seconds=row.timeout_seconds),
        architectures=tuple(row.architectures or ()),
        status=MirrorStatus(row.status),
        tries_left=row.tries_left,
        leased_until=row.leased_until,
    )


def _opened_config(tx: Tx, row: Row[Any]) -> dict[str, object]:
    config: dict[str, object] = row.registry_config
    if row.proxy_sealed is not None:
        config = {**config, "proxy": json.loads(tx.seal.open(row.proxy_sealed))}
    return config


def _sealed(tx: Tx, text: str | None) -> bytes | None:
    return None if text is None else tx.seal.close(text.encode())


async def find(tx: Tx, repository_id: str) -> Mirror | None:
    row = await tx.first(_SELECT.where(mirrors.c.repository_id == repository_id))
    return None if row is None else _of_row(tx, row)


async def add(tx: Tx, mirror: Mirror, *, robot_id: str | None, password: str | None) -> bool:
    """Insert it, due when it starts; False, with the transaction still usable, if the repository has one."""
    try:
        async with tx.nested():
            await tx.run(
                insert(mirrors).values(
                    repository_id=mirror.repository_id,
                    created_at=tx.now,
                    status=mirror.status.value,
                    tries_left=mirror.tries_left,
                    due_at=mirror.start_at,
                    takeovers=0,
                    password_sealed=_sealed(tx, password),
                    **_settings(tx, mirror, robot_id),
                )
            )
    except DuplicateError:
        return False
    return True


async def change(
    tx: Tx,
    mirror: Mirror,
    *,
    robot_id: str | None,
    is_rescheduled: bool,
) -> None:
    """Set it anew, but for the password. What is under way ends as it began."""
    values = _settings(tx, mirror, robot_id)
    if is_rescheduled:
        values["due_at"] = mirror.start_at
        values["tries_left"] = mirror.tries_left
    await tx.run(
        update(mirrors).where(mirrors.c.repository_id == mirror.repository_id).values(values)
    )


async def set_password(tx: Tx, repository_id: str, password: str | None) -> None:
    await tx.run(
        update(mirrors)
        .where(mirrors.c.repository_id == repository_id)
        .values(password_sealed=_sealed(tx, password))
    )


def _settings(tx: Tx, mirror: Mirror, robot_id: str | None) -> dict[str, Any]:
    proxy = mirror.registry_config.get("proxy")
    return {
        "is_enabled": mirror.is_enabled,
        "reference": mirror.reference,
        "username_sealed": _sealed(tx, mirror.username),
        "registry_config": {
            key: value for key, value in mirror.registry_config.items() if key != "proxy"
        },
        "proxy_sealed": None if proxy is None else _sealed(tx, json.dumps(proxy)),
        "architectures": list(mirror.architectures) or None,
        "robot_id": robot_id,
        "globs": list(mirror.globs),
        "interval_seconds": int(mirror.interval.total_seconds()),
        "start_at": mirror.start_at,
        "timeout_seconds": int(mirror.timeout.total_seconds()),
        "updated_at": tx.now,
    }


async def ask_now(tx: Tx, repository_id: str) -> bool:
    """Have it synced as soon as a process is free; False while that is under way."""
    changed = await tx.run(
        update(mirrors)
        .where(
            mirrors.c.repository_id == repository_id,
            mirrors.c.status != MirrorStatus.SYNCING.value,
        )
        .values(
            status=MirrorStatus.SYNC_NOW.value,
            due_at=tx.now,
            tries_left=case((mirrors.c.tries_left < 1, 1), else_=mirrors.c.tries_left),
            updated_at=tx.now,
        )
    )
    return changed == 1


async def cancel(tx: Tx, repository_id: str) -> MirrorStatus | None:
    """Call off what is under way or was asked for; return which of the two it was, None if neither.

    It is not synced again before somebody asks for it, as in Quay.
    """
    row = await tx.first(
        select(mirrors.c.status)
        .where(mirrors.c.repository_id == repository_id)
        .with_for_update()
    )
    status = None if row is None else MirrorStatus(row.status)
    if status not in {MirrorStatus.SYNCING, MirrorStatus.SYNC_NOW}:
        return None
    await tx.run(
        update(mirrors)
        .where(mirrors.c.repository_id == repository_id)
        .values(
            status=MirrorStatus.CANCEL.value,
            due_at=None,
            tries_left=0,
            lease=None,
            leased_until=None,
            updated_at=tx.now,
        )
    )
    return status


_IS_MIRROR = repositories.c.state == RepositoryState.MIRROR.value


def _is_due(now: datetime) -> Any:
    asked = mirrors.c.status == MirrorStatus.SYNC_NOW.value
    on_time = and_(
        mirrors.c.is_enabled,
        mirrors.c.tries_left > 0,
        mirrors.c.status.not_in([MirrorStatus.SYNCING.value, MirrorStatus.SYNC_NOW.value]),
    )
    left_lying = and_(
        mirrors.c.status == MirrorStatus.SYNCING.value, mirrors.c.leased_until <= now
    )
    return and_(_IS_MIRROR, or_(and_(mirrors.c.due_at <= now, or_(asked, on_time)), left_lying))


async def list_due(tx: Tx, limit: int) -> Sequence[str]:
    """The repositories of up to so many mirrors that wait for a process, the longest first. Reads only."""
    rows = await tx.rows(
        _SELECT.where(_is_due(tx.now))
        .order_by(mirrors.c.due_at, mirrors.c.repository_id)
        .limit(limit)
    )
    return [row.repository_id for row in rows]


async def claim(
    tx: Tx, repository_id: str, until: datetime, lease: str
) -> tuple[SyncJob, int | None] | None:
    """Take the repository's mirror, so that no other process gets it; None if it is not due any more.

    The number is how many processes have left this very sync lying; None for one that begins.
    """
    row = await tx.first(
        _SELECT.where(
            mirrors.c.repository_id == repository_id, _is_due(tx.now)
        ).with_for_update(skip_locked=True, of=mirrors)
    )
    if row is None:
        return None
    was_left = row.status == MirrorStatus.SYNCING.value
    takeovers = row.takeovers + 1 if was_left else 0
    await tx.run(
        update(mirrors)
        .where(mirrors.c.repository_id == row.repository_id)
        .values(
            status=MirrorStatus.SYNCING.value,
            lease=lease,
            leased_until=until,
            takeovers=takeovers,
            updated_at=tx.now,
        )
    )
    password = None if row.password_sealed is None else tx.seal.open(row.password_sealed)
    job = SyncJob(
        mirror=_of_row(tx, row),
        path=f"{row.namespace}/{row.repository}",
        lease=lease,
        password=None if password is None else password.decode(),
    )
    return job, takeovers if was_left else None


async def renew(tx: Tx, job: SyncJob, until: datetime) -> bool:
    """Keep the mirror for longer; False if the sync was called off, or another process has it."""
    return await _set(tx, job, {"leased_until": until})


async def release(  # noqa: PLR0913 -- one argument for each column
    tx: Tx,
    job: SyncJob,
    status: MirrorStatus,
    *,
    due_at: datetime | None,
    start_at: datetime | None,
    tries_left: int,
) -> bool:
    """Note how the sync ended and when the next one begins; False, with nothing written, if it is no longer ours."""
    return await _set(
        tx,
        job,
        {
            "status": status.value,
            "lease": None,
            "leased_until": None,
            "due_at": due_at,
            "start_at": start_at,
            "tries_left": tries_left,
            "takeovers": 0,
            "updated_at": tx.now,
        },
    )


async def hand_back(tx: Tx, job: SyncJob) -> bool:
    """Let another process go on with it at once; this is no fault of the sync."""
    return await _set(tx, job, {"leased_until": tx.now, "takeovers": mirrors.c.takeovers - 1})


async def end_leases(tx: Tx) -> None:
    """Have every sync that is under way go on elsewhere, as if its process had stopped."""
    await tx.run(
        update(mirrors)
        .where(mirrors.c.status == MirrorStatus.SYNCING.value)
        .values(leased_until=tx.now)
    )


async def _set(tx: Tx, job: SyncJob, values: Mapping[str, Any]) -> bool:
    changed = await tx.run(
        update(mirrors)
        .where(
            mirrors.c.repository_id == job.mirror.repository_id,
            mirrors.c.lease == literal(job.lease),
        )
        .values(**values)
    )
    return changed == 1

"""Rows of builds that build systems report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, delete, insert, or_, select, update

from dockbell.domain.build_reports import (
    ENDS,
    Build,
    BuildDetails,
    BuildReport,
    BuildState,
    Trigger,
)
from dockbell.domain.ids import uuid_of
from dockbell.store.tables import builds as table
from dockbell.store.transactions import Tx

_ENDS = [state.value for state in ENDS]


def _document_of(details: BuildDetails) -> Mapping[str, object]:
    return {key: value for key, value in asdict(details).items() if value not in (None, (), [])}


def _details_of(document: Mapping[str, Any]) -> BuildDetails:
    trigger = document.get("trigger")
    return BuildDetails(
        **{**document, "trigger": None if trigger is None else Trigger(**trigger)}
    )


def _of_row(row: Row[Any]) -> Build:
    return Build(
        id=row.id,
        uuid=row.uuid,
        repository_id=row.repository_id,
        key=row.key,
        state=BuildState(row.state),
        details=_details_of(row.details),
        source=row.source,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def moved(build: Build, state: BuildState, at: datetime) -> Build:
    """The build in this state, which it came into at that time."""
    match state:
        case BuildState.QUEUED:
            return replace(build, state=state, queued_at=at)
        case BuildState.STARTED:
            return replace(build, state=state, started_at=at)
        case _:
            return replace(build, state=state, finished_at=at)


async def find(tx: Tx, repository_id: str, given_id: str) -> Build | None:
    """The repository's build with this id or UUID or, if none has it, with this key of the build system's."""
    row = await tx.first(
        select(table)
        .where(
            or_(table.c.id == given_id, table.c.uuid == given_id, table.c.key == given_id),
            table.c.repository_id == repository_id,
        )
        .order_by(case((table.c.key == given_id, 1), else_=0))
        .limit(1)
    )
    return None if row is None else _of_row(row)


async def hold(tx: Tx, repository_id: str, *, key: str | None, build_id: str) -> Build | None:
    """The build with this key, or else this id, locked until the end: reports of one build change it in turn."""
    wanted = table.c.id == build_id if key is None else table.c.key == key
    row = await tx.first(
        select(table).where(wanted, table.c.repository_id == repository_id).with_for_update()
    )
    return None if row is None else _of_row(row)


async def add(
    tx: Tx, repository_id: str, report: BuildReport, state: BuildState, source: str
) -> Build:
    """A new build; raise DuplicateError, with the transaction still usable, if its key is known."""
    build_id = tx.new_id("bld")
    build = moved(
        Build(
            id=build_id,
            uuid=uuid_of(build_id),
            repository_id=repository_id,
            key=report.key,
            state=state,
            details=report.details,
            source=source,
            queued_at=None,
            started_at=None,
            finished_at=None,
            created_at=tx.now,
            updated_at=tx.now,
        ),
        state,
        report.occurred_at or tx.now,
    )
    async with tx.nested():
        await tx.run(
            insert(table).values(
                id=build.id,
                uuid=build.uuid,
                repository_id=repository_id,
                key=build.key,
                state=build.state.value,
                details=_document_of(build.details),
                source=source,
                queued_at=build.queued_at,
                started_at=build.started_at,
                finished_at=build.finished_at,
                created_at=tx.now,
                updated_at=tx.now,
            )
        )
    return build


async def save(tx: Tx, build: Build) -> Build:
    """Keep the build as it is here. It is locked."""
    await tx.run(
        update(table)
        .where(table.c.id == build.id)
        .values(
            state=build.state.value,
            details=_document_of(build.details),
            queued_at=build.queued_at,
            started_at=build.started_at,
            finished_at=build.finished_at,
            updated_at=tx.now,
        )
    )
    return replace(build, updated_at=tx.now)


async def list_page(
    tx: Tx, repository_id: str, *, before: str, since: datetime | None, limit: int
) -> Sequence[Build]:
    """Up to `limit` builds, the newest first. One query."""
    statement = select(table).where(table.c.repository_id == repository_id)
    if before:
        statement = statement.where(table.c.id < before)
    if since is not None:
        statement = statement.where(table.c.created_at >= since)
    rows = await tx.rows(statement.order_by(table.c.id.desc()).limit(limit))
    return [_of_row(row) for row in rows]


async def prune(tx: Tx, repository_id: str, keep: int) -> int:
    """Forget builds that have ended, but for the newest so many of the repository's builds."""
    last = await tx.first(
        select(table.c.id)
        .where(table.c.repository_id == repository_id)
        .order_by(table.c.id.desc())
        .offset(keep)
        .limit(1)
    )
    if last is None:
        return 0
    return await tx.run(
        delete(table).where(
            table.c.repository_id == repository_id,
            table.c.id <= last.id,
            table.c.state.in_(_ENDS),
        )
    )

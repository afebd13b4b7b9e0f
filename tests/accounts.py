"""The API on an empty database, for tests that make their own people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from dockbell.domain.accounts import Scope
from dockbell.domain.links import Links
from dockbell.services.authorized_emails import AuthorizedEmails
from dockbell.services.intake import Intake
from dockbell.services.lookups import Lookups
from dockbell.services.notifications import Notifications
from dockbell.store.dialects.statements import Statement
from dockbell.store.transactions import Store, Tx
from dockbell.web.faces import Faces
from tests.apps import app_of
from tests.asgi import Answer, Client
from tests.factories import KINDS, METHODS
from tests.world import PUBLIC_URL, Guard

PASSWORD = "correct-horse-9"
ALL_SCOPES = " ".join(sorted(Scope))


def open_empty(
    store: Store, *, is_initialize_open: bool = False, requires_team_invite: bool = True
) -> Client:
    """The application as nobody in particular calls it."""
    kinds, installed, links = KINDS, METHODS, Links(PUBLIC_URL)
    intake = Intake(kinds=kinds, links=links)
    faces = Faces(
        kinds=kinds,
        methods=installed,
        links=links,
        intake=intake,
        notifications=Notifications(
            kinds=kinds,
            methods=installed,
            intake=intake,
            lookups=Lookups(refusal=Guard()),
            chance=bytes,
        ),
        emails=AuthorizedEmails(links, bytes),
        is_initialize_open=is_initialize_open,
        requires_team_invite=requires_team_invite,
    )
    return Client(app_of(store, faces))


def problem(status: int, kind: str, detail: str) -> dict[str, object]:
    """Quay's problem object, the whole of it."""
    return {
        "detail": detail,
        "error_message": detail,
        "error_type": kind,
        "title": kind,
        "type": f"{PUBLIC_URL}/api/v1/error/{kind}",
        "status": status,
    }


UNAUTHENTICATED = problem(401, "invalid_token", "Requires authentication")
FORBIDDEN = problem(403, "insufficient_scope", "Unauthorized")
NOT_FOUND = problem(404, "not_found", "Not Found")


def invalid(detail: str) -> dict[str, object]:
    return problem(400, "invalid_request", detail)


def said(answer: Answer) -> tuple[int, Any]:
    """Status and body of an answer, to compare both at once."""
    return answer.status, answer.json() if answer.body else None


def note_hot(store: Store, seen: list[str]) -> None:
    """From now on, note the hand-written statements, which pass by SQLAlchemy."""
    make = store._tx

    class NotingTx(Tx):
        async def hot_each(self, statements: Sequence[Statement]) -> Sequence[Sequence[Any]]:
            seen.extend(sql.strip() for sql, _ in statements)
            return await super().hot_each(statements)

    def noting(connection: AsyncConnection) -> Tx:
        tx = make(connection)
        return NotingTx(tx.connection, tx.dialect, tx.now, tx.new_id, tx.seal)

    store._tx = noting  # type: ignore[method-assign] -- of this store only


@dataclass(frozen=True, slots=True)
class Statements:
    """Counts the statements that reach the database."""

    seen: list[str]

    @classmethod
    def of(cls, store: Store) -> "Statements":
        counter = cls([])

        def note(*parts: Any) -> None:
            counter.seen.append(parts[2])

        event.listen(store._reader.sync_engine, "before_cursor_execute", note)
        note_hot(store, counter.seen)
        return counter

    @classmethod
    def of_writer(cls, store: Store) -> "Statements":
        """Those of transactions that may write."""
        counter = cls([])

        def note(*parts: Any) -> None:
            counter.seen.append(parts[2])

        event.listen(store._writer.sync_engine, "before_cursor_execute", note)
        note_hot(store, counter.seen)
        return counter

    def take(self) -> int:
        """How many since the last time."""
        count = len(self.seen)
        self.seen.clear()
        return count

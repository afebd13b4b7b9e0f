"""The messenger: mails to the owners of notifications what has become of those that fail."""

import structlog

from dockbell.domain import mail_outcomes
from dockbell.domain.links import Links
from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Delivered, Rejected
from dockbell.domain.owner_mails import letter_of
from dockbell.engine.chores import Chore
from dockbell.engine.outlet import Mail
from dockbell.store import owner_mails
from dockbell.store.owner_mails import Parcel
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.engine")

EVERY_SECONDS = 15.0


class Messenger:
    """Looks every few seconds whether an address is to be told something. Any number of processes share the mails.

    An address can get a mail twice, with the same Message-ID, if a process ends before it wrote down that it was sent.
    """

    def __init__(
        self, store: Store, mailer: Mail, links: Links, *, every: float = EVERY_SECONDS
    ) -> None:
        self._store = store
        self._mailer = mailer
        self._links = links
        self.chore = Chore(self._look, every, "messenger", "owners could not be mailed")

    async def tell(self) -> int:
        """Send all that is due now, one mail after another; return how many were taken."""
        taken = 0
        while True:
            async with self._store.begin() as tx:
                parcel = await owner_mails.take(tx)
                now = tx.now
            if parcel is None:
                return taken
            # The first row is in every try with others or without, so the mail is known by it.
            message_id = f"{parcel.ids[0]}@{self._links.hostname}"
            letter = letter_of(parcel.tidings, parcel.address, self._links, message_id, now)
            try:
                outcome = mail_outcomes.outcome_of(await self._mailer.send(letter))
            except UnreachableError as error:
                _log.warning("owners not mailed", code=error.code.value, detail=error.detail)
                return taken  # it is the server that is away, so the others wait too
            if isinstance(outcome, Delivered):
                taken += 1
            else:
                _log.warning(
                    "owners not mailed", code=outcome.code.value, detail=outcome.detail
                )
            if isinstance(outcome, Delivered | Rejected):
                await self._close(parcel)

    async def _close(self, parcel: Parcel) -> None:
        async with self._store.begin() as tx:
            await owner_mails.close(tx, parcel)

    async def _look(self) -> None:
        async with self._store.read() as tx:
            is_needed = await owner_mails.has_due(tx)
        if is_needed:
            await self.tell()

"""What `keys rotate` and `keys retire` do with the key and the database. A server may run all the while."""

from collections.abc import Callable
from dataclasses import field
from datetime import timedelta

from dockbell import bootstrap
from dockbell.cli.direct import opened
from dockbell.domain.errors import ConflictError, SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.settings import Settings
from dockbell.store import canary, key_files, sealed_columns, seals
from dockbell.store.transactions import Store

CHUNK = 200  # values in one transaction, so that a server never waits for long
_LEARNED = timedelta(minutes=3)  # every server has looked for a new key by then
Say = Callable[[str], None]


@dataclass(slots=True)
class Rotated:
    """What a rotation did."""

    moved: int = 0
    broken: list[str] = field(default_factory=list)  # table.column and row


async def rotate(settings: Settings, say: Say) -> Rotated:
    """Make a new key, unless one replaces another already, and seal every value with it."""
    path = bootstrap.key_file_of(settings)
    async with opened(settings) as store:  # refuses a key that does not fit
        async with store.read() as tx:
            seal = tx.seal
        if path is not None:
            with key_files.alone(path):
                keys = key_files.read(path)
                if len(keys) == 1:
                    key_files.replace(path, [seals.new_key(), *keys])
                    say(f"A new key stands in {path}, in front of the old one.")
                else:
                    say(f"Going on with the new key in {path}.")
            seal.renew()
        elif not seal.older_heads:
            raise SetupError(
                "DOCKBELL_SECRET_KEY holds one key. Put a new one from `dockbell keys new` in front of it, "
                "with a comma between, restart the servers, and run this again."
            )
        async with store.begin() as tx:
            await canary.seal_anew(tx)
        return await _reseal(store, say)


async def retire(settings: Settings, say: Say) -> None:
    """Take the older keys out of the file, once nothing needs them."""
    path = bootstrap.key_file_of(settings)
    async with opened(settings) as store:
        async with store.begin() as tx:
            if not tx.seal.older_heads:
                raise ConflictError("There is no older key.")
            since, now = await canary.seal_anew(tx), tx.now
        if now - since < _LEARNED:
            raise ConflictError(
                "A running server may not know the new key yet. "
                f"Try again after {since + _LEARNED:%H:%M:%S} UTC."
            )
        # What a server closed with the old key before it learned of the new one.
        await _reseal(store, say)
    if path is None:
        say("Nothing needs the older keys: leave only the first one in DOCKBELL_SECRET_KEY.")
        return
    with key_files.alone(path):
        key_files.replace(path, key_files.read(path)[:1])
    say(f"{path} holds the new key only. Keep a copy apart from the backups of the data.")


async def _reseal(store: Store, say: Say) -> Rotated:
    done = Rotated()
    for place in sealed_columns.PLACES:
        async with store.read() as tx:
            total = await sealed_columns.count_older(tx, place)
        moved, after = 0, ""
        while True:
            async with store.begin() as tx:
                chunk = await sealed_columns.reseal(tx, place, after=after, limit=CHUNK)
            moved += chunk.moved
            done.broken += [f"{place.name} {row}" for row in chunk.broken]
            if chunk.moved:
                say(f"{place.name}: {moved} of {max(total, moved)}")
            if chunk.last is None:
                break
            after = chunk.last
        done.moved += moved
    for row in done.broken:
        say(f"No key opens {row}: it stays as it is.")
    return done

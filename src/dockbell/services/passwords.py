"""Passwords, hashed so that nothing else waits for it, and random secrets."""

import asyncio
import contextlib
import re
import secrets
import string
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dockbell.domain.errors import UnavailableError

_SHORTEST = 8
_LONGEST = 1024  # hashing a megabyte is work that anybody could ask for
# Whoever signs in holds a connection to the database while the password is checked. So few do at a time, and so
# many may wait for that: a flood of sign-ins must not leave the rest of the API without connections.
_AT_ONCE = 4
_MOST_WAITING = 200
_ALPHABET = string.ascii_uppercase + string.digits

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Two at a time: a flood of sign-ins must not take every core and all memory from deliveries.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")
# The hash of a password that nobody knows, so that an unknown name takes as long as a wrong password.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class BusyError(UnavailableError):
    """Too many people sign in at this moment. Try again soon."""


class _Turns:
    """Those who check a password on one event loop, and those who wait to."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(_AT_ONCE)
        self.waiting = 0


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """One's turn to have a password checked: take it before a transaction begins. Raise BusyError if too many wait.

    Count a wrong password within it, too: else many guesses at once would all come before the first is counted.
    """
    turns = _turns.setdefault(asyncio.get_running_loop(), _Turns())
    if turns.waiting >= _MOST_WAITING:
        raise BusyError
    turns.waiting += 1
    try:
        await turns.free.acquire()
    finally:
        turns.waiting -= 1
    try:
        yield
    finally:
        turns.free.release()


def is_allowed(password: str) -> bool:
    return _SHORTEST <= len(password) <= _LONGEST and re.search(r"\s", password) is None


async def hash_of(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def is_right(password: str, kept_hash: str | None) -> bool:
    """Whether the password fits the hash; False, after as long a time, if there is no hash."""
    if len(password) > _LONGEST:
        return False
    fits = await asyncio.get_running_loop().run_in_executor(
        _threads, _fits, password, kept_hash or _NOBODY
    )
    return fits and kept_hash is not None


def _fits(password: str, kept_hash: str) -> bool:
    try:
        return _hasher.verify(kept_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def random_secret(length: int) -> str:
    """Capital letters and digits, more than five bits of chance in each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))

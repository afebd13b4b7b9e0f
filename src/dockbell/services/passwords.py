"""Passwords, hashed so that nothing else waits for it, and random secrets."""

import asyncio
import re
import secrets
import string
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_SHORTEST = 8
_LONGEST = 1024  # hashing a megabyte is work that anybody could ask for
_ALPHABET = string.ascii_uppercase + string.digits

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Two at a time: a flood of sign-ins must not take every core and all memory from deliveries.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")
# The hash of a password that nobody knows, so that an unknown name takes as long as a wrong password.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


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

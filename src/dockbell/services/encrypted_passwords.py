"""Passwords sealed by this server, to be kept in client configurations instead of the plain ones."""

import base64
import binascii

from dockbell.domain.errors import SetupError
from dockbell.store.transactions import Tx

_SHORTEST = 60  # one character sealed; anything shorter is a plain password


def to_encrypted(tx: Tx, username: str, password: str) -> str:
    """What this user may send in place of the password, here and nowhere else."""
    sealed = tx.seal.close(f"{username}\0{password}".encode())
    return base64.urlsafe_b64encode(sealed).decode()


def of_encrypted(tx: Tx, username: str, text: str) -> str | None:
    """The plain password, or None if the text is not one that we sealed for this user."""
    if len(text) < _SHORTEST:
        return None
    try:
        opened = tx.seal.open(base64.urlsafe_b64decode(text.encode())).decode()
    except (binascii.Error, ValueError, SetupError):
        return None
    owner, _, password = opened.partition("\0")
    return password if owner == username else None

"""Sealing: secrets are encrypted before they reach a table, and opened only where they are used."""

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dockbell.domain.errors import SetupError

_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_KEY_BYTES = 32
_VERSION = b"\x01"


class WrongKeyError(SetupError):
    """The secret key does not open what the database holds. Start with the key the data was written with (`DOCKBELL_SECRET_KEY` or `secret.key` in the data folder); to start over, take an empty database and data folder."""


class InvalidKeyError(SetupError):
    """What should be a secret key is none; `why` says so in half a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The secret key is none: {why}. Make one with `dockbell keys new`.")
        self.why = why


class Seal:
    """AES-256-GCM under one key.

    A sealed value is one version byte, four bytes that name the key, the nonce, then the ciphertext with its tag.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise InvalidKeyError(f"a key has {_KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        key_id = hashlib.sha256(b"dockbell key id" + key).digest()[:_KEY_ID_BYTES]
        self._head = _VERSION + key_id

    def close(self, value: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, value, None)

    def open(self, sealed: bytes) -> bytes:
        """The value, or WrongKeyError."""
        if not sealed.startswith(self._head):
            raise WrongKeyError
        start = len(self._head)
        nonce, rest = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, None)
        except InvalidTag as error:
            raise WrongKeyError from error


def new_key() -> bytes:
    return os.urandom(_KEY_BYTES)


def to_text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def of_text(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.strip())
    except ValueError as error:
        raise InvalidKeyError("it is not base64") from error

"""Sealing: secrets are encrypted before they reach a table, and opened only where they are used."""

import base64
import hashlib
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dockbell.domain.errors import SetupError

_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_KEY_BYTES = 32
_VERSION = b"\x01"
HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES


class WrongKeyError(SetupError):
    """The secret key does not open what the database holds. Start with the key the data was written with (`DOCKBELL_SECRET_KEY` or `secret.key` in the data folder); to start over, take an empty database and data folder."""


class InvalidKeyError(SetupError):
    """What should be a secret key is none; `why` says so in half a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The secret key is not base64 of {_KEY_BYTES} bytes: {why}. Make one with `dockbell keys new`."
        )
        self.why = why


class Seal:
    """AES-256-GCM under one key; what older keys closed still opens.

    A sealed value is one version byte, four bytes that name the key, the nonce, then the ciphertext with its tag.
    """

    def __init__(
        self, *keys: bytes, reread: Callable[[], Sequence[bytes]] | None = None
    ) -> None:
        """Close with the first of the keys. `reread` is asked for them again when a value names another key."""
        self._reread = reread
        self._ciphers: dict[bytes, AESGCM] = {}
        self._head = b""
        self._use(keys)

    @property
    def head(self) -> bytes:
        """What a value begins with that the newest key closed."""
        return self._head

    @property
    def older_heads(self) -> Sequence[bytes]:
        """The same for the keys that only open."""
        return [head for head in self._ciphers if head != self._head]

    def close(self, value: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self._head]
        return self._head + nonce + cipher.encrypt(nonce, value, None)

    def open(self, sealed: bytes) -> bytes:
        """The value, or WrongKeyError."""
        head = sealed[:HEAD_BYTES]
        if head not in self._ciphers:
            self.renew()  # somebody may have changed the key while we run
        cipher = self._ciphers.get(head)
        if cipher is None:
            raise WrongKeyError
        start = HEAD_BYTES + _NONCE_BYTES
        nonce, rest = sealed[HEAD_BYTES:start], sealed[start:]
        try:
            return cipher.decrypt(nonce, rest, None)
        except (InvalidTag, ValueError) as error:  # ValueError: cut off in the nonce
            raise WrongKeyError from error

    def renew(self) -> None:
        """Read the keys again, if they come from where they can change. Keys known before still open."""
        keys = () if self._reread is None else self._reread()
        if keys:
            self._use(keys)

    def _use(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise InvalidKeyError("it is empty")
        for key in keys:
            if len(key) != _KEY_BYTES:
                raise InvalidKeyError(f"a key has {_KEY_BYTES} bytes, not {len(key)}")
        self._ciphers |= {_head_of(key): AESGCM(key) for key in keys}
        self._head = _head_of(keys[0])


def _head_of(key: bytes) -> bytes:
    return _VERSION + hashlib.sha256(b"dockbell key id" + key).digest()[:_KEY_ID_BYTES]


def new_key() -> bytes:
    return os.urandom(_KEY_BYTES)


def to_text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def of_text(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.strip())
    except ValueError as error:
        raise InvalidKeyError("it is not base64") from error


def of_texts(text: str) -> tuple[bytes, ...]:
    """Several keys, the newest first, with commas, spaces or line ends between."""
    return tuple(of_text(part) for part in text.replace(",", " ").split())

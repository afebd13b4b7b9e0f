"""Content digests: the name of a blob or manifest is the hash of its bytes."""

import hashlib
import re
from typing import Protocol

from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.late_dataclasses import dataclass

_HEX = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "sha512": re.compile(r"[0-9a-f]{128}"),
}
CANONICAL = "sha256"
ALGORITHMS = tuple(_HEX)


class DigestError(InvalidRequestError):
    """The digest is not valid. Use `sha256:` and 64, or `sha512:` and 128 small hexadecimal digits."""


class DigestMismatchError(DigestError):
    """The content does not have the digest that was given."""


class Hash(Protocol):
    """A hash that grows with the content."""

    def update(self, piece: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest with a known algorithm and hexadecimal digits of the right number, so safe in a file name."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def of(cls, text: str) -> "Digest":
        """Parse `algorithm:hex`; raise DigestError for anything else."""
        algorithm, _, digits = text.partition(":")
        pattern = _HEX.get(algorithm)
        if pattern is None or pattern.fullmatch(digits) is None:
            raise DigestError
        return cls(algorithm, digits)

    @classmethod
    def of_body(cls, body: bytes, algorithm: str = CANONICAL) -> "Digest":
        return cls(algorithm, hashlib.new(algorithm, body).hexdigest())


def new_hash(algorithm: str) -> Hash:
    """A running hash; raise DigestError for an algorithm that is not one of ours."""
    if algorithm not in _HEX:
        raise DigestError
    return hashlib.new(algorithm)

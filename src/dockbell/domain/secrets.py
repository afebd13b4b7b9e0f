"""Secrets that people and programs carry: how they look, and how they are recognised again."""

import hashlib
import hmac

TOKEN_LENGTH = 40
LOOKUP_LENGTH = 20
ROBOT_TOKEN_LENGTH = 64
APP_TOKEN_LENGTH = 64
CLIENT_ID_LENGTH = 20
CLIENT_SECRET_LENGTH = 40
FINGERPRINT_LENGTH = 32


def lookup_of(token: str) -> str:
    """The part of a token that finds its row; it proves nothing by itself."""
    return token[:LOOKUP_LENGTH]


def hash_of(secret: str) -> str:
    """What is kept of a random secret. Such secrets are too long to guess, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def fingerprint_of(kept_hash: str) -> str:
    """What tells one secret of an account from the next; whoever reads it learns nothing of either."""
    return hashlib.sha256(f"fingerprint:{kept_hash}".encode()).hexdigest()[:FINGERPRINT_LENGTH]


def is_same(secret: str, kept_hash: str) -> bool:
    """Whether this is the secret that was hashed, in a time that tells nothing about it."""
    return hmac.compare_digest(hash_of(secret), kept_hash)

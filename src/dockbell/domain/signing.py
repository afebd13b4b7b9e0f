"""Signatures of webhooks by Standard Webhooks 1.0: HMAC-SHA256 over id, time and the exact bytes of the body."""

import base64
import binascii
import hmac
from collections.abc import Sequence

from dockbell.domain.errors import ConfigError

PREFIX = "whsec_"
SECRET_BYTES = 32
_FEWEST_BYTES = 24
_MOST_BYTES = 64


def new_secret(chance: bytes) -> bytes:
    """A signing secret from unpredictable bytes, of which it takes 32."""
    if len(chance) < SECRET_BYTES:
        raise ValueError(f"a signing secret needs {SECRET_BYTES} bytes of chance")
    return chance[:SECRET_BYTES]


def to_text(secret: bytes) -> str:
    """The secret as receivers' libraries take it."""
    return PREFIX + base64.b64encode(secret).decode()


def of_text(text: str) -> bytes:
    """The secret in a text like `whsec_…`, or ConfigError in plain words."""
    encoded = text.strip().removeprefix(PREFIX)
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(
            f"A signing secret is {PREFIX} and base64 text", field="secret"
        ) from None
    if not _FEWEST_BYTES <= len(secret) <= _MOST_BYTES:
        raise ConfigError(
            f"A signing secret has {_FEWEST_BYTES} to {_MOST_BYTES} bytes", field="secret"
        )
    return secret


def sign(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature per secret, with spaces between.

    The id must not contain a dot, since dots part what is signed.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
        for secret in secrets
    )

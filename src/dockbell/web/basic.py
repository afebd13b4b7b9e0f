"""User name and password of a request."""

import base64
import binascii

from dockbell.domain.errors import UnauthenticatedError


def basic_of(value: str) -> tuple[str, str]:
    """User name and password of a Basic header; raise UnauthenticatedError if it cannot be read."""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise UnauthenticatedError from None
    username, colon, password = text.partition(":")
    if not colon:
        raise UnauthenticatedError
    return username, password

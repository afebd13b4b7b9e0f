"""The opaque `next_page` token of lists: after which id to go on."""

import base64
import binascii
import re

from dockbell.domain.errors import InvalidRequestError

_ID = re.compile(r"[a-z]{2,4}_[0-9a-z]{26}")


def to_token(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def of_token(token: str) -> str:
    """The id, or `""` for no token at all. InvalidRequestError for one that we never gave out."""
    if not token:
        return ""
    try:
        last_id = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        last_id = ""
    if _ID.fullmatch(last_id) is None:
        raise InvalidRequestError("Invalid next_page token")
    return last_id

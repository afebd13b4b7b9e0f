"""What a notification trusts and shows in TLS, as API v2 takes and shows it."""

from datetime import datetime
from typing import Annotated

import msgspec

from dockbell.domain.masks import MASK
from dockbell.domain.tls import Tls as TlsOf
from dockbell.services import notifications

Pem = Annotated[str, msgspec.Meta(max_length=64 * 1024)]


class TlsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PEM texts: authorities that the target's certificate must come from, and a client certificate with its key."""

    ca: Pem | None = None
    client_certificate: Pem | None = None
    client_key: Pem | None = None


class Tls(msgspec.Struct, frozen=True):
    """What is trusted and shown in TLS. The key is never shown; `expires_at` is the client certificate's."""

    ca: str | None
    client_certificate: str | None
    client_key: str | None
    expires_at: datetime | None


def to_tls(body: TlsBody | None, stored: TlsOf | None = None) -> TlsOf | None:
    """What is to be kept: a mask as the key stands for the stored one."""
    if body is None:
        return None
    key = body.client_key or ""
    if key == MASK and stored is not None:
        key = stored.client_key
    made = TlsOf(body.ca or "", body.client_certificate or "", key)
    return None if made == TlsOf() else made


def shown_tls(tls: TlsOf | None) -> Tls | None:
    if tls is None:
        return None
    return Tls(
        ca=tls.ca or None,
        client_certificate=tls.client_certificate or None,
        client_key=MASK if tls.client_key else None,
        expires_at=notifications.expiry_of(tls),
    )

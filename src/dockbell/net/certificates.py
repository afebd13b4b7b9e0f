"""Looking at certificates and keys that somebody wants us to use, before the first try does."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from dockbell.domain.errors import ConfigError
from dockbell.domain.tls import Tls

_LONGEST = 64 * 1024  # characters of one text


def check(tls: Tls, now: datetime) -> None:
    """Raise ConfigError, which names the field, for what a try could not use: no PEM, run out, a key of another one."""
    if tls.ca and all(_has_run_out(one, now) for one in _certificates(tls.ca, "ca")):
        raise ConfigError("All certificates of the authorities have run out", field="tls.ca")
    if not tls.client_certificate and not tls.client_key:
        return
    if not tls.client_certificate:
        raise ConfigError(
            "A key needs the certificate that it belongs to", field="tls.client_certificate"
        )
    if not tls.client_key:
        raise ConfigError("A certificate needs its key", field="tls.client_key")
    own = _certificates(tls.client_certificate, "client_certificate")[0]
    key = _key(tls.client_key)
    _check_time(own, now)
    if _public(own) != _public(key):
        raise ConfigError(
            "The key is not that of the first certificate", field="tls.client_key"
        )


def expiry(tls: Tls) -> datetime | None:
    """When the client certificate runs out; None without one."""
    if not tls.client_certificate:
        return None
    return _certificates(tls.client_certificate, "client_certificate")[0].not_valid_after_utc


def _certificates(text: str, name: str) -> Sequence[x509.Certificate]:
    _check_length(text, name)
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("This is not a PEM certificate", field=f"tls.{name}") from error


def _key(text: str) -> PrivateKeyTypes:
    _check_length(text, "client_key")
    try:
        return serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise ConfigError(
            "The key is protected by a password. Give it without one: it is kept sealed",
            field="tls.client_key",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("This is not a PEM key", field="tls.client_key") from error


def _check_length(text: str, name: str) -> None:
    if len(text) > _LONGEST:
        raise ConfigError(f"At most {_LONGEST} characters are taken", field=f"tls.{name}")


def _check_time(own: x509.Certificate, now: datetime) -> None:
    if _has_run_out(own, now):
        day = own.not_valid_after_utc.date().isoformat()
        raise ConfigError(f"The certificate ran out on {day}", field="tls.client_certificate")
    if own.not_valid_before_utc > now:
        day = own.not_valid_before_utc.date().isoformat()
        raise ConfigError(
            f"The certificate is not valid before {day}", field="tls.client_certificate"
        )


def _has_run_out(one: x509.Certificate, now: datetime) -> bool:
    return one.not_valid_after_utc <= now


def _public(holder: x509.Certificate | PrivateKeyTypes) -> bytes:
    return holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

"""Which certificates and keys are taken, and which field is named when one is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from dockbell.domain.errors import ConfigError
from dockbell.domain.tls import Tls
from dockbell.net import certificates
from tests.receiver import Certificate, certificate

NOW = datetime.now(UTC)
WANTS_CERTIFICATE = "tls.client_certificate"
WANTS_KEY = "tls.client_key"


def made(folder: Path, name: str, **more: timedelta) -> Certificate:
    (folder / name).mkdir()
    return certificate(folder / name, **more)


def test_what_fits_together_is_taken(tmp_path: Path) -> None:
    own, other = made(tmp_path, "own"), made(tmp_path, "other")

    certificates.check(Tls(), NOW)
    certificates.check(Tls(ca=own.pem + other.pem), NOW)
    certificates.check(Tls(own.pem, other.pem + own.pem, other.key), NOW)


def test_the_client_certificate_says_when_it_runs_out(tmp_path: Path) -> None:
    own = made(tmp_path, "own")

    expiry = certificates.expiry(Tls(client_certificate=own.pem, client_key=own.key))

    assert expiry is not None
    assert timedelta(hours=23) < expiry - NOW < timedelta(hours=25)
    assert certificates.expiry(Tls(ca=own.pem)) is None


def test_a_certificate_and_its_key_come_together(tmp_path: Path) -> None:
    own = made(tmp_path, "own")

    refusals = [
        refusal(Tls(client_certificate=own.pem)),
        refusal(Tls(client_key=own.key)),
    ]

    assert refusals == [
        (WANTS_KEY, "A certificate needs its key"),
        (WANTS_CERTIFICATE, "A key needs the certificate that it belongs to"),
    ]


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    own, other = made(tmp_path, "own"), made(tmp_path, "other")

    refused = refusal(Tls("", own.pem + other.pem, other.key))

    assert refused == (WANTS_KEY, "The key is not that of the first certificate")


@pytest.mark.parametrize("text", ["x", "-----BEGIN CERTIFICATE-----\nAA==\n", "é\n"])
def test_what_is_no_pem_is_refused_by_its_field(tmp_path: Path, text: str) -> None:
    own = made(tmp_path, "own")

    refusals = [
        refusal(Tls(ca=text)),
        refusal(Tls("", text, own.key)),
        refusal(Tls("", own.pem, text)),
    ]

    assert refusals == [
        ("tls.ca", "This is not a PEM certificate"),
        (WANTS_CERTIFICATE, "This is not a PEM certificate"),
        (WANTS_KEY, "This is not a PEM key"),
    ]


def test_what_has_run_out_is_refused(tmp_path: Path) -> None:
    old = made(tmp_path, "old", valid=timedelta(hours=-1))
    good = made(tmp_path, "good")

    refusals = [refusal(Tls(ca=old.pem)), refusal(Tls("", old.pem, old.key))]

    day = (NOW - timedelta(hours=1)).date().isoformat()
    assert refusals == [
        ("tls.ca", "All certificates of the authorities have run out"),
        (WANTS_CERTIFICATE, f"The certificate ran out on {day}"),
    ]
    certificates.check(Tls(ca=old.pem + good.pem), NOW)


def test_what_is_not_valid_yet_is_refused(tmp_path: Path) -> None:
    own = made(tmp_path, "own", since=timedelta(hours=1))

    refused = refusal(Tls("", own.pem, own.key))

    day = (NOW + timedelta(hours=1)).date().isoformat()
    assert refused == (WANTS_CERTIFICATE, f"The certificate is not valid before {day}")


def test_a_key_with_a_password_is_refused(tmp_path: Path) -> None:
    own = made(tmp_path, "own")
    key = serialization.load_pem_private_key(own.key.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()

    refused = refusal(Tls("", own.pem, locked))

    assert refused == (
        WANTS_KEY,
        "The key is protected by a password. Give it without one: it is kept sealed",
    )


def test_what_is_too_long_is_refused() -> None:
    assert refusal(Tls(ca="x" * 65537)) == ("tls.ca", "At most 65536 characters are taken")


def refusal(tls: Tls) -> tuple[str | None, str]:
    with pytest.raises(ConfigError) as caught:
        certificates.check(tls, NOW)
    return caught.value.field, caught.value.detail

"""Digests: what is one, and what must never become a file name."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.digests import ALGORITHMS, Digest, DigestError, new_hash


@given(st.binary(), st.sampled_from(ALGORITHMS))
def test_a_digest_survives_its_text(body: bytes, algorithm: str) -> None:
    digest = Digest.of_body(body, algorithm)

    assert Digest.of(str(digest)) == digest
    assert str(digest) == f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63 + "\n",
        "sha256:" + "0" * 64 + "\n",
        "sha256:../" + "0" * 61,
        "SHA256:" + "0" * 64,
        "sha512:" + "0" * 64,
        "md5:" + "0" * 32,
        "sha256:" + "\u0660" * 64,
        ":" + "0" * 64,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestError):
        Digest.of(text)


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    with pytest.raises(DigestError):
        Digest.of(text)


def test_a_running_hash_is_of_a_known_algorithm() -> None:
    running = new_hash("sha512")
    running.update(b"ab")
    running.update(b"c")

    assert running.hexdigest() == hashlib.sha512(b"abc").hexdigest()
    with pytest.raises(DigestError):
        new_hash("md5")

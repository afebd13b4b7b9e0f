"""Signatures of webhooks, against independent libraries and vectors worked out by hand."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dockbell.domain import signing
from dockbell.domain.errors import ConfigError
from dockbell.domain.signing import SecretKind, Signature, SigningSecret

_SECRET = bytes(range(32))


def test_a_signature_is_the_one_worked_out_by_hand() -> None:
    # By openssl: dgst -sha256 -mac HMAC with the secret as hexkey, then base64, over the id, the time
    # and the body with dots between.
    signature = signing.sign([_SECRET], "msg_1", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,GWvjEzx3AphU7wha3hNZPXJnymF9Fg+ZdvPQqWPOjZ0="


def test_an_independent_library_verifies_what_we_sign() -> None:
    now = datetime.now(UTC)
    old, new = b"o" * 24, b"n" * 32
    body = '{"repository": "acme/web", "é": "\\u00e9"}'.encode()

    headers = {
        "webhook-id": "dlv_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signing.sign([new, old], "dlv_1", int(now.timestamp()), body),
    }

    data = [
        Webhook(signing.to_text(secret)).verify(body, headers, json_parse=True)
        for secret in (old, new)
    ]
    assert data == [{"repository": "acme/web", "é": "é"}] * 2
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.to_text(b"x" * 32)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.to_text(new)).verify(body + b" ", headers)


def test_no_secret_gives_no_signature() -> None:
    assert signing.sign([], "dlv_1", 0, b"{}") == ""


def test_a_secret_survives_its_text() -> None:
    secret = signing.new_secret(_SECRET + b"more")

    text = signing.to_text(secret)

    assert text == "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert [signing.of_text(text), signing.of_text(f" {text.rstrip('=')}\n")] == [secret] * 2


def test_too_little_chance_makes_no_secret() -> None:
    with pytest.raises(ValueError, match="a signing secret needs 32 bytes of chance"):
        signing.new_secret(b"x" * 31)


@pytest.mark.parametrize("size", [1, 32, 64, 65, 200])
@pytest.mark.parametrize(
    "body", [b"", b"\n", b"\xef\xbb\xbf{}", '{"é": 1}\r\n'.encode(), b"\0" * 300]
)
def test_a_signature_is_that_of_the_standard_library(size: int, body: bytes) -> None:
    secret = bytes(range(size % 256)) or b"x"
    signed = b"dlv_1.7." + body

    assert signing._hmac(secret, signed) == hmac.digest(secret, signed, "sha256")


def test_githubs_header_is_the_one_of_its_documentation() -> None:
    # GitHub's example: this secret, and the payload "Hello, World!".
    now = datetime(2026, 3, 14, tzinfo=UTC)
    example = SigningSecret("sec_1", SecretKind.GITHUB, b"It's a Secret to Everybody", now)
    standard = SigningSecret("sec_2", SecretKind.HMAC, _SECRET, now)

    found = [signing.github(example, b"Hello, World!"), signing.github(standard, b"{}")]

    as_text = hmac.new(signing.to_text(_SECRET).encode(), b"{}", "sha256").hexdigest()
    assert found == [
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        f"sha256={as_text}",
    ]


def test_a_choice_of_signatures_always_has_v1_and_one_order() -> None:
    chosen = [signing.chosen(names) for names in ([], ["github", "v1a"], ["v1a", "v1", "v1a"])]

    assert chosen == [
        (Signature.V1,),
        (Signature.V1, Signature.V1A, Signature.GITHUB),
        (Signature.V1, Signature.V1A),
    ]


def test_an_unknown_signature_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as refused:
        signing.chosen(["v1", "sha1"])

    assert (refused.value.detail, refused.value.field) == (
        "Unknown signature 'sha1'. Must be one of: v1, v1a, github",
        "signatures",
    )


def test_a_secret_is_live_until_its_end_and_never_prints_itself() -> None:
    now = datetime(2026, 3, 14, tzinfo=UTC)
    end = now + timedelta(hours=1)
    ends = SigningSecret("sec_1", SecretKind.HMAC, b"the-secret", now, end)
    stays = SigningSecret("sec_2", SecretKind.ED25519, b"the-secret", now)

    moments = [now, end - timedelta(microseconds=1), end]

    assert [ends.is_live(moment) for moment in moments] == [True, True, False]
    assert [stays.is_live(moment) for moment in moments] == [True] * 3
    assert "the-secret" not in repr([ends, stays])
    assert [ends.text[:6], stays.text[:5]] == ["whsec_", "whsk_"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whsec_?", "A signing secret is whsec_ and base64 text"),
        ("whsec_é", "A signing secret is whsec_ and base64 text"),
        ("", "A signing secret has 24 to 64 bytes"),
        ("whsec_AAAA", "A signing secret has 24 to 64 bytes"),
        ("whsec_" + "A" * 88, "A signing secret has 24 to 64 bytes"),
    ],
)
def test_a_text_that_is_no_secret_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        signing.of_text(text)

    assert refused.value.detail == message

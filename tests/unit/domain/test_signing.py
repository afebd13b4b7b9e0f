"""Signatures of webhooks, against an independent library and a vector worked out by hand."""

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dockbell.domain import signing
from dockbell.domain.errors import ConfigError

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

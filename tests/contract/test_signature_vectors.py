"""Signatures over odd bodies, kept in a file that writers of receivers can try theirs on; none is made by our code alone."""

import base64
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

from dockbell.domain.forms import PayloadForm
from dockbell.domain.signing import SecretKind, Signature, SigningSecret
from dockbell.methods.webhook import METHOD
from tests.factories import NOON, event_of, message_of
from tests.fakes import FakeOutbound

_VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden" / "signatures.json").read_text()
)
_KEY = bytes(range(32))
_SECRETS = (
    SigningSecret("sec_2", SecretKind.HMAC, b"n" * 32, NOON),
    SigningSecret("sec_3", SecretKind.ED25519, _KEY, NOON),
    SigningSecret("sec_1", SecretKind.HMAC, b"o" * 24, NOON),
)


def test_the_vectors_have_every_odd_body() -> None:
    assert [one["what"] for one in _VECTORS] == [
        "empty",
        "an object",
        "a line end behind it",
        "CRLF",
        "a byte order mark",
        "not ASCII",
        "not text",
    ]


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["what"])
async def test_a_vector_is_what_we_send(vector: dict[str, Any]) -> None:
    event, out = event_of("repo_push", {}), FakeOutbound()
    body = base64.b64decode(vector["body_base64"])
    event.made[PayloadForm.QUAY_PLUS.value] = body
    message = message_of(
        event,
        secrets=_SECRETS,
        form=PayloadForm.QUAY_PLUS,
        signatures=tuple(Signature),
        now=datetime.fromtimestamp(vector["webhook-timestamp"], UTC),
    )

    await METHOD.send(message, {"url": "https://hooks.example.com/x"}, out)

    (post,) = out.posts
    names = ("webhook-id", "webhook-signature", "X-Hub-Signature-256")
    assert post.body == body
    assert {name: dict(post.headers)[name] for name in names} == {
        name: vector[name] for name in names
    }


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["what"])
def test_a_vector_is_right_by_libraries_that_are_not_ours(vector: dict[str, Any]) -> None:
    body = base64.b64decode(vector["body_base64"])
    timestamp, message_id = vector["webhook-timestamp"], vector["webhook-id"]
    signed = f"{message_id}.{timestamp}.".encode() + body
    texts = vector["secrets"]

    by_hmac = [
        "v1,"
        + base64.b64encode(hmac.digest(base64.b64decode(text[6:]), signed, "sha256")).decode()
        for text in texts
    ]
    private = Ed25519PrivateKey.from_private_bytes(_KEY)
    by_ed25519 = "v1a," + base64.b64encode(private.sign(signed)).decode()

    assert vector["webhook-signature"].split(" ") == [*by_hmac, by_ed25519]
    assert vector["X-Hub-Signature-256"] == (
        "sha256=" + hmac.new(texts[0].encode(), body, "sha256").hexdigest()
    )
    assert (
        vector["public_key"]
        == "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    )
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return  # the library signs text only
    now = datetime.fromtimestamp(timestamp, UTC)
    assert [Webhook(one).sign(message_id, now, text) for one in texts] == by_hmac

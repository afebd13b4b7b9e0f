"""A notification's choices as its receiver sees them: form, signatures, rotation; from a push to the request."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dockbell.domain import signing
from dockbell.domain.forms import PayloadForm
from dockbell.domain.signing import SecretKind, Signature, SigningSecret
from dockbell.store import notifications, signing_secrets
from dockbell.store.tables import repositories
from dockbell.store.transactions import Store
from tests import hub as hubs
from tests.conftest import SetClock
from tests.engines import add, record, running, until_states
from tests.receiver import Received, Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


def verifies(request: Received, secret: str) -> bool:
    """Whether an independent library takes the request as genuine."""
    try:
        Webhook(secret).verify(request.body, dict(request.headers), json_parse=False)
    except WebhookVerificationError:
        return False
    return True


@pytest.fixture
def clock() -> SetClock:
    """The library looks at the real time, and takes five minutes either way."""
    return SetClock(datetime.now(UTC))


async def test_a_receiver_verifies_each_way_to_sign(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url("/hook"))
    public = Ed25519PublicKey.from_public_bytes(
        base64.b64decode("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")
    )  # of the private key 0, 1, … 31, by another implementation
    async with store.begin() as tx:
        hmac_secret = await signing_secrets.insert(tx, one.id, b"s" * 32)
        await signing_secrets.insert(
            tx, one.id, bytes(range(32)), kind=SecretKind.ED25519, public=b"x"
        )
        await notifications.choose(tx, one.id, PayloadForm.CLOUDEVENTS, tuple(Signature))

    async with running(store, clock):
        event_id = await record(store, clock)
        (request,) = await receiver.wait_for(1)
        await until_states(store, "delivered")

    signatures = (request.header("webhook-signature") or "").split()
    signed = f"{request.header('webhook-id')}.{request.header('webhook-timestamp')}.".encode()
    public.verify(base64.b64decode(signatures[1].removeprefix("v1a,")), signed + request.body)
    expected = hmac.new(hmac_secret.text.encode(), request.body, "sha256").hexdigest()
    assert verifies(request, hmac_secret.text)
    assert request.header("X-Hub-Signature-256") == f"sha256={expected}"
    assert request.header("content-type") == "application/cloudevents+json"
    assert json.loads(request.body)["id"] == event_id


async def test_old_and_new_secret_verify_until_the_old_one_ends_and_a_retry_follows(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url("/hook"))
    old, new, later = (signing.to_text(bytes([number]) * 32) for number in (1, 2, 3))
    async with store.begin() as tx:
        made = await signing_secrets.insert(tx, one.id, signing.of_text(old))

    async def rotate(before: SigningSecret, text: str, keep: timedelta) -> SigningSecret:
        async with store.begin() as tx:
            await notifications.touch(tx, one.id)
            await signing_secrets.end(tx, [before.id], tx.now + keep)
            return await signing_secrets.insert(tx, one.id, signing.of_text(text))

    receiver.answer(status=500, times=2)
    async with running(store, clock) as engine:
        await record(store, clock)
        await receiver.wait_for(1)
        await until_states(store, "waiting")
        # Within the time of grace, and before the engine would look at the row again by itself.
        clock.move(seconds=8)
        made = await rotate(made, new, timedelta(seconds=10))
        engine.ring()
        await receiver.wait_for(2)
        await until_states(store, "waiting")
        clock.move(seconds=40)
        await rotate(made, later, timedelta())
        engine.ring()
        await receiver.wait_for(3)
        await until_states(store, "delivered")

    found = [
        [verifies(request, text) for text in (old, new, later)] for request in receiver.requests
    ]
    assert found == [[True, False, False], [True, True, False], [False, False, True]]
    assert len({request.header("webhook-id") for request in receiver.requests}) == 1
    assert len({request.header("webhook-timestamp") for request in receiver.requests}) == 3


async def test_receivers_verify_all_that_comes_while_secrets_rotate_under_load(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url("/hook"))
    texts = [signing.to_text(bytes([number]) * 32) for number in range(1, 7)]
    async with store.begin() as tx:
        made = await signing_secrets.insert(tx, one.id, signing.of_text(texts[0]))
    rotated_at: list[int] = []  # so many requests had been recorded

    async def push() -> None:
        for number in range(120):
            await record(store, clock, f"v{number}")

    async def rotate() -> None:
        nonlocal made
        for text in texts[1:]:
            await receiver.wait_for(len(receiver.requests) + 10)
            clock.move(seconds=1)
            async with store.begin() as tx:
                await notifications.touch(tx, one.id)
                await signing_secrets.end(tx, [made.id], tx.now + timedelta(days=1))
                made = await signing_secrets.insert(tx, one.id, signing.of_text(text))
            rotated_at.append(len(receiver.requests))

    async with running(store, clock):
        await asyncio.gather(push(), rotate())
        await until_states(store, *["delivered"] * 120)

    # Whoever has not changed anything yet, and whoever takes each new secret as soon as it is there.
    behind = [verifies(request, texts[0]) for request in receiver.requests]
    ahead = [verifies(request, texts[-1]) for request in receiver.requests]
    assert behind == [True] * 120
    assert rotated_at[-1] < 120
    assert ahead[:10] == [False] * 10
    assert ahead[-1]


async def test_a_push_tells_its_facts_in_quay_plus(
    store: Store, tmp_path: Path, clock: SetClock, receiver: Receiver
) -> None:
    hub = await hubs.open_hub(store, tmp_path, clock)
    client = await hub.client()
    async with store.begin() as tx:
        row = await tx.first(
            select(repositories.c.id, repositories.c.namespace_id).where(
                repositories.c.name == "web"
            )
        )
        assert row is not None
        await notifications.insert(
            tx,
            namespace_id=row.namespace_id,
            repository_id=row.id,
            kind="repo_push",
            method="webhook",
            title=None,
            config={"url": receiver.url("/hook")},
            event_config={},
            payload_form=PayloadForm.QUAY_PLUS,
        )

    async with running(store, clock):
        first = await hubs.push_image(client, "v1")
        await receiver.wait_for(1)
        second = await hubs.push_image(client, "v1")
        _, request = await receiver.wait_for(2)
        await until_states(store, "delivered", "delivered")

    body = json.loads(request.body)
    quays = {"repository", "namespace", "name", "docker_url", "homepage", "updated_tags"}
    assert {key: value for key, value in body.items() if key not in quays | {"event_id"}} == {
        "event": "repo_push",
        "occurred_at": clock().isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": {"name": hubs.ROBOT, "kind": "robot"},
        "tag": "v1",
        "digest": hubs.digest_of(second),
        "previous_digest": hubs.digest_of(first),
        "media_type": hubs.OCI_IMAGE,
        "artifact_type": hubs.OCI_CONFIG,
        "platforms": ["linux/amd64"],
        "size": len(second),
        "content_size": body["content_size"],
        "subject_digest": None,
    }
    assert body["event_id"].startswith("evt_")

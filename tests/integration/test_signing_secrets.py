"""Signing secrets from the API down to the signature: rotating, revoking, choosing, and who may."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from sqlalchemy import select

from dockbell.domain import signing
from dockbell.domain.errors import NotFoundError
from dockbell.domain.forms import PayloadForm
from dockbell.domain.notifications import Notification
from dockbell.domain.signing import SecretKind, Signature
from dockbell.services import repositories, signing_secrets
from dockbell.services.authentication import actor_of_bearer
from dockbell.store import notifications, tables
from dockbell.store.tables import audit_entries
from dockbell.store.tables import signing_secrets as secrets_table
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.world import World, open_world

BASE = "/api/v1/repository/acme/web/notification/"
NEW = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "http://example.com/x"},
    "eventConfig": {},
}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def make(admin: Client, **more: object) -> tuple[str, str]:
    """A new notification: its UUID and its signing secret."""
    created = await admin.post(BASE, {**NEW, **more})
    assert created.status == 201, created.body
    return created.json()["uuid"], created.headers.get("dockbell-signing-secret", "")


def address(uuid: str, secret_id: str = "") -> str:
    return f"/api/v2/notifications/{uuid}/signing-secrets" + f"/{secret_id}" * bool(secret_id)


async def loaded(store: Store, uuid: str) -> Notification:
    async with store.read() as tx:
        found = await notifications.find_by_any_id(tx, uuid)
        assert found is not None
        return await notifications.load(tx, found.id)


async def choose(world: World, client: Client, uuid: str, **more: Any) -> Notification:
    async with world.store.begin() as tx:
        actor = await actor_of_bearer(tx, client.token or "", None)
        assert actor is not None
        right = await repositories.admin_of(tx, actor, "acme/web")
        return await world.faces.notifications.choose(tx, right, uuid, **more)


async def texts(store: Store, clock: SetClock, uuid: str) -> list[str]:
    """The secrets that a try of this moment signs with, as their receivers hold them."""
    found = await loaded(store, uuid)
    return [secret.text for secret in found.live_secrets(clock())]


def problem_of(answer: Answer) -> tuple[int, str, str | None, str, str]:
    body = answer.json()
    kind = body["type"].removeprefix("https://dockbell.test/api/v1/error/")
    field = body["errors"][0]["field"] if "errors" in body else None
    return answer.status, kind, field, body["detail"], answer.headers["content-type"]


PROBLEM = "application/problem+json"


async def test_secrets_are_listed_without_their_bytes(admin: Client, store: Store) -> None:
    uuid, text = await make(admin)

    listed = await admin.get(address(uuid))

    found = await loaded(store, uuid)
    assert listed.json() == {
        "signing_secrets": [
            {
                "id": found.secrets[0].id,
                "kind": "hmac",
                "public_key": None,
                "created_at": "2026-03-14T12:00:00Z",
                "expires_at": None,
            }
        ],
        "signatures": ["v1"],
        "public_keys_url": f"https://dockbell.test/.well-known/dockbell-keys/{found.id}",
    }
    assert (await admin.get(address(found.id))).json() == listed.json()
    assert text.removeprefix("whsec_") not in listed.body.decode()


async def test_a_rotated_secret_goes_on_signing_for_a_day(
    admin: Client, store: Store, clock: SetClock
) -> None:
    uuid, old = await make(admin)
    clock.move(minutes=1)

    rotated = await admin.post(address(uuid))

    new = rotated.json()["secret"]
    both = await texts(store, clock, uuid)
    clock.move(hours=24, microseconds=-1)
    last = await texts(store, clock, uuid)
    held = await loaded(store, uuid)
    clock.move(microseconds=1)
    assert rotated.status == 201
    assert (both, last) == ([new, old], [new, old])
    assert [one.text for one in held.live_secrets(clock())] == [
        new
    ]  # read before, ends in time
    assert await texts(store, clock, uuid) == [new]
    listed = (await admin.get(address(uuid))).json()["signing_secrets"]
    assert listed == [
        {k: v for k, v in rotated.json().items() if k not in {"secret", "warning"}}
    ]


@pytest.mark.parametrize(("keep", "hours"), [(0, 0), (3600, 1), (604_800, 168)])
async def test_the_end_can_be_chosen(
    admin: Client, store: Store, clock: SetClock, keep: int, hours: int
) -> None:
    uuid, old = await make(admin)

    rotated = await admin.post(address(uuid), {"keep_seconds": keep})

    new = rotated.json()["secret"]
    clock.move(hours=hours, microseconds=-1)
    before = await texts(store, clock, uuid) if keep else [new, old]
    clock.move(microseconds=1)
    assert (before, await texts(store, clock, uuid)) == ([new, old], [new])


async def test_a_change_of_secrets_reaches_an_engine_that_keeps_notifications(
    admin: Client, store: Store, clock: SetClock
) -> None:
    uuid, _ = await make(admin)
    notification_id = (await loaded(store, uuid)).id
    before = await changed_at(store, notification_id)
    clock.move(seconds=1)

    await admin.post(address(uuid))

    assert await changed_at(store, notification_id) - before == timedelta(seconds=1)


async def changed_at(store: Store, notification_id: str) -> datetime:
    """What the engine compares, to see whether it must load the notification anew."""
    async with store.read() as tx:
        row = await tx.first(
            select(tables.notifications.c.updated_at).where(
                tables.notifications.c.id == notification_id
            )
        )
    assert row is not None
    moment: datetime = row.updated_at
    return moment


async def test_an_eleventh_live_secret_is_refused(admin: Client, clock: SetClock) -> None:
    uuid, _ = await make(admin)
    statuses = [(await admin.post(address(uuid))).status for _ in range(9)]

    refused = await admin.post(address(uuid))
    replaced = await admin.post(address(uuid), {"keep_seconds": 0})

    listed = await admin.get(address(uuid))
    assert statuses == [201] * 9
    assert problem_of(refused) == (
        409,
        "conflict",
        None,
        "10 secrets are live already. Revoke one, or let none go on signing.",
        PROBLEM,
    )
    assert replaced.status == 201
    assert [one["id"] for one in listed.json()["signing_secrets"]] == [replaced.json()["id"]]


async def test_an_own_secret_is_taken(admin: Client, store: Store, clock: SetClock) -> None:
    uuid, _ = await make(admin)
    own = signing.to_text(b"o" * 24)

    rotated = await admin.post(address(uuid), {"secret": own, "keep_seconds": 0})

    assert (rotated.status, rotated.json()["secret"]) == (201, own)
    assert await texts(store, clock, uuid) == [own]


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (
            {"keep_seconds": -1},
            "keep_seconds",
            "A replaced secret signs for 0 to 604800 seconds longer (7 days)",
        ),
        (
            {"keep_seconds": 10**30},
            "keep_seconds",
            "A replaced secret signs for 0 to 604800 seconds longer (7 days)",
        ),
        (
            {"keep_seconds": True},
            "keep_seconds",
            "keep_seconds: It must be a whole number or null, not true or false",
        ),
        ({"kind": "rsa"}, "kind", "kind: 'rsa' is not one of hmac, ed25519, github"),
        (
            {"kind": "github"},
            "secret",
            "Say which text the receiver of X-Hub-Signature-256 has",
        ),
        (
            {"kind": "github", "secret": "1234567"},
            "secret",
            "A secret for X-Hub-Signature-256 has 8 to 200 characters that can be printed",
        ),
        (
            {"kind": "github", "secret": "12345678\n"},
            "secret",
            "A secret for X-Hub-Signature-256 has 8 to 200 characters that can be printed",
        ),
        (
            {"secret": signing.to_text(b"o" * 23)},
            "secret",
            "A signing secret has 24 to 64 bytes",
        ),
        (
            {"secret": signing.to_text(b"o" * 24), "kind": "ed25519"},
            "secret",
            "A key pair is always made here",
        ),
    ],
)
async def test_a_rotation_that_is_not_valid_is_refused_and_changes_nothing(
    admin: Client, body: dict[str, object], field: str | None, detail: str
) -> None:
    uuid, _ = await make(admin)
    before = await admin.get(address(uuid))

    refused = await admin.post(address(uuid), body)

    assert problem_of(refused) == (400, "invalid_request", field, detail, PROBLEM)
    assert (await admin.get(address(uuid))).json() == before.json()


async def test_a_short_secret_is_taken_for_githubs_header_only_and_with_a_warning(
    admin: Client, store: Store
) -> None:
    uuid, _ = await make(admin)

    weak = await admin.post(address(uuid), {"kind": "github", "secret": "sesame-é"})
    strong = await admin.post(address(uuid), {"kind": "github", "secret": "s" * 24})

    kinds = [(one.kind, one.text) for one in (await loaded(store, uuid)).secrets]
    assert [(one.status, one.json()["secret"]) for one in (weak, strong)] == [
        (201, "sesame-é"),
        (201, "s" * 24),
    ]
    warning, none = (one.json()["warning"] for one in (weak, strong))
    assert none is None
    assert warning == (
        "The secret is short: whoever sees a request may find it by trying. "
        "Take 24 characters or more."
    )
    assert kinds[:2] == [(SecretKind.GITHUB, "s" * 24), (SecretKind.GITHUB, "sesame-é")]
    assert (await admin.delete(address(uuid, strong.json()["id"]))).status == 204
    assert (await admin.delete(address(uuid, weak.json()["id"]))).status == 204


async def test_a_revoked_secret_signs_no_more(
    admin: Client, store: Store, clock: SetClock
) -> None:
    uuid, _ = await make(admin)
    first = (await admin.get(address(uuid))).json()["signing_secrets"][0]["id"]
    rotated = (await admin.post(address(uuid))).json()

    revoked = await admin.delete(address(uuid, first))
    again = await admin.delete(address(uuid, first))
    last = await admin.delete(address(uuid, rotated["id"]))

    assert (revoked.status, again.status) == (204, 404)
    assert problem_of(last)[:2] == (409, "conflict")
    assert await texts(store, clock, uuid) == [rotated["secret"]]


async def kept(store: Store) -> list[str]:
    """The ids of all secrets that are still in the database."""
    async with store.read() as tx:
        rows = await tx.rows(select(secrets_table.c.id))
    return sorted(row.id for row in rows)


async def test_nothing_is_left_of_a_secret_that_ended(
    admin: Client, store: Store, clock: SetClock
) -> None:
    uuid, _ = await make(admin)
    second = (await admin.post(address(uuid), {"keep_seconds": 60})).json()["id"]
    two = await kept(store)
    clock.move(seconds=60)
    third = (await admin.post(address(uuid))).json()["id"]
    after_its_end = await kept(store)

    await admin.delete(address(uuid, second))
    after_revoking = await kept(store)
    fourth = (await admin.post(address(uuid), {"keep_seconds": 0})).json()["id"]

    assert len(two) == 2
    assert after_its_end == sorted([second, third])
    assert (after_revoking, await kept(store)) == ([third], [fourth])


async def test_rotations_at_once_never_leave_more_than_ten(admin: Client, store: Store) -> None:
    uuid, _ = await make(admin)

    answers = await asyncio.gather(*(admin.post(address(uuid)) for _ in range(14)))

    statuses = sorted(answer.status for answer in answers)
    found = await loaded(store, uuid)
    assert statuses == [201] * 9 + [409] * 5
    assert len(found.secrets) == 10
    assert [secret.expires_at for secret in found.secrets].count(None) == 1


async def test_a_rotation_of_a_notification_that_is_just_deleted_is_404(
    world: World, admin: Client, store: Store
) -> None:
    uuid, _ = await make(admin)
    async with store.read() as tx:
        found = await notifications.find_by_any_id(tx, uuid)
    assert found is not None
    async with store.begin() as tx:
        actor = await actor_of_bearer(tx, admin.token or "", None)
        assert actor is not None
        right = await repositories.admin_of(tx, actor, "acme/web")
    await admin.delete(BASE + uuid)

    with pytest.raises(NotFoundError):
        async with store.begin() as tx:
            await signing_secrets.rotate(
                tx, right, found, chance=world.faces.notifications.chance
            )

    assert await kept(store) == []


async def test_a_method_that_signs_nothing_has_nothing_to_rotate(admin: Client) -> None:
    uuid, _ = await make(
        admin, method="slack", config={"url": "https://hooks.slack.com/services/x"}
    )

    listed, refused = await admin.get(address(uuid)), await admin.post(address(uuid))

    assert listed.json()["signing_secrets"] == []
    assert problem_of(refused) == (
        409, "conflict", None, "The method slack signs nothing", PROBLEM,
    )  # fmt: skip


async def test_only_an_admin_of_the_repository_gets_at_secrets(
    world: World, admin: Client
) -> None:
    uuid, _ = await make(admin)
    secret_id = (await admin.get(address(uuid))).json()["signing_secrets"][0]["id"]
    people = {name: await world.client(name) for name in ("writer", "reader", "fresh", "boss")}
    clients = {"nobody": world.anonymous, **people}

    found = {
        name: (
            (await client.get(address(uuid))).status,
            (await client.post(address(uuid), {"keep_seconds": 5})).status,
            (await client.delete(address(uuid, "sec_unknown"))).status,
        )
        for name, client in clients.items()
    }

    assert found == {
        "nobody": (401, 401, 401),
        "writer": (403, 403, 403),
        "reader": (403, 403, 403),
        "fresh": (404, 404, 404),
        "boss": (200, 201, 404),
    }
    assert (await admin.get(address("ntf_unknown"))).status == 404
    assert (await admin.delete(address(uuid, secret_id))).status == 204


async def test_choosing_v1a_makes_a_key_pair_whose_public_half_anybody_sees(
    world: World, admin: Client, store: Store
) -> None:
    uuid, _ = await make(admin)
    before = await world.anonymous.get(f"/.well-known/dockbell-keys/{uuid}")

    await choose(world, admin, uuid, signatures=signing.chosen(["v1a", "github"]))

    found = await loaded(store, uuid)
    (pair,) = [one for one in found.secrets if one.kind is SecretKind.ED25519]
    shown = await world.anonymous.get(f"/.well-known/dockbell-keys/{found.id}")
    (key,) = shown.json()["keys"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(Ed25519PrivateKey.from_private_bytes(pair.value).sign(b"x"), b"x")
    assert found.signatures == (Signature.V1, Signature.V1A, Signature.GITHUB)
    assert problem_of(before)[:2] == (404, "not_found")
    assert key == {
        "kid": pair.id,
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "x": key["x"],
        "standard_webhooks": "whpk_" + base64.b64encode(pair.public).decode(),
        "expires_at": None,
    }
    assert shown.headers["cache-control"] == "public, max-age=300"
    by_uuid = await world.anonymous.get(f"/.well-known/dockbell-keys/{uuid}")
    assert by_uuid.json() == shown.json()


async def test_choosing_again_makes_no_second_pair_and_keeps_the_rest(
    world: World, admin: Client, store: Store
) -> None:
    uuid, _ = await make(admin)
    await choose(world, admin, uuid, signatures=signing.chosen(["v1a"]))
    first = await loaded(store, uuid)

    await choose(world, admin, uuid, payload_form=PayloadForm.CLOUDEVENTS)
    second = await choose(world, admin, uuid, signatures=signing.chosen(["v1a"]))

    assert (await loaded(store, uuid)).secrets == first.secrets
    assert (second.payload_form, second.signatures) == (
        PayloadForm.CLOUDEVENTS,
        (Signature.V1, Signature.V1A),
    )


async def test_a_rotated_key_pair_shows_both_public_keys_and_no_private_one(
    world: World, admin: Client, store: Store
) -> None:
    uuid, _ = await make(admin)
    await choose(world, admin, uuid, signatures=signing.chosen(["v1a"]))
    old = (await world.anonymous.get(f"/.well-known/dockbell-keys/{uuid}")).json()["keys"]

    rotated = await admin.post(address(uuid), {"kind": "ed25519", "keep_seconds": 60})

    shown = (await world.anonymous.get(f"/.well-known/dockbell-keys/{uuid}")).json()["keys"]
    assert rotated.json()["secret"] is None
    assert [key["kid"] for key in shown] == [rotated.json()["id"], old[0]["kid"]]
    assert [key["expires_at"] for key in shown] == [None, "2026-03-14T12:01:00.000000Z"]
    private = [
        base64.b64encode(one.value).decode() for one in (await loaded(store, uuid)).secrets
    ]
    assert [text for text in private if text in rotated.body.decode() + str(shown)] == []


async def test_rotating_and_revoking_are_audited_without_the_secret(
    admin: Client, store: Store
) -> None:
    uuid, _ = await make(admin)
    rotated = (await admin.post(address(uuid))).json()

    await admin.delete(address(uuid, rotated["id"]))

    async with store.read() as tx:
        rows = await tx.rows(select(audit_entries).order_by(audit_entries.c.id))
    assert [row.kind for row in rows][1:] == ["rotate_signing_secret", "revoke_signing_secret"]
    assert [row.metadata["signing_secret_id"] for row in rows[1:]] == [rotated["id"]] * 2
    assert rotated["secret"].removeprefix("whsec_") not in str([row.metadata for row in rows])


def message_of(uuid: str) -> str:
    return f"/api/v2/notifications/{uuid}/message"


async def test_a_message_is_shown_and_chosen_in_parts(admin: Client, store: Store) -> None:
    uuid, _ = await make(admin)
    before = await admin.get(message_of(uuid))

    first = await admin.put(message_of(uuid), {"payload_form": "cloudevents"})
    second = await admin.put(message_of(uuid), {"signatures": ["v1a"]})

    notification_id = (await loaded(store, uuid)).id
    url = f"https://dockbell.test/.well-known/dockbell-keys/{notification_id}"
    assert [before.json(), first.json(), second.json()] == [
        {
            "payload_form": form,
            "content_type": content_type,
            "signatures": signatures,
            "public_keys_url": url,
        }
        for form, content_type, signatures in (
            ("quay", "application/json", ["v1"]),
            ("cloudevents", "application/cloudevents+json", ["v1"]),
            ("cloudevents", "application/cloudevents+json", ["v1", "v1a"]),
        )
    ]
    assert (await admin.get(message_of(uuid))).json() == second.json()
    assert (await admin.get(url.removeprefix("https://dockbell.test"))).status == 200


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        (
            {"payload_form": "xml"},
            "payload_form",
            "payload_form: 'xml' is not one of quay, quay+, cloudevents",
        ),
        (
            {"signatures": ["sha1"], "payload_form": "quay+"},
            "signatures[0]",
            "signatures[0]: 'sha1' is not one of v1, v1a, github",
        ),
        (
            {"signatures": [1]},
            "signatures[0]",
            "signatures[0]: It must be one of v1, v1a, github, not a whole number",
        ),
        ({"signatures": "v1"}, "signatures", "signatures: It must be a list, not text"),
    ],
)
async def test_a_choice_that_is_not_valid_changes_nothing(
    admin: Client, body: dict[str, object], field: str | None, detail: str
) -> None:
    uuid, _ = await make(admin)
    before = await admin.get(message_of(uuid))

    refused = await admin.put(message_of(uuid), body)

    assert problem_of(refused) == (400, "invalid_request", field, detail, PROBLEM)
    assert (await admin.get(message_of(uuid))).json() == before.json()


async def test_a_method_with_a_message_of_its_own_has_no_choice(admin: Client) -> None:
    uuid, _ = await make(
        admin, method="slack", config={"url": "https://hooks.slack.com/services/x"}
    )

    refused = await admin.put(message_of(uuid), {"payload_form": "quay+"})

    assert problem_of(refused)[:2] == (409, "conflict")


async def test_only_an_admin_chooses(world: World, admin: Client) -> None:
    uuid, _ = await make(admin)
    clients = [
        world.anonymous, *[await world.client(name) for name in ("fresh", "reader", "boss")]
    ]  # fmt: skip

    statuses = [
        (
            (await client.get(message_of(uuid))).status,
            (await client.put(message_of(uuid), {"payload_form": "quay"})).status,
        )
        for client in clients
    ]

    assert statuses == [(401, 401), (404, 404), (403, 403), (200, 200)]

"""Secrets are in no table, log line, answer or attempt, whatever is done with them and whatever a target says."""

import base64
import io
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update

from dockbell.domain import signing
from dockbell.domain.notifications import Notification
from dockbell.domain.signing import SigningSecret
from dockbell.observability import logs
from dockbell.services import repositories
from dockbell.services.authentication import actor_of_bearer
from dockbell.store import notifications
from dockbell.store import tables as t
from dockbell.store.tables import metadata
from dockbell.store.transactions import Store
from tests.asgi import Answer
from tests.conftest import SetClock
from tests.engines import running, until_states
from tests.receiver import Receiver
from tests.world import World, open_world

BASE = "/api/v1/repository/acme/web/notification/"
PATH = "/the-secret-path-of-the-target"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def log(own_logging: None) -> io.StringIO:
    """All that the program logs, down to its smallest words."""
    del own_logging
    stream = io.StringIO()
    logs.configure(style="json", level="debug", stream=stream)
    return stream


async def dump(store: Store) -> bytes:
    """The whole database, each value as bytes and as text."""
    parts: list[bytes] = []
    async with store.read() as tx:
        for table in metadata.sorted_tables:
            for row in await tx.rows(select(table)):
                parts += [value if isinstance(value, bytes) else b"" for value in row]
                parts.append(repr(tuple(row)).encode())
    return b"\n".join(parts)


def needles_of(secrets: list[SigningSecret]) -> list[bytes]:
    """Every way in which a secret is usually written."""
    found = []
    for secret in secrets:
        plain = base64.b64encode(secret.value)
        found += [
            secret.value,
            plain,
            plain.rstrip(b"="),
            base64.urlsafe_b64encode(secret.value),
            secret.value.hex().encode(),
            secret.text.encode(),
            repr(secret.value)[2:-1].encode(),
        ]
    return found


async def loaded(store: Store, uuid: str) -> Notification:
    async with store.read() as tx:
        found = await notifications.find_by_any_id(tx, uuid)
        assert found is not None
        return await notifications.load(tx, found.id)


async def test_a_secret_is_nowhere_but_in_the_answer_that_makes_it(
    store: Store, clock: SetClock, receiver: Receiver, log: io.StringIO
) -> None:
    world = await open_world(store)
    admin = await world.client("admin")
    new = {"event": "repo_push", "method": "webhook", "eventConfig": {}}
    url = receiver.url(PATH)
    world.guard.allows_loopback = True
    created = await admin.post(BASE, {**new, "config": {"url": url}})
    assert created.status == 201, created.body
    uuid = created.json()["uuid"]
    own = signing.to_text(b"A secret of our own that is easy to find")
    secrets = f"/api/v2/notifications/{uuid}/signing-secrets"
    rotated = await admin.post(secrets, {"secret": own})
    await _choose_all(world, uuid)
    pair = await admin.post(secrets, {"kind": "ed25519"})
    await admin.post(secrets, {"kind": "github", "secret": "sesame-of-github"})
    answers: list[Answer] = [
        pair,
        await admin.get(BASE),
        await admin.get(BASE + uuid),
        await admin.get(secrets),
        await world.anonymous.get(f"/.well-known/dockbell-keys/{uuid}"),
        await admin.post(secrets, {"secret": own, "keep_seconds": -1}),
        await admin.post(secrets, {"secret": own, "kind": "ed25519"}),
        await admin.post(secrets, {"secret": own + "?"}),
    ]
    live = list((await loaded(store, uuid)).secrets)
    needles = needles_of(live)

    # A target that sends back whatever it knows, as body and as header, with failure and with success.
    said = " ".join(secret.text for secret in live)
    receiver.answer(status=500, headers=[("x-echo", said)], body=said.encode())
    async with running(store, clock):
        await admin.post(f"{BASE}{uuid}/test")
        await until_states(store, "dead")
        receiver.answer(status=200, headers=[("x-echo", said)], body=said.encode())
        await admin.post(f"{BASE}{uuid}/test")
        await until_states(store, "dead", "delivered")
    # And a row that cannot be read.
    async with store.begin() as tx:
        await tx.run(update(t.signing_secrets).values(secret_sealed=b"broken"))
    clock.move(minutes=1)
    async with running(store, clock):
        await admin.post(f"{BASE}{uuid}/test")
        await until_states(store, "dead", "dead", "delivered")

    tables = await dump(store)
    shown = [answer.body + repr(answer.headers).encode() for answer in answers]
    places = {"tables": tables, "log": log.getvalue().encode(), "answers": b"".join(shown)}
    assert len(live) == 5
    assert rotated.json()["secret"] == own
    assert [answer.status for answer in answers] == [201, 200, 200, 200, 200, 400, 400, 400]
    assert (await loaded_attempts(store)) == ["http_5xx", "internal_error", "ok"]
    found = {place: [one for one in needles if one in text] for place, text in places.items()}
    assert found == {"tables": [], "log": [], "answers": []}
    # The search would find them: the dump has what is not secret, and the path of the target is sealed.
    assert b"x-echo" in tables
    assert PATH.encode() not in tables + places["log"]


async def loaded_attempts(store: Store) -> list[str]:
    async with store.read() as tx:
        rows = await tx.rows(select(t.attempts.c.code))
    return sorted(row.code for row in rows)


async def _choose_all(world: World, uuid: str) -> None:
    client = await world.client("boss")
    async with world.store.begin() as tx:
        actor = await actor_of_bearer(tx, client.token or "", None)
        assert actor is not None
        right = await repositories.admin_of(tx, actor, "acme/web")
        await world.faces.notifications.choose(
            tx, right, uuid, signatures=tuple(signing.Signature)
        )

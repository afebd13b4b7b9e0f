"""A push by tag rings the bell: event, delivery, tag and audit entry in one transaction, or none of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.digests import Digest
from dockbell.domain.errors import NotFoundError
from dockbell.domain.links import Links
from dockbell.domain.manifests import UploadUnknownError, parse
from dockbell.domain.permissions import WriterOf
from dockbell.domain.repositories import Repository, Visibility
from dockbell.services import blobs, manifests, repositories, uploads
from dockbell.services.intake import Draft, Intake
from dockbell.services.quotas import Quotas
from dockbell.store import repositories as repository_rows
from dockbell.store import tables
from dockbell.store.transactions import OrphanError, Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import (
    OCI_IMAGE,
    OCI_INDEX,
    Hub,
    artifact,
    descriptor,
    digest_of,
    image,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
    rows_of,
)

ROBOT = Actor(kind=ActorKind.ROBOT, id="rob_ci", name="acme+ci")


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


async def events_of(store: Store) -> list[dict[str, Any]]:
    async with store.read() as tx:
        rows = await tx.rows(select(tables.events).order_by(tables.events.c.id))
    return [dict(row._mapping) for row in rows]


@pytest.mark.quirk("Q24")
async def test_a_push_by_tag_is_an_event_with_quays_body_and_our_facts(
    client: Client, store: Store, clock: SetClock
) -> None:
    first = await push_image(client, "v1")
    second = await push_image(client, "v1", content=b"four layers")

    one, two = await events_of(store)
    assert json.loads(two["body"]) == {
        "repository": "acme/web",
        "namespace": "acme",
        "name": "web",
        "docker_url": "dockbell.test/acme/web",
        "homepage": "https://dockbell.test/repository/acme/web",
        "updated_tags": ["v1"],
    }
    assert two["facts"] == {
        "tag": "v1",
        "digest": digest_of(second),
        "media_type": OCI_IMAGE,
        "size": len(second),
        "content_size": len(second) + 11 + parse(second, None).blobs.__next__().size,
        "artifact_type": "application/vnd.oci.image.config.v1+json",
        "platforms": ["linux/amd64"],
        "previous_digest": digest_of(first),
        "subject_digest": None,
    }
    assert (one["facts"]["digest"], one["facts"]["previous_digest"]) == (digest_of(first), None)
    assert (two["kind"], two["performer_name"], two["performer_kind"], two["is_user"]) == (
        "repo_push",
        "acme+ci",
        "robot",
        False,
    )
    assert (two["occurred_at"], two["producer_key"]) == (clock(), None)


async def test_a_push_to_a_persons_repository_says_so(hub: Hub, store: Store) -> None:
    boss = await hub.client("boss", "boss/open")

    await push_image(boss, "v1", "boss/open")

    (event,) = await events_of(store)
    assert (event["is_user"], event["performer_name"], event["performer_kind"]) == (
        True,
        "boss",
        "user",
    )


@pytest.mark.quirk("Q21", "Q22")
async def test_the_same_push_again_rings_again_and_one_by_digest_does_not(
    client: Client, store: Store
) -> None:
    manifest = await push_image(client, "v1")

    again = await push_manifest(client, manifest, "v1")
    by_digest = await push_manifest(client, manifest, digest_of(manifest))
    failed = await push_manifest(client, image(b"never pushed"), "v1")

    assert [each.status for each in (again, by_digest, failed)] == [201, 201, 400]
    assert [event["facts"]["previous_digest"] for event in await events_of(store)] == [
        None,
        digest_of(manifest),
    ]
    audit = await rows_of(store, tables.audit_entries, "kind", "metadata")
    about = {"repo": "web", "namespace": "acme", "digest": digest_of(manifest)}
    assert [entry for _, entry in audit] == [
        about,
        {**about, "tag": "v1"},
        {**about, "tag": "v1"},
    ]
    assert {kind for kind, _ in audit} == {"push_repo"}


async def test_a_push_of_many_platforms_rings_once_and_names_them(
    client: Client, store: Store
) -> None:
    config = b"{}"
    await push_blob(client, config)
    children, entries = [], []
    for os_name, architecture in (
        ("linux", "amd64"),
        ("linux", "arm64"),
        ("unknown", "unknown"),
    ):
        child = image(config, annotations={"for": architecture})
        children.append(await push_manifest(client, child, digest_of(child)))
        platform = {"os": os_name, "architecture": architecture}
        entries.append(descriptor(OCI_IMAGE, child, platform=platform))
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()

    answer = await push_manifest(client, index, "latest", media_type=OCI_INDEX)

    (event,) = await events_of(store)
    assert [each.status for each in (*children, answer)] == [201] * 4
    assert (event["facts"]["media_type"], event["facts"]["platforms"]) == (
        OCI_INDEX,
        ["linux/amd64", "linux/arm64"],
    )


async def test_an_artifact_with_a_tag_tells_its_type_and_subject(
    client: Client, store: Store
) -> None:
    await push_blob(client, b"{}")
    subject = b"some image"

    await push_manifest(client, artifact(subject, "application/vnd.example.sbom"), "sbom")

    (event,) = await events_of(store)
    assert (
        event["facts"]["artifact_type"],
        event["facts"]["subject_digest"],
        event["facts"]["platforms"],
    ) == ("application/vnd.example.sbom", digest_of(subject), [])


async def test_the_push_leaves_one_delivery_for_each_notification_and_rings(
    client: Client, store: Store
) -> None:
    rung: list[str] = []
    store.bell = lambda: rung.append("rung")
    async with store.begin() as tx:
        row = await tx.first(
            select(tables.repositories).where(tables.repositories.c.name == "web")
        )
        assert row is not None
        await tx.run(
            insert(tables.notifications).values(
                id="ntf_1",
                uuid="ntf_1",
                namespace_id=row.namespace_id,
                repository_id=row.id,
                kind="repo_push",
                method="webhook",
                config_sealed=tx.seal.close(b'{"url": "http://example.com"}'),
                event_config={},
                created_at=tx.now,
                updated_at=tx.now,
            )
        )

    await push_image(client, "v1")

    (event,) = await events_of(store)
    assert await rows_of(store, tables.deliveries, "event_id", "notification_id", "state") == [
        (event["id"], "ntf_1", "waiting")
    ]
    assert rung == ["rung"]


class _Broken(Intake):
    async def record(self, tx: Any, draft: Draft) -> str:
        await super().record(tx, draft)
        raise RuntimeError("after everything was written")


async def test_a_push_whose_event_cannot_be_kept_did_not_happen(
    hub: Hub, client: Client, store: Store
) -> None:
    from dockbell import events  # noqa: PLC0415 -- this test alone needs it
    from dockbell.domain.links import Links  # noqa: PLC0415 -- this test alone needs it

    await push_blob(client, b"{}")
    intake = _Broken(kinds=events.catalog(), links=Links("https://dockbell.test"))

    with pytest.raises(RuntimeError, match="after everything was written"):
        async with store.begin() as tx:
            writer = await repositories.writer_of(tx, ROBOT, "acme/web")
            await manifests.put(tx, writer, intake, "v1", parse(image(b"{}"), OCI_IMAGE))

    found = [
        await rows_of(store, table, "repository_id")
        for table in (tables.manifests, tables.manifest_references, tables.tags, tables.events)
    ]
    assert found == [[], [], [], []]


async def test_a_push_to_a_repository_that_is_gone_is_not_found(hub: Hub, store: Store) -> None:
    async with store.read() as tx:
        writer = await repositories.writer_of(tx, ROBOT, "acme/web")
    gone = Repository(
        "rep_gone",
        writer.repository.namespace_id,
        "acme",
        "web",
        Visibility.PRIVATE,
        "",
        tx.now,
    )

    with pytest.raises(manifests.NotFoundError):
        async with store.begin() as tx:
            await manifests.put(
                tx,
                WriterOf(ROBOT, gone),
                Intake(kinds={}, links=hub.registry._parts.links),
                "v1",
                parse(image(b"{}"), OCI_IMAGE),
            )


async def test_what_is_pushed_to_a_repository_that_was_deleted_meanwhile_is_not_found(
    client: Client, store: Store
) -> None:
    digest = Digest.of(await push_blob(client, b"{}"))
    async with store.begin() as tx:
        reader = await repositories.reader_of(tx, ROBOT, "acme/web")
        boss = Actor(kind=ActorKind.USER, id="ns_boss", name="boss")
        writer = await repositories.writer_of(tx, boss, "boss/open")
        upload_id = await uploads.start(tx, writer)
    async with store.begin() as tx:
        await repository_rows.remove(tx, writer.repository.id)  # by another request
    intake = Intake(kinds={}, links=Links("https://dockbell.test"))

    refused = []
    for attempt in (
        lambda tx: uploads.start(tx, writer),
        lambda tx: uploads.advance(tx, writer, upload_id, 2),
        lambda tx: uploads.finish(tx, writer, Quotas(intake), upload_id, digest, 2),
        lambda tx: blobs.mount(tx, writer, Quotas(intake), reader, digest),
        lambda tx: manifests.put(tx, writer, intake, "v1", parse(image(b"{}"), OCI_IMAGE)),
    ):
        with pytest.raises(NotFoundError) as failure:
            async with store.begin() as tx:
                await attempt(tx)
        refused.append(type(failure.value))

    assert refused == [
        OrphanError,
        UploadUnknownError,
        UploadUnknownError,
        OrphanError,
        NotFoundError,
    ]

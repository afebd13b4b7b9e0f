"""Images that are pushed reach a Clair, and what it finds comes back as a report."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete, select, update
from structlog.testing import capture_logs

from dockbell.api.intake.clair_indexing import ClairIndexer
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.clair import is_token
from dockbell.domain.links import Links
from dockbell.net.clair import ClairClient
from dockbell.net.fetching import Fetcher
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.services import clair_indexings
from dockbell.services.scans import Scans
from dockbell.sources import scanners
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.engines import INTAKE
from tests.hub import (
    HOST,
    OCI_INDEX,
    Hub,
    artifact,
    descriptor,
    digest_of,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
    rows_of,
)
from tests.receiver import Answer, Received, Receiver
from tests.three_ways import listening

KEY = b"a shared key"
INDEX = "/indexer/api/v1/index_report"
DONE = {"manifest_hash": "x", "state": "IndexFinished", "success": True, "err": ""}


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return (await open_hub(store, tmp_path / "data", clock)).with_switches(are_indexed=True)


@pytest.fixture
async def clair() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        receiver.answer_by(answers())
        yield receiver


def _json(status: int, body: Any) -> Answer:
    return Answer(status, (), json.dumps(body).encode())


def answers(
    indexed: Answer | None = None, reported: Answer | None = None
) -> Callable[[Received], Answer]:
    """A Clair that indexes and reports, or answers so."""

    def choose(request: Received) -> Answer:
        if request.path == INDEX:
            return indexed or _json(201, DONE)
        return reported or Answer(200, (), scanners()["clair"].example)

    return choose


async def work(hub: Hub, clair: Receiver, *, allow: str = "loopback") -> None:
    """Work off what is due, as the server does."""
    resolver = Resolver()
    fetcher = Fetcher(EgressPolicy.of(allow), resolver)
    try:
        await ClairIndexer(
            hub.store.begin,
            hub.store.read,
            ClairClient(fetcher, clair.url(), KEY, hub.clock),
            scans=Scans(INTAKE),
            scanner=scanners()["clair"],
            tokens=hub.tokens,
            links=Links(f"https://{HOST}"),
            clock=hub.clock,
        ).work_off()
    finally:
        await fetcher.close()
        await resolver.close()


async def waiting(hub: Hub) -> list[tuple[Any, ...]]:
    return await rows_of(hub.store, t.clair_indexings, "digest", "tries")


async def test_a_push_leads_to_a_report_that_reaches_a_webhook_and_a_bell(
    hub: Hub, clair: Receiver, clock: SetClock
) -> None:
    async with listening(hub.store, clock, ["vulnerability_found"]) as ways:
        client = await hub.client()
        digest = digest_of(await push_image(client, "v1", content=b"layer"))
        await push_image(client, "v2", content=b"layer")  # the same, which is no new image
        noted = await waiting(hub)
        await work(hub, clair)
        await work(hub, clair)

        ((_, hook),) = await ways.webhooks(1)
        assert len(await ways.bells(1)) == 1

    assert hook["vulnerability"]["id"] == "CVE-2026-0001"
    assert (noted, await waiting(hub)) == ([(digest, 0)], [])
    assert [(one.verb, one.path) for one in clair.requests] == [
        ("POST", INDEX),
        ("GET", f"/matcher/api/v1/vulnerability_report/{digest}"),
    ]
    scheme, _, token = (clair.requests[0].header("authorization") or "").partition(" ")
    assert (scheme, is_token(token, KEY, clock())) == ("Bearer", True)


async def test_clair_is_given_a_token_that_pulls_those_layers_and_does_nothing_else(
    hub: Hub, clair: Receiver
) -> None:
    digest = digest_of(await push_image(await hub.client(), "v1", content=b"layer"))
    await push_blob(await hub.client("writer", "acme/api"), b"other", "acme/api")

    await work(hub, clair)

    asked = json.loads(clair.requests[0].body)
    ((layer,), told) = asked["layers"], asked["hash"]
    assert (told, layer["hash"]) == (digest, digest_of(b"layer"))
    assert layer["uri"] == f"https://{HOST}/v2/acme/web/blobs/{layer['hash']}"
    (credentials,) = layer["headers"]["Authorization"]
    guest = Client(hub.registry, credentials.removeprefix("Bearer "))
    pulled = await guest.get(urlsplit(layer["uri"]).path)
    assert (pulled.status, pulled.body) == (200, b"layer")
    refused = [
        await guest.get(f"/v2/acme/api/blobs/{digest_of(b'other')}"),
        await guest.post("/v2/acme/web/blobs/uploads/"),
        await guest.delete(f"/v2/acme/web/manifests/{digest}"),
        await guest.get("/v2/_catalog"),
    ]
    assert [one.status for one in refused] == [401] * 4


@pytest.mark.parametrize(
    ("indexed", "reported", "reason"),
    [
        (Answer(500), None, f"Clair answered 500 to POST {INDEX}."),
        (Answer(201, (), b"{"), None, "Clair answered what is no report of indexing"),
        (
            _json(201, {"state": "IndexError", "err": "no such layer\nhere"}),
            None,
            "Clair could not index it: no such layer here",
        ),
        (None, Answer(404), "Clair does not know the image"),
        (None, Answer(202), "Clair is not ready yet"),
        (None, Answer(200, (), b"[]"), "It is no whole vulnerability report of Clair"),
    ],
)
async def test_what_clair_cannot_do_now_is_asked_again_later(
    hub: Hub,
    clair: Receiver,
    clock: SetClock,
    indexed: Answer | None,
    reported: Answer | None,
    reason: str,
) -> None:
    digest = digest_of(await push_image(await hub.client(), "v1"))
    clair.answer_by(answers(indexed, reported))

    with capture_logs() as lines:
        await work(hub, clair)
    failed = await waiting(hub)
    clair.answer_by(answers())
    await work(hub, clair)
    early = await waiting(hub)
    clock.now += timedelta(seconds=31)
    await work(hub, clair)

    (said,) = [one for one in lines if one["event"] == "clair_not_indexed"]
    assert said["reason"].startswith(reason)
    assert failed == early == [(digest, 1)]
    assert await waiting(hub) == []
    assert await rows_of(hub.store, t.scans, "digest") == [(digest,)]


async def test_an_image_is_given_up_after_a_day_or_so(hub: Hub, clair: Receiver) -> None:
    await push_image(await hub.client(), "v1")
    async with hub.store.begin() as tx:
        await tx.run(update(t.clair_indexings).values(tries=30))

    await work(hub, clair, allow="clair.test")

    assert (clair.requests, await waiting(hub)) == ([], [])


async def test_only_images_are_noted_and_only_where_that_is_set(hub: Hub) -> None:
    plain, client = await hub.with_switches().client(), await hub.client()
    manifest = await push_image(plain, "plain")
    await push_blob(client, b"{}")
    await push_manifest(client, artifact(manifest, "application/x"), "signature")
    listed = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    child = descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    index = json.dumps({**listed, "manifests": [child]}).encode()
    answer = await push_manifest(client, index, "index", media_type=OCI_INDEX)

    assert (answer.status, await waiting(hub)) == (201, [])


async def test_an_image_that_is_gone_is_let_go(hub: Hub, clair: Receiver) -> None:
    digest = digest_of(await push_image(await hub.client(), "v1"))
    async with hub.store.begin() as tx:
        await tx.run(delete(t.tags))
        await tx.run(delete(t.tag_versions))
        await tx.run(delete(t.manifest_references))
        await tx.run(delete(t.manifests).where(t.manifests.c.digest == digest))

    await work(hub, clair)

    assert (clair.requests, await waiting(hub)) == ([], [])


async def test_an_image_is_one_process_s_until_that_must_have_died(
    hub: Hub, clock: SetClock
) -> None:
    await push_image(await hub.client(), "v1")

    async def claim() -> bool:
        async with hub.store.begin() as tx:
            return await clair_indexings.claim(tx, SYSTEM) is not None

    first, second = await claim(), await claim()
    clock.now += timedelta(minutes=16)

    assert (first, second, await claim()) == (True, False, True)
    async with hub.store.read() as tx:
        (row,) = await tx.rows(select(t.clair_indexings.c.tries))
    assert row.tries == 2


async def test_images_from_before_are_noted_and_asked_about_behind_new_ones(
    hub: Hub, clair: Receiver, clock: SetClock
) -> None:
    client = await hub.with_switches(are_indexed=False).client()
    manifests = [await push_image(client, name, content=name.encode()) for name in "ab"]
    await push_blob(client, b"{}")
    await push_manifest(client, artifact(manifests[0], "application/x"), "signature")
    clock.move(minutes=1)
    new = await push_image(await hub.client(), "new", content=b"new")

    async def note(*, is_dry: bool = False) -> tuple[int, tuple[str, str] | None]:
        async with hub.store.begin() as tx:
            return await clair_indexings.add_unscanned(
                tx, SYSTEM, "clair", after=("", ""), is_dry=is_dry
            )

    counts = [await note(is_dry=True), await note(), await note()]
    await work(hub, clair)

    assert counts == [(2, None), (2, None), (0, None)]
    asked = [json.loads(one.body)["hash"] for one in clair.requests if one.path == INDEX]
    old = sorted(map(digest_of, manifests))
    assert asked == [digest_of(new), *old]
    assert (await note(), await waiting(hub)) == ((0, None), [])

"""Syncing mirrors: a real store and real files here, a small registry on loopback there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.errors import NotFoundError
from dockbell.domain.links import Links
from dockbell.domain.mailboxes import Sender as MailSender
from dockbell.domain.mirrors import Mirror, MirrorStatus
from dockbell.domain.permissions import AdminOf
from dockbell.net.fetching import Fetcher
from dockbell.net.mail import Mailer, Relay, Security
from dockbell.net.policy import EgressPolicy
from dockbell.net.registries import Registries
from dockbell.net.resolver import Resolver
from dockbell.registry.mirroring import Mirroring
from dockbell.services import immutability, repositories
from dockbell.services.intake import Intake
from dockbell.services.mirrors import Mirrors, WantedMirror
from dockbell.services.quotas import Quotas
from dockbell.store import authorized_emails, notifications, tables
from dockbell.store import mirrors as mirror_rows
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.engines import running
from tests.factories import KINDS
from tests.hub import (
    OCI_IMAGE,
    OCI_INDEX,
    ROBOT,
    Hub,
    digest_of,
    image,
    open_hub,
    push_image,
    rows_of,
)
from tests.mail_server import MailServer
from tests.proxy import ProxyServer
from tests.receiver import Answer, Received, Receiver
from tests.upstream import Upstream

INTAKE = Intake(KINDS, Links("https://dockbell.test"))
MIRRORS = Mirrors(INTAKE)


@dataclass(slots=True)
class There:
    """A mirror of `acme/web` here, of a registry there."""

    store: Store
    hub: Hub
    clock: SetClock
    upstream: Upstream

    async def admin(self, tx: Any) -> AdminOf:
        return await repositories.admin_of(tx, SYSTEM, "acme/web")

    async def configure(self, *globs: str, password: str | None = None, **more: Any) -> None:
        async with self.store.begin() as tx:
            admin = await self.admin(tx)
            mirror = Mirror(
                repository_id=admin.repository.id,
                is_enabled=True,
                reference=self.upstream.reference,
                username=None,
                registry_config={"verify_tls": False},
                robot=None,
                globs=globs or ("*",),
                interval=timedelta(days=1),
                start_at=tx.now,
                timeout=timedelta(seconds=300),
            )
            wanted = WantedMirror(replace(mirror, **more), robot=ROBOT, password=password)
            await MIRRORS.create(tx, admin, wanted)

    async def mirror(self) -> Mirror:
        async with self.store.read() as tx:
            return await MIRRORS.load(tx, await self.admin(tx))

    async def status(self) -> str:
        return (await self.mirror()).status.value

    @contextlib.asynccontextmanager
    async def syncing(
        self, *, allow: str = "loopback", **more: Any
    ) -> AsyncIterator[Mirroring]:
        """A process that syncs."""
        fetcher = Fetcher(EgressPolicy.of(allow), Resolver(), connect_timeout=0.5, patience=2.0)
        process = Mirroring(
            self.store.begin,
            self.store.read,
            self.hub.files,
            MIRRORS,
            Quotas(MIRRORS.intake),
            Registries(fetcher),
            **{"look_seconds": 0.02, "renew_seconds": 0.05, "pause_seconds": 0.01, **more},
        )
        process.start()
        try:
            yield process
        finally:
            await process.stop()
            await fetcher.close()

    async def until(self, *statuses: str) -> None:
        async with asyncio.timeout(30):
            while await self.status() not in statuses:
                await asyncio.sleep(0.02)

    async def sync(self) -> Mirror:
        """Let one sync come to its end."""
        async with self.syncing():
            await self.until("SUCCESS", "FAIL")
        return await self.mirror()

    async def events(self) -> list[tuple[str, Any]]:
        """Kind and what it is about, in order."""
        async with self.store.read() as tx:
            rows = await tx.rows(select(tables.events).order_by(tables.events.c.id))
        found = []
        for row in rows:
            body = json.loads(row.body)
            about = body.get("message", body.get("updated_tags"))
            found.append((row.kind, about))
        return found

    async def tags(self) -> dict[str, str]:
        return dict(await rows_of(self.store, tables.tags, "name", "digest"))

    @property
    def said(self) -> str:
        return f"'{self.upstream.reference}' with tag pattern '*'"


@pytest.fixture
async def there(store: Store, tmp_path: Path, clock: SetClock) -> AsyncIterator[There]:
    hub = await open_hub(store, tmp_path / "data", clock)
    async with Receiver() as receiver:
        yield There(store, hub, clock, Upstream(receiver))


async def test_a_sync_brings_what_the_globs_fit_and_tells_of_it(there: There) -> None:
    one = there.upstream.add_image("v1", b"one")
    there.upstream.add_image("v2", b"two" * 100_000)
    arm = there.upstream.add_image(None, b"arm")
    index = there.upstream.add_index("v3", one, arm)
    there.upstream.add_image("nightly", b"four")
    there.upstream.page = 2
    await there.configure("v*")

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.SUCCESS
    assert mirror.tries_left == 3
    assert mirror.start_at == there.clock() + timedelta(days=1)
    assert sorted(await there.tags()) == ["v1", "v2", "v3"]
    assert (await there.tags())["v3"] == digest_of(index)
    said = there.said.replace("*", "v*")
    assert await there.events() == [
        ("repo_mirror_sync_started", said),
        ("repo_push", ["v1"]),
        ("repo_push", ["v2"]),
        ("repo_push", ["v3"]),
        ("repo_mirror_sync_success", said),
    ]
    client = await there.hub.client("reader", actions="pull")
    pulled = await client.get("/v2/acme/web/manifests/v3")
    assert (pulled.body, pulled.headers["content-type"]) == (index, OCI_INDEX)
    layer = b"two" * 100_000
    assert (await client.get(f"/v2/acme/web/blobs/{digest_of(layer)}")).body == layer
    assert await rows_of(there.store, tables.uploads, "id") == []
    assert list((there.hub.folder / "uploads").iterdir()) == []


async def test_a_second_sync_pulls_only_what_is_new_and_removes_what_is_gone(
    there: There,
) -> None:
    there.upstream.add_image("v1", b"one")
    there.upstream.add_image("v2", b"two")
    await there.configure()
    await there.sync()
    before = len(there.upstream.receiver.requests)
    there.upstream.tags.remove("v2")
    there.upstream.add_image("v3", b"one", annotations={"a": "b"})  # the same content
    there.clock.move(days=1, seconds=1)

    async with there.syncing():
        async with asyncio.timeout(10):
            while await there.events() == [] or len(await there.events()) < 7:
                await asyncio.sleep(0.02)

    assert sorted(await there.tags()) == ["v1", "v3"]
    later = [f"{one.verb} {one.path}" for one in there.upstream.receiver.requests[before:]]
    assert later == [
        "GET /v2/library/web/tags/list?n=1000",
        "HEAD /v2/library/web/manifests/v1",
        "GET /v2/library/web/manifests/v3",
    ]
    assert (await there.events())[4:] == [
        ("repo_mirror_sync_started", there.said),
        ("repo_push", ["v3"]),
        ("repo_mirror_sync_success", there.said),
    ]


async def test_a_tag_that_is_gone_there_and_immutable_here_stays_and_is_named(
    there: There,
) -> None:
    for tag in ("v1", "v2", "v3"):
        there.upstream.add_image(tag, tag.encode())
    await there.configure()
    await there.sync()
    async with there.store.begin() as tx:
        await immutability.create_rule(tx, await there.admin(tx), "v2", matches=True)
    there.upstream.tags[:] = ["v1"]
    there.clock.move(days=1, seconds=1)

    with capture_logs() as lines:
        async with there.syncing():
            async with asyncio.timeout(10):
                while len(await there.events()) < 7:
                    await asyncio.sleep(0.02)

    assert sorted(await there.tags()) == ["v1", "v2"]
    assert (await there.events())[-1] == ("repo_mirror_sync_success", there.said)
    assert [(one["repository"], one["tag"]) for one in lines if "tag" in one] == [
        ("acme/web", "v2")
    ]


async def test_credentials_are_sealed_and_get_a_token(there: There) -> None:
    there.upstream.login = ("puller", "swordfish-7")
    there.upstream.add_image("v1", b"one")
    await there.configure(username="puller", password="swordfish-7")

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.SUCCESS
    (row,) = await rows_of(there.store, tables.mirrors, "username_sealed", "password_sealed")
    assert b"swordfish" not in b"".join(row)
    assert b"puller" not in b"".join(row)
    (token,) = there.upstream.asked("/token")
    assert token == "GET /token?scope=repository%3Alibrary%2Fweb%3Apull&service=here"
    assert "swordfish" not in repr(await there.events()) + repr(mirror)


async def test_wrong_credentials_are_a_failure_that_is_tried_again_later(there: There) -> None:
    there.upstream.login = ("puller", "swordfish-7")
    await there.configure(username="puller", password="wrong-one-9")

    mirror = await there.sync()

    host = there.upstream.reference.partition("/")[0].partition(":")[0]
    assert (mirror.status, mirror.tries_left) == (MirrorStatus.FAIL, 2)
    assert await there.events() == [
        ("repo_mirror_sync_started", there.said),
        (
            "repo_mirror_sync_failed",
            f"{there.said}: {host}:{there.upstream.receiver.port} does not accept the credentials for a token (401)",
        ),
    ]
    async with there.store.read() as tx:
        row = await tx.first(select(tables.mirrors.c.due_at))
    assert row is not None
    assert row.due_at == there.clock() + timedelta(minutes=1)


async def test_three_failures_wait_for_the_next_time(there: There) -> None:
    there.upstream.broken = lambda _: Answer(404)
    await there.configure()
    for _ in range(3):
        async with there.syncing():
            await there.until("FAIL")
            async with there.store.read() as tx:
                assert await MIRRORS.list_due(tx, SYSTEM) == []
        there.clock.move(minutes=6)
        async with there.store.begin() as tx:
            await tx.run(update(tables.mirrors).values(status=MirrorStatus.NEVER_RUN.value))

    mirror = await there.mirror()
    assert mirror.tries_left == 3
    assert mirror.start_at is not None
    assert mirror.start_at > there.clock() + timedelta(hours=23)
    assert [kind for kind, _ in await there.events()] == [
        "repo_mirror_sync_started",
        "repo_mirror_sync_failed",
    ] * 3


def lies(part: str, answer: Answer) -> Any:
    return lambda received: answer if part in received.path and received.verb == "GET" else None


LAYER = b"a layer that is long enough to be cut in the middle" * 1000
WRONG = b"b" * len(LAYER)
HUGE = b'{"schemaVersion": 2, "pad": "' + b"x" * (5 << 20) + b'"}'


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lies(f"/blobs/{digest_of(LAYER)}", Answer(body=WRONG)), "has another digest than it is named by"),
        (lies(f"/blobs/{digest_of(LAYER)}", Answer(body=LAYER + b"more")), "is longer than its manifest says"),
        (lies(f"/blobs/{digest_of(LAYER)}", Answer(body=LAYER[:100])), "has 100 bytes, and its manifest says"),
        (lies(f"/blobs/{digest_of(LAYER)}", Answer(404)), "does not have the blob"),
        (lies("/manifests/v1", Answer(body=HUGE)), "has more than 4194304 bytes"),
        (lies("/manifests/v1", Answer(body=b"{")), "The manifest is not JSON"),
        (lies("/tags/list", Answer(body=b'{"tags": 5}')), "lists tags in no way that is known"),
        (lies("/tags/list", Answer(302, [("Location", "http://169.254.169.254/")])), "169.254.169.254 is"),
    ],
)  # fmt: skip
async def test_what_the_other_registry_does_wrong_is_said_and_nothing_of_it_is_kept(
    there: There, broken: Any, words: str
) -> None:
    there.upstream.add_image("v1", LAYER)
    there.upstream.broken = broken
    await there.configure()

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.FAIL
    *_, (kind, message) = await there.events()
    assert kind == "repo_mirror_sync_failed"
    assert words in message
    assert len(message) < 800
    assert await there.tags() == {}
    assert digest_of(LAYER) not in [
        digest for (digest,) in await rows_of(there.store, tables.blobs, "digest")
    ]
    assert await rows_of(there.store, tables.uploads, "id") == []
    assert list((there.hub.folder / "uploads").iterdir()) == []


async def test_of_an_index_the_platforms_come_that_are_wanted(there: There) -> None:
    """Its digest stays what it is there. What is of no platform, and of one that is not wanted, is not here."""
    amd, arm = (
        there.upstream.add_image(None, name.encode(), architecture=name)
        for name in ("amd64", "arm64")
    )
    said = there.upstream.add_image(None, b"attested")
    index = there.upstream.add_platforms("v1", amd64=amd, arm64=arm, unknown=said)
    await there.configure(architectures=("arm64", "s390x"))

    await there.sync()

    client = await there.hub.client("reader", actions="pull")
    statuses = [
        (await client.get(f"/v2/acme/web/manifests/{digest_of(one)}")).status
        for one in (index, amd, arm, said)
    ]
    assert (await there.tags(), statuses) == ({"v1": digest_of(index)}, [200, 404, 200, 404])
    assert (await client.get("/v2/acme/web/manifests/v1")).body == index
    assert not there.upstream.asked(f"/blobs/{digest_of(b'amd64')}")
    ((facts,),) = [
        (body,)
        for kind, body in await rows_of(there.store, tables.events, "kind", "facts")
        if kind == "repo_push"
    ]
    assert facts["platforms"] == ["linux/arm64"]

    # Set anew, it is completed without a push: its tag is as it was.
    async with there.store.begin() as tx:
        wider = replace(await MIRRORS.load(tx, await there.admin(tx)), architectures=())
        await MIRRORS.change(tx, await there.admin(tx), WantedMirror(wider, robot=ROBOT))
        await MIRRORS.sync_now(tx, await there.admin(tx))
    await there.sync()

    assert (await client.get(f"/v2/acme/web/manifests/{digest_of(amd)}")).status == 200
    assert [kind for kind, _ in await there.events()].count("repo_push") == 1


async def test_images_of_other_platforms_are_passed_over_and_an_index_without_any_fails(
    there: There,
) -> None:
    there.upstream.add_image("amd", b"one")
    there.upstream.add_image("arm", b"two", architecture="arm64")
    chart = image(b"{}", b"chart").replace(b"image.config", b"chart.config")
    there.upstream.blobs |= {digest_of(blob): blob for blob in (b"{}", b"chart")}
    there.upstream.add("chart", OCI_IMAGE, chart)
    await there.configure(architectures=("arm64",))

    assert (await there.sync()).status is MirrorStatus.SUCCESS
    assert sorted(await there.tags()) == ["arm", "chart"]

    there.upstream.add_platforms("v1", amd64=there.upstream.add_image(None, b"three"))
    async with there.store.begin() as tx:
        await MIRRORS.sync_now(tx, await there.admin(tx))
    assert (await there.sync()).status is MirrorStatus.FAIL
    assert (await there.events())[-1] == (
        "repo_mirror_sync_failed", f"{there.said}: v1: it has no image for arm64",
    )  # fmt: skip


async def test_a_mirror_goes_by_its_own_proxy(there: There) -> None:
    there.upstream.add_image("v1", b"one")
    async with ProxyServer() as proxy:
        own = _both({"http_proxy": proxy.url("bell:s3same@")})
        await there.configure(registry_config={"verify_tls": False, "proxy": own})

        mirror = await there.sync()

        place = f"127.0.0.1:{there.upstream.receiver.port}"
        assert mirror.status is MirrorStatus.SUCCESS
        assert {asked[0] for asked in proxy.asked} == {f"CONNECT {place} HTTP/1.1"}
        assert all(
            one.header("proxy-authorization") is None
            for one in there.upstream.receiver.requests
        )
        assert "s3same" not in repr(mirror)


async def test_a_forbidden_proxy_is_never_reached(there: There) -> None:
    async with ProxyServer("127.0.0.2") as proxy:
        config = _both({"http_proxy": proxy.url()})
        await there.configure(registry_config={"verify_tls": False, "proxy": config})

        async with there.syncing(allow="127.0.0.1"):
            await there.until("FAIL")

        assert (proxy.asked, there.upstream.receiver.requests) == ([], [])
    kind, message = (await there.events())[-1]
    assert kind == "repo_mirror_sync_failed"
    assert message.startswith(f"{there.said}: The proxy of the mirror: 127.0.0.2 is")


def _both(proxy: dict[str, str]) -> dict[str, str]:
    """The same proxy also for what is asked with TLS first."""
    return {**proxy, "https_proxy": proxy["http_proxy"]}


async def test_a_blob_that_breaks_off_is_gone_on_with(there: There) -> None:
    there.upstream.add_image("v1", LAYER)
    asked: list[str | None] = []

    def cut(received: Received) -> Answer | None:
        if f"/blobs/{digest_of(LAYER)}" not in received.path:
            return None
        asked.append(received.header("Range"))
        return Answer(body=LAYER, cut=20_000, drop="reset") if len(asked) == 1 else None

    there.upstream.broken = cut
    await there.configure()

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.SUCCESS
    assert asked[0] is None
    assert asked[1] is not None
    assert int(asked[1].removeprefix("bytes=").rstrip("-")) > 10_000


async def test_who_insists_on_tls_gets_no_plain_http(there: There) -> None:
    there.upstream.add_image("v1", b"one")
    await there.configure(registry_config={})

    async with there.syncing() as process:
        process._upstreams = _Impatient(process._upstreams)
        await there.until("SUCCESS", "FAIL")

    assert await there.status() == "FAIL"
    assert there.upstream.receiver.requests == []
    *_, (_, message) = await there.events()
    assert message.endswith("set `verify_tls` in `external_registry_config` to false")


async def test_an_unreachable_registry_is_said(there: There) -> None:
    await there.configure()
    async with Receiver() as gone:
        port = gone.port
    async with there.store.begin() as tx:
        await tx.run(update(tables.mirrors).values(reference=f"127.0.0.1:{port}/library/web"))
    registries = there.syncing()

    async with registries as process:
        process._upstreams = _Impatient(process._upstreams)
        await there.until("FAIL")

    *_, (_, message) = await there.events()
    assert f"127.0.0.1 refused the connection to port {port}" in message


class _Impatient:
    """The same way out, without the pauses between tries."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def open(self, *words: Any, **more: Any) -> Any:
        opened = self._inner.open(*words, **more)
        opened.sleep = lambda _: asyncio.sleep(0)
        return opened


async def test_one_bad_tag_does_not_keep_the_others_from_coming(there: There) -> None:
    there.upstream.add_image("v1", b"one")
    there.upstream.add("v2", "application/vnd.docker.distribution.manifest.v1+json", b"{}")
    there.upstream.add_image("v3", b"three")
    await there.configure()

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.FAIL
    assert sorted(await there.tags()) == ["v1", "v3"]
    *_, (_, message) = await there.events()
    assert message.startswith(f"{there.said}: v2: ")


async def test_what_other_repositories_hold_has_to_be_fetched_all_the_same(
    there: There,
) -> None:
    # Naming a digest does not show that one has the content.
    other = await there.hub.client("writer", path="acme/api")
    await push_image(other, "secret", path="acme/api", content=b"secret layer")
    body = there.upstream.add_image("v1", b"secret layer")
    del there.upstream.blobs[digest_of(b"secret layer")]
    await there.configure()

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.FAIL
    assert digest_of(body) not in [
        digest for (digest,) in await rows_of(there.store, tables.manifests, "digest")
    ]


async def test_many_processes_sync_a_mirror_once(there: There) -> None:
    for number in range(10):
        there.upstream.add_image(f"v{number}", b"layer %d" % number)
    await there.configure()

    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(there.syncing())
        await there.until("SUCCESS", "FAIL")
        await asyncio.sleep(0.2)

    assert [kind for kind, _ in await there.events()] == [
        "repo_mirror_sync_started",
        *["repo_push"] * 10,
        "repo_mirror_sync_success",
    ]
    assert len(there.upstream.asked("/tags/list")) == 1


async def stalled(there: There) -> asyncio.Event:
    """From now on the layer does not come before the event is set."""
    gate = asyncio.Event()
    there.upstream.broken = lambda received: (
        Answer(body=LAYER, wait=gate)
        if f"/blobs/{digest_of(LAYER)}" in received.path and not gate.is_set()
        else None
    )
    return gate


async def test_a_sync_that_is_called_off_ends_and_is_told_once(there: There) -> None:
    there.upstream.add_image("v1", LAYER)
    await stalled(there)
    await there.configure()

    async with there.syncing():
        await there.upstream.receiver.wait_for(4)
        async with there.store.begin() as tx:
            await MIRRORS.cancel(tx, await there.admin(tx))
        await asyncio.sleep(0.3)

    mirror = await there.mirror()
    assert (mirror.status, mirror.tries_left) == (MirrorStatus.CANCEL, 0)
    assert await there.events() == [
        ("repo_mirror_sync_started", there.said),
        ("repo_mirror_sync_failed", there.said),
    ]
    async with there.store.begin() as tx:
        assert await MIRRORS.list_due(tx, SYSTEM) == []
        with pytest.raises(NotFoundError):
            await MIRRORS.cancel(tx, await there.admin(tx))
    there.upstream.broken = lambda _: None
    async with there.store.begin() as tx:
        await MIRRORS.sync_now(tx, await there.admin(tx))
    assert (await there.sync()).status is MirrorStatus.SUCCESS


async def test_a_process_that_stops_hands_its_sync_to_another(there: There) -> None:
    there.upstream.add_image("v0", b"first")
    there.upstream.add_image("v1", LAYER)
    gate = await stalled(there)
    await there.configure()
    async with there.syncing():
        async with asyncio.timeout(10):
            while "v0" not in await there.tags():
                await asyncio.sleep(0.02)
    assert await there.status() == "SYNCING"
    gate.set()

    mirror = await there.sync()

    assert mirror.status is MirrorStatus.SUCCESS
    assert await there.events() == [
        ("repo_mirror_sync_started", there.said),
        ("repo_push", ["v0"]),
        ("repo_push", ["v1"]),
        ("repo_mirror_sync_success", there.said),
    ]
    # What was here already was not pulled again.
    assert len(there.upstream.asked(f"/blobs/{digest_of(b'first')}")) == 1


async def test_a_sync_whose_process_died_goes_on_and_one_that_kills_is_lost(
    there: There,
) -> None:
    await there.configure()
    seen = []
    for _ in range(5):
        async with there.store.begin() as tx:
            (due,) = await MIRRORS.list_due(tx, SYSTEM)
            seen.append(await MIRRORS.claim(tx, SYSTEM, due))  # and then it is killed
        there.clock.move(minutes=3)

    assert [one is not None for one in seen] == [True, True, True, True, False]
    assert await there.events() == [
        ("repo_mirror_sync_started", there.said),
        ("repo_mirror_sync_failed", f"'{there.upstream.reference}' job lost"),
    ]
    # The result of one that was only slow, and had lost its lease, changes nothing.
    first = seen[0]
    assert first is not None
    async with there.store.begin() as tx:
        assert not await mirror_rows.renew(tx, first, tx.now)
        await MIRRORS.succeed(tx, SYSTEM, first)
    assert await there.status() == "FAIL"


async def test_pushes_to_a_mirror_are_refused(there: There) -> None:
    await there.configure()
    client = await there.hub.client()

    started = await client.post("/v2/acme/web/blobs/uploads/")

    assert started.status == 405
    assert started.json()["errors"] == [
        {
            "code": "UNSUPPORTED",
            "detail": {},
            "message": "acme/web is a mirror: only its own syncs write to it",
        }
    ]


async def test_a_robot_that_is_gone_is_said(there: There) -> None:
    there.upstream.add_image("v1", b"one")
    await there.configure()
    async with there.store.begin() as tx:
        await tx.run(tables.robots.delete())

    await there.sync()

    assert (await there.events())[-1] == (
        "repo_mirror_sync_failed",
        f"{there.said}: The robot of the mirror is gone",
    )


async def test_events_of_a_mirror_arrive_by_webhook_mail_and_bell(there: There) -> None:
    there.upstream.add_image("v1", b"one")
    kinds = ["repo_mirror_sync_started", "repo_mirror_sync_success", "repo_mirror_sync_failed"]
    async with Receiver() as receiver, MailServer() as server:
        relay = Relay(
            server.host, server.port, MailSender("bell@b.test"), security=Security.NONE
        )
        mailer = Mailer(relay, EgressPolicy.of(server.host), Resolver(), timeout=5.0)
        async with there.store.begin() as tx:
            repository = (await there.admin(tx)).repository
            await authorized_emails.carry_over(
                tx, repository.id, "ops@b.test", unsubscribe_code="A" * 16
            )
            for kind in kinds:
                for method, config in (
                    ("webhook", {"url": receiver.url("/hook")}),
                    ("email", {"email": "ops@b.test"}),
                    ("quay_notification", {"target": {"name": "boss", "kind": "user"}}),
                ):
                    await notifications.insert(
                        tx,
                        namespace_id=repository.namespace_id,
                        repository_id=repository.id,
                        kind=kind,
                        method=method,
                        title=None,
                        config=config,
                        event_config={},
                    )
        await there.configure()
        async with running(there.store, there.clock, mailer=mailer):
            await there.sync()
            there.upstream.broken = lambda _: Answer(404)
            there.clock.move(days=1, seconds=1)
            async with there.syncing():
                await there.until("FAIL")
            hooks = await receiver.wait_for(4)
            mails = await server.until(4)
            async with asyncio.timeout(10):
                while len(bells := await rows_of(there.store, tables.notices, "kind")) < 4:
                    await asyncio.sleep(0.02)

    started, success = there.said, there.said
    failed = (
        f"{there.said}: 127.0.0.1:{there.upstream.receiver.port} does not have its tags (404)"
    )
    bodies = [json.loads(one.body) for one in hooks]
    assert sorted(body["message"] for body in bodies) == sorted(
        [started, success, started, failed]
    )
    assert all(list(body)[:3] == ["repository", "namespace", "name"] for body in bodies)
    assert sorted(str(one.message["Subject"]) for one in mails) == sorted(
        [
            f"Repository Mirror started for {started}",
            f"Repository Mirror success for {success}",
            f"Repository Mirror started for {started}",
            f"Repository Mirror failed for {failed}",
        ]
    )
    assert sorted(bells) == sorted([(kinds[0],), (kinds[0],), (kinds[1],), (kinds[2],)])

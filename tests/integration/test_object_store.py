"""Blobs in object stores, kept by real servers of their APIs on loopback."""

import asyncio
import base64
import hmac
import json
import logging
import os
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from dockbell import bootstrap
from dockbell.domain.digests import Digest
from dockbell.domain.errors import SetupError, UnavailableError
from dockbell.net.object_stores import Address, ObjectStore, open_store
from dockbell.registry.app import Registry
from dockbell.registry.buckets import Bucket
from dockbell.registry.files import Files
from dockbell.registry.garbage import Collector
from dockbell.services.intake import Intake
from dockbell.settings import Settings
from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import Hub, digest_of, errors_of, open_hub, push_blob, push_image, rows_of

LARGE = bytes(range(256)) * 80_000  # 20 MB, three parts
UPLOADS = "/v2/acme/web/blobs/uploads/"


# What speaks the blob service of Azure, such as `azurite-blob --inMemoryPersistence`, with the account that emulators have.
AZURE = os.environ.get("DOCKBELL_TEST_AZURE_URL", "")
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
SECRETS = ("secret-7", AZURE_KEY)
each_store = pytest.mark.parametrize("kind", ["s3", "gs", "az"], indirect=True)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server of the S3 API, which is also the XML API of Google's, by which object stores are reached."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    dispatcher = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4"):
            # A stranger may do little there; this one is known, and no signature is looked at.
            known = "a/20260101/us-east-1/s3/aws4_request"
            environ["HTTP_AUTHORIZATION"] = (
                f"AWS4-HMAC-SHA256 Credential={known}, SignedHeaders=host, Signature=x"
            )
        return dispatcher(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Whose store it is: `s3` unless a test is for each of them."""
    found: str = getattr(request, "param", "s3")
    if found == "az" and not AZURE:
        pytest.skip("DOCKBELL_TEST_AZURE_URL names no blob service of Azure")
    return found


@pytest.fixture
def address(kind: str, endpoint: str, request: pytest.FixtureRequest) -> Address:
    """An empty bucket of this test."""
    bucket = f"b{abs(hash(request.node.nodeid))}"
    if kind == "az":
        make_container(bucket)
        url = f"az://{bucket}/some/prefix"
        return Address(url, f"{AZURE}/{AZURE_ACCOUNT}", "", AZURE_ACCOUNT, AZURE_KEY)
    urllib.request.urlopen(  # noqa: S310 -- our own server
        urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")  # noqa: S310 -- as above
    ).close()
    if kind == "gs":
        key = {"disable_oauth": True, "private_key": "secret-7", "private_key_id": ""}
        secret = json.dumps({**key, "client_email": ""})
        return Address(f"gs://{bucket}/some/prefix", endpoint, secret_key=secret)
    return Address(f"s3://{bucket}/some/prefix", endpoint, "", "access", "secret-7")


def make_container(name: str) -> None:
    now = format_datetime(datetime.now(UTC), usegmt=True)
    path = f"/{AZURE_ACCOUNT}/{name}"
    signed = (
        f"PUT{12 * chr(10)}x-ms-date:{now}\nx-ms-version:2021-08-06\n"
        f"/{AZURE_ACCOUNT}{path}\nrestype:container"
    )
    digest = hmac.digest(base64.b64decode(AZURE_KEY), signed.encode(), "sha256")
    headers = {
        "x-ms-date": now,
        "x-ms-version": "2021-08-06",
        "authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}",
    }
    urllib.request.urlopen(  # noqa: S310 -- named by who runs the tests
        urllib.request.Request(  # noqa: S310 -- as above
            f"{AZURE}{path}?restype=container", method="PUT", headers=headers
        )
    ).close()


@pytest.fixture
def bucket(address: Address) -> Bucket:
    return Bucket(open_store(address, 5.0))


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock, bucket: Bucket) -> Hub:
    made = await open_hub(store, tmp_path / "data", clock)
    files = Files(tmp_path / "data", bucket)
    parts = made.registry._parts
    registry = Registry(
        store_begin=store.begin,
        store_read=store.read,
        files=files,
        links=parts.links,
        intake=Intake(kinds=parts.intake.kinds, links=parts.links),
        clock=clock,
        tokens=made.tokens,
    )
    return replace(made, files=files, registry=registry)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


def local_files(hub: Hub) -> list[str]:
    return [path.name for path in hub.folder.rglob("*") if path.is_file()]


@each_store
async def test_an_image_goes_in_and_out_and_nothing_stays_on_the_disk(
    hub: Hub, client: Client
) -> None:
    manifest = await push_image(client, "v1", content=b"layer", labels={"a": "b"})
    digest = digest_of(b"layer")
    place = f"/v2/acme/web/blobs/{digest}"

    looked, pulled = await client.send("HEAD", place), await client.get(place)
    part = await client.get(place, headers={"range": "bytes=1-3"})

    assert (looked.status, looked.headers["content-length"]) == (200, "5")
    assert (pulled.body, part.status, part.body) == (b"layer", 206, b"aye")
    assert (await client.get("/v2/acme/web/manifests/v1")).body == manifest
    assert local_files(hub) == []


@each_store
async def test_a_large_blob_comes_in_chunks_is_put_in_parts_and_read_in_ranges(
    hub: Hub, client: Client
) -> None:
    digest = digest_of(LARGE, "sha512")
    started = await client.post(f"{UPLOADS}?digest-algorithm=sha512")
    location, half = started.headers["location"], len(LARGE) // 2
    await client.send(
        "PATCH", location, body=LARGE[:half], headers={"content-range": f"0-{half - 1}"}
    )
    asked = await client.get(location)
    await client.send("PATCH", location, body=LARGE[half:])
    done = await client.put(f"{location}&digest={digest}")

    assert (asked.headers["range"], done.status) == (f"0-{half - 1}", 201)
    pulled = await client.get(f"/v2/acme/web/blobs/{digest}")
    assert pulled.body == LARGE
    tail = await client.get(f"/v2/acme/web/blobs/{digest}", headers={"range": f"bytes={half}-"})
    assert (tail.status, tail.body) == (206, LARGE[half:])
    assert local_files(hub) == []


async def test_what_is_there_is_not_put_again_and_is_mounted(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await push_blob(client, b"once")
    put: list[str] = []
    real = ObjectStore.put

    async def count(one: ObjectStore, key: str, descriptor: int) -> None:
        put.append(key)
        await real(one, key, descriptor)

    monkeypatch.setattr(ObjectStore, "put", count)
    api = Client(
        hub.registry,
        await hub.ask_token("writer", "repository:acme/api:pull,push repository:acme/web:pull"),
    )
    await push_blob(client, b"once")
    mounted = await api.post(f"/v2/acme/api/blobs/uploads/?mount={digest}&from=acme/web")

    assert (put, mounted.status) == ([], 201)
    assert (await api.get(f"/v2/acme/api/blobs/{digest}")).body == b"once"


@each_store
async def test_proxies_of_the_environment_are_not_used(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert await open_store(address, 5.0).size("key") is None


async def test_wrong_content_never_comes_to_the_store(client: Client, bucket: Bucket) -> None:
    wrong = digest_of(b"other")

    answer = await client.post(f"{UPLOADS}?digest={wrong}", body=b"content")

    assert (answer.status, errors_of(answer)[0][0]) == (400, "DIGEST_INVALID")
    assert await bucket.has(Digest.of(wrong)) is False


async def test_garbage_is_collected_from_the_store(
    hub: Hub, store: Store, clock: SetClock, bucket: Bucket
) -> None:
    digest = Digest.of(await push_blob(await hub.client(), b"unused"))
    collector = Collector(store.begin, store.read, hub.files, None)
    clock.move(hours=25)
    first = await collector.run(clock())
    clock.move(hours=25)
    last = await collector.run(clock())

    assert (first.marked, last.blobs, await bucket.has(digest)) == (1, 1, False)
    assert await rows_of(store, tables.blobs, "digest") == []


@each_store
async def test_objects_without_rows_go_a_day_later_and_foreign_ones_never(
    hub: Hub, store: Store, address: Address, bucket: Bucket, tmp_path: Path
) -> None:
    objects, stray = open_store(address, 5.0), Digest.of(digest_of(b"stray"))
    file = tmp_path / "stray"
    file.write_bytes(b"stray")
    keys = (f"blobs/sha256/{stray.hex[:2]}/{stray.hex}", "blobs/sha256/00/README")
    with file.open("rb") as opened:
        for key in keys:
            await objects.put(key, opened.fileno())
    collector = Collector(store.begin, store.read, hub.files, None)

    now = datetime.now(UTC)
    early = await collector.run(now)
    late = await collector.run(now + timedelta(hours=25))

    assert (early.orphans, late.orphans) == (0, 1)
    assert (await bucket.has(stray), await objects.size(keys[1])) == (False, 5)


async def test_content_that_is_collected_while_it_is_pushed_is_put_again(
    client: Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, times = Bucket.prepare, []

    async def prepare(one: Bucket, upload: object, digest: Digest) -> None:
        await real(one, upload, digest)  # type: ignore[arg-type] -- passed on as it came
        times.append(digest)
        if len(times) == 1:
            await one.remove(digest)

    monkeypatch.setattr(Bucket, "prepare", prepare)

    digest = await push_blob(client, b"content")

    assert (len(times), await bucket.has(Digest.of(digest))) == (2, True)


@each_store
async def test_a_store_that_does_not_answer_is_a_503_and_the_push_goes_on_later(
    hub: Hub, client: Client, address: Address
) -> None:
    started = await client.post(UPLOADS)
    location, digest = started.headers["location"], digest_of(b"content")
    await client.send("PATCH", location, body=b"content")
    right = hub.files.blobs
    hub.files.blobs = Bucket(open_store(replace(address, endpoint="http://127.0.0.1:9"), 0.5))

    refused = await client.put(f"{location}?digest={digest}")
    hub.files.blobs = right
    done = await client.put(f"{location}?digest={digest}")

    assert (refused.status, errors_of(refused)[0][0]) == (503, "UNAVAILABLE")
    assert not [one for one in SECRETS if one in refused.body.decode()]
    assert (refused.headers["retry-after"] > "0", done.status) == (True, 201)


@each_store
async def test_a_bucket_that_is_not_there_is_told_without_the_secret(
    address: Address, tmp_path: Path
) -> None:
    scheme = address.url.partition("://")[0]
    lost = open_store(replace(address, url=f"{scheme}://nowhere-at-all"), 5.0)
    file = tmp_path / "file"
    file.write_bytes(b"x")

    with file.open("rb") as opened, pytest.raises(UnavailableError) as error:
        await lost.put("key", opened.fileno())

    assert not [one for one in SECRETS if one in error.value.detail]


@pytest.mark.parametrize(
    "wrong",
    [
        Address("s3://bucket", secret_key="s"),
        Address("s3://bucket", access_key="a"),
        Address("gs://bucket", secret_key="not json"),
        Address("gs://bucket", "https://gs.test", secret_key="not json"),
        Address("gs://bucket", "https://gs.test", secret_key="[]"),
        Address("az://container", access_key="a", secret_key="not base64 !"),
    ],
)
def test_settings_that_do_not_go_together_stop_the_start(wrong: Address) -> None:
    with pytest.raises(SetupError):
        open_store(wrong, 5.0)


def test_an_azure_container_and_a_google_bucket_can_be_named() -> None:
    key = json.dumps({"type": "service_account", "client_email": "a@b.test"})

    open_store(Address("az://container/p", access_key="a", secret_key="c2VjcmV0"), 5.0)
    with pytest.raises(SetupError):
        open_store(Address("gs://bucket", secret_key=key), 5.0)  # no private key in it


async def test_a_server_takes_its_store_from_the_settings(
    store: Store, database_url: str, tmp_path: Path, address: Address
) -> None:
    del store
    settings = Settings(
        data=tmp_path,
        database_url=database_url,
        blob_store=address.url,
        blob_store_endpoint=address.endpoint,
        blob_store_access_key=address.access_key,
        blob_store_secret_key=address.secret_key,
        engine=False,
    )
    application = bootstrap.build(settings)
    await application.start()
    try:
        files = application.files
        async with asyncio.timeout(10):
            assert await files.blobs.has(Digest.of(digest_of(b"x"))) is False
    finally:
        await application.drain()
        await application.close()
    assert not (tmp_path / "blobs").exists()

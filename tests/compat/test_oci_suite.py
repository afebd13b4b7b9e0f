"""The way of the public conformance suite: content of every form is pushed, listed, looked at, pulled and deleted.

Each step as the suite makes it, with both kinds of digest. docs/registry.md says which test answers for which sentence
of the standard.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.hub import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    EMPTY,
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    Hub,
    basic,
    digest_of,
    errors_of,
    open_hub,
    push_blob,
)

ALGORITHMS = ("sha256", "sha512")
WEB = "/v2/acme/web"
UPLOADS = f"{WEB}/blobs/uploads/"
CONTENT = bytes(range(256)) * 12


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


@pytest.fixture
def algorithm(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


# Both algorithms, and on PostgreSQL, whose columns have a width, the one with the longer digests.
BY_EACH_ALGORITHM = pytest.mark.parametrize(
    ("database_url", "algorithm"),
    [*(("sqlite", one) for one in ALGORITHMS), ("postgresql", "sha512")],
    indirect=True,
)


# Blobs


async def _start(client: Client, algorithm: str, announced: str) -> str:
    query = f"?digest-algorithm={algorithm}" if announced else ""
    started = await client.post(f"{UPLOADS}{query}", headers={"content-length": "0"})
    assert started.status == 202
    return started.headers["location"]


def _with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


async def _patch(client: Client, location: str, first: int, last: int) -> Answer:
    return await client.send(
        "PATCH",
        location,
        body=CONTENT[first : last + 1],
        headers={"content-range": f"{first}-{last}"},
    )


async def _by_post(client: Client, digest: str, announced: str) -> Answer:
    del announced  # there is no session to announce it for
    return await client.post(f"{UPLOADS}?digest={digest}", body=CONTENT)


async def _by_put(client: Client, digest: str, announced: str) -> Answer:
    location = await _start(client, digest.partition(":")[0], announced)
    return await client.put(_with_digest(location, digest), body=CONTENT)


async def _by_stream(client: Client, digest: str, announced: str) -> Answer:
    location = await _start(client, digest.partition(":")[0], announced)
    streamed = await client.send("PATCH", location, body=CONTENT)
    assert streamed.status == 202
    return await client.put(_with_digest(streamed.headers["location"], digest))


async def _by_chunks(client: Client, digest: str, announced: str) -> Answer:
    location = await _start(client, digest.partition(":")[0], announced)
    for first in (0, 1024, 2048):
        chunk = await _patch(client, location, first, first + 1023)
        assert (chunk.status, chunk.headers["range"]) == (202, f"0-{first + 1023}")
        location = chunk.headers["location"]
    return await client.put(_with_digest(location, digest), headers={"content-length": "0"})


async def _by_last_chunk(client: Client, digest: str, announced: str) -> Answer:
    location = await _start(client, digest.partition(":")[0], announced)
    location = (await _patch(client, location, 0, 2047)).headers["location"]
    return await client.put(
        _with_digest(location, digest),
        body=CONTENT[2048:],
        headers={"content-range": f"2048-{len(CONTENT) - 1}"},
    )


async def _out_of_order(client: Client, digest: str, announced: str) -> Answer:
    """Every chunk is tried too early first; the way on is asked for each time."""
    location = await _start(client, digest.partition(":")[0], announced)
    for first in (0, 1024, 2048):
        early = (first + 1024) % len(CONTENT)
        refused = await _patch(client, location, early, early + 1023)
        assert (refused.status, refused.headers["location"]) == (416, location)
        asked = await client.get(refused.headers["location"])
        assert (asked.status, asked.headers["range"]) == (204, f"0-{max(first - 1, 0)}")
        location = (await _patch(client, location, first, first + 1023)).headers["location"]
    return await client.put(_with_digest(location, digest))


WAYS: dict[str, Callable[..., Any]] = {
    "post": _by_post,
    "put": _by_put,
    "stream": _by_stream,
    "chunks": _by_chunks,
    "last chunk by put": _by_last_chunk,
    "out of order": _out_of_order,
}


@BY_EACH_ALGORITHM
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("announced", ["announced", ""])
async def test_a_blob_goes_in_by_every_way_and_out_and_away(
    client: Client, algorithm: str, way: str, announced: str
) -> None:
    digest = digest_of(CONTENT, algorithm)
    place = f"{WEB}/blobs/{digest}"
    before = await client.get(place)

    pushed = await WAYS[way](client, digest, announced)

    looked, pulled = await client.send("HEAD", place), await client.get(place)
    deleted, after = await client.delete(place), await client.send("HEAD", place)
    assert (before.status, errors_of(before)[0][0]) == (404, "BLOB_UNKNOWN")
    assert (pushed.status, pushed.headers["location"]) == (201, place)
    assert pushed.headers["docker-content-digest"] == digest
    assert (looked.status, looked.body) == (200, b"")
    assert looked.headers["content-length"] == str(len(CONTENT))
    assert looked.headers["docker-content-digest"] == digest
    assert (pulled.status, pulled.body) == (200, CONTENT)
    assert (deleted.status, after.status) == (202, 404)


@BY_EACH_ALGORITHM
@pytest.mark.parametrize("way", WAYS)
async def test_a_blob_that_is_not_what_its_digest_says_is_refused(
    client: Client, algorithm: str, way: str
) -> None:
    wrong = digest_of(b"something else", algorithm)

    answer = await WAYS[way](client, wrong, "")

    assert (answer.status, errors_of(answer)[0][0]) == (400, "DIGEST_INVALID")
    assert (await client.get(f"{WEB}/blobs/{wrong}")).status == 404


@BY_EACH_ALGORITHM
@pytest.mark.parametrize("content", [b"", b"{}"])
async def test_well_known_contents_are_blobs(
    client: Client, algorithm: str, content: bytes
) -> None:
    digest = digest_of(content, algorithm)

    pushed = await client.post(
        f"{UPLOADS}?digest={digest}",
        body=content,
        headers={"content-length": str(len(content))},
    )

    pulled = await client.get(pushed.headers["location"])
    assert (pushed.status, pulled.status, pulled.body) == (201, 200, content)
    assert (await client.delete(f"{WEB}/blobs/{digest}")).status == 202


@BY_EACH_ALGORITHM
async def test_ranges_of_a_blob_are_those_of_http(client: Client, algorithm: str) -> None:
    digest = digest_of(CONTENT, algorithm)
    await client.post(f"{UPLOADS}?digest={digest}", body=CONTENT)
    whole = len(CONTENT)
    wanted: dict[str, tuple[int, int] | None] = {
        "bytes=500-1499": (500, 1500),
        "bytes=500-": (500, whole),
        "bytes=-500": (whole - 500, whole),
        "bytes=3000-5000": (3000, whole),
        "bytes=500-0": None,
        "bytes=5000-10000": None,
    }

    for header, part in wanted.items():
        answer = await client.get(f"{WEB}/blobs/{digest}", headers={"range": header})
        if part is None:
            assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{whole}")
        else:
            first, end = part
            assert (answer.status, answer.body) == (206, CONTENT[first:end])
            assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{whole}"
            assert answer.headers["content-length"] == str(end - first)


# Mounting


@BY_EACH_ALGORITHM
async def test_a_mount_asks_for_the_token_that_it_needs(hub: Hub, algorithm: str) -> None:
    client = await hub.client()
    digest = digest_of(CONTENT, algorithm)
    await client.post(f"{UPLOADS}?digest={digest}", body=CONTENT)
    narrow = await hub.client("writer", "acme/api")
    realm = 'Bearer realm="https://dockbell.test/v2/auth",service="dockbell.test"'

    for source, more in (
        ("&from=acme/web", "repository:acme/web:pull"),
        ("", "registry:mount:*"),  # from anywhere: it does not tell where
    ):
        mount = f"/v2/acme/api/blobs/uploads/?mount={digest}{source}"
        needed = f"repository:acme/api:pull,push {more}"
        nobody, short = await hub.anonymous.post(mount), await narrow.post(mount)
        wide = Client(hub.registry, await hub.ask_token("writer", needed))
        mounted = await wide.post(mount)
        content = await narrow.get(f"/v2/acme/api/blobs/{digest}")
        await narrow.delete(f"/v2/acme/api/blobs/{digest}")

        # The first challenge asks for all of it: a client that asks once can mount with what it gets.
        assert (nobody.status, nobody.headers["www-authenticate"]) == (
            401,
            f'{realm},scope="{needed}"',
        )
        assert (short.status, short.headers["www-authenticate"]) == (
            401,
            f'{realm},scope="{needed}",error="insufficient_scope"',
        )
        assert mounted.status == 201
        assert (content.status, content.body) == (200, CONTENT)


async def test_a_token_that_names_the_source_is_enough_to_mount_from_anywhere(hub: Hub) -> None:
    client = await hub.client()
    digest = await push_blob(client, CONTENT)
    both = "repository:acme/api:pull,push repository:acme/web:pull"
    wide = Client(hub.registry, await hub.ask_token("writer", both))

    mounted = await wide.post(f"/v2/acme/api/blobs/uploads/?mount={digest}")

    assert mounted.status == 201


async def test_a_token_to_mount_from_anywhere_reads_nothing_there(hub: Hub) -> None:
    client = await hub.client()
    digest = await push_blob(client, CONTENT)
    anywhere = "repository:acme/api:pull,push registry:mount:*"
    writer = Client(hub.registry, await hub.ask_token("writer", anywhere))

    named = await writer.post(f"/v2/acme/api/blobs/uploads/?mount={digest}&from=acme/web")
    read = await writer.get(f"{WEB}/blobs/{digest}")

    assert (named.status, read.status) == (401, 401)


async def test_what_is_public_is_mounted_without_a_token_for_it(
    hub: Hub,
) -> None:
    boss = await hub.client("boss", "boss/open")
    digest = await push_blob(boss, CONTENT, "boss/open")
    plain = Client(hub.registry)
    mount = f"/v2/acme/web/blobs/uploads/?mount={digest}"

    anywhere = await plain.post(mount, headers=basic("writer", "correct horse"))

    assert anywhere.status == 201


@BY_EACH_ALGORITHM
@pytest.mark.parametrize(
    "source", ["&from=acme/api", "&from=acme/none", "&from=", "&from=a%20b", ""]
)
async def test_a_mount_of_what_is_not_there_is_an_upload(
    hub: Hub, algorithm: str, source: str
) -> None:
    writer = Client(
        hub.registry,
        await hub.ask_token(
            "writer", "repository:acme/api:pull", "repository:acme/web:pull,push"
        ),
    )
    digest = digest_of(CONTENT, algorithm)

    answer = await writer.post(f"{UPLOADS}?mount={digest}{source}")

    assert answer.status == 202
    done = await writer.put(_with_digest(answer.headers["location"], digest), body=CONTENT)
    assert done.status == 201


async def test_a_stranger_learns_of_no_place_to_mount_from(hub: Hub) -> None:
    client = await hub.client()
    digest = await push_blob(client, CONTENT)
    anywhere = "repository:fresh/own:pull,push registry:mount:*"
    fresh = Client(hub.registry, await hub.ask_token("fresh", anywhere))

    answers = [
        await fresh.post(f"/v2/fresh/own/blobs/uploads/?mount={digest}{source}")
        for source in ("", "&from=acme/web")
    ]

    assert [answer.status for answer in answers] == [202, 202]


# Manifests of every form


@dataclass
class Content:
    """What one test pushes: blobs, then manifests in this order, the last of them under a tag."""

    algorithm: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: list[tuple[str, str, bytes]] = field(default_factory=list)  # digest, type, body

    def blob(self, media_type: str, body: bytes) -> dict[str, object]:
        described = self.describe(media_type, body)
        self.blobs[str(described["digest"])] = body
        return described

    def describe(self, media_type: str, body: bytes) -> dict[str, object]:
        digest = digest_of(body, self.algorithm)
        return {"mediaType": media_type, "digest": digest, "size": len(body)}

    def manifest(self, media_type: str, **fields: object) -> dict[str, object]:
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **fields}).encode()
        described = self.describe(media_type, body)
        self.manifests.append((str(described["digest"]), media_type, body))
        return described

    def image(self, name: str, layers: int = 2, **fields: object) -> dict[str, object]:
        media_type = str(fields.pop("media_type", OCI_IMAGE))
        config = json.dumps({"os": "linux", "architecture": "amd64", "of": name}).encode()
        return self.manifest(
            media_type,
            config=self.blob(OCI_CONFIG, config),
            layers=[
                self.blob(OCI_LAYER, f"{name} {number}".encode()) for number in range(layers)
            ],
            **fields,
        )

    def index(self, name: str, **fields: object) -> dict[str, object]:
        children = [
            {
                **self.image(f"{name} {architecture}"),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture in ("amd64", "arm64")
        ]
        return self.manifest(OCI_INDEX, manifests=children, **fields)

    def artifact(self, **fields: object) -> dict[str, object]:
        empty = self.blob(EMPTY, b"{}")
        return self.manifest(
            OCI_IMAGE,
            artifactType="application/vnd.test",
            config=empty,
            layers=[empty],
            **fields,
        )


def _nested(content: Content) -> None:
    children = [content.index("one"), content.index("two")]
    content.manifest(OCI_INDEX, manifests=children)


def _foreign_layers(content: Content) -> None:
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    content.manifest(
        OCI_IMAGE,
        config=content.blob(OCI_CONFIG, b'{"foreign": 1}'),
        layers=[
            {**content.describe(foreign, b"elsewhere"), "urls": ["https://store.test/x"]},
            content.blob(OCI_LAYER, b"here"),
        ],
    )


def _data_field(content: Content) -> None:
    config = content.blob(OCI_CONFIG, b"{}")
    content.manifest(OCI_IMAGE, config={**config, "data": "e30="}, layers=[config])


def _docker_list(content: Content) -> None:
    child = content.image("docker", media_type=DOCKER_IMAGE)
    content.manifest(DOCKER_LIST, manifests=[child])


def _with_subject(content: Content) -> None:
    subject = content.image("subject")
    content.artifact(subject=subject, annotations={"org.test": "hello"})


def _index_with_subject(content: Content) -> None:
    subject = content.index("subject")
    content.manifest(
        OCI_INDEX, manifests=[], subject=subject, artifactType="application/vnd.test"
    )


FORMS: dict[str, Callable[[Content], object]] = {
    "image": lambda content: content.image("plain"),
    "docker image": lambda content: content.image("docker", media_type=DOCKER_IMAGE),
    "docker list": _docker_list,
    "no layers": lambda content: content.image("bare", layers=0),
    "large": lambda content: content.image(
        "large", annotations={f"large-{n}": "A" * 10_000 for n in range(390)}
    ),
    "index": lambda content: content.index("index"),
    "nested index": _nested,
    "empty index": lambda content: content.manifest(OCI_INDEX, manifests=[]),
    "artifact": lambda content: content.artifact(),
    "artifact index": lambda content: content.index(
        "artifacts", artifactType="application/vnd.test"
    ),
    "subject": _with_subject,
    "index with subject": _index_with_subject,
    "missing subject": lambda content: content.artifact(
        subject=content.describe(OCI_IMAGE, b"missing content")
    ),
    "data field": _data_field,
    "foreign layers": _foreign_layers,
    "custom fields": lambda content: content.index("custom", orgTest={"a": [1]}),
}


@BY_EACH_ALGORITHM
@pytest.mark.parametrize("form", FORMS)
async def test_content_of_every_form_goes_in_and_out_and_away(
    client: Client, algorithm: str, form: str
) -> None:
    content = Content(algorithm)
    FORMS[form](content)
    top, media_type, body = content.manifests[-1]

    # Push: blobs, manifests by digest, and the last one under two tags: by the query, as any digest can be.
    for digest, blob in content.blobs.items():
        pushed = await client.post(
            f"{UPLOADS}?digest={digest}",
            body=blob,
            headers={"content-length": str(len(blob))},
        )
        assert pushed.status == 201
    for digest, kind, manifest in content.manifests:
        query = "?tag=one&tag=two" if digest == top else ""
        pushed = await client.put(
            f"{WEB}/manifests/{digest}{query}", body=manifest, headers={"content-type": kind}
        )
        assert (pushed.status, pushed.headers["docker-content-digest"]) == (201, digest)
        assert pushed.headers["location"] == f"{WEB}/manifests/{digest}"
        assert pushed.headers.get("oci-tag") == ("one, two" if query else None)
        subject = json.loads(manifest).get("subject")
        assert pushed.headers.get("oci-subject") == (subject and subject["digest"])

    # List, look and pull.
    tags = await client.get(f"{WEB}/tags/list")
    assert (tags.status, tags.json()) == (200, {"name": "acme/web", "tags": ["one", "two"]})
    rest = await client.get(f"{WEB}/tags/list?last=one")
    assert rest.json()["tags"] == ["two"]
    for reference in ("one", "two", *(digest for digest, _, _ in content.manifests)):
        digest, kind, manifest = next(
            (one for one in content.manifests if one[0] == reference), content.manifests[-1]
        )
        for verb, shown in (("HEAD", b""), ("GET", manifest)):
            found = await client.send(verb, f"{WEB}/manifests/{reference}")
            assert (found.status, found.body) == (200, shown)
            assert found.headers["content-type"] == kind
            assert found.headers["content-length"] == str(len(manifest))
            assert found.headers["docker-content-digest"] == digest

    # Referrers, all and of one type.
    subject = json.loads(body).get("subject")
    if subject is not None:
        place = f"{WEB}/referrers/{subject['digest']}"
        every, some, none = (
            await client.get(place),
            await client.get(f"{place}?artifactType=application/vnd.test"),
            await client.get(f"{place}?artifactType=application/vnd.other"),
        )
        assert {each.headers["content-type"] for each in (every, some, none)} == {OCI_INDEX}
        assert [each.headers.get("oci-filters-applied") for each in (every, some, none)] == [
            None,
            "artifactType",
            "artifactType",
        ]
        assert every.json() == some.json()
        assert none.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        (entry,) = every.json()["manifests"]
        assert (entry["digest"], entry["mediaType"], entry["size"], entry["artifactType"]) == (
            top,
            media_type,
            len(body),
            "application/vnd.test",
        )
        assert entry.get("annotations") == json.loads(body).get("annotations")

    # Delete: tags, then manifests from the top, then blobs. Each is gone at once.
    gone = ["one", "two", *(digest for digest, _, _ in reversed(content.manifests))]
    for reference in gone:
        assert (await client.delete(f"{WEB}/manifests/{reference}")).status == 202
        after = await client.get(f"{WEB}/manifests/{reference}")
        assert (after.status, errors_of(after)[0][0]) == (404, "MANIFEST_UNKNOWN")
    for digest in content.blobs:
        assert (await client.delete(f"{WEB}/blobs/{digest}")).status == 202
        assert (await client.send("HEAD", f"{WEB}/blobs/{digest}")).status == 404


async def test_a_push_by_digest_with_tags_rings_for_each(client: Client, store: Store) -> None:
    content = Content("sha512")
    content.manifest(OCI_INDEX, manifests=[])
    digest, kind, body = content.manifests[0]
    place = f"{WEB}/manifests/{digest}"

    many = "&".join(f"tag=t{number}" for number in range(51))
    refused = [
        await client.put(f"{place}?tag=.x", body=body, headers={"content-type": kind}),
        await client.put(f"{place}?{many}", body=body, headers={"content-type": kind}),
    ]
    await client.put(f"{place}?tag=b&tag=a&tag=b", body=body, headers={"content-type": kind})

    assert [(each.status, errors_of(each)[0][0]) for each in refused] == [
        (400, "TAG_INVALID"),
        (414, "TAG_INVALID"),
    ]
    async with store.read() as tx:
        rows = await tx.rows(select(tables.events.c.facts).order_by(tables.events.c.id))
    assert [(row.facts["tag"], row.facts["digest"]) for row in rows] == [
        ("b", digest),
        ("a", digest),
    ]


# Repositories that are not there yet, and looking without a body


async def test_before_the_first_push_there_are_no_tags_and_no_referrers(hub: Hub) -> None:
    boss = await hub.client("boss", "acme/none", "pull")
    digest = digest_of(CONTENT)

    tags = await boss.get("/v2/acme/none/tags/list")
    referrers = await boss.get(f"/v2/acme/none/referrers/{digest}")
    other = await boss.get(f"/v2/acme/none/manifests/{digest}")

    assert (tags.status, errors_of(tags)[0][0]) == (404, "NAME_UNKNOWN")
    assert (referrers.status, referrers.headers["content-type"]) == (200, OCI_INDEX)
    assert referrers.json()["manifests"] == []
    assert (other.status, errors_of(other)[0][0]) == (404, "NAME_UNKNOWN")


async def test_lists_can_be_looked_at_without_their_body(hub: Hub, client: Client) -> None:
    everything = Client(hub.registry, await hub.ask_token("boss", "registry:catalog:*"))
    places = [
        (client, f"{WEB}/tags/list"),
        (client, f"{WEB}/referrers/{digest_of(CONTENT)}"),
        (everything, "/v2/_catalog"),
    ]

    for caller, place in places:
        shown, looked = await caller.get(place), await caller.send("HEAD", place)
        assert (shown.status, looked.status, looked.body) == (200, 200, b"")
        assert looked.headers == shown.headers

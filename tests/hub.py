"""The registry on a real store and a real folder, with people who may push to it.

`boss` owns the organization `acme`. On `acme/web` (private) the robot `acme+ci` and the user `writer` may push and
`reader` may pull; `boss/open` is public. Every password is PASSWORD, the robot's token ROBOT_TOKEN.
"""

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from dockbell.domain.accounts import NamespaceKind, Powers
from dockbell.domain.ids import Clock
from dockbell.domain.links import Links
from dockbell.domain.secrets import hash_of
from dockbell.registry.app import Registry
from dockbell.registry.files import Files
from dockbell.services import passwords, registry_tokens
from dockbell.services.intake import Intake
from dockbell.services.registry_tokens import RegistryTokens
from dockbell.store import keys, tables
from dockbell.store.transactions import Store, Tx
from tests.asgi import Answer, Client
from tests.factories import KINDS
from tests.world import Rows

HOST = "dockbell.test"
PASSWORD = "correct horse"
ROBOT = "acme+ci"
ROBOT_TOKEN = "R" * 64
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def descriptor(media_type: str, body: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body), **more}


def image(config: bytes, *layers: bytes, **more: object) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": descriptor(OCI_CONFIG, config),
            "layers": [descriptor(OCI_LAYER, layer) for layer in layers],
            **more,
        }
    ).encode()


def artifact(subject: bytes, artifact_type: str, **more: object) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "artifactType": artifact_type,
            "config": descriptor(EMPTY, b"{}"),
            "layers": [descriptor(EMPTY, b"{}")],
            "subject": descriptor(OCI_IMAGE, subject),
            **more,
        }
    ).encode()


def basic(username: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


@dataclass(frozen=True, slots=True)
class Hub:
    """The registry, and the ways tests speak to it."""

    store: Store
    files: Files
    folder: Path
    tokens: RegistryTokens
    registry: Registry
    clock: Clock

    def with_switches(
        self,
        *,
        allows_anonymous: bool = True,
        is_readonly: bool = False,
        default_quota: int = 0,
        are_indexed: bool = False,
    ) -> "Hub":
        """The same registry after its operator changed these settings."""
        links = Links(f"https://{HOST}")
        registry = Registry(
            store_begin=self.store.begin,
            store_read=self.store.read,
            files=self.files,
            links=links,
            intake=Intake(kinds=KINDS, links=links),
            clock=self.clock,
            tokens=self.tokens,
            allows_anonymous=allows_anonymous,
            is_readonly=is_readonly,
            default_quota=default_quota,
            are_indexed=are_indexed,
        )
        return replace(self, registry=registry)

    @property
    def anonymous(self) -> Client:
        return Client(self.registry)

    async def ask_token(self, username: str | None, *scopes: str, password: str = "") -> str:
        query = "&".join([f"service={HOST}", *(f"scope={scope}" for scope in scopes)])
        secret = password or (ROBOT_TOKEN if "+" in (username or "") else PASSWORD)
        headers = {} if username is None else basic(username, secret)
        answer = await self.anonymous.get(f"/v2/auth?{query}", headers=headers)
        assert answer.status == 200, answer.body
        token: str = answer.json()["token"]
        return token

    async def client(
        self, username: str | None = ROBOT, path: str = "acme/web", actions: str = "pull,push"
    ) -> Client:
        """The registry as this person calls it, with a token for one repository."""
        token = await self.ask_token(username, f"repository:{path}:{actions}")
        return Client(self.registry, token)


async def open_hub(
    store: Store, folder: Path, clock: Clock, powers: Powers | None = None
) -> Hub:
    async with store.begin() as tx:
        rows = Rows(tx)
        for name in ("boss", "writer", "reader", "fresh"):
            rows.add_namespace(name)
        acme = rows.add_namespace("acme", NamespaceKind.ORGANIZATION)
        rows.add_team(acme, "owners", "admin", "boss")
        web = rows.add_repository("acme", "web", writer="write", reader="read")
        rows.add_repository("acme", "api", writer="write")
        rows.add_repository("boss", "open", is_public=True)
        await rows.write()
        if "password" not in _once:
            _once["password"] = await passwords.hash_of(PASSWORD)
        await tx.run(update(tables.users).values(password_hash=_once["password"]))
        await _add_robot(tx, acme, web)
        tokens = await _open_tokens(tx)
    return _hub_of(store, folder, clock, tokens, powers)


async def open_hub_beside(store: Store, folder: Path, clock: Clock) -> Hub:
    """The registry beside the API on the same people and repositories, whoever made them."""
    async with store.begin() as tx:
        if "password" not in _once:
            _once["password"] = await passwords.hash_of(PASSWORD)
        await tx.run(update(tables.users).values(password_hash=_once["password"]))
        tokens = await _open_tokens(tx)
    return _hub_of(store, folder, clock, tokens)


def _hub_of(
    store: Store,
    folder: Path,
    clock: Clock,
    tokens: RegistryTokens,
    powers: Powers | None = None,
) -> Hub:
    links = Links(f"https://{HOST}")
    files = Files(folder)
    registry = Registry(
        store_begin=store.begin,
        store_read=store.read,
        files=files,
        links=links,
        intake=Intake(kinds=KINDS, links=links),
        clock=clock,
        tokens=tokens,
        powers=powers,
    )
    return Hub(store, files, folder, tokens, registry, clock)


_once: dict[str, Any] = {}  # what takes long to make and is the same in every test


async def _open_tokens(tx: Tx) -> RegistryTokens:
    if "key" in _once:
        public, private = _once["key"]
        await keys.add_first(tx, "registry_token", public=public, private=private)
    tokens = await registry_tokens.open_tokens(tx, audience=HOST)
    (key,) = await keys.find_all(tx, "registry_token")
    _once["key"] = key.public, key.private
    return tokens


async def _add_robot(tx: Tx, namespace_id: str, repository_id: str) -> None:
    await tx.run(
        insert(tables.robots).values(
            id="rob_ci",
            namespace_id=namespace_id,
            name=ROBOT,
            token_hash=hash_of(ROBOT_TOKEN),
            token_sealed=tx.seal.close(ROBOT_TOKEN.encode()),
            created_at=tx.now,
        )
    )
    await tx.run(
        insert(tables.permissions).values(
            repository_id=repository_id, holder_id="rob_ci", robot_id="rob_ci", role="write"
        )
    )


async def push_blob(client: Client, body: bytes, path: str = "acme/web") -> str:
    digest = digest_of(body)
    answer = await client.post(f"/v2/{path}/blobs/uploads/?digest={digest}", body=body)
    assert answer.status == 201, answer.body
    return digest


async def push_manifest(
    client: Client,
    body: bytes,
    reference: str,
    *,
    media_type: str = OCI_IMAGE,
    path: str = "acme/web",
) -> Answer:
    return await client.put(
        f"/v2/{path}/manifests/{reference}", body=body, headers={"content-type": media_type}
    )


_count = itertools.count(1)


async def push_image(
    client: Client,
    tag: str,
    path: str = "acme/web",
    *,
    content: bytes | None = None,
    labels: Mapping[str, str] | None = None,
) -> bytes:
    """Push a small image with one layer; return its manifest. Without `content`, no two are alike."""
    layer = content if content is not None else b"layer %d" % next(_count)
    described = {"os": "linux", "architecture": "amd64", "of": layer.decode()}
    more = {} if labels is None else {"config": {"Labels": labels}}
    config = json.dumps({**described, **more}).encode()
    for blob in (config, layer):
        await push_blob(client, blob, path)
    manifest = image(config, layer)
    answer = await push_manifest(client, manifest, tag, path=path)
    assert answer.status == 201, answer.body
    return manifest


async def rows_of(store: Store, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    """All rows of a table, these columns only, in the order of their values."""
    async with store.read() as tx:
        rows = await tx.rows(select(*(table.c[name] for name in columns)))
    return sorted((tuple(row) for row in rows), key=repr)


def errors_of(answer: Answer) -> list[tuple[str, str]]:
    """Code and message of each error; fails if the body has not the standard's shape."""
    found: Mapping[str, Any] = answer.json()
    assert set(found) == {"errors"}
    assert [set(error) for error in found["errors"]] == [
        {"code", "detail", "message"} for _ in found["errors"]
    ]
    return [(error["code"], error["message"]) for error in found["errors"]]

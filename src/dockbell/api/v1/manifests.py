"""Manifests of repositories and their labels, with Quay's addresses, shapes and statuses."""

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.api.v1.tags import digest_of
from dockbell.domain import manifests as rules
from dockbell.domain.labels import MEDIA_TYPES, Label
from dockbell.services import labels, manifests, repositories
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_NEW = Schema(
    properties=(
        Property("key", "string", required=True),
        Property("value", "string", required=True),
        Property("media_type", "string", required=True, nullable=True, enum=MEDIA_TYPES),
    )
)
_ONE = "/repository/{repository:str}/manifest/{digest:str}"
_LABELS = f"{_ONE}/labels"
_LABEL = f"{_LABELS}/{{label:str}}"


def _shown(label: Label) -> dict[str, object]:
    return {
        "id": label.uuid,
        "key": label.key,
        "value": label.value,
        "source_type": label.source,
        "media_type": label.media_type,
    }


@get(_ONE)
async def get_manifest(
    call: Call, repository: FromPath[str], digest: FromPath[str]
) -> Response[bytes]:
    """200 with the manifest's text and its layers."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        reader = await repositories.reader_of(tx, actor, call.path(repository))
        found = await manifests.load(tx, reader, digest_of(digest))
    manifest = rules.parse(found.body, found.media_type)
    return call.reply(
        200,
        {
            "digest": found.digest,
            "is_manifest_list": manifest.is_index,
            "manifest_data": found.body.decode(),
            "config_media_type": None
            if manifest.config is None
            else manifest.config.media_type,
            "layers": None
            if manifest.is_index
            else [_layer(position, layer) for position, layer in enumerate(manifest.layers)],
        },
    )


def _layer(position: int, layer: rules.Descriptor) -> dict[str, object]:
    return {
        "index": position,
        "compressed_size": layer.size,
        "is_remote": not layer.must_exist,
        "urls": None,
        "command": None,
        "comment": None,
        "author": None,
        "blob_digest": str(layer.digest),
        "created_datetime": None,
    }


@get(_LABELS)
async def list_labels(
    call: Call, repository: FromPath[str], digest: FromPath[str]
) -> Response[bytes]:
    """200 with the labels that the image brought and that people added."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        reader = await repositories.reader_of(tx, actor, call.path(repository))
        found = await labels.list_all(tx, reader, digest_of(digest), prefix=call.text("filter"))
    return call.reply(200, {"labels": [_shown(label) for label in found]})


@post(_LABELS)
async def add_label(
    call: Call, repository: FromPath[str], digest: FromPath[str]
) -> Response[bytes]:
    """201 with the label."""
    path = call.path(repository)
    async with call.begin() as tx:
        actor = await call.actor(tx)
        writer = await repositories.writer_of(tx, actor, path)
        found = digest_of(digest)
        body = call.json(_NEW)
        label = await labels.add(
            tx,
            writer,
            found,
            key=body["key"],
            value=body["value"],
            media_type=body["media_type"],
        )
    location = f"/api/v1/repository/{path}/manifest/{found}/labels/{label.uuid}"
    return call.reply(201, {"label": _shown(label)}, {"location": location})


@get(_LABEL)
async def get_label(
    call: Call, repository: FromPath[str], digest: FromPath[str], label: FromPath[str]
) -> Response[bytes]:
    """200 with one label."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        reader = await repositories.reader_of(tx, actor, call.path(repository))
        found = await labels.load(tx, reader, digest_of(digest), label)
    return call.reply(200, _shown(found))


@delete(_LABEL, status_code=200)
async def delete_label(
    call: Call, repository: FromPath[str], digest: FromPath[str], label: FromPath[str]
) -> Response[bytes]:
    """204: the label, which somebody had added, is gone."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        writer = await repositories.writer_of(tx, actor, call.path(repository))
        await labels.remove(tx, writer, digest_of(digest), label)
    return call.reply(204)


HANDLERS = [get_manifest, list_labels, add_label, get_label, delete_label]

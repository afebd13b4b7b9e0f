"""Manifests: what a push may look like, read from its bytes once and for all."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Any

from dockbell.domain import labels
from dockbell.domain.digests import Digest, DigestError
from dockbell.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.names import is_tag

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

_IMAGES = frozenset({OCI_IMAGE, DOCKER_IMAGE})
_INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
_IMAGE_CONFIGS = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
# Layers that a registry need not hold: their content may not be handed on (image-spec, layer media types).
_NOT_DISTRIBUTABLE = re.compile(
    r"application/vnd\.(oci\.image\.layer\.nondistributable|docker\.image\.rootfs\.foreign)\..+"
)
_MEDIA_TYPE = re.compile(r"[!-~][ -~]{0,254}")
_PLATFORM_PART = re.compile(r"[!-.0-~]{1,64}")
SIZE_LIMIT = 4 << 20  # bytes; what the standard asks a registry to accept at least
_LONGEST_SIZE = (1 << 63) - 1


class ManifestError(InvalidRequestError):
    """The manifest is not valid."""


class ManifestUnknownError(NotFoundError):
    """The repository has no such manifest or tag."""


class BlobUnknownError(NotFoundError):
    """The repository has no such blob."""


class UploadUnknownError(NotFoundError):
    """The upload is not known here: it was finished, cancelled or never begun. Start again."""


class TagError(NotFoundError):
    """The tag is not valid: letters, digits, `_`, `.` and `-`, at most 128, not beginning with `.` or `-`."""


class UnknownReferencesError(InvalidRequestError):
    """The manifest names content that the repository does not have. Push that first."""

    def __init__(self, digests: tuple[str, ...]) -> None:
        super().__init__()
        self.digests = digests


class BlobInUseError(ConflictError):
    """A manifest of the repository needs this blob. Delete the manifest first."""


Reference = Digest | str  # a digest, or a tag's name


def reference_of(text: str) -> Reference:
    """A digest if there is a colon in it, else a tag. Raise DigestError or TagError."""
    if ":" in text:
        return Digest.of(text)
    if not is_tag(text):
        raise TagError
    return text


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content: its type, digest and size."""

    media_type: str
    digest: Digest
    size: int
    platform: str | None = None  # as in `linux/arm64/v8`

    @property
    def must_exist(self) -> bool:
        """Whether the registry itself has to hold the content."""
        return _NOT_DISTRIBUTABLE.fullmatch(self.media_type) is None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose form has been checked. What it points to may still be missing."""

    body: bytes
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()  # of an index
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] | None = None

    @property
    def blobs(self) -> Iterator[Descriptor]:
        if self.config is not None:
            yield self.config
        yield from self.layers

    @property
    def image_config(self) -> Descriptor | None:
        """The config, if it describes a runnable image and so tells the platform."""
        known = self.config is not None and self.config.media_type in _IMAGE_CONFIGS
        return self.config if known else None

    @property
    def is_index(self) -> bool:
        return self.media_type in _INDEXES

    @property
    def layers_size(self) -> int:
        """Bytes of the layers, as often as they are named."""
        return sum(layer.size for layer in self.layers)

    @property
    def content_size(self) -> int:
        """Bytes of everything an image consists of, each blob counted once; of an index, its own bytes."""
        sizes = {blob.digest: blob.size for blob in self.blobs}
        return len(self.body) + sum(sizes.values())


def parse(body: bytes, content_type: str | None) -> Manifest:
    """Read a manifest; raise ManifestError or DigestError, saying what is wrong, if it breaks the standard.

    The type comes from the request's Content-Type and must agree with the `mediaType` inside, if there is one.
    """
    document = _document(body)
    media_type = _type_of(document, content_type)
    common: dict[str, Any] = {
        "body": body,
        "media_type": media_type,
        "subject": _descriptor(document["subject"], "subject")
        if document.get("subject") is not None
        else None,
        "annotations": _annotations(document.get("annotations")),
    }
    artifact_type = _media_type(document.get("artifactType"), "artifactType")
    if media_type in _IMAGES:
        _refuse(document, media_type, "manifests")
        config = _descriptor(document.get("config"), "config")
        return Manifest(
            config=config,
            layers=_descriptors(document, "layers"),
            # An image without an artifact type is known by the type of its config (referrers, end-12a).
            artifact_type=artifact_type or config.media_type,
            **common,
        )
    _refuse(document, media_type, "layers", "config")
    return Manifest(
        children=_descriptors(document, "manifests"), artifact_type=artifact_type, **common
    )


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What is read from an image's config."""

    platform: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def config_of(content: bytes) -> ImageConfig:
    """What an image's config says; of labels, as many as are kept. Never raises."""
    try:
        document = _load(content)
    except (ValueError, RecursionError):
        return ImageConfig()
    inner = document.get("config") if isinstance(document, dict) else None
    found = inner.get("Labels") if isinstance(inner, dict) else None
    return ImageConfig(_platform(document), _labels(found))


def _labels(found: Any) -> Mapping[str, str]:
    if not isinstance(found, dict):
        return {}
    sound = {
        key: value
        for key, value in found.items()
        if isinstance(value, str)
        and 0 < len(key) <= labels.LONGEST_KEY
        and len(value) <= labels.LONGEST_VALUE
        and _is_text(key + value)
    }
    return dict(islice(sound.items(), labels.MOST))


def _is_text(text: str) -> bool:
    """Whether both databases can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


class _TwiceError(ValueError):
    pass


def _load(body: bytes) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(name)

    parse_constant: Callable[[str], Any] = refuse
    return json.loads(
        body.decode("utf-8"), parse_constant=parse_constant, object_pairs_hook=_object
    )


def _object(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    # One client would believe the first and another the last: what is scanned must be what is run.
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError
    return found


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = _load(body)
    except _TwiceError:
        raise ManifestError("The manifest names a key twice in one object.") from None
    except (ValueError, RecursionError):
        raise ManifestError("The manifest is not JSON.") from None
    if not isinstance(document, dict):
        raise ManifestError("The manifest is not a JSON object.")
    version = document.get("schemaVersion")
    if version != 2 or isinstance(version, bool):  # noqa: PLR2004 -- the standard's own number
        raise ManifestError("`schemaVersion` must be 2.")
    return document


def _type_of(document: Mapping[str, Any], content_type: str | None) -> str:
    sent = (content_type or "").partition(";")[0].strip().lower()
    inside = document.get("mediaType")
    if inside is not None and not isinstance(inside, str):
        raise ManifestError("`mediaType` must be a string.")
    found = sent or inside
    if not found:
        raise ManifestError("Say the manifest's type in the Content-Type header.")
    if found not in _IMAGES | _INDEXES:
        shown = found[:100].encode("ascii", "backslashreplace").decode()
        raise ManifestError(
            f"Manifests of type `{shown}` are not supported. "
            "Push an OCI image manifest or index, or a Docker schema 2 manifest or list."
        )
    if inside and inside != found:
        raise ManifestError("`mediaType` and the Content-Type header do not agree.")
    return found


def _refuse(document: Mapping[str, Any], media_type: str, *keys: str) -> None:
    # A document that could be read as both kinds would mean different things to different clients.
    for key in keys:
        if document.get(key) is not None:
            raise ManifestError(f"A manifest of type `{media_type}` has no `{key}`.")


def _descriptors(document: Mapping[str, Any], key: str) -> tuple[Descriptor, ...]:
    found = document.get(key)
    if not isinstance(found, list):
        raise ManifestError(f"`{key}` must be a list.")
    return tuple(
        _descriptor(entry, f"{key}[{position}]") for position, entry in enumerate(found)
    )


def _descriptor(found: Any, place: str) -> Descriptor:
    if not isinstance(found, dict):
        raise ManifestError(f"`{place}` must be a descriptor.")
    media_type = _media_type(found.get("mediaType"), f"{place}.mediaType")
    if not media_type:
        raise ManifestError(f"`{place}.mediaType` is missing.")
    digest = found.get("digest")
    if not isinstance(digest, str):
        raise ManifestError(f"`{place}.digest` is missing.")
    try:
        parsed = Digest.of(digest)
    except DigestError as error:
        raise DigestError(f"`{place}.digest`: {error.detail}") from None
    size = found.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LONGEST_SIZE:
        raise ManifestError(f"`{place}.size` must be a whole number of bytes.")
    return Descriptor(media_type, parsed, size, _platform(found.get("platform")))


def _media_type(found: Any, place: str) -> str | None:
    if found is None or found == "":
        return None
    if not isinstance(found, str) or _MEDIA_TYPE.fullmatch(found) is None:
        raise ManifestError(f"`{place}` must be a media type.")
    return found


def _annotations(found: Any) -> Mapping[str, str] | None:
    if found is None:
        return None
    if not isinstance(found, dict) or not all(
        isinstance(value, str) for value in found.values()
    ):
        raise ManifestError("`annotations` must map strings to strings.")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ManifestError("`annotations` holds half a character.") from None
    return found


def _platform(found: Any) -> str | None:
    if not isinstance(found, dict):
        return None
    parts = [found.get("os"), found.get("architecture"), found.get("variant")]
    texts = [part for part in parts if isinstance(part, str) and _PLATFORM_PART.fullmatch(part)]
    # Attestations hang in an index as `unknown/unknown`: nothing runs there.
    return "/".join(texts) if len(texts) >= 2 and texts[0] != "unknown" else None  # noqa: PLR2004 -- os and architecture

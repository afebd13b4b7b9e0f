"""Manifests: which bytes are one, and why others are not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.digests import Digest, DigestError
from dockbell.domain.manifests import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    OCI_IMAGE,
    OCI_INDEX,
    ManifestError,
    TagError,
    config_of,
    parse,
    reference_of,
)

ONE, TWO = (str(Digest.of_body(body)) for body in (b"one", b"two"))
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": ONE, "size": 3}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": TWO, "size": 5}
IMAGE = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": CONFIG, "layers": [LAYER]}
CHILD = {"mediaType": OCI_IMAGE, "digest": ONE, "size": 3}
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD]}


def encode(document: Any) -> bytes:
    return json.dumps(document).encode()


def changed(document: dict[str, Any], **more: Any) -> bytes:
    """The document with these keys set, or left out if None is given as `...`."""
    return encode(
        {key: value for key, value in {**document, **more}.items() if value is not ...}
    )


def test_an_image_is_read() -> None:
    subject = {"mediaType": OCI_IMAGE, "digest": TWO, "size": 7}
    body = changed(IMAGE, subject=subject, annotations={"a": "b"})

    manifest = parse(body, OCI_IMAGE)

    assert manifest.config is not None
    assert manifest.subject is not None
    assert [str(blob.digest) for blob in manifest.blobs] == [ONE, TWO]
    assert (manifest.media_type, manifest.artifact_type, manifest.annotations) == (
        OCI_IMAGE,
        CONFIG["mediaType"],
        {"a": "b"},
    )
    assert (str(manifest.subject.digest), manifest.content_size) == (TWO, len(body) + 8)
    assert manifest.image_config == manifest.config


def test_a_blob_that_is_named_twice_counts_once() -> None:
    body = changed(IMAGE, layers=[LAYER, LAYER])

    assert parse(body, None).content_size == len(body) + 8


def test_an_index_is_read_with_its_platforms() -> None:
    platforms: list[Any] = [
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "amd64"},
        {"os": "unknown", "architecture": "unknown"},
        {"os": 5, "architecture": "amd64"},
        {"os": "lin ux", "architecture": "amd/64"},
        "linux",
        None,
    ]
    children = [{**CHILD, "platform": platform} for platform in platforms]

    manifest = parse(changed(INDEX, manifests=children, artifactType="a/b"), OCI_INDEX)

    assert [child.platform for child in manifest.children] == [
        "linux/arm64/v8",
        "linux/amd64",
        None,
        None,
        None,
        None,
        None,
    ]
    assert (list(manifest.blobs), manifest.artifact_type) == ([], "a/b")


@pytest.mark.parametrize(
    ("content_type", "inside", "found"),
    [
        (OCI_IMAGE, OCI_IMAGE, OCI_IMAGE),
        (OCI_IMAGE, ..., OCI_IMAGE),
        (None, OCI_IMAGE, OCI_IMAGE),
        ("", OCI_IMAGE, OCI_IMAGE),
        (f"{OCI_IMAGE}; charset=utf-8", ..., OCI_IMAGE),
        (OCI_IMAGE.upper(), OCI_IMAGE, OCI_IMAGE),
        (DOCKER_IMAGE, DOCKER_IMAGE, DOCKER_IMAGE),
    ],
)
def test_the_type_comes_from_the_header_or_from_inside(
    content_type: str | None, inside: Any, found: str
) -> None:
    assert parse(changed(IMAGE, mediaType=inside), content_type).media_type == found


@pytest.mark.parametrize(
    ("content_type", "inside", "reason"),
    [
        (OCI_IMAGE, DOCKER_IMAGE, "`mediaType` and the Content-Type header do not agree."),
        (OCI_IMAGE, 5, "`mediaType` must be a string."),
        (None, ..., "Say the manifest's type in the Content-Type header."),
        ("application/json", ..., "Manifests of type `application/json` are not supported. "),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            ...,
            "Manifests of type ",
        ),
    ],
)
def test_a_type_that_does_not_fit_is_refused(
    content_type: str | None, inside: Any, reason: str
) -> None:
    with pytest.raises(ManifestError) as failure:
        parse(changed(IMAGE, mediaType=inside), content_type)

    assert failure.value.detail.startswith(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The manifest is not JSON."),
        (b"{", "The manifest is not JSON."),
        (b"[" * 100_000, "The manifest is not JSON."),
        (b'{"schemaVersion": NaN}', "The manifest is not JSON."),
        ("\ufeff{}".encode(), "The manifest is not JSON."),
        (json.dumps(IMAGE).encode("utf-16"), "The manifest is not JSON."),
        (b'{"schemaVersion": ' + b"9" * 5000 + b"}", "The manifest is not JSON."),
        (b"[]", "The manifest is not a JSON object."),
        (changed(IMAGE, schemaVersion=1), "`schemaVersion` must be 2."),
        (changed(IMAGE, schemaVersion="2"), "`schemaVersion` must be 2."),
        (changed(IMAGE, schemaVersion=...), "`schemaVersion` must be 2."),
        (changed(IMAGE, config=...), "`config` must be a descriptor."),
        (changed(IMAGE, config=None), "`config` must be a descriptor."),
        (changed(IMAGE, layers=...), "`layers` must be a list."),
        (changed(IMAGE, layers={}), "`layers` must be a list."),
        (changed(IMAGE, layers=[LAYER, 1]), "`layers[1]` must be a descriptor."),
        (changed(IMAGE, layers=[{}]), "`layers[0].mediaType` is missing."),
        (
            changed(IMAGE, config={**CONFIG, "mediaType": "a\nb"}),
            "`config.mediaType` must be a media type.",
        ),
        (changed(IMAGE, config={**CONFIG, "digest": None}), "`config.digest` is missing."),
        (
            changed(IMAGE, config={**CONFIG, "size": -1}),
            "`config.size` must be a whole number of bytes.",
        ),
        (
            changed(IMAGE, config={**CONFIG, "size": True}),
            "`config.size` must be a whole number of bytes.",
        ),
        (
            changed(IMAGE, config={**CONFIG, "size": 1.0}),
            "`config.size` must be a whole number of bytes.",
        ),
        (
            changed(IMAGE, config={**CONFIG, "size": 1 << 63}),
            "`config.size` must be a whole number of bytes.",
        ),
        (changed(IMAGE, subject=[]), "`subject` must be a descriptor."),
        (changed(IMAGE, artifactType=5), "`artifactType` must be a media type."),
        (changed(IMAGE, artifactType="\0"), "`artifactType` must be a media type."),
        (changed(IMAGE, annotations=[]), "`annotations` must map strings to strings."),
        (changed(IMAGE, annotations={"a": 1}), "`annotations` must map strings to strings."),
        (changed(IMAGE, annotations={"a": "\ud800"}), "`annotations` holds half a character."),
        (
            changed(IMAGE, manifests=[]),
            f"A manifest of type `{OCI_IMAGE}` has no `manifests`.",
        ),
    ],
)
def test_an_image_that_is_wrong_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ManifestError) as failure:
        parse(body, OCI_IMAGE)

    assert failure.value.detail == reason


@pytest.mark.parametrize("key", ["layers", "config"])
@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_that_could_be_an_image_is_refused(key: str, media_type: str) -> None:
    with pytest.raises(ManifestError) as failure:
        parse(changed(INDEX, mediaType=media_type, **{key: [LAYER]}), media_type)

    assert failure.value.detail == f"A manifest of type `{media_type}` has no `{key}`."


def test_a_descriptor_with_a_bad_digest_says_where() -> None:
    with pytest.raises(DigestError) as failure:
        parse(changed(IMAGE, layers=[{**LAYER, "digest": "sha256:x"}]), OCI_IMAGE)

    assert failure.value.detail.startswith("`layers[0].digest`: The digest is not valid.")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([OCI_IMAGE, OCI_INDEX, None]),
    st.sampled_from(["config", "layers", "manifests", "subject", "annotations", "mediaType"]),
)
def test_no_document_makes_it_fail_otherwise(
    value: Any, media_type: str | None, key: str
) -> None:
    for document in (value, {**IMAGE, key: value}, {**INDEX, key: value}):
        try:
            manifest = parse(encode(document), media_type)
        except (ManifestError, DigestError):
            continue
        assert manifest.body == encode(document)


@pytest.mark.parametrize(
    ("config", "platform"),
    [
        (b'{"os": "linux", "architecture": "amd64"}', "linux/amd64"),
        (b'{"os": "linux", "architecture": "arm", "variant": "v7"}', "linux/arm/v7"),
        (b'{"os": "linux"}', None),
        (b"[]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_config_tells_its_platform(config: bytes, platform: str | None) -> None:
    assert config_of(config).platform == platform


def test_a_reference_is_a_digest_or_a_tag() -> None:
    assert reference_of(ONE) == Digest.of(ONE)
    assert reference_of("v1.0_x-y") == "v1.0_x-y"
    for text in ("-x", ".x", "", "a b", "a" * 129, "é", "a\n"):
        with pytest.raises(TagError):
            reference_of(text)
    with pytest.raises(DigestError):
        reference_of("sha256:x")

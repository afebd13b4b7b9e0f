"""A small real image, built here, and a push as any container client makes it."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from urllib.parse import urlencode, urlsplit

from dockbell.cli.own_server import Client
from dockbell.domain.late_dataclasses import dataclass

_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(slots=True)
class Image:
    """An image of one layer with one file."""

    blobs: dict[str, bytes]
    manifest: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def digest_of(content: bytes | bytearray) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def build_image() -> Image:
    text = b"Hello from an image that was built by dockbell's demo.\n"
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        entry = tarfile.TarInfo("hello.txt")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    packed = gzip.compress(layer.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.title": "hello"}},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer.getvalue())]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": digest_of(packed),
                    "size": len(packed),
                }
            ],
        }
    ).encode()
    return Image({digest_of(config): config, digest_of(packed): packed}, manifest)


def log_in(base: str, repository: str, login: tuple[str, str]) -> Client:
    """A client with a token to pull from and push to that repository."""
    anonymous = Client(base)
    anonymous.call("GET", "/v2/", expect=(401,))
    query = urlencode(
        {"service": urlsplit(base).netloc, "scope": f"repository:{repository}:pull,push"}
    )
    basic = base64.b64encode(":".join(login).encode()).decode()
    answer = anonymous.call(
        "GET", f"/v2/auth?{query}", headers={"Authorization": f"Basic {basic}"}
    )
    return Client(base, answer.json()["token"])


def push(base: str, repository: str, tag: str, image: Image, login: tuple[str, str]) -> None:
    """Push as any container client does: challenge, token, blobs, manifest."""
    client = log_in(base, repository, login)
    for digest, content in image.blobs.items():
        started = client.call("POST", f"/v2/{repository}/blobs/uploads/")
        location = started.headers["location"]
        joint = "&" if "?" in location else "?"
        client.call(
            "PUT",
            f"{location}{joint}{urlencode({'digest': digest})}",
            content,
            headers={"Content-Type": "application/octet-stream"},
        )
    client.call(
        "PUT",
        f"/v2/{repository}/manifests/{tag}",
        image.manifest,
        headers={"Content-Type": _MANIFEST_TYPE},
    )

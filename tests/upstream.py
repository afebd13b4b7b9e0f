"""A small registry on loopback that has what a test gives it, asks for tokens if told so, and misbehaves on demand."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub import OCI_IMAGE, OCI_INDEX, descriptor, digest_of, image
from tests.receiver import Answer, Received, Receiver

PATH = "library/web"


@dataclass(slots=True)
class Upstream:
    """`broken` chooses the answer to a request, or None for the ordinary one."""

    receiver: Receiver
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # by tag and digest
    tags: list[str] = field(default_factory=list)
    login: tuple[str, str] | None = None
    page: int = 1000
    broken: Callable[[Received], Answer | None] = lambda _: None

    def __post_init__(self) -> None:
        self.receiver.answer_by(self._answer)

    @property
    def reference(self) -> str:
        return f"127.0.0.1:{self.receiver.port}/{PATH}"

    def add_image(
        self, tag: str | None, layer: bytes, *, architecture: str = "amd64", **more: Any
    ) -> bytes:
        config = json.dumps(
            {"os": "linux", "architecture": architecture, "of": layer.hex()}
        ).encode()
        for blob in (config, layer):
            self.blobs[digest_of(blob)] = blob
        return self.add(tag, OCI_IMAGE, image(config, layer, **more))

    def add_platforms(self, tag: str, **children: bytes) -> bytes:
        """An index of images for Linux, by their architecture; `unknown` is an attestation."""
        listed = [
            descriptor(
                OCI_IMAGE,
                child,
                platform={"os": name if name == "unknown" else "linux", "architecture": name},
            )
            for name, child in children.items()
        ]
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        return self.add(tag, OCI_INDEX, json.dumps(body).encode())

    def add_index(self, tag: str, *children: bytes, media_type: str = OCI_IMAGE) -> bytes:
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [descriptor(media_type, child) for child in children],
            }
        ).encode()
        return self.add(tag, OCI_INDEX, body)

    def add(self, tag: str | None, media_type: str, body: bytes) -> bytes:
        self.manifests[digest_of(body)] = media_type, body
        if tag is not None:
            self.manifests[tag] = media_type, body
            if tag not in self.tags:
                self.tags.append(tag)
        return body

    def asked(self, part: str) -> list[str]:
        """Verb and path of each request with this in its path, but for those that were refused."""
        return [f"{one.verb} {one.path}" for one in self.receiver.requests if part in one.path]

    def _answer(self, received: Received) -> Answer:
        broken = self.broken(received)
        if broken is not None:
            return broken
        parts = urlsplit(received.path)
        if parts.path == "/token":
            return self._token(received)
        if self.login is not None and received.header("Authorization") != "Bearer sesame":
            realm = self.receiver.url("/token")
            demand = f'Bearer realm="{realm}",service="here",scope="repository:{PATH}:pull"'
            return Answer(401, [("WWW-Authenticate", demand)])
        _, _, rest = unquote(parts.path).partition(f"{PATH}/")
        kind, _, name = rest.partition("/")
        if kind == "tags":
            return self._tags(parse_qs(parts.query))
        return self._content(received, kind, name)

    def _content(self, received: Received, kind: str, name: str) -> Answer:
        if kind == "manifests" and name in self.manifests:
            media_type, body = self.manifests[name]
            headers = [("Content-Type", media_type), ("Docker-Content-Digest", digest_of(body))]
            return Answer(200, headers, b"" if received.verb == "HEAD" else body)
        if kind == "blobs" and name in self.blobs:
            return self._blob(received, self.blobs[name])
        return Answer(404, body=b'{"errors": []}')

    def _token(self, received: Received) -> Answer:
        assert self.login is not None
        pair = base64.b64encode(":".join(self.login).encode()).decode()
        if received.header("Authorization") != f"Basic {pair}":
            return Answer(401, body=b"{}")
        return _json({"token": "sesame"})

    def _tags(self, query: Mapping[str, list[str]]) -> Answer:
        last = query.get("last", [""])[0]
        start = self.tags.index(last) + 1 if last else 0
        shown = self.tags[start : start + self.page]
        headers = []
        if start + self.page < len(self.tags):
            headers = [("Link", f'</v2/{PATH}/tags/list?last={shown[-1]}>; rel="next"')]
        return _json({"name": PATH, "tags": shown}, headers)

    def _blob(self, received: Received, body: bytes) -> Answer:
        asked = received.header("Range")
        if asked is None:
            return Answer(200, body=body)
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        return Answer(206, body=body[start:])


def _json(body: Any, headers: Any = ()) -> Answer:
    return Answer(
        200, [("Content-Type", "application/json"), *headers], json.dumps(body).encode()
    )

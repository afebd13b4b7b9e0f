"""What feeds a soak: clients that push tags, and remember which pushes were acknowledged."""

import base64
import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from dockbell.cli.own_image import Image
from dockbell.cli.own_server import Client

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OUTAGE = {500, 502, 503}  # 500 only while a process ends
_PAUSE = 0.05


@dataclass(slots=True)
class Pusher:
    """Pushes one new tag after the other. A push that failed is made again, as clients do, until it is acknowledged."""

    name: str
    base: str
    image: Image
    login: tuple[str, str]
    pause: float
    acknowledged: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    failures: int = 0
    _token: str | None = None

    def run(self, is_over: Callable[[], bool]) -> None:
        number = 0
        while not is_over():
            number += 1
            tag = f"{self.name}-{number}"
            while not self._push(tag):
                self.failures += 1
                if is_over():
                    return  # nobody was told that it is there
                time.sleep(_PAUSE)
            self.acknowledged.append(tag)
            time.sleep(self.pause)

    def _push(self, tag: str) -> bool:
        try:
            if self._token is None:
                self._token = self._sign_in()
            answer = Client(self.base, self._token).call(
                "PUT",
                f"/v2/alice/web/manifests/{tag}",
                self.image.manifest,
                headers={"Content-Type": MANIFEST},
                expect=tuple(range(600)),
            )
        except (OSError, http.client.HTTPException):
            return False
        if answer.status == 401:
            self._token = None
        elif answer.status not in {201, *_OUTAGE}:
            self.refusals.append(f"{tag}: {answer.status} {answer.body[:200]!r}")
        elif answer.status == 500:
            self.refusals.append(f"{tag}: 500 {answer.body[:200]!r}")
        return answer.status == 201

    def _sign_in(self) -> str | None:
        query = urlencode(
            {"service": urlsplit(self.base).netloc, "scope": "repository:alice/web:pull,push"}
        )
        basic = base64.b64encode(":".join(self.login).encode()).decode()
        answer = Client(self.base).call(
            "GET",
            f"/v2/auth?{query}",
            headers={"Authorization": f"Basic {basic}"},
            expect=tuple(range(600)),
        )
        return str(answer.json()["token"]) if answer.status == 200 else None

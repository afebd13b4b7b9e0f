"""CDEvents about builds and pipeline runs, from whatever writes them."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from dockbell.domain import cloudevents
from dockbell.domain.build_reports import BuildDetails, BuildReport, BuildState, Trigger
from dockbell.domain.payloads import object_of
from dockbell.domain.sources import (
    BuildSource,
    Inbound,
    check_bearer,
    line,
    moment,
    url,
)

_TYPE = re.compile(
    r"dev\.cdevents\.(build|pipelinerun)\.(queued|started|finished)\.\d+\.\d+\.\d+(-[a-z0-9.]+)?"
)
_STATES: Mapping[str, BuildState] = {
    "queued": BuildState.QUEUED,
    "started": BuildState.STARTED,
}
_OUTCOMES: Mapping[str, BuildState] = {
    "success": BuildState.SUCCESS,
    "cancel": BuildState.CANCELLED,
    "cancelled": BuildState.CANCELLED,
    "failure": BuildState.FAILURE,
    "fail": BuildState.FAILURE,
    "error": BuildState.FAILURE,
}
_DIGEST = re.compile(r"(?:@|%40)(sha256(?::|%3[Aa])[0-9a-f]{64})")


class CdEvents:
    """CDEvents over HTTP, as CloudEvents in either mode; a bearer token, or the secret in the address."""

    name = "cdevents"
    title = "CDEvents"

    def example(self, secret: str) -> Inbound:
        body = json.dumps(
            {
                "context": {
                    "version": "0.4.1",
                    "id": "271069a8-fc18-44f1-b38f-9d70a1695819",
                    "source": "/ci/example",
                    "type": "dev.cdevents.build.finished.0.2.0",
                    "timestamp": "2026-03-14T11:59:30Z",
                },
                "subject": {
                    "id": "build-1",
                    "source": "/ci/example",
                    "type": "build",
                    "content": {"artifactId": f"pkg:oci/web@sha256:{'a' * 64}?tag=v1"},
                },
            }
        ).encode()
        headers = {
            "authorization": f"Bearer {secret}",
            "content-type": "application/json",
            "ce-id": "271069a8-fc18-44f1-b38f-9d70a1695819",
            "ce-source": "/ci/example",
            "ce-specversion": "1.0",
            "ce-type": "dev.cdevents.build.finished.0.2.0",
        }
        return Inbound(headers, body)

    def verify(self, inbound: Inbound, secret: str) -> None:
        check_bearer(inbound, secret)

    def translate(self, inbound: Inbound) -> Sequence[BuildReport]:
        event = cloudevents.read(inbound)
        match = _TYPE.fullmatch(event.type)
        subject = object_of(event.data, "subject")
        given_id = line(subject.get("id"))
        if match is None or given_id is None:
            return []
        content = object_of(subject, "content")
        state = _STATES.get(match[2])
        if state is None:
            # A finished build that says no outcome made its artifact.
            state = _OUTCOMES.get(
                line(content.get("outcome", "success")) or "", BuildState.FAILURE
            )
        source = line(subject.get("source")) or event.source
        digest = _DIGEST.search(line(content.get("artifactId"), 1000) or "")
        name = line(content.get("pipelineName")) or given_id
        return [
            BuildReport(
                state=state,
                key=_key(match[1], source, given_id),
                details=BuildDetails(
                    name=name,
                    trigger=Trigger("cdevents", name),
                    manifest_digests=[]
                    if digest is None
                    else [re.sub("%3[Aa]", ":", digest[1])],
                    error_message=line(content.get("errors"), 2000)
                    if state is BuildState.FAILURE
                    else None,
                    url=url(content.get("url")) or url(content.get("uri")),
                ),
                occurred_at=moment(object_of(event.data, "context").get("timestamp")),
            )
        ]


def _key(sort: str, source: str, given_id: str) -> str:
    """The id of a subject is its source's own, so both make the key, which may not be too long."""
    both = f"{source} {given_id}".encode()
    return f"cdevents/{sort}/{hashlib.sha256(both).hexdigest()}"


SOURCE: BuildSource = CdEvents()

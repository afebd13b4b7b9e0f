"""CloudEvents of Tekton Pipelines about pipeline runs."""

import json
import re
from collections.abc import Mapping, Sequence

from dockbell.domain import cloudevents
from dockbell.domain.build_reports import BuildDetails, BuildReport, BuildState, Trigger
from dockbell.domain.payloads import object_of
from dockbell.domain.sources import BuildSource, Inbound, check_bearer, line, moment

_TYPE = re.compile(r"dev\.tekton\.event\.pipelinerun\.([a-z]+)\.v1")
_STATES: Mapping[str, BuildState] = {
    "queued": BuildState.QUEUED,
    "started": BuildState.STARTED,
    "running": BuildState.STARTED,
    "successful": BuildState.SUCCESS,
    "failed": BuildState.FAILURE,
}
_CANCELLED = {"Cancelled", "PipelineRunCancelled", "CancelledRunFinally", "StoppedRunFinally"}


class Tekton:
    """The sink of `default-cloud-events-sink`. It can set no header, so the secret stands in the address."""

    name = "tekton"
    title = "Tekton Pipelines"

    def example(self, secret: str) -> Inbound:
        body = json.dumps(
            {
                "pipelineRun": {
                    "metadata": {
                        "name": "web-run-7",
                        "namespace": "ci",
                        "uid": "6f1c7d0e-7a1f-4f0e-9d6c-6f2f7c1f0001",
                    },
                    "spec": {"pipelineRef": {"name": "web"}},
                    "status": {
                        "startTime": "2026-03-14T11:58:00Z",
                        "completionTime": "2026-03-14T11:59:30Z",
                        "conditions": [
                            {
                                "type": "Succeeded",
                                "status": "True",
                                "reason": "Succeeded",
                                "message": "Tasks Completed: 3",
                            }
                        ],
                    },
                }
            }
        ).encode()
        headers = {
            "content-type": "application/json",
            "ce-id": "77f78ae7-ff6d-4e39-9d05-b9a0b7850527",
            "ce-source": "/apis/tekton.dev/v1/namespaces/ci/pipelineruns/web-run-7",
            "ce-specversion": "1.0",
            "ce-type": "dev.tekton.event.pipelinerun.successful.v1",
        }
        return Inbound(headers, body, secret)

    def verify(self, inbound: Inbound, secret: str) -> None:
        check_bearer(inbound, secret)

    def translate(self, inbound: Inbound) -> Sequence[BuildReport]:
        event = cloudevents.read(inbound)
        match = _TYPE.fullmatch(event.type)
        state = None if match is None else _STATES.get(match[1])
        run = object_of(event.data, "pipelineRun")
        metadata, status = object_of(run, "metadata"), object_of(run, "status")
        uid = line(metadata.get("uid"), 64)
        if state is None or uid is None:
            return []
        condition = _condition(status)
        if state is BuildState.FAILURE and line(condition.get("reason")) in _CANCELLED:
            state = BuildState.CANCELLED
        pipeline = line(object_of(run, "spec", "pipelineRef").get("name"))
        ended = state not in {BuildState.QUEUED, BuildState.STARTED}
        return [
            BuildReport(
                state=state,
                key=f"tekton/{uid}",
                details=BuildDetails(
                    name=line(metadata.get("name")),
                    trigger=Trigger("tekton", pipeline or line(metadata.get("namespace"))),
                    error_message=line(condition.get("message"), 2000)
                    if state is BuildState.FAILURE
                    else None,
                ),
                occurred_at=moment(status.get("completionTime" if ended else "startTime")),
            )
        ]


def _condition(status: Mapping[str, object]) -> Mapping[str, object]:
    conditions = status.get("conditions")
    for one in conditions if isinstance(conditions, list) else ():
        if isinstance(one, Mapping) and one.get("type") == "Succeeded":
            return one
    return {}


SOURCE: BuildSource = Tekton()

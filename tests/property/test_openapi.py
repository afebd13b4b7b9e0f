"""API v2 answers as its description says, for what the description allows and for what it forbids.

Schemathesis makes the requests from `/openapi.json`. What it cannot know (the ids of this world, the names of its
repositories) is put in for it mostly, so that requests get past the first look-up. There is no engine and a stand-in
for the address guard: nothing is sent and no name is looked up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import Column, select

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import records
from tests.asgi import Client
from tests.world import PUBLIC_URL, World, open_world

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CALLERS = ("admin", "admin", "admin", "admin", "reader", None)
URL = "https://hooks.test/path"
# What a field or argument of this name is given, more often than not, instead of what was made up.
WORDS: Mapping[str, Sequence[Any]] = {
    "repository": ["acme/web", "acme/api", "acme/none", "acme", "Acme/web", "acme/web\0"],
    "namespace": ["acme", "admin", "none", "acme/web"],
    "event": ["repo_push", "vulnerability_found", "quota_warning", "repo_psuh"],
    "method": ["webhook", "slack", "quay_notification", "email", "hipchat", "web"],
    "config": [
        {"url": URL},
        {"url": URL, "template": '{"a": "${updated_tags[0]}"}'},
        {"url": "http://127.0.0.1/"},
        {"url": "https://[::1"},
        {"url": 7},
        {"email": "a@example.org"},
        {"target": {"name": "admin", "kind": "user"}},
        {},
    ],
    "event_config": [{}, {"ref-regex": "^v"}, {"level": "high"}, {"vulnerability": {}}],
    "title": ["Title", "", None],
    "cursor": ["", "ZGx2Xw", "MQ"],
    "wait": [0],  # there is no engine to wait for
}
IDS: Mapping[str, Column[str]] = {
    "notification_id": t.notifications.c.id,
    "notification": t.notifications.c.id,
    "delivery_id": t.deliveries.c.id,
    "event_id": t.events.c.id,
    "job_id": t.redelivery_jobs.c.id,
    "secret_id": t.signing_secrets.c.id,
}
NOBODYS = "ntf_00000000000000000000000000"
_FEWEST = 3
MOST_FIELDS = 12
LUCK = st.lists(st.integers(0, 499), min_size=MOST_FIELDS, max_size=MOST_FIELDS)


@dataclass(slots=True)
class Probe:
    """Makes the requests of schemathesis in a small world, and checks the answers."""

    world: World
    clients: Mapping[str | None, Client]

    @classmethod
    async def open(cls, store: Store) -> "Probe":
        world = await open_world(store)
        clients = {name: await world.client(name) for name in CALLERS if name is not None}
        return cls(world, {None: world.anonymous, **clients})

    async def make(self, case: Any, caller: str | None, luck: Sequence[int]) -> None:
        await self._refill()
        choices = iter(luck)
        for place in (case.path_parameters, case.query, case.body):
            if isinstance(place, dict):
                await self._fit(place, choices)
        if case.path.endswith("/test"):
            case.query.setdefault("wait", 0)
        sent = _request_of(case)
        answer = await self.clients[caller].send(
            sent.method or "",
            sent.path_url,
            body=sent.body.encode() if isinstance(sent.body, str) else sent.body or b"",
            headers={
                name: text for name, text in sent.headers.items() if isinstance(text, str)
            },
        )
        response = schemathesis.Response(
            answer.status,
            {name: [text] for name, text in answer.headers.items()},
            answer.body,
            sent,
            elapsed=0.0,
            verify=False,
        )
        case.validate_response(response, checks=CHECKS)

    async def _refill(self) -> None:
        """Make again what earlier requests have removed or used up."""
        if len(await self._ids(t.notifications.c.id)) < _FEWEST:
            await records.add_notification(self.world.store)
            await records.add_notification(self.world.store, method="slack")
            await records.push(self.world)
            await records.try_all(self.world.store)
            await records.push(self.world)

    async def _ids(self, column: Column[str]) -> Sequence[str]:
        async with self.world.store.read() as tx:
            rows = await tx.rows(select(column).order_by(column.desc()).limit(10))
        return [row[0] for row in rows]

    async def _fit(self, place: dict[str, Any], choices: Iterator[int]) -> None:
        for name in list(place):
            choice, is_left = divmod(next(choices, 0), 5)
            if is_left == 0 and name != "wait":
                continue  # what was made up stays
            if name in IDS:
                ids = [*await self._ids(IDS[name]), NOBODYS]
                place[name] = ids[choice % len(ids)]
            elif name in WORDS:
                place[name] = WORDS[name][choice % len(WORDS[name])]


def _request_of(case: Any) -> requests.PreparedRequest:
    taken = {"method", "url", "params", "data", "json", "headers", "cookies"}
    parts = case.as_transport_kwargs(base_url=PUBLIC_URL)
    return requests.Request(
        **{name: part for name, part in parts.items() if name in taken}
    ).prepare()


def cases_of(description: Mapping[str, Any]) -> Sequence[st.SearchStrategy[Any]]:
    """What may be asked of each operation, and what may not."""
    config = schemathesis.Config()
    config.projects.default.generation.with_security_parameters = False  # callers bring theirs
    schema = schemathesis.openapi.from_dict(dict(description), config=config)
    found = []
    for one in schema.get_all_operations():
        operation = one.ok()
        found.append(operation.as_strategy(GenerationMode.POSITIVE))
        # An address alone cannot be wrong: every text is an id, known or not.
        if operation.query or operation.body:
            found.append(operation.as_strategy(GenerationMode.NEGATIVE))
    return found


@pytest.fixture
async def probe(store: Store) -> Probe:
    return await Probe.open(store)


@pytest.fixture
async def cases(probe: Probe) -> Sequence[st.SearchStrategy[Any]]:
    if (
        not _cases
    ):  # all applications are described in the same way, and reading it takes a second
        description = (await probe.world.anonymous.get("/openapi.json")).json()
        _cases.extend(cases_of(description))
    return _cases


_cases: list[st.SearchStrategy[Any]] = []


# All examples share a world: what some did to it is what the next ones meet.
@settings(
    derandomize=True,
    max_examples=120,
    phases=[
        Phase.generate
    ],  # a failure depends on what went before, so it cannot be made smaller
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), caller=st.sampled_from(CALLERS), luck=LUCK)
async def test_answers_are_as_described_for_what_is_allowed_and_what_is_not(
    probe: Probe,
    cases: Sequence[st.SearchStrategy[Any]],
    data: st.DataObject,
    caller: str | None,
    luck: Sequence[int],
) -> None:
    case = data.draw(st.one_of(cases))

    await probe.make(case, caller, luck)

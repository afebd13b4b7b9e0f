"""Events that come behind each other with one head: answered as any other, whichever way they take."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import delete, select

from dockbell.api.intake.app import Limits
from dockbell.domain.errors import UnavailableError
from dockbell.store.tables import events, tokens
from dockbell.store.transactions import Store, Tx
from dockbell.web import whole_answers
from dockbell.web.edge import ASGIApp, Edge, Receive, Scope, Send
from dockbell.web.whole_answers import Follow, WholeAnswer
from tests.apps import alone, intake_of
from tests.asgi import Answer, Client
from tests.world import World, open_world

EVENTS = "/api/v2/events"
PUSH = {"event": "repo_push", "repository": "acme/web", "data": {"updated_tags": ["v1"]}}


@dataclass(slots=True)
class _Line:
    """An application as one connection calls it (`BoundedProtocol`): what follows an event goes where its answer says."""

    app: ASGIApp
    follow: Follow | None = None
    taken: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        answer = asyncio.get_running_loop().create_future()
        if self.follow is not None and self.follow(message["body"], answer.set_result):
            self.taken += 1
            await whole_answers.send({}, send, await answer)
            return

        async def again() -> MutableMapping[str, Any]:
            return message

        await self.app({**scope, whole_answers.ANSWER: self._keep}, again, send)

    def _keep(self, _scope: Scope, answer: WholeAnswer) -> bool:
        self.follow = answer.follow or self.follow
        return False


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write")


async def _line(writer: Client, app: ASGIApp | None = None) -> tuple[_Line, Client]:
    """A connection on which an event was accepted already."""
    line = _Line(app or writer.app)
    client = replace(writer, app=line)
    assert (await client.post(EVENTS, PUSH)).status == 202
    return line, client


async def _ids(world: World) -> list[str]:
    async with world.store.read() as tx:
        return [row.id for row in await tx.rows(select(events.c.id).order_by(events.c.id))]


def _shown(answer: Answer) -> object:
    """What two answers to the same have in common."""
    lines = [
        name if name == "x-request-id" else (name, text)
        for name, text in answer.headers.items()
    ]
    value = answer.json()
    return answer.status, [line for line in lines if line[0] != "content-length"], value


async def test_what_follows_an_event_is_recorded_and_answered_alike(
    world: World, writer: Client
) -> None:
    line, client = await _line(writer)

    first = await writer.post(EVENTS, {**PUSH, "id": "one"})
    taken = await client.post(EVENTS, {**PUSH, "id": "another"})
    again = await client.post(EVENTS, {**PUSH, "id": "one"})

    assert line.taken == 2
    assert list(taken.headers) == list(first.headers)
    assert taken.headers["x-request-id"] != again.headers["x-request-id"]
    assert (taken.status, taken.json()) == (
        202,
        {**first.json(), "id": taken.json()["id"]},
    )
    assert again.json() == {"id": first.json()["id"], "status": "duplicate", "deliveries": 0}
    assert {first.json()["id"], taken.json()["id"]} < set(await _ids(world))


@pytest.mark.parametrize(
    "value",
    [
        7,
        {},
        {**PUSH, "event": "repo_pus"},
        {**PUSH, "repository": "acme"},
        {**PUSH, "repository": "acme/none"},
        {**PUSH, "repository": "admin/open"},
        {**PUSH, "data": {}},
        {**PUSH, "data": {"updated_tags": "v1"}},
        {**PUSH, "id": "known"},
        {"event": "quota_warning", "namespace": "acme", "data": {}},
    ],
)
async def test_what_is_refused_is_refused_alike(writer: Client, value: object) -> None:
    await writer.post(EVENTS, {**PUSH, "id": "known", "data": {"updated_tags": ["other"]}})
    line, client = await _line(writer)

    answers = [await client.post(EVENTS, value), await writer.post(EVENTS, value)]
    good = await client.post(EVENTS, PUSH)

    assert line.taken == 2
    assert _shown(answers[0]) == _shown(answers[1])
    assert (answers[0].status >= 400, good.status) == (True, 202)


async def test_a_body_that_is_no_json_is_refused_alike(writer: Client) -> None:
    line, client = await _line(writer)
    sent: dict[str, Any] = {"body": b"{", "headers": {"content-type": "application/json"}}

    answers = [await client.post(EVENTS, **sent), await writer.post(EVENTS, **sent)]

    assert (line.taken, answers[0].status) == (1, 400)
    assert _shown(answers[0]) == _shown(answers[1])


@pytest.mark.parametrize("ends", ["revoked", "expired"])
async def test_a_token_that_ends_is_refused_at_once(
    world: World, writer: Client, ends: str
) -> None:
    line, client = await _line(writer)
    async with world.store.begin() as tx:
        if ends == "revoked":
            await tx.run(delete(tokens))
        else:
            await tx.run(tokens.update().values(expires_at=tx.now))

    answers = [await client.post(EVENTS, PUSH), await writer.post(EVENTS, PUSH)]

    assert (line.taken, answers[0].status) == (1, 401)
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert _shown(answers[0]) == _shown(answers[1])
    assert len(await _ids(world)) == 1


@pytest.mark.parametrize(
    "value",
    [
        {"events": [PUSH, PUSH]},
        {**PUSH, "data": {"updated_tags": ["v" * 70_000]}},
    ],
)
async def test_many_events_and_large_ones_go_the_ordinary_way(
    world: World, writer: Client, value: object
) -> None:
    line, client = await _line(writer)

    answer = await client.post(EVENTS, value)

    assert (line.taken, answer.status) == (0, 202)
    assert len(await _ids(world)) in {2, 3}


async def test_a_body_above_the_limit_is_refused_alike(world: World, writer: Client) -> None:
    app = alone(intake_of(world.store, world.faces, limits=Limits(body=1000)))
    line, client = await _line(writer, app)

    answer = await client.post(EVENTS, {**PUSH, "data": {"updated_tags": ["v" * 1000]}})

    assert (line.taken, answer.status) == (0, 413)


@pytest.mark.parametrize(
    "limits", [{"most_waiting": 6}, {"limits": Limits(body=500, all_bodies=500)}]
)
async def test_a_flood_is_sent_away_and_leaves_room_afterwards(
    world: World, writer: Client, limits: dict[str, Any]
) -> None:
    app = alone(intake_of(world.store, world.faces, **limits))
    lines = [await _line(writer, app) for _ in range(10)]

    answers = await asyncio.gather(*(client.post(EVENTS, PUSH) for _, client in lines))
    later = [await client.post(EVENTS, PUSH) for _, client in lines]

    assert {line.taken for line, _ in lines} == {2}
    refused = [answer for answer in answers if answer.status != 202]
    assert {(answer.status, answer.headers["retry-after"]) for answer in refused} == {
        (429, "1")
    }
    assert {answer.status for answer in later} == {202}
    assert len(await _ids(world)) == 30 - len(refused)


async def test_those_that_come_together_share_a_transaction(
    world: World, writer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = 0
    begin = world.store.begin
    lines = [await _line(writer) for _ in range(10)]

    @asynccontextmanager
    async def counted() -> AsyncIterator[Tx]:
        nonlocal begun
        begun += 1
        async with begin() as tx:
            yield tx

    monkeypatch.setattr(world.store, "begin", counted)

    answers = await asyncio.gather(*(client.post(EVENTS, PUSH) for _, client in lines))

    assert {answer.status for answer in answers} == {202}
    assert begun <= 4
    assert len({answer.json()["id"] for answer in answers}) == 10


@pytest.mark.parametrize(("error", "status"), [(UnavailableError(), 503), (ValueError(), 500)])
async def test_a_database_that_fails_is_told_alike(
    writer: Client, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    line, client = await _line(writer)
    begin = world.store.begin

    @asynccontextmanager
    async def failing() -> AsyncIterator[Tx]:
        raise error
        yield

    monkeypatch.setattr(world.store, "begin", failing)
    answers = [await client.post(EVENTS, PUSH), await writer.post(EVENTS, PUSH)]
    monkeypatch.setattr(world.store, "begin", begin)
    good = await client.post(EVENTS, PUSH)

    assert (line.taken, answers[0].status, good.status) == (2, status, 202)
    assert _shown(answers[0]) == _shown(answers[1])


async def test_what_follows_is_counted(world: World, writer: Client) -> None:
    app: Any = alone(intake_of(world.store, world.faces))
    assert isinstance(app, Edge)
    _, client = await _line(writer, app)

    await client.post(EVENTS, PUSH)
    await client.post(EVENTS, 7)
    await asyncio.sleep(0)

    samples = {
        (family.name + one.suffix, *one.labels.values()): one.value
        for family in app._metrics.families()
        for one in family.samples
    }
    counts = "dockbell_http_requests_total"
    assert samples[counts, "POST", "api_v2", "202"] == 2
    assert samples[counts, "POST", "api_v2", "400"] == 1
    assert samples["dockbell_http_request_duration_seconds_count", "api_v2"] == 3

"""Clair's calls: who may make them, what is fetched for them and from where, and what becomes of it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.api.intake.clair import ClairWorker
from dockbell.domain.clair import is_token, key_of, token_of
from dockbell.domain.errors import SetupError
from dockbell.net.clair import ClairClient
from dockbell.net.fetching import Fetcher
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.sources import scanners
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from dockbell.web.faces import ClairCalls
from tests.asgi import Answer, Client
from tests.conftest import NOON, SetClock
from tests.hub import Hub, digest_of, open_hub, push_image
from tests.receiver import Answer as Told
from tests.receiver import Received, Receiver
from tests.three_ways import listening
from tests.world import Guard, World, world_on

CALL = "/secscan/notification"
NEWS = "5e4b387e-88d3-4364-86fd-063447a6fad2"
KEY = b"a shared key"


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def world(hub: Hub) -> World:
    return world_on(hub.store, Guard(), clair=ClairCalls(is_set_up=True, key=KEY))


@pytest.fixture
async def clair() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def call(client: Client, body: Any = None, *, key: bytes | None = KEY) -> Answer:
    given = (
        {"notification_id": NEWS, "callback": "http://evil.test/x"} if body is None else body
    )
    headers = {} if key is None else {"authorization": f"Bearer {token_of(key, NOON)}"}
    return await client.post(CALL, given, headers=headers)


async def work(world: World, address: str, clock: SetClock, *, allow: str = "loopback") -> None:
    """Work off what is due, as the server does."""
    resolver = Resolver()
    fetcher = Fetcher(EgressPolicy.of(allow), resolver)
    try:
        await ClairWorker(
            world.store.begin,
            world.store.read,
            ClairClient(fetcher, address, KEY, clock),
            world.faces.scans,
            scanners()["clair"],
        ).work_off()
    finally:
        await fetcher.close()
        await resolver.close()


def answers(digest: str, *, pages: int = 1) -> Any:
    """A Clair with news about this image, on so many pages, and its report."""

    def choose(request: Received) -> Told:
        if request.verb == "DELETE":
            return Told(200, (), b"")
        if "/vulnerability_report/" in request.path:
            return Told(200, (), scanners()["clair"].example)
        number = int(request.path.partition("next=")[2] or 1)
        page = {"size": 1, **({"next": str(number + 1)} if number < pages else {})}
        told = {"page": page, "notifications": [{"id": "1", "manifest": digest}]}
        return Told(200, (), json.dumps(told).encode())

    return choose


async def waiting(store: Store) -> list[tuple[str, int]]:
    async with store.read() as tx:
        rows = await tx.rows(select(t.clair_callbacks))
    return [(row.id, row.tries) for row in rows]


async def test_a_call_leads_to_a_report_that_reaches_a_webhook_a_mailbox_and_a_bell(
    world: World, hub: Hub, clair: Receiver, clock: SetClock
) -> None:
    digest = digest_of(await push_image(await hub.client(), "v1"))
    clair.answer_by(answers(digest, pages=2))
    async with listening(world.store, clock, ["vulnerability_found"]) as ways:
        called = await call(world.anonymous)
        again = await call(world.anonymous)
        await work(world, clair.url(), clock)
        await call(world.anonymous)
        await work(world, clair.url(), clock)

        ((_, hook),) = await ways.webhooks(1)
        await ways.subjects(1)
        assert len(await ways.bells(1)) == 1

    assert [(one.status, one.body) for one in (called, again)] == [(200, b"Okay")] * 2
    assert hook["vulnerability"]["id"] == "CVE-2026-0001"
    news = f"/notifier/api/v1/notification/{NEWS}"
    asked = [(one.verb, one.path) for one in clair.requests]
    assert asked[:4] == [
        ("GET", f"{news}?page_size=500"),
        ("GET", f"{news}?page_size=500&next=2"),
        ("GET", f"/matcher/api/v1/vulnerability_report/{digest}"),
        ("DELETE", news),
    ]
    assert asked[4:] == asked[:4]
    scheme, _, token = (clair.requests[0].header("authorization") or "").partition(" ")
    assert (scheme, is_token(token, KEY, clock())) == ("Bearer", True)
    assert await waiting(world.store) == []


async def test_without_the_key_nobody_calls(world: World) -> None:
    bare, wrong = await call(world.anonymous, key=None), await call(world.anonymous, key=b"x")

    assert [one.status for one in (bare, wrong)] == [401, 401]
    assert await waiting(world.store) == []


async def test_where_no_clair_is_set_up_there_is_nothing_to_call(hub: Hub) -> None:
    world = world_on(hub.store, Guard())

    assert (await call(world.anonymous)).status == 404


async def test_a_clair_without_a_key_needs_no_token(hub: Hub) -> None:
    world = world_on(hub.store, Guard(), clair=ClairCalls(is_set_up=True))

    assert (await call(world.anonymous, key=None)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"notification_id": NEWS},
        {"callback": "https://clair.test/"},
        {"notification_id": "../../etc", "callback": "https://clair.test/"},
        {"notification_id": 5, "callback": "https://clair.test/"},
    ],
)
async def test_a_call_that_is_none_is_refused(world: World, body: Any) -> None:
    assert (await call(world.anonymous, body)).status == 400
    assert await waiting(world.store) == []


async def test_images_that_nobody_holds_and_news_that_is_gone_are_let_go(
    world: World, clair: Receiver, clock: SetClock
) -> None:
    clair.answer_by(answers(f"sha256:{'0' * 64}"))
    await call(world.anonymous)
    await work(world, clair.url(), clock)
    asked = [one.verb for one in clair.requests]
    clair.answer_by(lambda _request: Told(404, (), b""))
    await call(world.anonymous)
    await work(world, clair.url(), clock)

    assert asked == ["GET", "DELETE"]
    assert await waiting(world.store) == []


@pytest.mark.parametrize(
    "told",
    [
        Told(500, (), b""),
        Told(200, (), b"{"),
        Told(200, (), b'{"notifications": [{}]}'),
        Told(302, (("location", "http://127.0.0.1:1/"),), b""),
    ],
)
async def test_what_cannot_be_fetched_waits_and_is_fetched_later(
    world: World, hub: Hub, clair: Receiver, clock: SetClock, told: Told
) -> None:
    digest = digest_of(await push_image(await hub.client(), "v1"))
    await call(world.anonymous)
    clair.answer_by(lambda _request: told)

    await work(world, clair.url(), clock)
    failed = await waiting(world.store)
    clair.answer_by(answers(digest))
    await work(world, clair.url(), clock)
    early = await waiting(world.store)
    clock.now += timedelta(seconds=31)
    await work(world, clair.url(), clock)

    assert failed == early == [(NEWS, 1)]
    assert await waiting(world.store) == []
    async with world.store.read() as tx:
        assert len(await tx.rows(select(t.scans.c.digest))) == 1


async def test_the_guard_stands_before_clair_too(
    world: World, clair: Receiver, clock: SetClock
) -> None:
    await call(world.anonymous)

    await work(world, clair.url(), clock, allow="clair.test")

    assert clair.requests == []
    assert await waiting(world.store) == [(NEWS, 1)]


def test_a_token_is_good_for_its_key_and_time_alone() -> None:
    token = token_of(KEY, NOON)

    assert is_token(token, KEY, NOON + timedelta(minutes=5))
    assert not is_token(token, KEY, NOON + timedelta(minutes=7))
    assert not is_token(token, b"other", NOON)
    for broken in ("", ".", "..", "a.b.c", token[:-2], f"{token}x", token.replace(".", "", 1)):
        assert not is_token(broken, KEY, NOON)


def test_the_shared_key_is_base64_or_refused_in_words() -> None:
    assert (key_of(""), key_of("YSBrZXk=")) == (None, b"a key")
    with pytest.raises(SetupError) as refused:
        key_of("not base64!")
    assert "auth.psk.key" in refused.value.detail

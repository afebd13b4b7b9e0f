"""Tokens of single programs: made, listed and revoked by their user (quay-compat 7.1)."""

import pytest
from sqlalchemy import select

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, invalid, said
from tests.browsers import signed_in
from tests.world import World, open_world

ALL = "/api/v1/user/apptoken"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_a_token_is_made_shown_once_listed_and_revoked(world: World) -> None:
    client, headers = await signed_in(world, "admin")

    made = await client.post(ALL, {"title": " laptop "}, headers=headers)
    body = made.json()["token"]
    listed = await client.get(ALL)
    one = await client.get(f"{ALL}/{body['uuid']}")
    expiring = await client.get(f"{ALL}?expiring=true")
    revoked = await client.delete(f"{ALL}/{body['uuid']}", headers=headers)
    gone = await client.get(f"{ALL}/{body['uuid']}")

    shown = {key: body[key] for key in body if key != "token_code"}
    assert (made.status, list(body)) == (
        200,
        ["uuid", "title", "last_accessed", "created", "expiration", "token_code"],
    )
    assert (len(body["token_code"]), body["token_code"].isalnum()) == (64, True)
    assert shown == {
        "uuid": body["uuid"],
        "title": "laptop",
        "last_accessed": None,
        "created": "Sat, 14 Mar 2026 12:00:00 -0000",
        "expiration": None,
    }
    assert said(listed) == (200, {"tokens": [shown], "only_expiring": None})
    assert said(one) == (200, {"token": shown})
    assert said(expiring) == (200, {"tokens": [], "only_expiring": True})
    assert (said(revoked), said(gone)) == ((204, None), (404, NOT_FOUND))


async def test_it_is_no_token_of_the_api(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    code = (await client.post(ALL, {"title": "x"}, headers=headers)).json()["token"]

    answer = await world.anonymous.with_token(code["token_code"]).get("/api/v1/user/")

    assert answer.status == 401


async def test_others_tokens_look_unknown(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    uuid = (await client.post(ALL, {"title": "x"}, headers=headers)).json()["token"]["uuid"]
    other, other_headers = await signed_in(world, "writer")

    assert said(await other.get(f"{ALL}/{uuid}")) == (404, NOT_FOUND)
    assert said(await other.delete(f"{ALL}/{uuid}", headers=other_headers)) == (404, NOT_FOUND)
    assert (await other.get(ALL)).json()["tokens"] == []
    assert (await client.get(f"{ALL}/{uuid}")).status == 200


async def test_a_token_of_the_api_makes_none_that_may_do_more(world: World) -> None:
    small = await world.client("admin", "user:admin")
    large = await world.client("admin", "user:admin repo:admin repo:create")
    other = await world.client("admin", "repo:admin repo:create")

    assert said(await small.post(ALL, {"title": "x"})) == (403, FORBIDDEN)
    assert (await large.post(ALL, {"title": "x"})).status == 200
    assert said(await other.get(ALL)) == (403, FORBIDDEN)
    assert said(await world.anonymous.get(ALL)) == (401, UNAUTHENTICATED)
    assert len((await small.get(ALL)).json()["tokens"]) == 1


async def test_refusals_name_the_field(world: World) -> None:
    client, headers = await signed_in(world, "admin")

    answers = [
        said(await client.post(ALL, body, headers=headers))
        for body in ({}, {"title": 5}, {"title": "  "}, {"title": "x" * 256})
    ]

    assert answers == [
        (400, invalid("'title' is a required property")),
        (400, invalid("5 is not of type 'string'")),
        (400, invalid("'title' cannot be empty")),
        (400, invalid("'title' is too long: 256 characters, at most 255 are allowed")),
    ]


async def test_the_database_and_the_audit_entries_know_no_token(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    code = (await client.post(ALL, {"title": "x"}, headers=headers)).json()["token"]

    async with world.store.read() as tx:
        rows = [
            repr(tuple(row))
            for table in (t.app_tokens, t.audit_entries)
            for row in await tx.rows(select(table))
        ]

    assert [row for row in rows if code["token_code"] in row] == []
    assert [row for row in rows if code["uuid"] in row] != []

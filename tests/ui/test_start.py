"""The start page, and the pages that links in messages lead to."""

import json
import re

import pytest
from sqlalchemy import insert, update

from dockbell.domain.events import EventScope, Subject, body_of
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import PASSWORD
from tests.asgi import Answer, Client
from tests.browsers import csrf_token, signed_in, with_password
from tests.world import PUBLIC_URL, World, open_world

HTML = {"accept": "text/html"}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def add_tag(world: World, repository: str, name: str) -> None:
    async with world.store.begin() as tx:
        found = await tx.first(
            t.repositories.select().where(t.repositories.c.name == repository)
        )
        assert found is not None
        await tx.run(
            insert(t.tags).values(
                repository_id=found.id,
                name=name,
                digest=f"sha256:{'0' * 64}",
                created_at=tx.now,
                updated_at=tx.now,
            )
        )


def title_of(answer: Answer) -> str:
    (title,) = re.findall(r"<h1>(.*?)</h1>", answer.body.decode(), re.DOTALL)
    return str(title)


async def test_the_start_page_says_what_this_is_and_its_links_lead_somewhere(
    world: World,
) -> None:
    page = await world.anonymous.get("/")

    text = page.body.decode()
    links = sorted(set(re.findall(r'href="(/[^"]*)"', text)))
    assert (page.status, title_of(page)) == (200, "dockbell on dockbell.test")
    assert "set-cookie" not in page.headers
    assert links == [
        "/",
        "/api/v1/discovery",
        "/api/v2/docs",
        "/livez",
        "/openapi.json",
        "/readyz",
        "/signin",
        "/static/dockbell.css",
    ]
    assert [(await world.anonymous.get(link)).status for link in links] == [200] * len(links)


async def test_pages_and_health_are_looked_at_without_their_bodies(world: World) -> None:
    paths = (
        "/",
        "/signin",
        "/livez",
        "/readyz",
        "/static/dockbell.css",
        "/openapi.json",
        "/nothing",
    )

    pairs = [
        (await world.anonymous.send("HEAD", path), await world.anonymous.get(path))
        for path in paths
    ]

    assert [head.status for head, _ in pairs] == [200] * 6 + [404]
    assert [head.status for head, _ in pairs] == [full.status for _, full in pairs]
    assert {head.body for head, _ in pairs} == {b""}
    assert [head.headers["content-type"] for head, _ in pairs] == [
        full.headers["content-type"] for _, full in pairs
    ]


async def test_the_start_page_names_who_is_signed_in_and_lets_them_out(world: World) -> None:
    client, headers = await signed_in(world, "boss")

    page = await client.get("/")

    text = page.body.decode()
    assert '<a href="/user/boss">boss</a>' in text
    assert f'value="{headers["x-csrf-token"]}"' in text
    assert "/signin" not in text


async def test_a_repository_shows_its_tags_to_who_may_see_it(world: World) -> None:
    await add_tag(world, "web", "v1")
    await add_tag(world, "web", "latest")
    reader, _ = await signed_in(world, "reader")
    stranger, _ = await signed_in(world, "fresh")

    shown = await reader.get("/repository/acme/web?tag=v1&tab=tags")
    hidden = await stranger.get("/repository/acme/web")
    unknown = await stranger.get("/repository/acme/none")
    nobody = await world.anonymous.get("/repository/acme/web?tag=v1&tab=tags")
    public = await world.anonymous.get("/repository/admin/open")

    text = shown.body.decode()
    assert (shown.status, title_of(shown)) == (200, "acme/web")
    assert re.findall(r'<th scope="row">(\w+)</th>', text) == ["latest", "v1"]
    assert re.findall(r'class="marked" aria-current="true"><th scope="row">(\w+)<', text) == [
        "v1"
    ]
    assert "docker pull dockbell.test/acme/web" in text
    # What one may not see looks like what is not there.
    assert (hidden.status, hidden.body) == (404, unknown.body)
    assert (nobody.status, title_of(nobody)) == (401, "Sign in")
    assert (
        'name="next" value="/repository/acme/web?tag=v1&amp;tab=tags"' in nobody.body.decode()
    )
    assert (public.status, title_of(public)) == (200, "admin/open")


async def test_a_nested_repository_and_the_link_of_a_build_lead_to_the_repository(
    world: World,
) -> None:
    reader, _ = await signed_in(world, "reader")

    pages = [
        await reader.get(path)
        for path in (
            "/repository/acme/team/app",
            "/repository/acme/web/build/5f0c0000-0000-4000-8000-000000000000",
            "/repository/acme/team/app/build/fake-build-id",
            "/repository/acme/web/",
        )
    ]

    assert [(page.status, title_of(page)) for page in pages] == [
        (200, "acme/team/app"),
        (200, "acme/web"),
        (200, "acme/team/app"),
        (200, "acme/web"),
    ]


async def test_the_links_of_every_payload_lead_to_a_page(world: World) -> None:
    admin, _ = await signed_in(world, "admin")
    found = {}

    for kind in world.faces.kinds.values():
        repository = None if kind.scope is EventScope.NAMESPACE else "web"
        for is_user in (False, True) if repository is None else (False,):
            subject = Subject("admin" if is_user else "acme", repository, is_user=is_user)
            details = kind.sample(subject, {})
            build_id = str(details["build_id"]) if "build_id" in details else None
            body = json.loads(body_of(subject, details, world.faces.links, build_id=build_id))
            page = await admin.get(body["homepage"].removeprefix(PUBLIC_URL))
            found[kind.name, is_user] = (page.status, title_of(page))

    assert len(found) == len(world.faces.kinds) + 2
    assert set(found.values()) == {(200, "acme/web"), (200, "acme"), (200, "admin")}


async def test_a_namespace_shows_the_repositories_that_the_caller_may_see(world: World) -> None:
    boss, _ = await signed_in(world, "boss")

    own = await boss.get("/organization/acme")
    nobody = await world.anonymous.get("/organization/acme")
    user = await world.anonymous.get("/user/admin")
    strange = [
        (await boss.get(path)).status
        for path in ("/organization/none", "/organization/admin", "/user/acme", "/user/%C3%A4")
    ]

    assert re.findall(r'<li><a href="(/repository/[^"]+)"', own.body.decode()) == [
        "/repository/acme/api",
        "/repository/acme/team/app",
        "/repository/acme/web",
    ]
    assert (nobody.status, "There are none that you may see." in nobody.body.decode()) == (
        200,
        True,
    )
    assert '<a href="/signin?next=/organization/acme">' in nobody.body.decode()
    assert re.findall(r'<li><a href="(/repository/[^"]+)"', user.body.decode()) == [
        "/repository/admin/open"
    ]
    assert strange == [404] * 4


async def test_what_people_wrote_is_escaped(world: World) -> None:
    async with world.store.begin() as tx:
        await tx.run(update(t.repositories).values(description="<script>alert(1)</script>"))
    reader, _ = await signed_in(world, "reader")

    pages = [
        await reader.get("/repository/acme/web"),
        await world.anonymous.get("/user/admin"),
        await world.anonymous.get("/repository/%3Cscript%3E/x?tag=%3Cscript%3E"),
        await world.anonymous.get("/signin?next=/%22%3E%3Cscript%3E"),
    ]

    assert [page.status for page in pages] == [200, 200, 401, 200]
    assert [
        page for page in pages if b"<script" in page.body.replace(b'<script src="/static/', b"")
    ] == []


async def test_strange_addresses_are_no_error_of_ours(world: World) -> None:
    boss, _ = await signed_in(world, "boss")
    paths = [
        "/repository/",
        "/repository/x",
        "/repository/acme/" + "x" * 3000,
        "/repository/acme/..%2F..%2Fetc",
        "/repository/%C3%A4/%F0%9F%92%A5",
        "/user/" + "x" * 3000,
        "/organization/%2e%2e",
    ]

    statuses = [(await boss.get(path)).status for path in paths]

    assert statuses == [404] * len(paths)


async def test_a_page_has_a_language_a_title_labels_and_a_way_past_the_head(
    world: World,
) -> None:
    await with_password(world, "boss")
    client: Client = world.anonymous.as_browser()
    await csrf_token(client)
    page = await client.get("/signin?next=/user/boss")

    text = page.body.decode()
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>Sign in · dockbell</title>" in text
    assert re.findall(r'<label for="(\w+)">', text) == ["username", "password"]
    assert re.findall(r'<input id="(\w+)"', text) == ["username", "password"]
    assert text.index('href="#content"') < text.index("<header>") < text.index('id="content"')
    assert 'autocomplete="current-password"' in text
    assert PASSWORD not in text
    assert 'name="next" value="/user/boss"' in text

"""Requests of people who mean harm: strangers, forgers, and senders of what no program would send."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.store import keys, tables
from dockbell.store.transactions import Store
from dockbell.web.edge import Edge, Receive, Scope
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.hub import (
    DOCKER_LIST,
    OCI_IMAGE,
    OCI_INDEX,
    ROBOT,
    Hub,
    basic,
    descriptor,
    digest_of,
    errors_of,
    image,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
    rows_of,
)
from tests.world import PUBLIC_URL, World, add_repository, open_world

HOOK = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "https://example.org/path-that-is-secret"},
    "eventConfig": {},
}
WEB = "/api/v1/repository/acme/web"
ACME = "/api/v1/organization/acme"
EVERYTHING = (
    "repo:read repo:write repo:admin repo:create user:read user:admin org:admin super:user"
)


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


async def everything_in(store: Store) -> str:
    """Every row of every table, as text."""
    async with store.read() as tx:
        found = [await tx.rows(select(table)) for table in tables.metadata.sorted_tables]
    return repr([[tuple(row) for row in rows] for rows in found])


async def hook_of(client: Client, repository: str = WEB) -> str:
    answer = await client.post(f"{repository}/notification", HOOK)
    assert answer.status == 201, answer.body
    uuid: str = answer.json()["uuid"]
    return uuid


async def test_a_stranger_with_every_scope_reaches_nothing_of_an_organization(
    world: World,
) -> None:
    boss = await world.client("boss", EVERYTHING)
    await boss.put(f"{ACME}/robots/ci")
    application = (await boss.post(f"{ACME}/applications", {"name": "app"})).json()["client_id"]
    uuid = await hook_of(boss)
    stranger = await world.client("fresh", EVERYTHING)
    before = await everything_in(world.store)
    calls: Sequence[tuple[str, str, object]] = [
        ("GET", f"{WEB}/notification", None),
        ("POST", f"{WEB}/notification", HOOK),
        ("GET", f"{WEB}/notification/{uuid}", None),
        ("POST", f"{WEB}/notification/{uuid}", None),
        ("POST", f"{WEB}/notification/{uuid}/test", None),
        ("POST", f"{WEB}/notification/{uuid}/reset", None),
        ("DELETE", f"{WEB}/notification/{uuid}", None),
        ("GET", WEB, None),
        ("PUT", WEB, {"description": "mine"}),
        ("POST", f"{WEB}/changevisibility", {"visibility": "public"}),
        ("DELETE", WEB, None),
        ("GET", f"{WEB}/permissions/user", None),
        ("PUT", f"{WEB}/permissions/user/fresh", {"role": "admin"}),
        ("DELETE", f"{WEB}/permissions/user/admin", None),
        ("GET", f"{WEB}/permissions/user/admin/transitive", None),
        ("GET", f"{WEB}/permissions/team", None),
        ("PUT", f"{WEB}/permissions/team/devs", {"role": "admin"}),
        ("PUT", ACME, {"email": "fresh@example.org"}),
        ("DELETE", ACME, None),
        ("GET", f"{ACME}/members", None),
        ("DELETE", f"{ACME}/members/writer", None),
        ("PUT", f"{ACME}/team/owners", {"role": "member"}),
        ("DELETE", f"{ACME}/team/devs", None),
        ("GET", f"{ACME}/team/devs/members", None),
        ("PUT", f"{ACME}/team/owners/members/fresh", None),
        ("DELETE", f"{ACME}/team/owners/members/boss", None),
        ("GET", f"{ACME}/robots", None),
        ("GET", f"{ACME}/robots/ci", None),
        ("PUT", f"{ACME}/robots/evil", None),
        ("POST", f"{ACME}/robots/ci/regenerate", None),
        ("DELETE", f"{ACME}/robots/ci", None),
        ("GET", f"{ACME}/applications", None),
        ("GET", f"{ACME}/applications/{application}", None),
        ("POST", f"{ACME}/applications/{application}/resetclientsecret", None),
        (
            "POST",
            f"{ACME}/applications/{application}/tokens",
            {"name": "x", "scope": "repo:read"},
        ),
        ("DELETE", f"{ACME}/applications/{application}", None),
        (
            "POST",
            "/api/v1/repository",
            {
                "namespace": "acme",
                "repository": "evil",
                "visibility": "public",
                "description": "",
            },
        ),
        ("GET", "/api/v1/superuser/users", None),
        ("POST", "/api/v1/superuser/users", {"username": "evil"}),
        ("PUT", "/api/v1/superuser/users/boss", {"password": "evil-evil"}),
        ("DELETE", "/api/v1/superuser/users/boss", None),
    ]

    found = {
        f"{verb} {path}": (
            (await stranger.send(verb, path, value)).status
            if value is not None
            else (await stranger.send(verb, path)).status
        )
        for verb, path, value in calls
    }

    assert found == dict.fromkeys(found, 403)
    assert await everything_in(world.store) == before


async def test_ids_of_another_namespace_are_unknown_in_ones_own(world: World) -> None:
    boss = await world.client("boss", EVERYTHING)
    application = (await boss.post(f"{ACME}/applications", {"name": "app"})).json()["client_id"]
    uuid = await hook_of(boss)
    async with world.store.begin() as tx:
        await add_repository(tx, "other", "own")
    stranger = await world.client("fresh", EVERYTHING)
    own, mine = "/api/v1/repository/other/own/notification", "/api/v1/organization/other"
    before = await everything_in(world.store)

    found = [
        (await stranger.get(f"{own}/{uuid}")).status,
        (await stranger.post(f"{own}/{uuid}")).status,
        (await stranger.post(f"{own}/{uuid}/test")).status,
        (await stranger.delete(f"{own}/{uuid}")).status,
        (await stranger.get(f"{mine}/applications/{application}")).status,
        (await stranger.post(f"{mine}/applications/{application}/resetclientsecret")).status,
        (await stranger.get(f"{mine}/applications/{application}/tokens")).status,
        (await stranger.delete(f"{mine}/applications/{application}")).status,
    ]

    assert found == [404, 400, 400, 400, 404, 404, 404, 404]
    assert await everything_in(world.store) == before


async def test_no_spelling_of_a_path_reaches_a_foreign_repository(world: World) -> None:
    uuid = await hook_of(await world.client("admin"))
    stranger = await world.client("fresh", EVERYTHING)
    spellings = [
        "acme/web", "ACME/web", "acme/WEB", "acme//web", "acme/./web", "other/../acme/web", "acme%2Fweb",
        "acme%252Fweb", "acme:web", "acme%3Aweb", "other:x/../../acme/web", "acme/web.", "acme/web%20", "acme%2e/web",
        "%61cme/web", "acme/web;x", "acme/web%2F", "acme/%ff", "acme/%ed%a0%80", "a" * 300 + "/x", "acme/" + "a" * 5000,
        "acme/" + "a/" * 500 + "x", ":", "::", "acme:", "acme/web:api", "acme/x/notification",
    ]  # fmt: skip

    answers = [
        await stranger.get(f"/api/v1/repository/{spelling}{rest}")
        for spelling in spellings
        for rest in ("", "/notification", f"/notification/{uuid}", "/permissions/user")
    ]

    assert {answer.status for answer in answers} <= {400, 403, 404, 405}
    assert all(set(answer.json()) >= {"detail"} for answer in answers if answer.status != 405)


BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "half": b"{",
    "two": b"{} {}",
    "not a number": b'{"name": NaN}',
    "infinite": b'{"name": 1e999}',
    "huge integer": b'{"name": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "half a character": b'{"name": "\\ud800"}',
    "raw half a character": b'{"name": "\xed\xa0\x80"}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"name":' * 5000 + b"1" + b"}" * 5000,
}


async def test_bodies_that_are_no_json_get_the_same_answer_everywhere(world: World) -> None:
    boss = await world.client("boss", EVERYTHING)
    before = await everything_in(world.store)
    addresses = [
        ("POST", "/api/v1/organization"),
        ("PUT", ACME),
        ("POST", "/api/v1/repository"),
        ("PUT", WEB),
        ("POST", f"{WEB}/changevisibility"),
        ("POST", f"{WEB}/notification"),
        ("PUT", f"{WEB}/permissions/user/reader"),
        ("PUT", f"{ACME}/team/devs"),
        ("POST", f"{ACME}/applications"),
    ]

    found = {
        (verb, path, name): answer.json() if answer.status == 400 else answer.status
        for verb, path in addresses
        for name, body in BODIES.items()
        for answer in [
            await boss.send(verb, path, body=body, headers={"content-type": "application/json"})
        ]
    }

    words = "The browser (or proxy) sent a request that this server could not understand."
    assert found == {key: {"message": words} for key in found}
    assert await everything_in(world.store) == before


async def test_numbers_beyond_any_column_are_the_callers_mistake(world: World) -> None:
    boss = await world.client("boss", EVERYTHING)
    huge = "9" * 25

    found = [
        (await boss.get(f"/api/v1/user/notifications?page={huge}&limit={huge}")).status,
        (await boss.get(f"/api/v1/user/notifications?page={'9' * 5000}")).status,
        (await boss.get("/api/v1/user/notifications?page=-1")).status,
        (await boss.get("/api/v1/user/notifications?page=%ff")).status,
        (await boss.get(f"{ACME}/robots?limit={huge}")).status,
        (await boss.get("/api/v1/repository?public=true&next_page=%ff")).status,
        (await boss.get(f"/api/v1/repository?public=true&next_page={'A' * 9000}")).status,
        (await boss.get("/api/v1/users/%00")).status,
        (await boss.get("/api/v1/entities/a?namespace=%00")).status,
    ]

    assert found == [200, 400, 400, 400, 200, 400, 400, 400, 400]


async def test_no_secret_stands_in_the_database(world: World) -> None:
    boss = await world.client("boss", EVERYTHING)
    hook = await boss.post(f"{WEB}/notification", HOOK)
    robot = (await boss.put(f"{ACME}/robots/ci")).json()["token"]
    application = (await boss.post(f"{ACME}/applications", {"name": "app"})).json()
    issued = await boss.post(
        f"{ACME}/applications/{application['client_id']}/tokens",
        {"name": "t", "scope": "repo:read"},
    )
    signing = hook.headers["dockbell-signing-secret"].removeprefix("whsec_")
    secrets = {
        "url": "path-that-is-secret",
        "signing": signing,
        "raw signing": repr(base64.b64decode(signing))[2:-1],
        "robot": robot,
        "client": application["client_secret"],
        "token": issued.json()["token"],
    }

    stored = await everything_in(world.store)

    assert [name for name, secret in secrets.items() if secret in stored] == []


async def test_only_one_of_many_creators_makes_the_repository(world: World) -> None:
    boss = await world.client("boss", EVERYTHING)
    new = {"namespace": "acme", "repository": "new", "visibility": "private", "description": ""}

    answers = await asyncio.gather(*(boss.post("/api/v1/repository", new) for _ in range(6)))

    assert sorted(answer.status for answer in answers) == [201, 400, 400, 400, 400, 400]
    assert {a.json()["detail"] for a in answers if a.status == 400} == {
        "Repository already exists"
    }


async def test_making_and_removing_at_once_ends_in_answers_for_callers(world: World) -> None:
    boss = await world.client("boss", EVERYTHING)
    uuid = await hook_of(boss)
    one = f"{WEB}/notification/{uuid}"

    answers = await asyncio.gather(
        boss.post(f"{one}/test"), boss.delete(one), boss.post(one), boss.delete(one), boss.delete(WEB),
        boss.post(f"{WEB}/notification", HOOK), boss.put(f"{WEB}/permissions/user/fresh", {"role": "read"}),
        boss.put(f"{ACME}/robots/ci"), boss.delete(f"{ACME}/robots/ci"), boss.put(f"{ACME}/robots/ci"),
    )  # fmt: skip

    assert {answer.status for answer in answers} <= {200, 201, 204, 400, 404}
    assert await rows_of(world.store, tables.notifications, "repository_id") == []


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//api/v1/app/%00", 400),
        ("/api/v1//app/%00", 400),
        ("/livez%00", 400),
        ("//api//v1/repository/acme/web/notification/", 200),
        ("/api/v1/repository/web/notification/", 404),
    ],
)
async def test_doubled_slashes_and_nul_do_not_go_round_the_edge(
    world: World, path: str, status: int
) -> None:
    admin = await world.client("admin")

    answer = await admin.get(path)

    assert answer.status == status


@pytest.mark.parametrize("place", ["{0}/%00", "{0}/a%00b?limit=1", "{0}/stats?repository=%00"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_nul_in_an_address_is_refused_in_the_words_of_its_api(
    world: World, verb: str, place: str
) -> None:
    words = "The address must not hold the character U+0000"

    v1 = await world.anonymous.send(verb, place.format("/api/v1"))
    v2 = await world.anonymous.send(verb, place.format("/api/v2"))

    assert (v1.status, v1.json()) == (
        400,
        {
            "detail": words,
            "error_message": words,
            "error_type": "invalid_request",
            "title": "invalid_request",
            "type": f"{PUBLIC_URL}/api/v1/error/invalid_request",
            "status": 400,
        },
    )
    assert (v2.status, v2.headers["content-type"], v2.json()) == (
        400,
        "application/problem+json",
        {
            "type": f"{PUBLIC_URL}/api/v1/error/invalid_request",
            "title": "Invalid request",
            "status": 400,
            "detail": words,
        },
    )


async def _takes_nothing(scope: Scope, receive: Receive) -> None:
    del scope, receive


async def test_nul_reaches_the_registry_and_is_refused_in_its_words(hub: Hub) -> None:
    robot = await hub.client()
    asked = hub.registry
    whole = Client(Edge(asked, asked, _takes_nothing), robot.token)  # no page is asked for
    paths = {
        "/v2/acme%00/web/tags/list": (400, "NAME_INVALID"),
        "/v2/acme/web/manifests/v%00": (404, "TAG_INVALID"),
        "/v2/acme/web/tags/list?last=%00": (400, "INVALID_REQUEST"),
        "/v2/%00": (404, "UNSUPPORTED"),
    }

    answers = {path: await whole.get(path) for path in paths}

    assert {
        path: (answer.status, errors_of(answer)[0][0]) for path, answer in answers.items()
    } == paths


async def test_odd_credentials_are_not_good_and_no_fault(hub: Hub) -> None:
    odd = ["\0", "a\0b", "acme+\0", "$oauthtoken", "\U0001f433", "a" * 5000]

    found = {
        (username[:9], password[:9], path): (
            await hub.anonymous.get(path, headers=basic(username, password))
        ).status
        for username in odd
        for password in odd[:2]
        for path in ("/v2/", "/v2/acme/web/tags/list", "/v2/auth?service=dockbell.test")
    }

    assert found == dict.fromkeys(found, 401)


async def test_forged_registry_tokens_are_refused(hub: Hub) -> None:
    genuine = await hub.ask_token("fresh", "repository:boss/open:pull")
    head, claims, signature = genuine.split(".")
    async with hub.store.read() as tx:
        (key,) = await keys.find_all(tx, "registry_token")
    known = decoded(head)
    wanted = encoded(
        {
            **decoded(claims),
            "sub": "boss",
            "access": [{"type": "repository", "name": "boss/open", "actions": ["*"]}],
        }
    )
    signed = encoded({**known, "alg": "HS256"}) + "." + wanted
    mac = hmac.new(key.public, signed.encode(), hashlib.sha256).digest()
    forged = {
        "edited": f"{head}.{wanted}.{signature}",
        "no algorithm": f"{encoded({**known, 'alg': 'none'})}.{wanted}.{signature}",
        "no signature": f"{encoded({**known, 'alg': 'none'})}.{wanted}.",
        "public key as a secret": f"{signed}.{encoded(mac)}",
        "list as algorithm": f"{encoded({**known, 'alg': ['RS256']})}.{claims}.{signature}",
        "other key": f"{encoded({**known, 'kid': 'key_other'})}.{claims}.{signature}",
        "list as key": f"{encoded({**known, 'kid': []})}.{claims}.{signature}",
        "key of their own": f"{encoded({**known, 'jwk': {'kty': 'oct'}})}.{wanted}.{signature}",
        "list as head": f"{encoded([1])}.{claims}.{signature}",
        "deep head": f"{encoded(b'[' * 5000)}.{claims}.{signature}",
        "four parts": f"{genuine}.x",
        "nothing": "..",
        "long": "A." * 10_000,
    }

    statuses = {
        name: (await Client(hub.registry, token).get("/v2/boss/open/tags/list")).status
        for name, token in forged.items()
    }
    with_genuine = await Client(hub.registry, genuine).get("/v2/boss/open/tags/list")

    assert statuses == dict.fromkeys(forged, 401)
    assert with_genuine.status == 200


async def test_content_of_a_foreign_repository_cannot_be_taken(hub: Hub) -> None:
    writer = await hub.client("writer")
    config, layer = b'{"os": "linux"}', b"theirs alone"
    for blob in (config, layer):
        await push_blob(writer, blob)
    theirs = image(config, layer)
    await push_manifest(writer, theirs, "v1")
    thief = Client(hub.registry)
    login = basic("fresh", "correct horse")
    index = json.dumps(
        {"schemaVersion": 2, "manifests": [descriptor(OCI_IMAGE, theirs)]}
    ).encode()
    await hub.ask_token("fresh", "repository:fresh/mine:pull,push")  # makes it

    mounts = [
        await thief.post(
            f"/v2/fresh/mine/blobs/uploads/?mount={digest_of(layer)}{source}", headers=login
        )
        for source in ("&from=acme/web", "", "&from=", "&from=ACME/web", "&from=../acme/web")
    ]
    pushes = [
        await thief.put(
            "/v2/fresh/mine/manifests/v1", body=body, headers={**login, "content-type": kind}
        )
        for body, kind in ((theirs, OCI_IMAGE), (index, OCI_INDEX), (index, DOCKER_LIST))
    ]
    reads = [
        await thief.get(f"/v2/fresh/mine/blobs/{digest_of(layer)}", headers=login),
        await thief.get(f"/v2/fresh/mine/manifests/{digest_of(theirs)}", headers=login),
    ]

    assert [answer.status for answer in mounts] == [
        202
    ] * 5  # an upload begins, nothing is mounted
    assert [answer.status for answer in pushes] == [400] * 3
    assert {code for answer in pushes for code, _ in errors_of(answer)} == {
        "MANIFEST_BLOB_UNKNOWN"
    }
    assert [answer.status for answer in reads] == [404, 404]


async def test_a_stranger_cannot_tell_a_private_repository_from_none(hub: Hub) -> None:
    await push_image(await hub.client(ROBOT), "v1")
    zero = digest_of(b"")
    logins: Sequence[dict[str, str]] = (
        {},
        basic("fresh", "correct horse"),
        {"authorization": f"Bearer {await hub.ask_token('fresh', 'repository:acme/web:pull')}"},
    )
    calls = [
        ("GET", "tags/list"),
        ("GET", "manifests/v1"),
        ("HEAD", f"blobs/{zero}"),
        ("GET", f"referrers/{zero}"),
        ("POST", "blobs/uploads/"),
        ("POST", f"blobs/uploads/?mount={zero}&from=acme/api"),
        ("PUT", "manifests/v1"),
        ("DELETE", "manifests/v1"),
    ]

    async def seen(repository: str) -> list[tuple[int, bytes]]:
        answers: list[Answer] = [
            await hub.anonymous.send(verb, f"/v2/{repository}/{rest}", headers=login)
            for login in logins
            for verb, rest in calls
        ]
        return [(answer.status, answer.body) for answer in answers]

    existing, missing = await seen("acme/web"), await seen("acme/nothing")

    assert existing == missing
    assert {status for status, _ in existing} <= {401, 403}


HOSTILE_MANIFESTS: Mapping[str, bytes] = {
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "huge version": b'{"schemaVersion": ' + b"2" * 5000 + b"}",
    "not a number": b'{"schemaVersion": NaN}',
    "true": b'{"schemaVersion": true}',
    "not UTF-8": b"\xff",
    "half a character as type": b'{"schemaVersion": 2, "mediaType": "\\ud800"}',
    "half a character as key": b'{"schemaVersion": 2, "annotations": {"\\ud800": ""}, "config": {}, "layers": []}',
    "path as digest": (
        b'{"schemaVersion": 2, "layers": [], "config": '
        b'{"mediaType": "a/b", "size": 1, "digest": "sha256:../../../../etc/passwd"}}'
    ),
    "negative size": (
        b'{"schemaVersion": 2, "layers": [], "config": {"mediaType": "a/b", "size": -1, "digest": "sha256:'
        + b"0" * 64
        + b'"}}'
    ),
}


async def test_hostile_manifests_are_refused_in_the_standards_words(hub: Hub) -> None:
    client = await hub.client(ROBOT)

    answers = {
        name: await push_manifest(client, body, "v1")
        for name, body in HOSTILE_MANIFESTS.items()
    }

    found = {name: (answer.status, errors_of(answer)[0][0]) for name, answer in answers.items()}
    invalid = dict.fromkeys(found, (400, "MANIFEST_INVALID"))
    assert found == {**invalid, "path as digest": (400, "DIGEST_INVALID")}
    assert await rows_of(hub.store, tables.manifests, "digest") == []
    assert await rows_of(hub.store, tables.events, "id") == []


async def test_one_upload_finished_many_times_at_once_is_one_whole_blob(hub: Hub) -> None:
    client = await hub.client(ROBOT)
    body = bytes(range(256)) * 4096
    begun = await client.post("/v2/acme/web/blobs/uploads/")
    address = begun.headers["location"]

    answers = await asyncio.gather(
        *(client.put(f"{address}?digest={digest_of(body)}", body=body) for _ in range(4)),
        client.send("PATCH", address, body=body),
        client.delete(address),
    )
    again = await push_blob(client, body)
    pulled = await client.get(f"/v2/acme/web/blobs/{again}")

    assert {answer.status for answer in answers} <= {201, 202, 204, 400, 404, 409}
    assert pulled.body == body
    stored = [path for path in (hub.folder / "blobs").rglob("*") if path.is_file()]
    assert [path.name for path in stored] == [hashlib.sha256(body).hexdigest()]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in stored] == [
        path.name for path in stored
    ]

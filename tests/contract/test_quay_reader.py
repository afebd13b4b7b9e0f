"""Reading another Quay: with patience for what passes, and none for what lasts."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dockbell.domain.errors import (
    DockbellError,
    SetupError,
    UnauthenticatedError,
    UnavailableError,
)
from dockbell.domain.inventories import HeldChoices, HeldMirror, HeldQuota, HeldRule
from dockbell.domain.repositories import Visibility
from dockbell.net.fetching import Fetcher
from dockbell.net.policy import EgressPolicy
from dockbell.net.quay import Listed, Quay, StrangeAnswerError, address_of
from dockbell.net.resolver import Resolver
from tests.receiver import Answer, Receiver

TOKEN = "x" * 40


class Slept(list[float]):
    """Stands for the time that passes; waits are written down."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
async def quay(there: Receiver, slept: Slept) -> AsyncIterator[Quay]:
    fetcher = Fetcher(EgressPolicy.of("loopback"), Resolver(), patience=0.5)
    yield Quay(fetcher, there.url("").rstrip("/"), TOKEN, rate=1e6, sleep=slept)
    await fetcher.close()


ME = json.dumps({"username": "boss", "organizations": []}).encode()


async def test_calls_carry_the_token_and_ask_for_json(there: Receiver, quay: Quay) -> None:
    there.answer(body=ME)

    assert await quay.myself() == ("boss", ())

    (asked,) = there.requests
    assert (asked.verb, asked.path) == ("GET", "/api/v1/user/")
    assert asked.header("Authorization") == f"Bearer {TOKEN}"
    assert asked.header("Accept") == "application/json"


@pytest.mark.parametrize(
    ("told", "held"),
    [
        ([], None),
        ([{"id": None, "limit_bytes": None, "default_config": True}], None),
        ([{"id": 1, "limit_bytes": 5, "limits": [], "default_config": True}], None),
        (
            [
                {
                    "id": 1,
                    "limit_bytes": 5,
                    "limits": [{"id": 2, "type": "Reject", "limit_percent": 90}],
                }
            ],
            HeldQuota(5, frozenset({("Reject", 90)})),
        ),
    ],
)
async def test_a_quota_is_the_namespaces_own(
    there: Receiver, quay: Quay, told: list[object], held: HeldQuota | None
) -> None:
    there.answer_by(lambda _: Answer(body=json.dumps(told).encode()))

    assert await quay.quota("acme", own="boss") == await quay.quota("boss", own="boss") == held

    assert [one.path for one in there.requests] == [
        "/api/v1/organization/acme/quota", "/api/v1/user/quota",
    ]  # fmt: skip


async def test_a_mirror_is_read_as_quay_and_an_older_one_tell_it(
    there: Receiver, quay: Quay
) -> None:
    told = {
        "is_enabled": True, "mirror_type": "PULL", "external_reference": "quay.io/redhat/quay",
        "external_registry_username": None, "external_registry_config": None,
        "sync_interval": 86400, "sync_start_date": "2026-03-15T01:02:03Z",
        "sync_expiration_date": None, "sync_retries_remaining": 3, "sync_status": "NEVER_RUN",
        "root_rule": {"rule_kind": "tag_glob_csv", "rule_value": ["3.3*"]},
        "robot_username": "acme+ci",
    }  # fmt: skip
    newer = {"skopeo_timeout_interval": 600, "architecture_filter": ["arm64"]}
    there.answer(body=json.dumps(told).encode(), times=1)
    there.answer(body=json.dumps({**told, **newer}).encode(), times=1)
    odd = {**told, "sync_start_date": "1-01-01T00:00:00Z"}
    there.answer(body=json.dumps(odd).encode(), times=1)
    there.answer(status=404)
    listed = Listed("acme", "team/web", Visibility.PUBLIC, "", "image", "MIRROR")

    older, filtered, unreadable, none = [await quay.mirror(listed) for _ in range(4)]

    assert older == HeldMirror(
        is_enabled=True, reference="quay.io/redhat/quay", username=None, registry_config={},
        globs=("3.3*",), interval_seconds=86400,
        start_at=datetime(2026, 3, 15, 1, 2, 3, tzinfo=UTC), robot="acme+ci", timeout_seconds=300,
    )  # fmt: skip
    assert filtered == replace(older, timeout_seconds=600, architectures=("arm64",))
    assert unreadable == replace(older, start_at=None)
    assert none is None
    assert there.requests[0].path == "/api/v1/repository/acme/team/web/mirror"


async def test_a_dockbell_tells_more_of_its_notifications(there: Receiver, quay: Quay) -> None:
    def page(cursor: str | None, **more: object) -> bytes:
        one = {"uuid": f"UUID-{cursor}", "events": ["repo_push", "tag_moved"], **more}
        return json.dumps({"items": [one], "next_cursor": cursor}).encode()

    tls = {"ca": "PEM", "client_certificate": "PEM", "client_key": "********"}
    there.answer(body=b'{"info": {"title": "dockbell"}}')
    is_dockbell = await quay.is_dockbell()
    there.answer(body=page("next", tls=tls, filter={"severity": "High"}), times=1)
    there.answer(body=page(None, rate_limit={"per_second": 2.0}, in_order=True, tls=None))
    told = await quay.choices("acme")

    assert is_dockbell
    assert told == {
        "uuid-next": HeldChoices(
            ("tag_moved",), {"severity": "High"}, ca="PEM", has_client_certificate=True
        ),
        "uuid-none": HeldChoices(("tag_moved",), rate_limit=2.0, in_order=True),
    }
    assert [one.path for one in there.requests[1:]] == [
        "/api/v2/notifications?namespace=acme&limit=200",
        "/api/v2/notifications?namespace=acme&limit=200&cursor=next",
    ]


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b'{"info": {"title": "Quay Frontend"}}'), (404, b"no"), (200, b"<html>")],
)
async def test_a_quay_is_no_dockbell(
    there: Receiver, quay: Quay, status: int, body: bytes
) -> None:
    there.answer(status=status, body=body)

    assert not await quay.is_dockbell()


async def test_rules_of_immutable_tags_are_read(there: Receiver, quay: Quay) -> None:
    policies = [
        {"uuid": "1", "tagPattern": "v.*", "tagPatternMatches": False},
        {"uuid": "2", "tagPattern": "x"},
    ]
    there.answer(body=json.dumps({"policies": policies}).encode())

    of_all = await quay.immutable_tags("acme")
    listed = Listed("acme", "a/b", Visibility.PRIVATE, "", "image", "NORMAL")

    assert of_all == await quay.immutable_tags(listed)
    assert of_all == {HeldRule("v.*", matches=False), HeldRule("x", matches=True)}
    assert [one.path for one in there.requests] == [
        "/api/v1/organization/acme/immutabilitypolicy/",
        "/api/v1/repository/acme/a/b/immutabilitypolicy/",
    ]


async def test_what_passes_is_asked_again(there: Receiver, quay: Quay, slept: Slept) -> None:
    there.answer(status=429, headers=[("Retry-After", "7")], times=1)
    there.answer(status=503, times=1)
    there.answer(drop="reset", times=1)
    there.answer(body=ME, cut=60, drop="close", times=1)
    there.answer(body=ME)
    said: list[str] = []
    quay.say = said.append

    assert await quay.myself() == ("boss", ())

    assert said[0] == f"{quay.address} answers 429; trying again in 7 s …"
    assert len(said) == 3
    # The connection that was reset had been kept: it is replaced at once.
    assert [one for one in slept if one > 0.1] == [7.0, 2.0, 4.0]
    assert len(there.requests) == 5


async def test_patience_has_an_end(there: Receiver, quay: Quay) -> None:
    there.answer_by(lambda _: Answer(502))

    with pytest.raises(UnavailableError, match="answered 502, also when it was asked 6 times"):
        await quay.myself()

    assert len(there.requests) == 6


async def test_a_silent_server_is_given_up(there: Receiver, quay: Quay) -> None:
    there.answer_by(lambda _: Answer(drop="stall"))

    with pytest.raises(UnavailableError, match="did not answer within"):
        await quay.myself()


async def test_what_lasts_is_asked_once(there: Receiver, quay: Quay) -> None:
    there.answer_by(lambda _: Answer(401))

    with pytest.raises(UnauthenticatedError):
        await quay.myself()

    assert len(there.requests) == 1


async def test_calls_are_spread(there: Receiver, quay: Quay, slept: Slept) -> None:
    there.answer_by(lambda _: Answer(body=ME))
    quay.rate = 2.0

    for _ in range(3):
        await quay.myself()

    assert [round(one, 1) for one in slept if one > 0.1] == [0.5, 1.0]


async def test_a_list_that_never_ends_is_left(there: Receiver, quay: Quay) -> None:
    page = json.dumps({"repositories": [], "next_page": "again"}).encode()
    there.answer_by(lambda _: Answer(body=page))

    with pytest.raises(StrangeAnswerError, match="does not end"):
        _ = [one async for one in quay.repositories("acme")]

    assert len(there.requests) == 2


async def test_a_redirect_takes_no_token_elsewhere(there: Receiver, quay: Quay) -> None:
    async with Receiver() as other:
        there.answer(status=308, headers=[("Location", other.url("/api/v1/user/"))])
        other.answer(body=ME)

        assert await quay.myself() == ("boss", ())

        (asked,) = other.requests
        assert asked.header("Authorization") is None


async def test_a_redirect_is_guarded_like_a_target(there: Receiver, slept: Slept) -> None:
    fetcher = Fetcher(EgressPolicy.of("127.0.0.1"), Resolver())
    quay = Quay(fetcher, there.url("").rstrip("/"), TOKEN, rate=1e6, sleep=slept)
    there.answer(status=302, headers=[("Location", "http://169.254.169.254/latest/")])

    with pytest.raises(UnavailableError, match=r"169\.254\.169\.254 is"):
        await quay.myself()

    await fetcher.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"username": 5}', b'{"username": "x"', b"\xff", b'{"a":' * 5000],
)
async def test_what_is_no_answer_is_said(there: Receiver, quay: Quay, body: bytes) -> None:
    there.answer(body=body)

    with pytest.raises(StrangeAnswerError, match=r"/api/v1/user/ answered"):
        await quay.myself()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://quay.example.org", "https://quay.example.org"),
        ("https://quay.example.org/", "https://quay.example.org"),
        ("http://127.0.0.1:8080/api/v1/", "http://127.0.0.1:8080"),
        ("https://example.org/quay/", "https://example.org/quay"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, address: str) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text",
    ["quay.example.org", "ftp://x.test", "https://u:p@x.test", "https://x.test/?a=1", ""],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises((SetupError, DockbellError), match="--url"):
        address_of(text)

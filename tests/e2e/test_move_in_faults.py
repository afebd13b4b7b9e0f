"""What goes wrong on the other side of `dockbell import quay`: nothing is half written, and the words help."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import held_in, prepare, run
from tests.receiver import Answer, Received, Receiver


@pytest.fixture
async def quay() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def _json(body: Any, status: int = 200) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(body).encode())


def _answers(received: Received) -> Answer:
    """A Quay with one organization of one repository."""
    path = received.path.partition("?")[0].removeprefix("/api/v1/")
    known: dict[str, Any] = {
        "user/": {"username": "boss", "organizations": [{"name": "acme"}]},
        "organization/acme": {"name": "acme", "teams": {}},
        "organization/acme/robots": {"robots": []},
        "user/robots": {"robots": []},
        "repository": {
            "repositories": [{"namespace": "acme", "name": "web", "is_public": True}]
            if "acme" in received.path
            else []
        },
        "repository/acme/web/permissions/user/": {"permissions": {}},
        "repository/acme/web/permissions/team/": {"permissions": {}},
        "repository/acme/web/notification/": {"notifications": []},
    }
    return _json(known[path]) if path in known else _json({"message": "no"}, 404)


_TO_ITSELF = {
    "uuid": "240662ea-597b-499d-98bb-2b57e73408d6",
    "title": None,
    "event": "repo_push",
    "event_config": {},
    "method": "webhook",
    "config": {"url": "http://127.0.0.1:9/hook"},
    "number_of_failures": 0,
}


async def fail(folder: Path, url: str, *words: str) -> tuple[int, str]:
    """The exit code, and what was said; nothing may have been written."""
    await prepare(folder)
    code, shown, said = await asyncio.to_thread(
        run, folder, "import", "quay", "--apply", "--url", url, *words,
        DOCKBELL_IMPORT_TOKEN="token-of-another-place",
    )  # fmt: skip
    assert shown == ""
    assert "Traceback" not in said
    assert "token-of-another-place" not in said
    return code, said


async def _is_empty(folder: Path) -> bool:
    return await held_in(folder) == {
        "format": 1,
        "users": [],
        "namespaces": [],
        "repositories": [],
    }


async def test_what_is_not_told_or_not_there_is_said_and_the_rest_moves(
    quay: Receiver, tmp_path: Path
) -> None:
    def answers(received: Received) -> Answer:
        path = received.path.partition("?")[0]
        if path.endswith(("/mirror", "/organization/acme/notifications")):
            return _json({"message": "no"}, 403)
        if path.endswith("/repository/acme/web/notification/"):
            return _json({"notifications": [_TO_ITSELF]})
        return _answers(received)

    quay.answer_by(answers)
    await prepare(tmp_path)

    code, shown, said = await asyncio.to_thread(
        run, tmp_path, "import", "quay", "--apply", "--url", quay.url(""),
        DOCKBELL_IMPORT_TOKEN="token-of-another-place",
    )  # fmt: skip

    assert code == 0, said
    report = json.loads(shown)
    assert [one["name"] for one in report["changes"]] == ["acme", "acme/web"]
    refused, lacking = "is not for this token (403)", "That Quay has none, of any namespace"
    inside = "DOCKBELL_EGRESS_ALLOW"
    assert [
        (
            one["what"],
            one["name"],
            *(word for word in (refused, lacking, inside) if word in one["reason"]),
        )
        for one in report["remarks"]
    ] == [
        ("default permission", "acme", lacking),
        ("quota", "acme", lacking),
        ("notification", "acme", refused),
        ("mirror", "acme/web", refused),
        ("notification", f"acme/web {_TO_ITSELF['uuid']} (repo_push, webhook)", inside),
        ("notification", "boss", lacking),
    ]
    assert "Nobody here is a superuser" in said


async def test_a_wrong_token_is_said(quay: Receiver, tmp_path: Path) -> None:
    quay.answer_by(lambda _: _json({"error_type": "invalid_token"}, 401))

    code, said = await fail(tmp_path, quay.url())

    assert (code, said) == (
        4,
        f"dockbell: {quay.url()}api/v1/user/ does not accept the token (401).\n",
    )
    assert await _is_empty(tmp_path)


async def test_an_unreachable_quay_is_said(tmp_path: Path) -> None:
    async with Receiver() as gone:
        url = gone.url("")

    code, said = await fail(tmp_path, f"{url}", "--rate", "1000")

    assert code == 5
    assert "refused the connection" in said


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Answer(body=b'{"notifications": [{"uuid": "240662'), "no JSON, or a part of it"),
        (_json({"notifications": [{"uuid": 5}]}), "Expected `str`, got `int`"),
        (_json({}), "missing required field `notifications`"),
        (Answer(body=b"[" * 100_000), "answered"),
        (Answer(418, body=b"<html>oops"), "answered 418. Is there a Quay?"),
    ],
)
async def test_a_half_answer_writes_nothing_of_its_repository(
    quay: Receiver, tmp_path: Path, broken: Answer, words: str
) -> None:
    quay.answer_by(
        lambda received: broken if "/notification/" in received.path else _answers(received)
    )

    code, said = await fail(tmp_path, quay.url("").rstrip("/"))

    assert code == 1
    assert words in said
    assert (await held_in(tmp_path))["repositories"] == []
    assert re.search(r"1 things have moved in before this\. Run it again to go on\.", said)


async def test_a_huge_answer_is_not_read_to_its_end(quay: Receiver, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 65536

    quay.answer_by(lambda _: Answer(body=endless))

    code, said = await fail(tmp_path, quay.url(""))

    assert code == 5
    assert "has more than 16777216 bytes" in said
    assert await _is_empty(tmp_path)

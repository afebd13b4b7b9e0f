"""Mistakes of our own: whatever goes wrong, even on the way to the answer, the client gets the standard's words."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dockbell.domain.errors import InvalidRequestError
from dockbell.registry import app, errors
from dockbell.registry.requests import Part, Reply
from dockbell.registry.routes import Resource
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import Hub, errors_of, open_hub, push_blob

MISTAKE = [("UNKNOWN", "The server made a mistake. It is in its log.")]


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


class BrokenLog:
    """A log whose disk is full, or whose terminal is gone."""

    def __getattr__(self, level: str) -> Callable[..., None]:
        def write(event: str, **more: object) -> None:
            raise OSError(f"{level} {event} {more}")

        return write


def broken_answer(error: Exception, challenge: str) -> Reply:
    raise RuntimeError(challenge) from error


async def broken_tags(*arguments: object) -> Reply:
    raise RuntimeError(arguments)


async def half_a_character(*arguments: object) -> Reply:
    raise InvalidRequestError("half a character: \ud800")


async def odd_header(*arguments: object) -> Reply:
    return Reply(200, {"link": "→"})


def replace_tags(monkeypatch: pytest.MonkeyPatch, handler: Any) -> None:
    handlers: Mapping[Any, Any] = {**app._HANDLERS, Resource.TAGS: {"GET": handler}}
    monkeypatch.setattr(app, "_HANDLERS", handlers)


@pytest.mark.parametrize("handler", [broken_tags, half_a_character, odd_header])
@pytest.mark.parametrize("is_log_broken", [False, True])
async def test_a_mistake_on_the_way_to_an_answer_is_a_500_in_json(
    client: Client, monkeypatch: pytest.MonkeyPatch, handler: Any, *, is_log_broken: bool
) -> None:
    replace_tags(monkeypatch, handler)
    if is_log_broken:
        monkeypatch.setattr(app, "_log", BrokenLog())

    with capture_logs() as lines:
        answer = await client.get("/v2/acme/web/tags/list")

    assert (answer.status, errors_of(answer)) == (500, MISTAKE)
    assert answer.headers == {
        "content-type": "application/json",
        "content-length": str(len(answer.body)),
        "docker-distribution-api-version": "registry/2.0",
    }
    assert [line["event"] for line in lines] == ["registry_bug"][is_log_broken:]


async def test_a_mistake_in_the_answer_to_a_mistake_is_a_500_in_json(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_tags(monkeypatch, broken_tags)
    monkeypatch.setattr(errors, "reply_of", broken_answer)

    with capture_logs() as lines:
        answer = await client.get("/v2/acme/web/tags/list")

    assert (answer.status, errors_of(answer)) == (500, MISTAKE)
    assert [(line["event"], line["path"]) for line in lines] == [
        ("registry_bug", "/v2/acme/web/tags/list")
    ]


def open_blobs(hub: Hub) -> list[Path]:
    """The blob files that this process holds open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the list's own descriptor
            found.append(entry.readlink())
    return [path for path in found if path.is_relative_to(hub.folder / "blobs")]


async def test_a_mistake_in_the_headers_of_a_download_closes_its_file(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await push_blob(client, b"content")
    real, seen = Reply.raw_headers, []

    def broken(reply: Reply) -> list[tuple[bytes, bytes]]:
        if not isinstance(reply.body, Part):
            return real(reply)
        seen.append(open_blobs(hub))
        raise RuntimeError

    monkeypatch.setattr(Reply, "raw_headers", broken)

    with capture_logs():
        answer = await client.get(f"/v2/acme/web/blobs/{digest}")

    assert (answer.status, errors_of(answer)) == (500, MISTAKE)
    assert [len(files) for files in (*seen, open_blobs(hub))] == [1, 0]

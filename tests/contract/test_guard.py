"""The guard of the way out, by every method: all that is internal, however it is written, and no connection to it.

The socket is replaced by one that takes notes, so that nothing is ever sent. docs/reliability.md says how to run this
on another Python.
"""

import asyncio
import socket
from collections.abc import Callable

import pytest

from dockbell import methods
from dockbell.domain.methods import Config, Message, Method, Reply, UnreachableError
from dockbell.domain.outcomes import Code, Outcome
from dockbell.domain.posts import Post, Posting
from dockbell.engine.outlet import Outlet
from dockbell.methods.flowdock import Flowdock
from dockbell.methods.hipchat import HipChat
from dockbell.net.connections import Peer
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from tests import hostile
from tests.factories import KINDS, message_of, sample_of

_REFUSED = {Code.BLOCKED_ADDRESS, Code.BLOCKED_PORT, Code.CONFIG_INVALID}
_CATALOG = methods.catalog()

# How each method that goes over HTTP is led to a target: by its config, or by the operator's setting.
_LED: dict[str, Callable[[str], tuple[Method, Config]]] = {
    "webhook": lambda url: (_CATALOG["webhook"], {"url": url}),
    "slack": lambda url: (_CATALOG["slack"], {"url": url}),
    "flowdock": lambda url: (Flowdock(url, "bell@dockbell.test"), {"flow_api_token": "t"}),
    "hipchat": lambda url: (HipChat(url), {"notification_token": "t", "room_id": "1"}),
}
_NOT_OVER_HTTP = {"email", "quay_notification"}  # the operator's mail server, our own tables


def test_every_method_is_here_or_makes_no_request_of_its_own() -> None:
    assert set(_LED) | _NOT_OVER_HTTP == set(_CATALOG)


async def _begin(sender: Sender, method: Method, message: Message, config: Config) -> Outcome:
    """A try as the engine makes it, without a task."""
    assert isinstance(method, Posting)
    post = method.post(message, config)
    assert isinstance(post, Post)
    answer: asyncio.Future[Reply | Exception] = asyncio.get_running_loop().create_future()
    try:
        sender.begin(post, answer.set_result)
        said = await answer
    except UnreachableError as error:
        said = error
    assert isinstance(said, Reply | UnreachableError)
    return method.judge(message, said)


async def _send_to(name: str, targets: list[str], way: str) -> tuple[list[Code], list[Peer]]:
    """What each try came to, and where the sender wanted to connect to."""
    peers: list[Peer] = []

    def note(family: int, kind: int, protocol: int, peer: Peer) -> socket.socket | None:
        del family, kind, protocol
        peers.append(peer)
        return None

    resolver = Resolver(lookup=hostile.look_up)
    sender = Sender(EgressPolicy.of(""), resolver, timeout=5, open_socket=note)
    sender.start()
    message = message_of(sample_of(KINDS["repo_push"]))
    codes = []
    for target in targets:
        method, config = _LED[name](target)
        if way == "waiting":
            outcome = await method.send(message, config, Outlet(None, sender))  # type: ignore[arg-type] -- no method over HTTP asks the store
        else:
            outcome = await _begin(sender, method, message, config)
        codes.append(outcome.code)
    await sender.close()
    await resolver.close()
    return codes, peers


@pytest.mark.parametrize("way", ["waiting", "without a task"])
@pytest.mark.parametrize("name", sorted(_LED))
async def test_no_method_connects_to_anything_internal(name: str, way: str) -> None:
    targets = hostile.targets()

    codes, peers = await _send_to(name, targets, way)

    reached = [
        target for target, code in zip(targets, codes, strict=True) if code not in _REFUSED
    ]
    assert (len(targets), reached, peers) == (168, [], [])


@pytest.mark.parametrize("way", ["waiting", "without a task"])
@pytest.mark.parametrize("name", sorted(_LED))
async def test_every_method_would_connect_to_what_is_public(name: str, way: str) -> None:
    targets = ["http://8.8.8.8", "https://[2606:4700::1111]:8443"]

    codes, peers = await _send_to(name, targets, way)

    assert codes == [Code.CONNECT_FAILED] * 2
    assert peers == [("8.8.8.8", 80), ("2606:4700::1111", 8443)]

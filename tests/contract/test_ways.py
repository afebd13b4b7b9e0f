"""Requests that share a way: what they send and come to is what it is for requests by themselves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest

from dockbell.domain.methods import Headers, Reply, UnreachableError
from dockbell.domain.outcomes import Exchange, FilledPairs
from dockbell.domain.posts import HeaderForm
from dockbell.domain.tls import Tls
from dockbell.net.answers import KEPT_BODY
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.net.ways import Trip
from tests.contract.test_outbound import (  # noqa: F401 -- made here once more, with this file's sender
    opened,
    receiver,
    test_a_204_with_a_body_and_a_200_without_length_are_answers,
    test_a_body_dripped_for_ever_ends_at_the_deadline_and_the_status_wins,
    test_a_broken_connection_is_told_at_each_point,
    test_a_connection_is_kept_and_used_again,
    test_a_large_body_arrives_whole,
    test_a_redirect_is_an_answer_and_not_followed,
    test_a_request_is_made_once_more_at_most_when_kept_connections_fail,
    test_an_answer_that_is_no_http_has_its_code,
    test_an_idle_connection_that_was_closed_is_replaced,
    test_an_old_connection_is_replaced,
    test_any_status_is_an_answer,
    test_interim_answers_are_not_the_answer,
    test_stray_bytes_after_an_answer_are_not_the_next_one,
    test_stray_bytes_that_come_late_are_not_the_next_answer,
    test_what_is_secret_in_the_url_is_masked_where_the_target_says_it,
)
from tests.receiver import Answer, Receiver

BODY = b'{"repository": "ns/app"}'
SECRET = "v1,bm90IGEgc2lnbmF0dXJlLCBidXQgYXMgbG9uZyBhcyBvbmU="
FORM = HeaderForm([("X-Same", "100%"), ("webhook-id", None), ("webhook-signature", None)])
VALUES = ("msg_1", SECRET)


class OnWays(Sender):
    """Each request goes a way of its own, on a connection that was kept where there is one."""

    async def post(
        self, url: str, body: bytes, headers: Headers = (), *, tls: Tls | None = None
    ) -> Reply:
        form = HeaderForm([(name, None) for name, _ in headers])
        waiter: asyncio.Future[Reply | Exception] = asyncio.get_running_loop().create_future()
        way = self.way(url, form, tls)
        way.begin(tuple(value for _, value in headers), body, waiter.set_result)
        answer = await waiter
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    resolver = Resolver(lookup=lambda _: ["127.0.0.1"])
    made = OnWays(EgressPolicy.of("loopback"), resolver, timeout=5.0, connect_timeout=2.0)
    made.start()
    yield made
    await made.close()
    await resolver.close()


async def sent(
    sender: Sender, url: str, values: tuple[str, ...] = VALUES, body: bytes = BODY
) -> tuple[Reply | Exception, bool]:
    """What came of one request on a way, and whether it was a trip."""
    waiter: asyncio.Future[Reply | Exception] = asyncio.get_running_loop().create_future()
    one = sender.way(url, FORM).begin(values, body, waiter.set_result)
    return await waiter, isinstance(one, Trip)


def shown(exchange: Exchange) -> Exchange:
    """The same with headers spelled out, and the names of its phases for their times."""
    pairs = exchange.request_headers
    if isinstance(pairs, FilledPairs):
        pairs = tuple(map(tuple, msgspec.json.decode(pairs.form % pairs.values)))
    return replace(exchange, request_headers=pairs, phases=dict.fromkeys(exchange.phases, 0.0))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(204),
        Answer(200, body=b'{"ok": true}'),
        Answer(500, headers=[("Retry-After", "7")], body=b"busy"),
        Answer(200, body=b"x" * (KEPT_BODY + 1)),
        Answer(200, headers=[("X-Said", SECRET)]),
        Answer(200, body=f"you sent {SECRET}, and key=0123456789".encode()),
        Answer(302, headers=[("Location", "/hook?key=0123456789")]),
        Answer(200, headers=[("Connection", "close")]),
        Answer(
            200,
            raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
    ],
)
async def test_a_trip_comes_to_what_a_request_by_itself_does(
    receiver: Receiver,  # noqa: F811 -- a fixture
    answer: Answer,
) -> None:
    receiver.answer_by(lambda _: answer)
    url = receiver.url("/hook?key=0123456789")
    spelled = [("X-Same", "100%"), ("webhook-id", "msg_1"), ("webhook-signature", SECRET)]
    async with opened() as one, opened() as other:
        receiver.answer(status=204, times=1)
        await one.post(url, BODY)
        by_itself = await one.post(url, BODY, spelled)
        receiver.answer(status=204, times=1)
        await other.post(url, BODY)
        reply, is_trip = await sent(other, url)
        assert is_trip
        assert isinstance(reply, Reply)
        assert shown(reply.exchange) == shown(by_itself.exchange)
        assert reply.retry_after == by_itself.retry_after
        assert SECRET not in str(shown(reply.exchange))
        assert "0123456789" not in str(shown(reply.exchange))
        # What comes after it is as well off as after the other.
        assert (await sent(other, url))[0] is not None
        await one.post(url, BODY)
    on_wire = [
        (request.verb, request.path, request.headers, request.body)
        for request in receiver.requests
    ]
    assert on_wire[1] == on_wire[3]
    by_connection = [request.connection for request in receiver.requests]
    assert (by_connection[5] == by_connection[1]) is (by_connection[4] == by_connection[3])


async def test_a_value_that_is_not_plain_is_refused_and_sends_nothing(
    receiver: Receiver,  # noqa: F811
    sender: Sender,
) -> None:
    await sender.post(receiver.url(), BODY)
    for value in ("a\r\nX-More: 1", "ü", "\0"):
        with pytest.raises(UnreachableError, match="value of the header webhook-id"):
            sender.way(receiver.url(), FORM).begin((value, SECRET), BODY, pytest.fail)
    assert len(receiver.requests) == 1
    reply, is_trip = await sent(sender, receiver.url(), ('say "so"', SECRET))
    assert isinstance(reply, Reply)
    assert not is_trip
    assert receiver.requests[-1].header("webhook-id") == 'say "so"'


async def test_a_cancelled_trip_gives_its_turn_back_and_leaves_the_rest_alone(
    receiver: Receiver,  # noqa: F811
) -> None:
    async with opened(max_inflight=1) as sender:
        await sender.post(receiver.url(), BODY)
        gate = asyncio.Event()
        receiver.answer(wait=gate, times=1)
        one = sender.way(receiver.url(), FORM).begin(VALUES, BODY, pytest.fail)
        assert isinstance(one, Trip)
        one.cancel()
        one.cancel()
        gate.set()
        assert (await sender.post(receiver.url(), BODY)).status == 200


async def test_a_trip_that_gets_no_answer_ends_at_the_deadline(
    receiver: Receiver,  # noqa: F811
) -> None:
    async with opened(timeout=0.3) as sender:
        await sender.post(receiver.url(), BODY)
        receiver.answer(drop="stall", times=1)
        reply, is_trip = await sent(sender, receiver.url())
        assert is_trip
        assert isinstance(reply, UnreachableError)
        assert reply.code.value == "first_byte_timeout"
        assert (await sender.post(receiver.url(), BODY)).status == 200


async def test_closing_waits_for_trips(receiver: Receiver) -> None:  # noqa: F811
    async with opened() as sender:
        await sender.post(receiver.url(), BODY)
        receiver.answer(wait=0.1, times=1)
        trip = asyncio.create_task(sent(sender, receiver.url()))
        await asyncio.sleep(0)
        await sender.close()
        reply, is_trip = await trip
        assert is_trip
        assert isinstance(reply, Reply)

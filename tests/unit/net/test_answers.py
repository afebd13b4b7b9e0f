"""Answers are read the same way in whatever pieces they come, and nothing odd gets through."""

import pytest

from dockbell.net.answers import (
    KEPT_BODY,
    LONGEST_HEAD,
    MOST_LINES,
    Answer,
    MalformedError,
    OverLimitError,
    SwitchingError,
    whole_answer,
)


def read(data: bytes) -> tuple[Answer, bool]:
    answer = Answer()
    return answer, answer.feed(data)


def read_bytewise(data: bytes) -> tuple[Answer, bool]:
    """The same, a byte at a time, up to the one that completes it."""
    answer = Answer()
    return answer, any(answer.feed(data[at : at + 1]) for at in range(len(data)))


@pytest.mark.parametrize(
    ("data", "status", "body", "lasts"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 204\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", 200, b"hi", True),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            200,
            b"hi",
            True,
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: Upgrade, CLOSE\r\nContent-Length: 0\r\n\r\n",
            200,
            b"",
            False,
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", False),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            200,
            b"",
            True,
        ),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
            200,
            b"hi0123456789",
            True,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\nhi\n0\n\n",
            200,
            b"hi",
            True,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            200,
            b"",
            False,
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: 1\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n",
            201,
            b"",
            True,
        ),
    ],
)
def test_an_answer_is_read_whole_and_in_pieces(
    data: bytes, status: int, body: bytes, *, lasts: bool
) -> None:
    whole, is_whole = read(data)
    pieces, are_all = read_bytewise(data)

    assert (is_whole, whole.status, whole.body, whole.lasts) == (True, status, body, lasts)
    assert (are_all, pieces.status, pieces.body, pieces.lasts) == (True, status, body, lasts)
    assert whole.pairs == pieces.pairs
    short = whole_answer(data)
    assert short is None or (
        (short.status, short.body, short.lasts) == (status, body, lasts)
        and short.pairs == whole.pairs
    )


@pytest.mark.parametrize("body", [b"ok", b'{"ok": true}\n'])
def test_a_short_answer_with_its_body_is_known_at_once(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    answer = whole_answer(head + body)

    assert answer is not None
    assert (answer.status, answer.body, answer.lasts, answer.is_cut) == (200, body, True, False)
    assert (whole_answer(head + body[:-1]), whole_answer(head + body + b"x")) == (None, None)


def test_an_answer_without_a_body_is_known_when_it_comes_again() -> None:
    data = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"

    assert whole_answer(data) is whole_answer(bytes(bytearray(data)))
    for more in (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        data + b"x",
        data[:-1],
        b"HTTP/1.1 200 OK\r\n\r\n",
    ):
        assert whole_answer(more) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhello",
    ],
)
def test_a_body_without_an_end_of_its_own_ends_with_the_connection(data: bytes) -> None:
    answer, is_complete = read(data)

    assert (is_complete, answer.end(), answer.body, answer.lasts) == (
        False,
        True,
        b"hello",
        False,
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTT",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_the_end_of_the_connection_completes_nothing_else(data: bytes) -> None:
    answer, is_complete = read(data)

    assert (is_complete, answer.end()) == (False, False)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: first\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n \0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 2000,
    ],
)
def test_what_is_no_answer_is_refused_whole_and_in_pieces(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(data)
    with pytest.raises(MalformedError):
        read_bytewise(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * MOST_LINES,
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * MOST_LINES + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * LONGEST_HEAD + b"\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n" * MOST_LINES,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"X: 1\r\n" * MOST_LINES,
    ],
)
def test_a_head_is_read_up_to_its_limits(data: bytes) -> None:
    with pytest.raises(OverLimitError):
        read(data)
    with pytest.raises(OverLimitError):
        read_bytewise(data)


def test_a_change_of_protocol_is_refused() -> None:
    with pytest.raises(SwitchingError):
        read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1869F\r\n",
    ],
)
def test_a_body_is_kept_up_to_its_limit(start: bytes) -> None:
    answer, is_complete = read(start + b"x" * (KEPT_BODY + 1))

    assert (is_complete, answer.is_cut, answer.lasts) == (True, True, False)
    assert answer.body == b"x" * KEPT_BODY


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 204 No\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nhello",
    ],
)
def test_a_connection_with_more_than_the_answer_is_not_used_again(data: bytes) -> None:
    answer, is_complete = read(data)

    assert (is_complete, answer.lasts) == (True, False)


def test_headers_are_read_without_trust() -> None:
    answer, _ = read(
        b"HTTP/1.1 200 OK\r\nX-A:1\r\nx-b : \xe4 \r\nX-C: a\r\n\tb\r\nretry-AFTER: 7\r\nContent-Length: 0\r\n\r\n"
    )

    assert answer.pairs == (
        ("X-A", "1"), ("x-b", "ä"), ("X-C", "a b"), ("retry-AFTER", "7"), ("Content-Length", "0"),
    )  # fmt: skip
    assert answer.head is not None
    assert answer.head.retry_after == "7"


def test_what_came_of_an_unfinished_head_can_be_told() -> None:
    answer, is_complete = read(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2")

    assert (is_complete, answer.status, answer.pairs) == (False, 200, (("X-A", "1"),))

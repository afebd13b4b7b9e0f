"""Headers of requests: what may be sent, what is shown, what is masked."""

import pytest

from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net.headers import compose, mask, read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a\r\nb", "x"),
        ("a\0", "x"),
        ("ä", "x"),
        ("x-a", "a\r\nb: c"),
        ("x-a", "a\nb"),
        ("x-a", "a\rb"),
        ("x-a", "a\0b"),
        ("x-a", "a\x7fb"),
        ("x-a", "a\x85b"),
        ("x-a", "ä"),
        ("Host", "example.org"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
        ("Accept-Encoding", "gzip"),
        ("Proxy-Authorization", "x"),
        ("Upgrade", "h2c"),
    ],
)
def test_a_header_that_could_break_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(UnreachableError) as caught:
        compose([(name, value)], None)

    assert (caught.value.code, caught.value.fault) == (Code.CONFIG_INVALID, Fault.CONFIG)


def test_a_secret_is_sent_and_not_shown() -> None:
    outgoing = compose(
        [("webhook-id", "msg_1"), ("Webhook-Signature", "v1,abc"), ("X-Api-Key", "k-123")],
        "Basic dTpw",
    )

    assert outgoing.lines == [
        "Expect:",
        "Authorization: Basic dTpw",
        "webhook-id: msg_1",
        "Webhook-Signature: v1,abc",
        "X-Api-Key: k-123",
        "Content-Type: application/json",
    ]
    assert outgoing.shown == (
        ("Authorization", "(redacted)"),
        ("webhook-id", "msg_1"),
        ("Webhook-Signature", "(redacted)"),
        ("X-Api-Key", "(redacted)"),
        ("Content-Type", "application/json"),
    )


def test_the_content_type_of_the_caller_is_kept() -> None:
    outgoing = compose([("content-type", "text/plain")], None)

    assert outgoing.shown == (("content-type", "text/plain"),)


def test_a_head_is_read_without_its_status_line_and_trailers() -> None:
    headers, is_complete = read(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"X-A: 1\r\n",
            b"x-b:\xe4 \r\n",
            b"nonsense\r\n",
            b"\r\n",
            b"Trailer: 2\r\n",
        ]
    )

    assert headers == (("X-A", "1"), ("x-b", "ä"), ("nonsense", ""))
    assert is_complete is True


def test_a_head_without_its_end_is_not_complete() -> None:
    head = read([b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"])

    assert head == ((("X-A", "1"),), False)


def test_no_head_is_not_complete() -> None:
    head = read([])

    assert head == ((), False)


def test_a_secret_that_comes_back_is_masked() -> None:
    secrets = [b"v1,abcdefgh", b"short"]

    assert mask(b"you sent v1,abcdefgh, in short", secrets) == b"you sent (redacted), in short"


def test_a_secret_that_comes_back_in_a_header_is_masked() -> None:
    headers, _ = read(
        [b"HTTP/1.1 200 OK\r\n", b"X-Echo: v1,abcdefgh\r\n", b"\r\n"], [b"v1,abcdefgh"]
    )

    assert headers == (("X-Echo", "(redacted)"),)

"""Headers of requests: what may be sent, what is shown, what is masked."""

import pytest

from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net.headers import compose, mask


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
        compose([(name, value)], None, "agent")

    assert (caught.value.code, caught.value.fault) == (Code.CONFIG_INVALID, Fault.CONFIG)


def test_a_secret_is_sent_and_not_shown() -> None:
    outgoing = compose(
        [("webhook-id", "msg_1"), ("Webhook-Signature", "v1,abc"), ("X-Api-Key", "k-123")],
        "Basic dTpw",
        "agent",
    )

    assert outgoing.text.split("\r\n") == [
        "User-Agent: agent",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Authorization: Basic dTpw",
        "webhook-id: msg_1",
        "Webhook-Signature: v1,abc",
        "X-Api-Key: k-123",
        "Content-Type: application/json",
        "",
    ]
    assert outgoing.secrets == (b"Basic dTpw", b"v1,abc", b"k-123")
    assert outgoing.shown == (
        ("Authorization", "(redacted)"),
        ("webhook-id", "msg_1"),
        ("Webhook-Signature", "(redacted)"),
        ("X-Api-Key", "(redacted)"),
        ("Content-Type", "application/json"),
    )


def test_what_the_caller_says_is_not_said_twice() -> None:
    outgoing = compose([("content-type", "text/plain"), ("user-agent", "own")], None, "agent")

    assert outgoing.shown == (("content-type", "text/plain"), ("user-agent", "own"))
    assert outgoing.text == (
        "Accept: */*\r\nAccept-Encoding: identity\r\ncontent-type: text/plain\r\nuser-agent: own\r\n"
    )


def test_a_name_with_a_percent_sign_is_sent_as_it_is() -> None:
    outgoing = compose([("x-%s", "100%")], None, "agent")

    assert "x-%s: 100%" in outgoing.text.split("\r\n")


def test_a_secret_that_comes_back_is_masked() -> None:
    secrets = [b"v1,abcdefgh", b"short"]

    assert mask(b"you sent v1,abcdefgh, in short", secrets) == b"you sent (redacted), in short"

"""Which e-mail addresses mail can be sent to."""

import re

import pytest

from dockbell.domain.mailboxes import Sender, problem

SHAPE = "must look like name@example.com"
DOMAIN = "must end in the name of a domain, such as @example.com"
LOCAL = "has a part before the @ that cannot be sent"


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com",
        "first.last+tag@sub.example.co",
        "o'brien@example.com",
        "x@xn--bcher-kva.example",
        f"{'a' * 64}@example.com",
    ],
)
def test_an_address_is_taken(address: str) -> None:
    assert problem(address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (5, "must be a string"),
        (None, "must be a string"),
        ("", SHAPE),
        ("nonsense", SHAPE),
        ("@example.com", SHAPE),
        ("a@", SHAPE),
        ("a@localhost", DOMAIN),
        ("a@-x.example", DOMAIN),
        ("a@example..com", DOMAIN),
        ("a@example.com\r\nBcc: b@example.com", LOCAL),
        ("a@example.com\n", DOMAIN),
        ("a@[127.0.0.1]", DOMAIN),
        ("a b@example.com", LOCAL),
        ("a,b@example.com", LOCAL),
        ("a@b@example.com", LOCAL),
        ("<a@example.com", LOCAL),
        ('"a b"@example.com', LOCAL),
        (".a@example.com", LOCAL),
        ("a\r\n@example.com", LOCAL),
        (f"{'a' * 65}@example.com", LOCAL),
        (f"a@{'b' * 250}.example", "has more than 254 characters"),
        (
            "a@bücher.example",
            "has an international domain: write it in its ASCII form (xn--…)",
        ),
        (
            "ä@example.com",
            "has characters before the @ that not every mail server takes; only ASCII is sent",
        ),
    ],
)
def test_an_address_is_refused_with_the_reason(address: object, why: str) -> None:
    assert problem(address) == why


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("bell@example.org", Sender("bell@example.org")),
        (" dockbell <bell@example.org> ", Sender("bell@example.org", "dockbell")),
        ('"Bell, the" <bell@example.org>', Sender("bell@example.org", "Bell, the")),
        ("<bell@example.org>", Sender("bell@example.org")),
    ],
)
def test_a_sender_is_read(text: str, sender: Sender) -> None:
    assert Sender.of(text) == sender


@pytest.mark.parametrize(
    "text", ["bell", "a\nb <bell@example.org>", "bell@example.org, b@example.org", "x <y> <z>"]
)
def test_what_is_no_sender_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        Sender.of(text)

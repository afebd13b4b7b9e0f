"""Addresses of targets: which are taken, and what is shown of them."""

import pytest

from dockbell.domain import urls


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://Example.com/", "https://Example.com/"),
        ("https://example.com:8443/hook/s3cret", "https://example.com:8443/…"),
        ("https://example.com?token=s3cret", "https://example.com/…"),
        ("https://user:s3cret@example.com/x", "https://***@example.com/…"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("http://bücher.example/", "http://bücher.example/"),
    ],
)
def test_a_web_address_is_shown_without_secrets(url: str, shown: str) -> None:
    parts = urls.web_address(url)

    assert parts is not None
    assert urls.shown(parts) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        5,
        ["http://example.com"],
        "example.com",
        "telnet://example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://:80/",
        "http://user@/",
        "http://[::1/x",
        "http://[x]/",
        "http://example.com:port/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://example.com/\r\nX: y",
        "http://exam\tple.com/",
        " http://example.com/",
        "http://example.com/a b",
        "http://example.com/\x00",
        "http://example.com\\@evil.example/",
        "http://example.com/\u2028",
        "http://example.com/" + "x" * 8192,
    ],
)
def test_anything_else_is_no_web_address(url: object) -> None:
    assert urls.web_address(url) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost/", True),
        ("http://LOCALHOST:5000/", True),
        ("https://127.0.0.1:5000/", True),
        ("http://127.0.0.2/", False),
        ("http://localhost.example.com/", False),
    ],
)
def test_two_names_mean_this_machine(url: str, expected: bool) -> None:  # noqa: FBT001 -- what the table says
    parts = urls.web_address(url)

    assert parts is not None
    assert urls.names_loopback(parts) is expected

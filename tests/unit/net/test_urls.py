"""URLs of targets: read in one way or not at all."""

import pytest

from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net.urls import target_of


@pytest.mark.parametrize(
    ("url", "canonical", "host", "port"),
    [
        ("http://example.org", "http://example.org/", "example.org", 80),
        ("https://example.org", "https://example.org/", "example.org", 443),
        ("HTTP://EXAMPLE.org/A?b=C#d", "http://example.org/A?b=C", "example.org", 80),
        ("http://example.org?x", "http://example.org/?x", "example.org", 80),
        ("http://example.org:80/", "http://example.org/", "example.org", 80),
        ("http://example.org:/", "http://example.org/", "example.org", 80),
        ("http://example.org:8080/", "http://example.org:8080/", "example.org", 8080),
        ("http://example.org:0443/", "http://example.org:443/", "example.org", 443),
        ("http://example.org./", "http://example.org/", "example.org", 80),
        ("http://a_b.example.org/", "http://a_b.example.org/", "a_b.example.org", 80),
        (
            "http://bücher.example/",
            "http://xn--bcher-kva.example/",
            "xn--bcher-kva.example",
            80,
        ),
        ("http://example.org/ü?ü", "http://example.org/%C3%BC?%C3%BC", "example.org", 80),
        ("http://example.org/%41/../b", "http://example.org/%41/../b", "example.org", 80),
        ("http://127.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://127.0.0.1./", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://[::1]:81/", "http://[::1]:81/", "::1", 81),
        ("http://[0:0:0::1]/", "http://[::1]/", "::1", 80),
        ("http://[::ffff:127.0.0.1]/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://good.example@127.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://good.example:80@127.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://example.org/@127.0.0.1", "http://example.org/@127.0.0.1", "example.org", 80),
        ("http://example.org?@127.0.0.1", "http://example.org/?@127.0.0.1", "example.org", 80),
        ("http://example.org#@127.0.0.1", "http://example.org/", "example.org", 80),
        # full-width digits and the ideographic full stop are what they look like
        ("http://１２７.0.0.1/", "http://127.0.0.1/", "127.0.0.1", 80),  # noqa: RUF001 -- the point of the test
        ("http://127。0。0。1/", "http://127.0.0.1/", "127.0.0.1", 80),
    ],
)
def test_a_url_is_read_in_one_way(url: str, canonical: str, host: str, port: int) -> None:
    target = target_of(url)

    assert (target.url, target.host, target.port) == (canonical, host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org/",
        "http:example.org",
        "http:/example.org",
        "http://",
        "http:///path",
        "http://?x",
        "http://:80/",
        "http://user@/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "unix:///var/run/docker.sock",
        "data:text/plain,x",
        "javascript:alert(1)",
        "httpx://example.org/",
        " http://example.org/",
        "http://example.org/ ",
        "http://exam ple.org/",
        "http://example.org/a\tb",
        "http://example.org/a\r\nHost: x",
        "http://example.org/\0",
        "http://exa\nmple.org/",
        "http://example.org\\@127.0.0.1/",
        "http:\\\\example.org/",
        "http://a@b@127.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.256/",
        "http://1.2.3.4.5/",
        "http://example.1/",
        "http://example.0x1/",
        "http://%31%32%37.0.0.1/",
        "http://example%2eorg/",
        "http://exam\u200bple.org/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://[]/",
        "http://::1/",
        "http://example.org:0/",
        "http://example.org:65536/",
        "http://example.org:99999999999999999999/",
        "http://example.org:-1/",
        "http://example.org:80a/",
        "http://example.org:８０/",  # noqa: RUF001 -- the point of the test
        "http://example..org/",
        "http://-example.org/",
        "http://" + "a" * 64 + ".org/",
        "http://" + "a." * 127 + "org/",
        "http://example.org/" + "a" * 5000,
        "http://xn--\u00fc.example/",
    ],
)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UnreachableError) as caught:
        target_of(url)

    assert (caught.value.code, caught.value.fault) == (Code.CONFIG_INVALID, Fault.CONFIG)


@pytest.mark.parametrize(
    ("url", "authorization"),
    [
        ("http://example.org/", None),
        ("http://user:secret@example.org/", "Basic dXNlcjpzZWNyZXQ="),
        ("http://user@example.org/", "Basic dXNlcjo="),
        ("http://us%40er:a%3Ab@example.org/", "Basic dXNAZXI6YTpi"),
    ],
)
def test_credentials_become_a_header_and_leave_the_url(
    url: str, authorization: str | None
) -> None:
    target = target_of(url)

    assert (target.authorization, target.url) == (authorization, "http://example.org/")


def test_a_target_shows_no_secret_when_printed() -> None:
    target = target_of("http://user:hunter22@example.org/path-secret")

    shown = repr(target)

    assert [secret for secret in ("hunter22", "path-secret", "Basic") if secret in shown] == []

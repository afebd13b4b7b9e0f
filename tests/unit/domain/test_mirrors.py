"""Which platforms a mirror takes, and when it goes by its proxy."""

import pytest

from dockbell.domain.mirrors import OwnProxy, masked_config

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "is_excepted"),
    [
        ("", "quay.io", 443, False),
        ("*", "quay.io", 443, True),
        ("quay.io", "quay.io", 443, True),
        ("quay.io", "cdn.quay.io", 443, True),
        ("quay.io", "notquay.io", 443, False),
        (".quay.io", "quay.io", 443, False),
        (".quay.io", "cdn.quay.io", 443, True),
        ("a.test, QUAY.io:8443", "quay.io", 8443, True),
        ("quay.io:8443", "quay.io", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "quay.io", 443, False),
        ("10.0.0.1:80", "10.0.0.1", 443, False),
        ("fd00::/8", "fd00::5", 443, True),
        ("[fd00::5]:443", "fd00::5", 443, True),
        ("not/a/network,:,", "quay.io", 443, False),
    ],
)
def test_no_proxy_is_read_as_clients_read_it(
    no_proxy: str, host: str, port: int, *, is_excepted: bool
) -> None:
    proxy = OwnProxy.of({"https_proxy": "proxy.test:3128", "no_proxy": no_proxy})

    assert proxy.url_for("https", host, port) == (None if is_excepted else PROXY)
    assert proxy.url_for("http", host, port) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://bell:p@ss@proxy.test:3128", "http://********@proxy.test:3128"),
        ("bell:secret@proxy.test", "********@proxy.test"),
        (PROXY, PROXY),
        (None, None),
    ],
)
def test_what_is_noted_of_a_proxy_names_nobody(url: str | None, shown: str | None) -> None:
    assert masked_config({"verify_tls": True, "proxy": {"http_proxy": url}}) == {
        "verify_tls": True,
        "proxy": {"http_proxy": shown},
    }

"""The table of addresses: first and last of every range, their neighbours, and every way to write or wrap one."""

import pytest

from dockbell.net.addresses import METADATA, Kind, embedded, is_metadata, parse, verdict
from tests.hostile import REFUSED

ALLOWED = [
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "::ffff:808:808",
    "2000::",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:4860:4860::8888",
    "2003::",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2a00::5eff:7f00:1",
    "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
    "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]

NOT_ADDRESSES = [
    "",
    " ",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "127.0.0.1.",
    "127.0.0.1 ",
    "127.0.0.1\n",
    "127.0.0.1\0",
    "127.0.0.256",
    "127.0.0.-1",
    "127.0.0.1.1",
    "127..0.1",
    "1e3.0.0.1",
    "\N{FULLWIDTH DIGIT ONE}27.0.0.1",
    "\N{ARABIC-INDIC DIGIT ONE}.2.3.4",
    "127\N{IDEOGRAPHIC FULL STOP}0.0.1",
    "[::1]",
    "::1%eth0",
    "fe80::1%1",
    ":::",
    "1::2::3",
    "::ffff:127.0.0.01",
    "12345::",
    "g::1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "localhost",
]


@pytest.mark.parametrize(("text", "kind"), REFUSED)
def test_an_address_that_is_not_public_is_refused(text: str, kind: Kind) -> None:
    address = parse(text)
    assert address is not None

    reason = verdict(address)

    assert reason is not None
    assert reason.kind is kind


@pytest.mark.parametrize("text", ALLOWED)
def test_a_public_address_is_allowed(text: str) -> None:
    address = parse(text)
    assert address is not None

    reason = verdict(address)

    assert reason is None


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_a_text_that_is_no_canonical_address_is_not_parsed(text: str) -> None:
    address = parse(text)

    assert address is None


def test_the_tables_cover_more_than_150_targets() -> None:
    assert len(REFUSED) + len(ALLOWED) + len(NOT_ADDRESSES) > 150


def test_a_mapped_address_is_the_ipv4_address() -> None:
    assert parse("::ffff:192.0.2.7") == parse("192.0.2.7")


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("64:ff9b::192.0.2.7", "192.0.2.7"),
        ("2002:c000:207::1", "192.0.2.7"),
        ("2001:0:1:2:3:4:3fff:fdf8", "192.0.2.7"),
        ("2a00::5efe:c000:207", "192.0.2.7"),
        ("::192.0.2.7", "192.0.2.7"),
        ("2606:4700::1", None),
        ("8.8.8.8", None),
    ],
)
def test_a_tunnel_shows_the_address_inside(text: str, inner: str | None) -> None:
    address = parse(text)
    assert address is not None

    found = embedded(address)

    assert found == (None if inner is None else parse(inner))


def test_every_metadata_address_is_metadata() -> None:
    assert [address for address in METADATA if not is_metadata(address)] == []

"""The table of addresses: first and last of every range, their neighbours, and every way to write or wrap one."""

# ruff: noqa: S104 -- 0.0.0.0 is a target here, nothing listens on it

import pytest

from dockbell.net.addresses import METADATA, Kind, embedded, is_metadata, parse, verdict

LOOPBACK, PRIVATE, METADATA_KIND, RESERVED = (
    Kind.LOOPBACK,
    Kind.PRIVATE,
    Kind.METADATA,
    Kind.RESERVED,
)

REFUSED = [
    # IPv4: the first and the last address of each range
    ("0.0.0.0", RESERVED),
    ("0.0.0.1", RESERVED),
    ("0.255.255.255", RESERVED),
    ("10.0.0.0", PRIVATE),
    ("10.255.255.255", PRIVATE),
    ("100.64.0.0", RESERVED),
    ("100.127.255.255", RESERVED),
    ("127.0.0.0", LOOPBACK),
    ("127.0.0.1", LOOPBACK),
    ("127.255.255.255", LOOPBACK),
    ("169.254.0.0", RESERVED),
    ("169.254.255.255", RESERVED),
    ("172.16.0.0", PRIVATE),
    ("172.31.255.255", PRIVATE),
    ("192.0.0.0", RESERVED),
    ("192.0.0.255", RESERVED),
    ("192.0.2.0", RESERVED),
    ("192.0.2.255", RESERVED),
    ("192.88.99.0", RESERVED),
    ("192.88.99.255", RESERVED),
    ("192.168.0.0", PRIVATE),
    ("192.168.255.255", PRIVATE),
    ("198.18.0.0", RESERVED),
    ("198.19.255.255", RESERVED),
    ("198.51.100.0", RESERVED),
    ("198.51.100.255", RESERVED),
    ("203.0.113.0", RESERVED),
    ("203.0.113.255", RESERVED),
    ("224.0.0.0", RESERVED),
    ("239.255.255.255", RESERVED),
    ("240.0.0.0", RESERVED),
    ("255.255.255.254", RESERVED),
    ("255.255.255.255", RESERVED),
    # metadata
    ("169.254.169.254", METADATA_KIND),
    ("169.254.170.2", METADATA_KIND),
    ("169.254.170.23", METADATA_KIND),
    ("168.63.129.16", METADATA_KIND),
    ("192.0.0.192", METADATA_KIND),
    ("100.100.100.200", METADATA_KIND),
    ("fd00:ec2::254", METADATA_KIND),
    ("fd00:ec2::23", METADATA_KIND),
    ("fd20:ce::254", METADATA_KIND),
    # IPv4-mapped: the same verdict as the IPv4 address
    ("::ffff:127.0.0.1", LOOPBACK),
    ("::ffff:7f00:1", LOOPBACK),
    ("::ffff:10.0.0.1", PRIVATE),
    ("::ffff:172.31.255.255", PRIVATE),
    ("::ffff:192.168.1.1", PRIVATE),
    ("::ffff:0.0.0.0", RESERVED),
    ("::ffff:169.254.169.254", METADATA_KIND),
    ("::ffff:a9fe:a9fe", METADATA_KIND),
    ("0:0:0:0:0:ffff:7f00:1", LOOPBACK),
    # IPv6: everything below 2000:: and from 4000:: on
    ("::", RESERVED),
    ("::1", LOOPBACK),
    ("0:0:0:0:0:0:0:1", LOOPBACK),
    ("::2", RESERVED),
    ("::127.0.0.1", RESERVED),
    ("::8.8.8.8", RESERVED),
    ("::169.254.169.254", METADATA_KIND),
    ("::ffff:0:8.8.8.8", RESERVED),
    ("64:ff9b::", RESERVED),
    ("64:ff9b::8.8.8.8", RESERVED),
    ("64:ff9b::10.0.0.1", RESERVED),
    ("64:ff9b::169.254.169.254", METADATA_KIND),
    ("64:ff9b::ffff:ffff", RESERVED),
    ("64:ff9b:1::", RESERVED),
    ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("100::", RESERVED),
    ("100::ffff:ffff:ffff:ffff", RESERVED),
    ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("4000::", RESERVED),
    ("5f00::", RESERVED),
    ("5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("8000::", RESERVED),
    ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("fc00::", PRIVATE),
    ("fd00::1", PRIVATE),
    ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", PRIVATE),
    ("fe00::", RESERVED),
    ("fe80::", RESERVED),
    ("fe80::1", RESERVED),
    ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("fec0::", RESERVED),
    ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("ff00::", RESERVED),
    ("ff02::1", RESERVED),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    # IPv6: the holes in 2000::/3
    ("2001::", RESERVED),
    ("2001::1", RESERVED),
    ("2001:0:a9fe:a9fe::", RESERVED),
    ("2001::5601:5601", METADATA_KIND),  # Teredo: 169.254.169.254 with all bits turned
    ("2001:2::1", RESERVED),
    ("2001:10::1", RESERVED),
    ("2001:20::1", RESERVED),
    ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("2001:db8::", RESERVED),
    ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("2002::", RESERVED),
    ("2002:7f00:1::", RESERVED),
    ("2002:808:808::1", RESERVED),
    ("2002:a9fe:a9fe::1", METADATA_KIND),
    ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("3fff::", RESERVED),
    ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
    ("2a00::5efe:7f00:1", RESERVED),  # ISATAP
    ("2a00::5efe:808:808", RESERVED),
    ("2a00::200:5efe:a00:1", RESERVED),
    ("2a00::200:5efe:a9fe:a9fe", METADATA_KIND),
    ("fe80::5efe:c0a8:1", RESERVED),
]

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

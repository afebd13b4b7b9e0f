"""URLs, addresses and headers: what passes is what an independent reading calls public and harmless."""

# ruff: noqa: S104 -- addresses are judged here, nothing listens on them

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dockbell.domain.methods import UnreachableError
from dockbell.net import headers
from dockbell.net.addresses import Address, embedded, parse, verdict
from dockbell.net.policy import EgressPolicy
from dockbell.net.urls import target_of

# Corners of the table, so that chance finds their neighbours.
_CORNERS = [
    "0.0.0.0", "10.0.0.0", "100.64.0.0", "127.0.0.0", "169.254.0.0", "172.16.0.0", "192.0.0.0", "192.0.2.0",
    "192.31.196.0", "192.52.193.0", "192.88.99.0", "192.168.0.0", "192.175.48.0", "198.18.0.0", "198.51.100.0",
    "203.0.113.0", "224.0.0.0", "240.0.0.0", "255.255.255.255",
    "::", "::1", "::ffff:0:0", "64:ff9b::", "64:ff9b:1::", "100::", "100:0:0:1::", "2001::", "2001:1::1", "2001:2::",
    "2001:3::", "2001:4:112::", "2001:10::", "2001:20::", "2001:30::", "2001:db8::", "2002::", "2620:4f:8000::",
    "3fff::", "5f00::", "fc00::", "fe80::", "fec0::", "ff00::",
]  # fmt: skip
_NEAR = st.builds(
    lambda corner, bits, low: _moved(ip_address(corner), bits, low),
    st.sampled_from(_CORNERS),
    st.integers(0, 127),
    st.integers(-2, 2),
)
ADDRESSES = (
    _NEAR
    | st.integers(0, 2**32 - 1).map(IPv4Address)
    | st.integers(0, 2**128 - 1).map(IPv6Address)
    | st.integers(2 << 124, (4 << 124) - 1).map(IPv6Address)
)


def _moved(corner: Address, bits: int, steps: int) -> Address:
    """The address some steps of 2**bits away, within its family."""
    size = corner.max_prefixlen
    return type(corner)((int(corner) + (steps << bits % size)) % (1 << size))


def _is_public(address: Address) -> bool:
    """What the standard library says, of the IPv4 address inside too."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:  # what a connection to it reaches
            return _is_public(address.ipv4_mapped)
        inside = address.sixtofour
        if address.teredo is not None:
            inside = address.teredo[1]
        if inside is not None and not _is_public(inside):
            return False
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )


@given(address=ADDRESSES)
def test_nothing_passes_that_the_standard_library_calls_special(address: Address) -> None:
    judged = parse(str(address))

    assert judged is not None
    assert _is_public(address) or verdict(judged) is not None
    assert _is_public(address) or (
        EgressPolicy.of("").refusal(str(judged), 443, judged) is not None
    )


@given(address=ADDRESSES)
def test_nothing_special_passes_inside_of_another_address(address: Address) -> None:
    inside = embedded(address)

    assert inside is None or verdict(address) is not None


_DIGITS = st.text(alphabet="0123456789abcdefx:.%[]/ \u0661\uff11\u3002", max_size=40)


@given(
    text=_DIGITS
    | st.text(max_size=20)
    | ADDRESSES.map(str)
    | ADDRESSES.map(lambda a: a.exploded)
)
@example("::ffff:127.0.0.1")
@example("0127.0.0.1")
@example("::1%lo")
def test_an_address_is_read_as_the_standard_library_reads_it(text: str) -> None:
    read = parse(text)

    try:
        expected = ip_address(text)
    except ValueError:
        expected = None
    if isinstance(expected, IPv6Address):
        expected = None if expected.scope_id else expected.ipv4_mapped or expected
    assert read == expected


_HOSTS = st.lists(
    st.sampled_from([
        "127.0.0.1", "0x7f", "0177", "1", "127", "2130706433", ".", "-", "::1", "[", "]", "%31", "\uff11", "。", "ⓛ", "localhost",
        "LOCALHOST", "a", "xn--", "é", "\u00ad", "\u200d", "@", ":", ":80", ":000000080", ":00000165536", "user", "/", "//",
        "\\", "?", "#", " ", "\t", "\r\n", "\0", "\ud800", "8.8.8.8", "example.org",
    ]),
    max_size=6,
).map("".join)  # fmt: skip
URLS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["http://", "https://", "HTTP://", "http:/", "http:", "//", "ftp://", "https:\\\\", ""]),
    _HOSTS,
    st.sampled_from(["", "/", "/a?b#c", "?x=[]", "#", "/%0d%0a", "/é", "/\n"]) | st.text(max_size=5),
)  # fmt: skip


@given(url=URLS | st.text(max_size=60))
@example("http://example.org:00000165536/")
def test_a_url_is_refused_or_read_like_others_read_it(url: str) -> None:
    try:
        target = target_of(url)
    except UnreachableError:
        return

    parts = urlsplit(target.url)
    assert (parts.scheme, parts.hostname) == (target.scheme, target.host)
    assert (parts.port or {"http": 80, "https": 443}[target.scheme]) == target.port
    assert 0 < target.port <= 65535
    assert (parts.username, parts.fragment) == (None, "")
    assert target.url.isascii()
    assert target.url.isprintable()
    assert target_of(target.url).url == target.url
    assert target.address == parse(target.host)
    assert _as_old_parsers_read(target.host) in {None, target.address}


def _as_old_parsers_read(host: str) -> Address | None:
    """The IPv4 address that C's own reader finds in a text: octal, hexadecimal and short forms as well."""
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


_NAMES = st.text(max_size=12) | st.sampled_from(["Host", "X-Token", "Content-Type", "X-A"])


@given(
    pairs=st.lists(st.tuples(_NAMES, st.text(max_size=12)), max_size=4),
    authorization=st.none() | st.text(max_size=12),
)
def test_headers_are_refused_or_stay_one_line_each(
    pairs: list[tuple[str, str]], authorization: str | None
) -> None:
    try:
        made = headers.compose(pairs, authorization, "dockbell")
    except UnreachableError:
        return

    given_names = [name for name, _ in pairs] + ["Authorization"] * (authorization is not None)
    *lines, end = made.text.split("\r\n")
    assert end == ""
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert {line.partition(":")[0] for line in lines} <= {
        "Accept", "Accept-Encoding", "User-Agent", "Content-Type", *given_names,
    }  # fmt: skip
    assert {name.lower() for name in given_names} & {"host", "content-length", "te"} == set()


@pytest.mark.parametrize(
    "port", ["0", "65536", "00000165536", "000000000000", "\uff18\uff10", "-1", "+80", "8 0"]
)
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(UnreachableError) as refused:
        target_of(f"http://example.org:{port}/")

    assert refused.value.detail in {
        "The port of the URL must be a number from 1 to 65535.",
        "The URL holds a space, a backslash or a control character.",
    }

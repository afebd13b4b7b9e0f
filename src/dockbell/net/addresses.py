"""Which addresses are public: our own table, so that the verdict does not change with Python's version."""

import re
import socket
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from dockbell.domain.late_dataclasses import dataclass

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Kind(StrEnum):
    """Why an address is not public, as far as a rule of the operator can tell them apart."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    METADATA = "metadata"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an address is refused; `words` complete the sentence "it is …"."""

    kind: Kind
    words: str


_METADATA = Reason(Kind.METADATA, "an address where clouds keep the secrets of their machines")
_NOT_GLOBAL = Reason(Kind.RESERVED, "outside the public range of IPv6 (2000::/3)")
_TUNNEL = Reason(Kind.RESERVED, "an IPv4 address inside an IPv6 tunnel (ISATAP)")

# Some of these look public. None is implied by a wider rule: whoever wants one must name exactly it.
METADATA: frozenset[Address] = frozenset(
    {
        IPv4Address("169.254.169.254"),  # nearly all clouds
        IPv4Address("169.254.170.2"),  # AWS, containers
        IPv4Address("169.254.170.23"),  # AWS, Kubernetes
        IPv4Address("168.63.129.16"),  # Azure
        IPv4Address("192.0.0.192"),  # Oracle
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS, Kubernetes
        IPv6Address("fd20:ce::254"),  # Google
    }
)

_V4: tuple[tuple[IPv4Network, Reason], ...] = tuple(
    (IPv4Network(network), Reason(kind, f"{words} ({network})"))
    for network, kind, words in (
        ("0.0.0.0/8", Kind.RESERVED, "an address of this very network"),
        ("10.0.0.0/8", Kind.PRIVATE, "in a private network"),
        ("100.64.0.0/10", Kind.RESERVED, "in the shared space of a provider"),
        ("127.0.0.0/8", Kind.LOOPBACK, "this machine itself"),
        ("169.254.0.0/16", Kind.RESERVED, "a link-local address"),
        ("172.16.0.0/12", Kind.PRIVATE, "in a private network"),
        ("192.0.0.0/24", Kind.RESERVED, "reserved for protocols"),
        ("192.0.2.0/24", Kind.RESERVED, "reserved for documentation"),
        ("192.88.99.0/24", Kind.RESERVED, "a relay between IPv4 and IPv6"),
        ("192.168.0.0/16", Kind.PRIVATE, "in a private network"),
        ("198.18.0.0/15", Kind.RESERVED, "reserved for measurements"),
        ("198.51.100.0/24", Kind.RESERVED, "reserved for documentation"),
        ("203.0.113.0/24", Kind.RESERVED, "reserved for documentation"),
        ("224.0.0.0/4", Kind.RESERVED, "a multicast address"),
        ("240.0.0.0/4", Kind.RESERVED, "reserved"),
    )
)

# Everything outside 2000::/3 is refused whatever stands here: these rows give better words and the kind.
_V6: tuple[tuple[IPv6Network, Reason], ...] = tuple(
    (IPv6Network(network), Reason(kind, f"{words} ({network})"))
    for network, kind, words in (
        ("::1/128", Kind.LOOPBACK, "this machine itself"),
        ("64:ff9b::/96", Kind.RESERVED, "an IPv4 address behind a translator"),
        ("64:ff9b:1::/48", Kind.RESERVED, "an IPv4 address behind a translator"),
        ("2001::/23", Kind.RESERVED, "reserved for protocols and tunnels"),
        ("2001:db8::/32", Kind.RESERVED, "reserved for documentation"),
        ("2002::/16", Kind.RESERVED, "an IPv4 address inside an IPv6 tunnel"),
        ("3fff::/20", Kind.RESERVED, "reserved for documentation"),
        ("fc00::/7", Kind.PRIVATE, "in a private network"),
        ("fe80::/10", Kind.RESERVED, "a link-local address"),
        ("ff00::/8", Kind.RESERVED, "a multicast address"),
    )
)
_GLOBAL = IPv6Network("2000::/3")
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64 (RFC 6052): the IPv4 address is at the end
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_MAPPED = 0xFFFF
_32_BITS = 0xFFFF_FFFF

_V4_SHAPE = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")


def parse(text: str) -> Address | None:
    """The address, if the text is canonical dotted IPv4 or IPv6 as in RFC 4291, else None.

    An IPv4-mapped IPv6 address comes back as the IPv4 address that a connection to it would reach.
    Zone ids, octal, hexadecimal, short and decimal forms are not addresses here.
    """
    try:
        if _V4_SHAPE.fullmatch(text):
            return IPv4Address(socket.inet_pton(socket.AF_INET, text))
        if ":" not in text:
            return None
        number = int.from_bytes(socket.inet_pton(socket.AF_INET6, text))
    except (OSError, ValueError):
        return None
    if number >> 32 == _MAPPED:
        return IPv4Address(number & _32_BITS)
    return IPv6Address(number)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that a tunnel or translator would take out of this one, if it is of such a form."""
    if isinstance(address, IPv4Address):
        return None
    number = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address((number >> 80) & _32_BITS)
    if address in _TEREDO:
        return IPv4Address((number & _32_BITS) ^ _32_BITS)
    is_compatible = number >> 32 == 0 and number > 1
    if is_compatible or address in TRANSLATED or (number >> 32) & _32_BITS in _ISATAP:
        return IPv4Address(number & _32_BITS)
    return None


def is_metadata(address: Address) -> bool:
    """Whether a cloud's metadata service answers there, directly or through a tunnel."""
    return address in METADATA or embedded(address) in METADATA


def verdict(address: Address) -> Reason | None:
    """Why nothing may be sent there unless an operator allows it, or None for a public address."""
    if is_metadata(address):
        return _METADATA
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _V4 if address in network), None)
    for network, reason in _V6:
        if address in network:
            return reason
    if address not in _GLOBAL:
        return _NOT_GLOBAL
    if (int(address) >> 32) & _32_BITS in _ISATAP:
        return _TUNNEL
    return None

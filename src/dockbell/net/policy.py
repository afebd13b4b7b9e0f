"""What may be reached: public addresses, and what an operator allows besides."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Self

from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Code
from dockbell.net.addresses import (
    TRANSLATED,
    Address,
    Kind,
    Network,
    Reason,
    embedded,
    is_metadata,
    parse,
    verdict,
)
from dockbell.net.urls import InvalidHostError, host_of

SETTING = "DOCKBELL_EGRESS_ALLOW"

_WEB_PORTS = (80, 443)
_FIRST_FREE_PORT = 1024

# Services that are not made to face strangers, and that a POST could harm or that would answer with what they know.
INTERNAL_PORTS: dict[int, str] = {
    1433: "SQL Server",
    1521: "Oracle",
    2049: "NFS",
    2181: "ZooKeeper",
    2375: "Docker",
    2376: "Docker",
    2379: "etcd",
    2380: "etcd",
    3306: "MySQL",
    3389: "Remote Desktop",
    5432: "PostgreSQL",
    5672: "RabbitMQ",
    5900: "VNC",
    5984: "CouchDB",
    6379: "Redis",
    6443: "Kubernetes",
    8500: "Consul",
    9042: "Cassandra",
    9092: "Kafka",
    9200: "Elasticsearch",
    9300: "Elasticsearch",
    10250: "Kubernetes",
    10255: "Kubernetes",
    11211: "Memcached",
    15672: "RabbitMQ",
    27017: "MongoDB",
    27018: "MongoDB",
    27019: "MongoDB",
}

_NOT_NAMES = {
    "all",
    "any",
    "external",
    "none",
    "public",
}  # meant as keywords by whoever writes them
_ANY = (IPv4Address(0), IPv6Address(0))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the guard refuses, in a sentence for the user, and what an operator could set."""

    code: Code
    detail: str


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Decides about an address and port at the last moment before the connection, and when a target is saved.

    Public addresses are open, on 80, 443 and the ports from 1024 except INTERNAL_PORTS. `private` opens private
    networks on the same ports. A target allowed as loopback, by its network or by its name may use any port.
    A cloud's metadata address is open only if it is allowed as exactly that address.
    """

    networks: tuple[Network, ...] = ()
    addresses: frozenset[Address] = frozenset()
    hosts: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()  # each with its leading dot
    private: bool = False
    loopback: bool = False
    own: frozenset[tuple[str, int]] = frozenset()  # where this server and its database listen

    @classmethod
    def of(cls, text: str, *, own: Iterable[tuple[str, int]] = ()) -> Self:
        """The policy that DOCKBELL_EGRESS_ALLOW states, or SetupError that names the wrong word.

        Words are separated by commas: `private`, `loopback`, an IP address, a network such as 10.1.0.0/16, a host
        name, or `*.example.org` (the same as `.example.org`) for all names below a name, but not itself.
        """
        networks: list[Network] = []
        addresses: set[Address] = set()
        hosts: set[str] = set()
        suffixes: list[str] = []
        words = {word.strip() for word in text.split(",")} - {""}
        keywords = {word for word in words if word.lower() in {"private", "loopback"}}
        for word in sorted(words - keywords):
            if "/" in word:
                networks.append(_network(word))
            elif word.startswith((".", "*.")):
                suffixes.append(f".{_name(word.removeprefix('*')[1:], word)}")
            elif (address := parse(word)) is not None:
                addresses.add(address)
            else:
                hosts.add(_name(word, word))
        exact = [network for network in networks if network.num_addresses == 1]
        return cls(
            networks=tuple(network for network in networks if network.num_addresses > 1),
            addresses=frozenset(addresses | {network.network_address for network in exact}),
            hosts=frozenset(hosts),
            suffixes=tuple(suffixes),
            private="private" in {word.lower() for word in keywords},
            loopback="loopback" in {word.lower() for word in keywords},
            own=frozenset((_own(host), port) for host, port in own),
        )

    def refusal(self, host: str, port: int, address: Address) -> Refusal | None:
        """Why no connection to this address may be opened for this host and port, or None if one may."""
        if self._is_own(host, port, address):
            return Refusal(
                Code.BLOCKED_ADDRESS,
                f"{_shown(host)} with the port {port} is this server's own address, by its settings.",
            )
        if self._is_named(host, address):
            return None
        if address in TRANSLATED and self._is_in_network(address):
            # Naming the translator's network says that there is one, not that all behind it is open.
            inner = embedded(address)
            return None if inner is None else self.refusal(host, port, inner)
        reason = verdict(address)
        if reason is not None and not (reason.kind is Kind.PRIVATE and self.private):
            return _refused(host, reason)
        return _port_refusal(host, port)

    def _is_named(self, host: str, address: Address) -> bool:
        """Whether an operator opened this very target, on every port."""
        if address in self.addresses or is_metadata(address):
            return address in self.addresses
        if host in self.hosts or host.endswith(self.suffixes):
            return True
        reason = verdict(address)
        if reason is not None and reason.kind is Kind.LOOPBACK and self.loopback:
            return True
        return address not in TRANSLATED and self._is_in_network(address)

    def _is_in_network(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    def _is_own(self, host: str, port: int, address: Address) -> bool:
        for own_host, own_port in self.own:
            if own_port != port:
                continue
            own_address = parse(own_host)
            if own_address is None:
                if own_host == host:
                    return True
            elif own_address in _ANY:
                if _is_local(address):
                    return True
            elif address in (own_address, *_ANY):
                return True
        return False


def _network(word: str) -> Network:
    try:
        network = ip_network(word)
    except ValueError as error:
        raise SetupError(f"{SETTING}: {word} is not a network: {error}.") from error
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise SetupError(f"{SETTING}: write {word} as an IPv4 network; it is judged as one.")
    return network


def _name(text: str, word: str) -> str:
    if text.lower() in _NOT_NAMES:
        raise SetupError(
            f"{SETTING}: {word} is no keyword here; public addresses are always open."
        )
    try:
        name, address = host_of(text)
    except InvalidHostError as error:
        raise SetupError(
            f"{SETTING}: {word} is not private, loopback, an address, a network or a host name: {error}."
        ) from error
    if address is not None:
        raise SetupError(f"{SETTING}: write the address of {word} in its plain form, {name}.")
    return name


def _own(host: str) -> str:
    address = parse(host.strip("[]"))
    return str(address) if address is not None else host.lower()


def _is_local(address: Address) -> bool:
    """Whether the address is one of this machine: only then can a socket have it. Nothing is sent."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refused(host: str, reason: Reason) -> Refusal:
    """The address that a name leads to is not shown: it may be a secret of the operator's network."""
    is_address = parse(host) is not None
    what = f"{_shown(host)} is" if is_address else f"{host} leads to an address that is"
    if reason.kind is Kind.LOOPBACK:
        advice = f"An operator can allow it: {SETTING}=loopback"
    elif reason.kind is Kind.METADATA and not is_address:
        advice = f"An operator can allow it only by that very address: {SETTING}=<address>"
    elif reason.kind is Kind.PRIVATE:
        advice = f"An operator can allow it: {SETTING}={host} (or {SETTING}=private)"
    else:
        advice = f"An operator can allow it: {SETTING}={host}"
    return Refusal(
        Code.BLOCKED_ADDRESS,
        f"{what} {reason.words}; this server sends to public addresses only. {advice}.",
    )


def _port_refusal(host: str, port: int) -> Refusal | None:
    advice = f"An operator can allow every port of it: {SETTING}={host}."
    if port in INTERNAL_PORTS:
        detail = (
            f"Port {port} is the one of {INTERNAL_PORTS[port]}, not of a web server. {advice}"
        )
        return Refusal(Code.BLOCKED_PORT, detail)
    if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
        detail = f"Of the ports below {_FIRST_FREE_PORT} only 80 and 443 can be reached, not {port}. {advice}"
        return Refusal(Code.BLOCKED_PORT, detail)
    return None

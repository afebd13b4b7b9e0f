"""Where nothing may ever be sent: addresses, ways to write them, and names that lead to them."""

# ruff: noqa: S104 -- 0.0.0.0 is a target here, nothing listens on it

from dockbell.net.addresses import Kind

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

URLS = [
    "http://127.0.0.1/", "http://127.0.0.1:8080/", "http://127.255.255.254/", "http://0.0.0.0/", "http://10.0.0.1/",
    "http://172.16.0.1/", "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/",
    "http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://192.0.0.192/",
    "http://168.63.129.16/", "http://100.100.100.200/", "http://[::1]/", "http://[::]/", "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:7f00:1]/", "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fec0::1]/",
    "http://[ff02::1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/", "http://[2001::1]/",
    "http://[2001:db8::1]/", "http://[2a00::5efe:7f00:1]/", "http://[::7f00:1]/", "http://127.1/", "http://2130706433/",
    "http://0x7f000001/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://１２７.0.0.1/",  # noqa: RUF001 -- the point
    "http://127。0。0。1/", "http://good.example@127.0.0.1/", "http://good.example\\@127.0.0.1/",
    "http://localhost/", "http://LOCALHOST./", "http://a.localhost/", "http://metadata.google.internal/",
    "http://127.0.0.1.nip.example/", "http://8.8.8.8:22/", "http://8.8.8.8:25/", "http://8.8.8.8:6379/",
    "http://8.8.8.8:0/", "http://8.8.8.8:65536/", "file:///etc/passwd", "gopher://8.8.8.8/", "ftp://8.8.8.8/",
    "//8.8.8.8/", "8.8.8.8",
]  # fmt: skip

# What each name answers here. Some are made up by a resolver, some stand in hosts files, some in search domains.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "LOCALHOST.": ["127.0.0.1"],
    "app.localhost": ["::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "localhost4": ["127.0.0.1"],
    "localhost6": ["::1"],
    "ip6-localhost": ["::1"],
    "ip6-loopback": ["::1"],
    "ip6-allnodes": ["ff02::1"],
    "broadcasthost": ["255.255.255.255"],
    "this-machine": ["127.0.1.1"],
    "intranet": ["10.20.30.40"],
    "postgres": ["172.18.0.2"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "host.docker.internal": ["192.168.65.2"],
    "metadata": ["169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "10-0-0-1.wildcard.example": ["10.0.0.1"],
    "0x7f000001.wildcard.example": ["127.0.0.1"],
    "mapped.example.org": ["::ffff:10.0.0.1"],
    "nat64.example.org": ["64:ff9b::7f00:1"],
    "mixed.example.org": ["8.8.8.8", "192.168.1.1"],
    "mixed6.example.org": ["8.8.8.8", "fd00::1"],
    "zone.example.org": ["fe80::1%eth0"],
    "bücher.example.org": ["10.1.2.3"],
}


def targets() -> list[str]:
    """All of it as URLs, each once."""
    addresses = [f"[{text}]" if ":" in text else text for text, _ in REFUSED]
    urls = [*URLS, *(f"http://{host}/" for host in [*addresses, *NAMES])]
    return list(dict.fromkeys(urls))


def look_up(host: str) -> list[str]:
    """A resolver's answers: those of `NAMES`, and this machine for whatever else is asked."""
    return {name.lower().rstrip("."): found for name, found in NAMES.items()}.get(
        host, ["127.0.0.1"]
    )

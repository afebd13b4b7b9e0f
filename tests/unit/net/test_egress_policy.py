"""What DOCKBELL_EGRESS_ALLOW means, word by word."""

# ruff: noqa: S104 -- 0.0.0.0 is a target here, nothing listens on it

import pytest

from dockbell.domain.errors import SetupError
from dockbell.domain.outcomes import Code
from dockbell.net.addresses import METADATA, Address, parse
from dockbell.net.policy import INTERNAL_PORTS, EgressPolicy


def address(text: str) -> Address:
    found = parse(text)
    assert found is not None
    return found


def code(policy: EgressPolicy, target: str, port: int = 443, host: str = "") -> Code | None:
    refusal = policy.refusal(host or str(address(target)), port, address(target))
    return None if refusal is None else refusal.code


BLOCKED = Code.BLOCKED_ADDRESS


@pytest.mark.parametrize(
    ("allow", "target", "expected"),
    [
        ("", "8.8.8.8", None),
        ("", "10.0.0.1", BLOCKED),
        ("", "127.0.0.1", BLOCKED),
        ("", "::1", BLOCKED),
        ("private", "10.0.0.1", None),
        ("private", "172.31.255.255", None),
        ("private", "192.168.0.1", None),
        ("private", "fd00::1", None),
        ("private", "127.0.0.1", BLOCKED),
        ("private", "169.254.1.1", BLOCKED),
        ("private", "100.64.0.1", BLOCKED),
        ("private", "fe80::1", BLOCKED),
        ("PRIVATE", "10.0.0.1", None),
        ("loopback", "127.0.0.1", None),
        ("loopback", "127.255.255.255", None),
        ("loopback", "::1", None),
        ("loopback", "::ffff:127.0.0.1", None),
        ("loopback", "10.0.0.1", BLOCKED),
        ("loopback", "0.0.0.0", BLOCKED),
        ("10.1.0.0/16", "10.1.0.0", None),
        ("10.1.0.0/16", "10.1.255.255", None),
        ("10.1.0.0/16", "10.0.255.255", BLOCKED),
        ("10.1.0.0/16", "10.2.0.0", BLOCKED),
        ("10.1.0.0/16", "::ffff:10.1.0.1", None),
        ("10.1.2.3", "10.1.2.3", None),
        ("10.1.2.3", "10.1.2.4", BLOCKED),
        ("10.1.2.3/32", "10.1.2.3", None),
        ("fd00:1::/32", "fd00:1::5", None),
        ("fd00:1::/32", "fd00:2::5", BLOCKED),
        ("0.0.0.0/0", "10.0.0.1", None),
        ("0.0.0.0/0", "::1", BLOCKED),
        ("::/0", "::1", None),
        ("::/0", "127.0.0.1", BLOCKED),
        (" private , loopback ", "127.0.0.1", None),
        # a translator's network is judged by the address inside
        ("64:ff9b::/96", "64:ff9b::8.8.8.8", None),
        ("64:ff9b::/96", "64:ff9b::10.0.0.1", BLOCKED),
        ("64:ff9b::/96,private", "64:ff9b::10.0.0.1", None),
        ("64:ff9b::/96", "64:ff9b::169.254.169.254", BLOCKED),
    ],
)
def test_an_address_is_allowed_by_exactly_its_rule(
    allow: str, target: str, expected: Code | None
) -> None:
    policy = EgressPolicy.of(allow)

    assert code(policy, target) == expected


@pytest.mark.parametrize("metadata", sorted(map(str, METADATA)))
def test_metadata_is_never_implied(metadata: str) -> None:
    broad = EgressPolicy.of(
        "private,loopback,0.0.0.0/0,::/0,169.254.0.0/16,metadata.example.org,.example.org"
    )
    exact = EgressPolicy.of(metadata)

    assert code(broad, metadata) == BLOCKED
    assert code(broad, metadata, host="metadata.example.org") == BLOCKED
    assert code(exact, metadata) is None


@pytest.mark.parametrize(
    ("allow", "host", "expected"),
    [
        ("example.org", "example.org", None),
        ("EXAMPLE.org.", "example.org", None),
        ("example.org", "www.example.org", BLOCKED),
        ("example.org", "evilexample.org", BLOCKED),
        ("example.org", "example.org.evil.test", BLOCKED),
        (".example.org", "www.example.org", None),
        (".example.org", "a.b.example.org", None),
        (".example.org", "example.org", BLOCKED),
        (".example.org", "evilexample.org", BLOCKED),
        ("*.example.org", "www.example.org", None),
        ("*.example.org", "evilexample.org", BLOCKED),
        ("bücher.example", "xn--bcher-kva.example", None),
        ("backend", "backend", None),
        ("backend", "backend.evil.test", BLOCKED),
    ],
)
def test_a_host_is_allowed_by_exactly_its_name(
    allow: str, host: str, expected: Code | None
) -> None:
    policy = EgressPolicy.of(allow)

    assert code(policy, "10.0.0.1", host=host) == expected


@pytest.mark.parametrize(
    "word",
    [
        "*",
        "public",
        "127.1",
        "0x7f000001",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/x",
        "::ffff:10.0.0.0/104",
        "fe80::1%eth0",
        "[::1]",
        "example.org:80",
        "https://example.org",
        "exa mple.org",
        "-",
        ".",
        "*.",
        "**.example.org",
        ".127.0.0.1",
        "127.0.0.1.",
    ],
)
def test_a_wrong_word_stops_the_start_and_is_named(word: str) -> None:
    with pytest.raises(SetupError) as caught:
        EgressPolicy.of(f"private,{word}")

    assert caught.value.detail.startswith("DOCKBELL_EGRESS_ALLOW: ")
    assert f" {word} " in caught.value.detail


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (80, None),
        (443, None),
        (1024, None),
        (8080, None),
        (8443, None),
        (65535, None),
        (1, Code.BLOCKED_PORT),
        (22, Code.BLOCKED_PORT),
        (25, Code.BLOCKED_PORT),
        (79, Code.BLOCKED_PORT),
        (81, Code.BLOCKED_PORT),
        (1023, Code.BLOCKED_PORT),
        *((port, Code.BLOCKED_PORT) for port in INTERNAL_PORTS),
    ],
)
def test_a_public_target_has_the_ports_of_web_servers(port: int, expected: Code | None) -> None:
    policy = EgressPolicy.of("")

    assert code(policy, "8.8.8.8", port) == expected


@pytest.mark.parametrize(
    ("allow", "target", "host", "expected"),
    [
        ("private", "10.0.0.1", "10.0.0.1", Code.BLOCKED_PORT),
        ("loopback", "127.0.0.1", "localhost", None),
        ("10.0.0.0/8", "10.0.0.1", "10.0.0.1", None),
        ("cache.example.org", "10.0.0.1", "cache.example.org", None),
        ("cache.example.org", "8.8.8.8", "cache.example.org", None),
    ],
)
def test_any_port_is_open_where_an_operator_named_the_target(
    allow: str, target: str, host: str, expected: Code | None
) -> None:
    policy = EgressPolicy.of(allow)

    assert code(policy, target, 6379, host) == expected


@pytest.mark.parametrize(
    ("own", "target", "port", "expected"),
    [
        (("127.0.0.1", 8080), "127.0.0.1", 8080, BLOCKED),
        (("127.0.0.1", 8080), "127.0.0.1", 8081, None),
        (("127.0.0.1", 8080), "127.0.0.2", 8080, None),
        (("127.0.0.1", 8080), "::ffff:127.0.0.1", 8080, BLOCKED),
        (("127.0.0.1", 8080), "0.0.0.0", 8080, BLOCKED),
        (("0.0.0.0", 8080), "127.0.0.1", 8080, BLOCKED),
        (("0.0.0.0", 8080), "127.0.0.9", 8080, BLOCKED),
        (("::", 8080), "127.0.0.1", 8080, BLOCKED),
        (("0.0.0.0", 8080), "8.8.8.8", 8080, None),
        (("203.0.113.7", 443), "203.0.113.7", 443, BLOCKED),
    ],
)
def test_our_own_address_is_refused_whatever_is_allowed(
    own: tuple[str, int], target: str, port: int, expected: Code | None
) -> None:
    policy = EgressPolicy.of("loopback,0.0.0.0/0,203.0.113.7", own=[own])

    assert code(policy, target, port) == expected


def test_our_own_name_is_refused() -> None:
    policy = EgressPolicy.of("private", own=[("DB.internal", 5432)])

    assert code(policy, "10.0.0.1", 5432, "db.internal") == BLOCKED


ONLY_PUBLIC = "this server sends to public addresses only. An operator can allow it:"
ANY_PORT = "An operator can allow every port of it: DOCKBELL_EGRESS_ALLOW=hooks.example.org."


@pytest.mark.parametrize(
    ("host", "target", "port", "detail"),
    [
        (
            "127.0.0.1",
            "127.0.0.1",
            80,
            f"127.0.0.1 is this machine itself (127.0.0.0/8); {ONLY_PUBLIC} DOCKBELL_EGRESS_ALLOW=loopback.",
        ),
        (
            "hooks.internal",
            "10.1.2.3",
            80,
            (
                f"hooks.internal leads to an address that is in a private network (10.0.0.0/8); {ONLY_PUBLIC} "
                "DOCKBELL_EGRESS_ALLOW=hooks.internal (or DOCKBELL_EGRESS_ALLOW=private)."
            ),
        ),
        (
            "169.254.169.254",
            "169.254.169.254",
            80,
            (
                "169.254.169.254 is an address where clouds keep the secrets of their machines; "
                f"{ONLY_PUBLIC} DOCKBELL_EGRESS_ALLOW=169.254.169.254."
            ),
        ),
        (
            "hooks.example.org",
            "8.8.8.8",
            6379,
            f"Port 6379 is the one of Redis, not of a web server. {ANY_PORT}",
        ),
        (
            "hooks.example.org",
            "8.8.8.8",
            22,
            f"Of the ports below 1024 only 80 and 443 can be reached, not 22. {ANY_PORT}",
        ),
    ],
)
def test_a_refusal_says_why_and_what_could_be_set(
    host: str, target: str, port: int, detail: str
) -> None:
    refusal = EgressPolicy.of("").refusal(host, port, address(target))

    assert refusal is not None
    assert refusal.detail == detail


@pytest.mark.parametrize(
    ("host", "target", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 80),
        ("hooks.internal", "10.1.2.3", 80),
        ("::1", "::1", 80),
        ("169.254.169.254", "169.254.169.254", 80),
        ("fe80::1", "fe80::1", 80),
        ("100.64.0.1", "100.64.0.1", 22),
        ("hooks.example.org", "8.8.8.8", 6379),
    ],
)
def test_the_advice_of_a_refusal_works(host: str, target: str, port: int) -> None:
    refusal = EgressPolicy.of("").refusal(host, port, address(target))
    assert refusal is not None
    advice = (
        refusal.detail.partition("DOCKBELL_EGRESS_ALLOW=")[2].split(" ")[0].removesuffix(".")
    )

    assert EgressPolicy.of(advice).refusal(host, port, address(target)) is None

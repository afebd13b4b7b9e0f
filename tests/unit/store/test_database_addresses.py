"""Database addresses: which are taken, and that none shows its password."""

import pytest

from dockbell.store import addresses


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:p%40ss@h:5433/d", "postgresql://u:p%40ss@h:5433/d"),
        ("postgresql://u:!$&'()*+,;=-._~%zz@h/d", "postgresql://u:!$&'()*+,;=-._~%zz@h/d"),
        ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql://h", "postgresql://h"),
        ("postgresql:///d?host=/run/pg&port=5433", "postgresql:///d?host=/run/pg&port=5433"),
        ("postgresql://h/d?sslmode=verify-full", "postgresql://h/d?sslmode=verify-full"),
        ("sqlite:///bell.db", "sqlite:///bell.db"),
        ("sqlite:////srv/b@ll:1.db", "sqlite:////srv/b@ll:1.db"),
    ],
)
def test_what_is_right_is_taken(given: str, taken: str) -> None:
    assert addresses.checked(given) == taken


ESCAPE = (
    "in a name or password write `@` as %40, `/` as %2F, `:` as %3A, `#` as %23, `?` as %3F"
)
SERVER = "its host is not a host, or its port not a number from 1 to 65535; " + ESCAPE
SCHEME = "it begins with neither `postgresql://` nor `sqlite:///`"
KNOWN = ", ".join(addresses.OPTIONS)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("postgresql://u:hush@h:99999/d", SERVER),
        ("postgresql://u:hush@h:0/d", SERVER),
        ("postgresql://u:hush@h:-1/d", SERVER),
        ("postgresql://u:hush@h:five/d", SERVER),
        ("postgresql://u:hush@h:1,g:2/d", SERVER),
        ("postgresql://u:hush@[::1/d", SERVER),
        ("postgresql://u:hush@[zz]/d", SERVER),
        ("postgresql://u:hush/d", SERVER),
        ("postgresql://u:hu/sh@h/d", SERVER),
        ("postgresql://u:hu#sh@h/d", SERVER),
        ("postgresql://u:hu?sh@h/d", SERVER),
        ("postgresql://u:hush@h:/d", "its port is missing after the `:`"),
        ("postgresql://u:hu@sh@h/d", ESCAPE),
        ("postgresql://u:1/hush@h/d", ESCAPE),
        ("postgresql://u:hu@sh/x#y%zz@h/d", ESCAPE),
        ("postgresql://u:hu sh@h/d", "it holds a blank or a control character; in a password write %20"),
        ("postgresql://u:hush@h/d?ssl", "after `?` come options like `sslmode=require`"),
        ("postgresql://u:hush@h/d?sslmod=require", f"the option `sslmod` is not known; known are {KNOWN}"),
        ("postgresql://u@h/d?password=hush", f"the option `password` is not known; known are {KNOWN}"),
        ("postgresql://u:hush@h/d?sslmode=on",
         "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("postgresql://u:hush@h/d?port=x", "the option port is a number from 1 to 65535"),
        ("postgresql://", SCHEME),
        ("postgresql+asyncpg://u:hush@h/d", SCHEME),
        ("mysql://u:hush@h/d", SCHEME),
        ("u:hush@h/d", SCHEME),
        ("sqlite://bell.db", "after `sqlite:///` comes the path of a file"),
        ("sqlite:///", "after `sqlite:///` comes the path of a file"),
        ("sqlite:///:memory:", "a database in memory would forget what it has acknowledged"),
        ("sqlite:///bell.db?mode=ro", "an SQLite address takes no options after `?`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_reason_and_shows_no_password(
    given: str, why: str
) -> None:
    with pytest.raises(addresses.AddressError) as caught:
        addresses.checked(given)

    shown = addresses.without_password(given)
    assert str(caught.value) == why
    assert [part for part in ("hush", "hu", "sh") if part in shown] == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://u:hush@h:1/d", "postgresql://u:********@h:1/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h:5432/d?sslmode=require", "postgresql://h:5432/d?sslmode=require"),
        ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql://u:a://b@h/d", "postgresql://u:********@h/d"),
        ("postgresql://h/d?a=b&sslpassword=hush&c=d", "postgresql://h/d?a=b&sslpassword=********&c=d"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_password(given: str, shown: str) -> None:
    assert addresses.without_password(given) == shown


@pytest.mark.parametrize(
    ("address", "servers"),
    [
        ("sqlite:////srv/bell.db", []),
        ("postgresql:///d", [("localhost", 5432)]),
        ("postgresql://u:p@db:5433/d", [("db", 5433)]),
        ("postgresql:///d?host=/run/pg", []),
        ("postgresql:///d?host=a,b&port=5433", [("a", 5433), ("b", 5433)]),
    ],
)
def test_an_address_tells_where_the_database_listens(
    address: str, servers: list[tuple[str, int]]
) -> None:
    assert addresses.servers_of(address) == servers

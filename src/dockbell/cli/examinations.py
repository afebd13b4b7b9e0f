"""What `doctor` looks at. Each examination stands alone: one that fails keeps none of the others from being made."""

import asyncio
import ipaddress
import os
import resource
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import text

from dockbell import bootstrap
from dockbell.domain import mail_outcomes
from dockbell.domain.advice import advice_of
from dockbell.domain.errors import DockbellError, SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import UnreachableError
from dockbell.engine.engine import most_tries
from dockbell.net.resolver import Resolver
from dockbell.observability import logs
from dockbell.settings import Settings
from dockbell.store import backlog, breakers, schema
from dockbell.store.backlog import Backlog
from dockbell.store.clocks import DatabaseClock
from dockbell.store.transactions import Store

_LITTLE_ROOM, _NO_ROOM = 1 << 30, 100 << 20
_OTHER_FILES = 256  # sockets of clients, the database, libraries
_SKEW = timedelta(seconds=30)
_LOOK_UP_SECONDS = 5.0
_DATABASE_SECONDS = 20.0
_OLD = timedelta(minutes=5)
_DEAD_SINCE = timedelta(days=1)
_WIDEST = {4: 16, 6: 32}  # a network that is wider is hardly one that somebody knows
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
_MOST_NAMED = 5
_REFUSED = 400  # SMTP's numbers from here on say no


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look came to; `advice` says what to do unless all is well."""

    name: str
    verdict: Verdict
    says: str
    advice: str = ""


def _ok(name: str, says: str) -> Finding:
    return Finding(name, Verdict.OK, says)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _warn(name: str, says: str, advice: str) -> Finding:
    return Finding(name, Verdict.WARN, says, advice)


def _fail(name: str, says: str, advice: str) -> Finding:
    return Finding(name, Verdict.FAIL, says, advice)


async def examine(settings: Settings, name: str | None = None) -> list[Finding]:
    """All findings, in the order in which things depend on each other. Changes nothing."""
    logs.configure(style=settings.log_format, level="error")
    found = [
        *_data_folder(settings),
        *_disk(settings),
        *_public_url(settings),
        *_egress(settings),
        *_open_files(settings),
        *_clock(),
    ]
    found += [await _look_up(host) for host in _names(settings, name)]
    found.append(await _mail(settings))
    try:
        async with asyncio.timeout(_DATABASE_SECONDS):
            found += [one async for one in _database(settings)]
    except TimeoutError:
        found.append(
            _fail("database", "It does not answer in time.", "Look at its load and its locks.")
        )
    return found


def _data_folder(settings: Settings) -> Iterator[Finding]:
    data = settings.data.resolve()
    name = "data folder"
    try:
        mode = data.stat().st_mode
    except OSError as error:
        yield _fail(
            name,
            f"{data}: {error.strerror}.",
            "Name the right one with --data; the first `dockbell serve` makes it.",
        )
        return
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        yield _fail(
            name, f"This user may not work in {data}.", "Run as its owner, or give the right."
        )
    elif mode & stat.S_IWOTH:
        yield _warn(name, f"Every user may write to {data}.", f"chmod o-w {data}")
    else:
        yield _ok(name, f"{data}")
    names = [data / bootstrap.KEY_FILE, data / "blobs", data / "uploads"]
    if settings.sqlite_file is not None:
        names.append(settings.sqlite_file)
    yield _rights(names)


def _rights(paths: list[Path]) -> Finding:
    open_to_all = []
    for path in paths:
        try:
            if path.stat().st_mode & 0o077:
                open_to_all.append(str(path))
        except OSError:
            continue  # what is not there or cannot be seen is told of elsewhere
    if open_to_all:
        return _warn(
            "file rights",
            f"Other users may read {', '.join(open_to_all)}.",
            "The next start of the server narrows that; or: chmod go= on each.",
        )
    return _ok("file rights", "Database, key and blobs are readable by their own user only.")


def _disk(settings: Settings) -> Iterator[Finding]:
    folders = {settings.data.resolve()}
    if settings.sqlite_file is not None:
        folders.add(settings.sqlite_file.resolve().parent)
    for folder in sorted(folders):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue  # the folder is told of above
        says = f"{free / (1 << 30):.1f} GiB free in {folder}."
        advice = "Make room: with a full disk, events are refused and nothing is sent."
        if free < _NO_ROOM:
            yield _fail("disk", says, advice)
        elif free < _LITTLE_ROOM:
            yield _warn("disk", says, advice)
        else:
            yield _ok("disk", says)


def _public_url(settings: Settings) -> Iterator[Finding]:
    name, address = "public URL", urlsplit(settings.public_address)
    host = address.hostname or ""
    listens_to_all = not _is_loopback(settings.host)
    if listens_to_all and _is_loopback(host):
        yield _warn(
            name,
            f"Links begin with {settings.public_address}, which only this machine reaches, "
            f"but the server listens on {settings.host}.",
            "Set public_url to the address that clients use.",
        )
    elif address.scheme == "http" and not _is_loopback(host):
        yield _warn(
            name,
            f"{settings.public_address} is not encrypted: passwords and tokens can be read on the way.",
            "Put a proxy with TLS before the server, and set public_url to its https address.",
        )
    else:
        yield _ok(name, settings.public_address)


def _is_loopback(host: str) -> bool:
    if host in {"localhost", ""} or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _egress(settings: Settings) -> Iterator[Finding]:
    wide = []
    for entry in settings.egress_allow:
        try:
            network = ipaddress.ip_network(entry)
        except ValueError:
            if entry in {"private", "loopback"}:
                wide.append(entry)
            continue
        if network.prefixlen < _WIDEST[network.version]:
            wide.append(entry)
    if wide:
        yield _warn(
            "egress",
            f"egress_allow holds {', '.join(wide)}: whoever may make a notification can have requests sent there.",
            "Name the hosts or small networks of your receivers instead.",
        )
    else:
        named = ", ".join(settings.egress_allow)
        yield _ok("egress", f"Beside public addresses: {named or 'none'}.")


def _open_files(settings: Settings) -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most_tries(settings.concurrency) + _OTHER_FILES
    if limit != resource.RLIM_INFINITY and limit < needed:
        yield _warn(
            "open files",
            f"This shell may open {limit} files; at its busiest, the server wants {needed}.",
            "Raise it where the server is started (ulimit -n, LimitNOFILE=), or lower concurrency.",
        )
    else:
        yield _ok("open files", f"Up to {'any number' if limit < 0 else limit}.")


def _clock() -> Iterator[Finding]:
    now = datetime.now(UTC)
    says = f"It is {now.isoformat(timespec='seconds')}."
    if now < _EARLIEST:
        advice = "Set the clock: signatures and certificates depend on it."
        yield _fail("clock", says, advice)
    else:
        yield _ok("clock", says)


def _names(settings: Settings, name: str | None) -> list[str]:
    """The names to look up: the public one, if it is a name, and what was asked for."""
    public = urlsplit(settings.public_url).hostname or ""
    try:
        ipaddress.ip_address(public)
    except ValueError:
        return [one for one in (public, name) if one]
    return [name] if name else []


async def _look_up(host: str) -> Finding:
    advice = "Look at /etc/resolv.conf and at the name; targets are looked up in the same way."
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            rows = await asyncio.get_running_loop().getaddrinfo(
                host, None, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        return _fail("names", f"{host}: no answer in {_LOOK_UP_SECONDS:g} seconds.", advice)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no name"
        return _fail("names", f"{host}: {why}.", advice)
    return _ok("names", f"{host} is {', '.join(sorted({str(row[4][0]) for row in rows}))}.")


async def _mail(settings: Settings) -> Finding:
    """Whether the mail server lets us in. It is given no mail."""
    name = "mail"
    resolver = Resolver()
    try:
        mailer = bootstrap.mailer_of(settings, resolver)
        if mailer is None:
            return _ok(name, "No mail server is set, so no mail is sent.")
        reply = await mailer.check()
    except SetupError as error:
        return _fail(name, *_split(error))
    except UnreachableError as error:
        return _fail(name, error.detail, advice_of(error.code) or "")
    finally:
        await resolver.close()
    outcome = mail_outcomes.outcome_of(reply)
    if reply.status >= _REFUSED:
        return _fail(name, outcome.detail, advice_of(outcome.code) or "")
    host = settings.smtp_host
    if settings.smtp_tls == "none" and not _is_loopback(host):
        return _warn(
            name,
            f"{host} lets us in, but nothing on the way there is encrypted.",
            "Set smtp_tls to starttls or tls, whichever the mail server offers.",
        )
    return _ok(name, f"{host} lets us in; mail comes from {settings.mail_from}.")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    file = settings.sqlite_file
    if file is not None and not file.is_file():
        yield _fail(
            "database",
            f"There is no file {file}.",
            "Name the data folder with --data, or start `dockbell serve` once.",
        )
        return
    try:
        store, clock = bootstrap.unchecked(settings)
    except DockbellError as error:
        yield _fail("secret key", *_split(error))
        return
    try:
        async for one in _of_store(settings, store, clock):
            yield one
    except DockbellError as error:
        yield _fail("database", *_split(error))
    finally:
        await store.close()


def _split(error: DockbellError) -> tuple[str, str]:
    """What is wrong and what to do, as the words of an error say both."""
    says, _, advice = error.detail.replace("\n", " ").partition(". ")
    return (says + "." if advice else says), advice


async def _of_store(
    settings: Settings, store: Store, clock: DatabaseClock
) -> AsyncIterator[Finding]:
    is_settled = await schema.is_settled(store)
    yield _ok("database", "It answers.")
    if not is_settled:
        yield _fail(
            "schema",
            "The tables are missing or of an older version.",
            "Run `dockbell db migrate`, or start the server, which does it.",
        )
        return
    found = await schema.revision(store)
    if found == schema.NEWEST:
        yield _ok("schema", f"The newest ({found}).")
    else:
        yield _ok("schema", f"{found}, of a newer version, which this one works with.")
    yield await _secret_key(settings, store)
    await clock.set_by(store)
    yield _clock_offset(clock)
    yield await _durability(store)
    async with store.read() as tx:
        now = tx.now
        counted = await backlog.count(tx)
        hosts = sorted(await breakers.find_open(tx))
        dead = await backlog.count_dead(tx, now - _DEAD_SINCE)
        latest = await backlog.latest_event_at(tx)
    if latest is not None and latest > now + _SKEW:
        yield _fail(
            "time of events",
            f"The newest event is of {latest.isoformat(timespec='seconds')}, which is yet to come.",
            "Set the clock: it was ahead then, or is behind now. Until it catches up, deliveries wait.",
        )
    for one in _queue(counted, hosts, dead, now):
        yield one


async def _secret_key(settings: Settings, store: Store) -> Finding:
    try:
        await bootstrap.check_key(settings, store)
    except SetupError as error:
        return _fail("secret key", *_split(error))
    return _ok("secret key", "It opens what the database holds.")


def _clock_offset(clock: DatabaseClock) -> Finding:
    says = f"The database's clock is {clock.offset.total_seconds():+.3f} seconds from ours."
    if abs(clock.offset) > _SKEW:
        return _warn(
            "clock offset",
            says,
            "Let both machines keep time (chrony, systemd-timesyncd); dockbell goes by the database's.",
        )
    return _ok("clock offset", says)


async def _durability(store: Store) -> Finding:
    name = "durability"
    advice = "Turn them on in the server's configuration: an event that was accepted must survive a crash."
    async with store.read() as tx:
        if store.is_sqlite:
            row = await tx.first(text("PRAGMA journal_mode"))
            mode = "" if row is None else str(row[0])
            if mode != "wal":
                says = f"The journal mode of SQLite is {mode}, not wal."
                return _warn(name, says, "Put the data folder on a local disk.")
            return _ok(name, "SQLite syncs every commit.")
        off = []
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = await tx.first(text(f"SHOW {setting}"))
            if row is not None and row[0] == "off":
                off.append(setting)
    if off:
        return _fail(name, f"PostgreSQL runs with {', '.join(off)} off.", advice)
    return _ok(name, "PostgreSQL syncs every commit.")


def _queue(counted: Backlog, hosts: list[str], dead: int, now: datetime) -> Iterator[Finding]:
    due, oldest = counted.pending["due"], counted.oldest_due_at
    if oldest is not None and now - oldest > _OLD:
        yield _fail(
            "queue",
            f"{due} deliveries are due, the oldest since {oldest.isoformat(timespec='seconds')}.",
            "Is `dockbell serve` or `dockbell worker` running? If so, look at its log and raise concurrency.",
        )
    else:
        later = counted.pending["later"]
        yield _ok("queue", f"{due} deliveries are due, {later} wait for a later try.")
    if hosts:
        named = ", ".join(hosts[:_MOST_NAMED]) + (" …" if len(hosts) > _MOST_NAMED else "")
        yield _warn(
            "breakers",
            f"{_count(len(hosts), 'host is', 'hosts are')} left alone for a while: {named}.",
            "They did not answer several times in a row. They are tried again by themselves.",
        )
    else:
        yield _ok("breakers", "No host is left alone.")
    if counted.lanes_paused:
        yield _warn(
            "paused",
            f"{counted.lanes_paused} notifications are paused; {counted.pending['parked']} deliveries are parked.",
            "Their owners resume them; what is parked for a week expires.",
        )
    else:
        yield _ok("paused", "No notification is paused.")
    if dead:
        yield _warn(
            "dead deliveries",
            f"{_count(dead, 'delivery was', 'deliveries were')} given up in the last day, tests among them.",
            "Their tries say why: GET /api/v2/deliveries?repository=…&state=dead. What still has its notification can be sent again.",
        )
    else:
        yield _ok("dead deliveries", "None in the last day.")

"""`make soak`: see `--help`."""

import argparse
import asyncio
import contextlib
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.postgres import Postgres
from tests.soak.checks import Report
from tests.soak.soak import Plan, Soak

_STOPPED = 130


def main() -> int:
    words = argparse.ArgumentParser(
        prog="run.py soak",
        description="Kill real processes under load at random, then count: nothing may be lost.",
    )
    words.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    words.add_argument("--kills", type=int, default=100, help="so many for each database (100)")
    words.add_argument("--minutes", type=float, default=10, help="at most, each (10)")
    words.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    given = words.parse_args()
    kinds = ["sqlite", "postgresql"] if given.database == "both" else [given.database]
    plan = Plan(given.seed, kills=given.kills, seconds=60 * given.minutes)
    passed = True
    for kind in kinds:
        say(f"soak on {kind}, seed {plan.seed} …")
        try:
            report = run(kind, plan)
        except asyncio.CancelledError:
            say("stopped")
            return _STOPPED
        say(report.text())
        passed &= report.has_passed
    return 0 if passed else 1


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(kind: str, plan: Plan) -> Report:
    with (
        tempfile.TemporaryDirectory(prefix="dockbell-soak-") as name,
        _database(kind, Path(name)) as url,
    ):
        return asyncio.run(_run(Soak(plan, Path(name), url)))


async def _run(soak: Soak) -> Report:
    running = asyncio.current_task()
    assert running is not None
    # Whatever ends it ends its processes first. SIGINT too: a shell starts what it puts behind with that ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    return await soak.run()


@contextlib.contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'dockbell.db'}"
        return
    server = Postgres()
    try:
        yield server.url
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())

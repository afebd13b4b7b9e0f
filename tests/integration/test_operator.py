"""Commands that work on the database themselves, and starts that are refused: one line and an exit code."""

import asyncio
import contextlib
import io
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from dockbell.cli.app import run as run_here
from dockbell.store.key_files import MissingKeyError
from dockbell.store.seals import WrongKeyError
from tests.rights import bound_by_rights

PASSWORD = "correct-horse-battery"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own_logging: None,
) -> Run:
    """Runs a command in an empty folder, with this text as its input: exit code, stdout, stderr."""
    del own_logging
    monkeypatch.chdir(tmp_path)

    def ran(*words: str, given: str = "") -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(given))
            code = run_here(words)
        out, error = capsys.readouterr()
        return code, out, error

    return ran


@pytest.fixture
def on_both(run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same on SQLite and on PostgreSQL, where a dockbell is already."""
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", database_url)
    assert run("db", "migrate")[0] == 0
    return run


def test_a_user_is_made_with_the_password_of_the_input(on_both: Run) -> None:
    code, out, said = on_both(
        "users", "create", "alice", "--superuser", "--password-stdin", given=PASSWORD + "\n"
    )

    assert (code, out.count("\n"), said) == (0, 1, "The user alice is there.\n")


def test_users_are_listed_with_what_they_may(on_both: Run) -> None:
    alice = on_both("users", "create", "alice", "--superuser", "--email", "a@example.org")[
        1
    ].strip()
    bob = json.loads(on_both("users", "create", "bob", "-o", "json")[1])

    code, out, _ = on_both("users", "list")

    rows = [
        (one["username"], one["email"], one["superuser"], one["enabled"], one["id"])
        for one in json.loads(out)
    ]
    assert code == 0
    assert list(bob) == ["id", "username", "email", "superuser", "password"]
    assert rows == [
        ("alice", "a@example.org", True, True, alice),
        ("bob", None, False, True, bob["id"]),
    ]


def test_a_new_password_replaces_the_old_one(run: Run) -> None:
    run("db", "migrate")
    made = json.loads(run("users", "create", "alice", "-o", "json")[1])

    code, out, said = run("users", "reset-password", "alice")

    assert (code, said) == (0, "The user alice has a new password.\n")
    assert out.strip() not in {"", made["password"]}


@pytest.mark.parametrize(
    ("words", "given", "code", "said"),
    [
        (("users", "create", "alice"), "", 1, "The username already exists"),
        (("users", "create", "Not A Name"), "", 1,
         "Invalid namespace Not A Name: Namespace must match expression ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"),
        (("users", "create", "bob", "--email", "nobody"), "", 1, "Invalid email address: nobody"),
        (("users", "create", "bob", "--password-stdin"), "short\n", 1,
         "Invalid password, password must be at least 8 characters and contain no whitespace."),
        (("users", "create", "bob", "--password-stdin"), "", 1,
         "--password-stdin was given, but the input has no first line."),
        (("users", "reset-password", "nobody"), "", 3, "There is no user nobody."),
        (("tokens", "create", "nobody"), "", 3, "There is no user nobody."),
        (("tokens", "create", "alice", "--scope", "repo:everything"), "", 1,
         "Invalid scope: repo:everything"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    alice: None, run: Run, words: tuple[str, ...], given: str, code: int, said: str
) -> None:
    done = run(*words, given=given)

    assert done == (code, "", f"dockbell: {said}\n")


@pytest.fixture
def alice(run: Run) -> None:
    run("db", "migrate")
    assert run("users", "create", "alice")[0] == 0


def test_a_token_tells_what_it_may_and_until_when(alice: None, run: Run) -> None:
    code, out, _ = run(
        "tokens", "create", "alice", "--scope", "repo:read,repo:admin", "--days", "1",
        "--name", "ci", "-o", "json",
    )  # fmt: skip

    made = json.loads(out)
    assert code == 0
    assert list(made) == ["token", "uuid", "username", "name", "scope", "expires_at"]
    assert (made["username"], made["name"], made["scope"]) == (
        "alice",
        "ci",
        "repo:read repo:admin",
    )


def nothing_in(folder: Path) -> str:
    return (
        f"There is no dockbell in {folder}: it holds no dockbell.db. "
        "Name its folder with --data, or make one with `dockbell serve` or `dockbell db migrate`."
    )


@pytest.mark.parametrize(
    "words",
    [
        ("users", "create", "alice"),
        ("users", "list"),
        ("users", "reset-password", "alice"),
        ("tokens", "create", "alice"),
        ("db", "check"),
    ],
)
@pytest.mark.parametrize("is_there", [False, True])
def test_a_command_makes_no_dockbell_where_there_is_none(
    tmp_path: Path, run: Run, words: tuple[str, ...], *, is_there: bool
) -> None:
    if is_there:
        (tmp_path / "typo").mkdir()
    before = sorted(tmp_path.rglob("*"))

    done = run(*words, "--data", "typo")

    assert done == (1, "", f"dockbell: {nothing_in(tmp_path / 'typo')}\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_command_makes_no_tables_in_an_empty_database(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"dockbell_empty_{os.getpid()}"
    asyncio.run(_administer(f"CREATE DATABASE {name}", database="postgres"))
    server, _, _ = os.environ["DOCKBELL_TEST_DATABASE_URL"].rpartition("/")
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", f"{server}/{name}")

    done = run("users", "create", "alice")
    asyncio.run(_administer(f"DROP DATABASE {name}", database="postgres"))

    said = (
        "dockbell: The database has no tables yet or an older schema. "
        "`dockbell db migrate` brings it to the newest.\n"
    )
    assert done == (1, "", said)
    assert list(tmp_path.iterdir()) == []


def test_the_database_is_made_and_checked(tmp_path: Path, run: Run) -> None:
    steps = [
        run("db", "check"),
        run("db", "migrate"),
        run("db", "migrate"),
        run("db", "check"),
    ]

    none = f"dockbell: {nothing_in(tmp_path / 'dockbell-data')}\n"
    assert steps == [
        (1, "", none),
        (0, "", "The database is now at the newest schema.\n"),
        (0, "", "Nothing to do.\n"),
        (0, "", "The database fits this version and the secret key.\n"),
    ]


def test_a_port_in_use_is_told_before_anything_is_made(tmp_path: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("serve", "--port", str(port))

    said = (
        f"dockbell: Port {port} of 127.0.0.1 is in use by another program. "
        "Stop that one, or choose another port with --port.\n"
    )
    assert done == (1, "", said)
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_another_machine_is_refused(run: Run) -> None:
    done = run("serve", "--host", "192.0.2.1")

    said = (
        "dockbell: 192.0.2.1 is not an address of this machine. "
        "Choose one with --host, such as 127.0.0.1 or 0.0.0.0.\n"
    )
    assert done == (1, "", said)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    tmp_path: Path, run: Run
) -> None:
    run("db", "migrate")
    database = tmp_path / "dockbell-data" / "dockbell.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_floors SET revision = '9998'")

    done = [
        run(*words) for words in (("serve", "--port", "0"), ("db", "check"), ("db", "migrate"))
    ]

    said = (
        "dockbell: The database was written by a newer dockbell (schema 9999), "
        "which needs a version of schema 9998 or newer. Start that version, or restore a backup made with this one.\n"
    )
    assert done == [(6, "", said)] * 3
    with contextlib.closing(sqlite3.connect(database)) as connection:
        kept = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert kept == [("9999",)]


def test_a_database_of_a_newer_version_that_takes_ours_is_left_as_it_is(
    tmp_path: Path, run: Run
) -> None:
    run("db", "migrate")
    database = tmp_path / "dockbell-data" / "dockbell.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    checked, migrated = run("db", "check"), run("db", "migrate")

    said = "The database fits this version and the secret key.\n"
    assert (checked, migrated) == ((0, "", said), (0, "", "Nothing to do.\n"))


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "data").write_text("in the way")

    done = run("serve", "--port", "0", "--data", "data")

    said = (
        f"dockbell: The folder {tmp_path}/data cannot be used: File exists. "
        "Choose another with --data, or give this user the right to write there.\n"
    )
    assert done == (1, "", said)
    assert (tmp_path / "data").read_text() == "in the way"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, run: Run) -> None:
    data = tmp_path / "dockbell-data"
    data.mkdir()
    (data / "dockbell.db").write_bytes(b"no database" * 500)
    (data / "dockbell.db").chmod(0o600)

    done = run("serve", "--port", "0")

    said = (
        f"dockbell: The database {data}/dockbell.db cannot be opened: file is not a database.\n"
    )
    assert done == (1, "", said)
    assert (data / "dockbell.db").read_bytes() == b"no database" * 500


def test_another_secret_key_than_the_data_was_written_with_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("db", "migrate")
    monkeypatch.setenv("DOCKBELL_SECRET_KEY", run("keys", "new")[1].strip())

    done = [run("serve", "--port", "0"), run("db", "check")]

    said = f"dockbell: {WrongKeyError().detail}\n"
    assert done == [(1, "", said)] * 2


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            "c2hvcnQ=",
            "The secret key is not base64 of 32 bytes: a key has 32 bytes, not 5. Make one with `dockbell keys new`.",
        ),
        (
            "hunter2",
            "The secret key is not base64 of 32 bytes: it is not base64. Make one with `dockbell keys new`.",
        ),
    ],
)
def test_a_secret_key_that_is_none_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv("DOCKBELL_SECRET_KEY", key)

    done = [run("serve", "--port", "0"), run("config", "check")]

    assert done == [(1, "", f"dockbell: {said}\n")] * 2


STARTS = (("serve", "--port", "0"), ("db", "migrate"), ("db", "check"), ("users", "list"))


def test_a_key_that_is_gone_is_not_made_anew(on_both: Run, tmp_path: Path) -> None:
    path = tmp_path / "dockbell-data" / "secret.key"
    path.unlink()

    done = [on_both(*words) for words in STARTS]

    said = "".join(f"dockbell: {line}\n" for line in MissingKeyError(path).detail.splitlines())
    assert done == [(1, "", said)] * len(STARTS)
    assert path.exists() is False


def test_a_key_that_is_gone_may_come_as_a_setting(
    on_both: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dockbell-data" / "secret.key"
    monkeypatch.setenv("DOCKBELL_SECRET_KEY", path.read_text())
    path.unlink()

    done = [on_both("db", "migrate")[0], on_both("users", "list")[0]]

    assert (done, path.exists()) == ([0, 0], False)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"c2hvcnQ=\n", "holds no key: a key has 32 bytes, not 5"),
        (b"a\n", "holds no key: it is not base64"),
        (b"\xff" * 32, "holds no key: it is not text"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_key_file_that_is_broken_is_told_and_left_alone(
    run: Run, tmp_path: Path, content: bytes | None, what: str
) -> None:
    run("db", "migrate")
    path = tmp_path / "dockbell-data" / "secret.key"
    path.unlink()
    if content is None:
        path.mkdir(mode=0o700)
    else:
        path.write_bytes(content)
        path.chmod(0o600)

    done = [run(*words) for words in STARTS]

    said = (
        f"dockbell: The secret key file {path} {what}.\n"
        "dockbell: Restore it from a backup, with read permission for this user. "
        "Only if nothing was ever stored: delete it and start again.\n"
    )
    assert done == [(1, "", said)] * len(STARTS)
    assert (path.is_dir() if content is None else path.read_bytes() == content) is True


def test_a_postgresql_that_does_not_answer_is_told_without_the_password(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", f"postgresql://u:hush@127.0.0.1:{port}/d")

    done = [run("serve", "--port", "0"), run("db", "migrate")]

    said = (
        f"dockbell: The database postgresql://u:********@127.0.0.1:{port}/d cannot be reached: "
        "Connection refused. "
        "Look at `dockbell config show`, database_url.\n"
    )
    assert done == [(5, "", said)] * 2


def test_a_postgresql_without_the_database_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, _ = os.environ["DOCKBELL_TEST_DATABASE_URL"].rpartition("/")
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", f"{server}/nothing_here")

    done = run("serve", "--port", "0")

    said = (
        f"dockbell: The database {server}/nothing_here cannot be reached: "
        'database "nothing_here" does not exist. '
        "Look at `dockbell config show`, database_url.\n"
    )
    assert done == (5, "", said)


def test_a_postgresql_host_that_is_not_known_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", "postgresql://u:hush@nowhere.invalid/d")

    done = run("serve", "--port", "0")

    said = (
        "dockbell: The database postgresql://u:********@nowhere.invalid/d cannot be reached: "
        "there is no host of that name. Look at `dockbell config show`, database_url.\n"
    )
    assert done == (5, "", said)


@pytest.mark.parametrize("option", ["sslmode=disable", "application_name=bell"])
def test_a_postgresql_takes_the_options_of_its_own_clients(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, option: str
) -> None:
    if database_url.startswith("sqlite:"):
        pytest.skip("SQLite takes no options")
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", f"{database_url}?{option}")

    done = [run("db", "migrate")[0], run("users", "list")]

    assert done == [0, (0, "[]\n", "")]


async def _administer(*statements: str, database: str) -> None:
    server, _, _ = os.environ["DOCKBELL_TEST_DATABASE_URL"].rpartition("/")
    connection = await asyncpg.connect(f"{server}/{database}")
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def test_a_postgresql_where_nothing_may_be_made_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"dockbell_refused_{os.getpid()}"
    role = f"{name}_guest"
    asyncio.run(
        _administer(f"CREATE DATABASE {name}", f"CREATE ROLE {role} LOGIN", database="postgres")
    )
    _, _, host = os.environ["DOCKBELL_TEST_DATABASE_URL"].rpartition("/")[0].rpartition("@")
    monkeypatch.setenv("DOCKBELL_DATABASE_URL", f"postgresql://{role}@{host}/{name}")

    done = run("db", "migrate")
    asyncio.run(_administer(f"DROP DATABASE {name}", f"DROP ROLE {role}", database="postgres"))

    said = "dockbell: The database cannot be migrated: permission denied for schema public.\n"
    assert done == (1, "", said)


def _rights(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")
    }


@pytest.fixture
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_usual_umask")
def test_what_is_written_is_for_this_user_only(run: Run, tmp_path: Path) -> None:
    run("db", "migrate")

    data = tmp_path / "dockbell-data"
    assert (data.stat().st_mode & 0o777, _rights(data)) == (
        0o700,
        {
            "blobs": 0o700,
            "dockbell.db": 0o600,
            "dockbell.db.lock": 0o600,
            "secret.key": 0o600,
            "uploads": 0o700,
        },
    )


@pytest.mark.usefixtures("_usual_umask")
def test_rights_that_were_wider_are_narrowed_and_told(run: Run, tmp_path: Path) -> None:
    run("db", "migrate")
    data = tmp_path / "dockbell-data"
    data.chmod(0o755)
    for path in data.iterdir():
        path.chmod(0o755 if path.is_dir() else 0o644)

    code, _, said = run("db", "migrate")

    told = [
        line.partition("path=")[2].split()[0]
        for line in said.splitlines()
        if "narrowed" in line
    ]
    assert (code, data.stat().st_mode & 0o777, sorted(told)) == (
        0,
        0o755,
        sorted(str(path) for path in data.iterdir()),
    )
    assert set(_rights(data).values()) == {0o700, 0o600}


@pytest.fixture
def _bound_by_rights() -> Iterator[None]:
    """Whoever runs the tests is refused what the rights of a file refuse."""
    with bound_by_rights():
        yield


@pytest.mark.usefixtures("_bound_by_rights")
@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
def test_a_database_that_may_not_be_written_is_named(
    run: Run, tmp_path: Path, ending: str
) -> None:
    run("db", "migrate")
    file = tmp_path / "dockbell-data" / f"dockbell.db{ending}"
    file.touch(mode=0o600)
    file.chmod(0o400)

    done = [run(*words) for words in STARTS]

    said = f"dockbell: This user may not read and write {file}. Give it that right, or run as its owner.\n"
    assert done == [(1, "", said)] * len(STARTS)


@pytest.mark.usefixtures("_bound_by_rights")
def test_a_data_folder_that_may_not_be_written_is_named(run: Run, tmp_path: Path) -> None:
    run("db", "migrate")
    data = tmp_path / "dockbell-data"
    data.chmod(0o500)

    done = [run("serve", "--port", "0"), run("users", "list")]
    data.chmod(0o700)

    served = (
        f"dockbell: The data folder {data} cannot be used: Permission denied. "
        "Choose another with --data, or give this user the right to write there.\n"
    )
    listed = (
        f"dockbell: This user may not read and write {data}. "
        "Give it that right, or run as its owner.\n"
    )
    assert done == [(1, "", served), (1, "", listed)]


@pytest.mark.usefixtures("_bound_by_rights")
def test_a_data_folder_that_may_not_be_entered_is_named(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "dockbell-data"
    data.mkdir(mode=0)

    done = [run("serve", "--port", "0"), run("users", "list"), run("config", "check")]
    data.chmod(0o700)

    said = (
        f"dockbell: The settings file {data}/dockbell.toml cannot be read: Permission denied.\n"
    )
    assert done == [(1, "", said)] * 3


@pytest.mark.usefixtures("_bound_by_rights")
def test_a_current_folder_that_may_not_be_entered_is_passed_over(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKBELL_DATA", str(tmp_path / "data"))
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    here.chmod(0)

    done = run("db", "migrate")
    here.chmod(0o700)

    assert done == (0, "", "The database is now at the newest schema.\n")


def test_an_unknown_event_cannot_be_expunged(on_both: Run) -> None:
    assert on_both("events", "expunge", "evt_none") == (
        3, "", "dockbell: There is no event evt_none.\n",
    )  # fmt: skip

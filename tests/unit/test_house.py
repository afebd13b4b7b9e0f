"""Rules of the house that no tool knows."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dockbell"
LOCKS = ("requirements.txt", "requirements-dev.txt")
CATALOGS = ("events", "methods", "sources")
# Put together here, so that this file does not name what it looks for.
PACKAGE_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("proxy", "golang", "org"),
        ("static", "crates", "io"),
        ("rubygems", "org"),
        ("conda", "anaconda", "org"),
    )
)
# Values that only `services` makes: who holds one has passed the check.
RIGHTS = {
    "Actor", "AdminOf", "AdminOfAll", "AdminOfNamespace", "AdminOfPlace", "CreatorIn", "MemberOfNamespace", "ReaderOf",
    "ReporterOf", "Self", "SetUp", "SuperUser", "SuperViewer", "Viewer", "ViewerOf", "ViewerOfAll", "ViewerOfNamespace",
    "ViewerOfPlace", "WriterOf",
    "GrantorTo",
}  # fmt: skip


def pins_of(name: str) -> dict[str, Requirement]:
    """Each package of a lock file with the line that pins it."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line.partition(" --hash")[0] for line in text.splitlines() if line[:1].isalnum()]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in found}


def wanted() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = project["project"]["dependencies"]
    return {
        "requirements.txt": runtime,
        "requirements-dev.txt": [*runtime, *project["dependency-groups"]["dev"]],
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_satisfies_the_project(lock: str) -> None:
    pins = pins_of(lock)

    unmet = []
    for line in wanted()[lock]:
        requirement = Requirement(line)
        pin = pins.get(canonicalize_name(requirement.name))
        version = next(iter(pin.specifier)).version if pin is not None else None
        if version is None or not requirement.specifier.contains(version):
            unmet.append(f"{line}: locked {version}")

    assert unmet == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_each_package_with_hashes_and_nothing_else(lock: str) -> None:
    entry = re.compile(
        r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,-]+\])?==[^\s;/:]+( ; [^/:]+)? \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+"
    )
    text = (ROOT / lock).read_text()

    rest = entry.sub("", text)

    odd = [line for line in rest.splitlines() if line.strip() and not line.startswith("    # ")]
    # The comments name packages and our own project file; nothing in them is an address or a path.
    places = [line for line in rest.splitlines() if re.search(r"/|://|@|--", line)]
    assert (odd, places) == ([], [])


def test_the_lock_for_tests_holds_all_of_the_lock_to_run() -> None:
    """run.py relies on it: an environment for tests can serve too."""
    runtime, dev = pins_of("requirements.txt"), pins_of("requirements-dev.txt")

    differing = {
        name: (str(pin.specifier), str(dev[name].specifier) if name in dev else None)
        for name, pin in runtime.items()
        if name not in dev or dev[name].specifier != pin.specifier
    }

    assert differing == {}


def files_of_the_project() -> list[Path]:
    """All that git tracks or would track; without git, all outside hidden folders."""
    asked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if asked.returncode == 0:
        paths = [ROOT / name for name in asked.stdout.split("\0") if name]
    else:
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
        ]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_host_of_packages() -> None:
    names = re.compile("|".join(map(re.escape, PACKAGE_HOSTS)).encode())

    naming = [
        str(path.relative_to(ROOT))
        for path in files_of_the_project()
        if names.search(path.read_bytes())
    ]

    assert naming == []


def test_the_search_for_hosts_would_find_one(tmp_path: Path) -> None:
    names = re.compile("|".join(map(re.escape, PACKAGE_HOSTS)))

    assert names.search("--index-url https://pypi" + ".org/simple") is not None


def test_tests_set_logging_back_by_the_one_fixture() -> None:
    """structlog's own defaults draw a picture of each traceback, which takes seconds, in every test that follows."""
    word = "reset_" + "defaults"

    setting = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if word in path.read_text()
    ]

    assert setting == ["tests/conftest.py"]


def test_packages_are_empty_except_for_the_catalogs() -> None:
    allowed = {SOURCE / name / "__init__.py" for name in CATALOGS}

    filled = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("__init__.py")
        if path.read_text().strip() and path not in allowed
    ]

    assert filled == []


def service_functions() -> Iterator[tuple[str, ast.AsyncFunctionDef, bool]]:
    """Every public coroutine function of the services: its name, itself, whether it is a method."""
    for path in sorted((SOURCE / "services").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield f"{path.stem}.{node.name}", node, False
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for inner in node.body:
                    if isinstance(inner, ast.AsyncFunctionDef) and not inner.name.startswith(
                        "_"
                    ):
                        yield f"{path.stem}.{node.name}.{inner.name}", inner, True


# Coroutines of the services that use no database, each with what it does instead.
NO_DATABASE = {
    "authorized_emails.AuthorizedEmails.send": "sends the mail, when the transaction is over",
    "mirrors.check": "asks the network, while no transaction is open",
    "move_ins.MoveIns.plan_namespace": "reads, and asks the network, while no transaction is open",
    "move_ins.MoveIns.plan_repository": "reads, and asks the network, while no transaction is open",
    "notifications.Notifications.check": "asks the network, while no transaction is open",
    "passwords.hash_of": "hashes in a thread",
    "sign_ups.SignUps.hash_of": "hashes in a thread",
    "users.hash_of": "hashes in a thread",
    "passwords.is_right": "hashes in a thread",
    "passwords.turn": "waits for others, before a transaction begins",
}
# The protocol `domain.methods.Lookup` is asked by methods, which know no transaction: its maker holds one.
HOLDS_ITS_OWN = "lookups."


def test_every_service_takes_the_transaction_first() -> None:
    others = [
        name
        for name, function, is_method in service_functions()
        if [one.arg for one in function.args.args][is_method:][:1] != ["tx"]
        and not name.startswith(HOLDS_ITS_OWN)
    ]

    assert sorted(others) == sorted(NO_DATABASE)


# Services that ask for no right, each with the reason.
NO_RIGHT = {
    "authentication.actor_of_bearer": "finds out who acts",
    "authentication.actor_of_password": "finds out who acts",
    "authentication.actor_of_session": "finds out who acts",
    "authentication.actor_of_user": "finds out who acts",
    "authentication.record_failure": "nobody has signed in",
    "authorizations.exchange": "the application's secret and its code are the right",
    "authorized_emails.AuthorizedEmails.confirm": "the mailed code is the right",
    "authorized_emails.AuthorizedEmails.of_code": "the mailed code is the right",
    "authorized_emails.AuthorizedEmails.of_link": "the mailed link is the right",
    "authorized_emails.AuthorizedEmails.withdraw": "the mailed link is the right",
    "clair_callbacks.note": "is called by the face, which checked Clair's token",
    "feeds.Feeds.receive": "the feed's secret is the right",
    "first_users.set_up": "gives the right to the holder of the set-up token",
    "authentication.actors_of_bearers": "finds out who acts",
    "intake.Intake.record": "is called by the service that made the fact, which asked",
    "intake.Intake.record_for": "is called by services.expirations, for the server itself",
    "intake.Intake.record_many": "is called by services.reports, which asked",
    "intake.Intake.test": "is called by services.notifications, which asked",
    "intake.Intake.wanted": "is called by the service that made the fact, which asked",
    "live.Watch.begin": "holds the right it was made with",
    "live.Watch.catch_up": "holds the right it was made with",
    "live.Watch.look": "holds the right it was made with",
    "registry_tokens.honour": "finds out who acts",
    "registry_tokens.open_tokens": "is called at the start",
    "sign_ups.SignUps.confirm": "the mailed code is the right",
    "sign_ups.SignUps.of_code": "the mailed code is the right",
    "signing_secrets.list_public": "public keys are for everybody",
    "users.check_email": "is called by the services that save one, which asked",
}


def test_every_service_takes_who_acts_or_the_right_to() -> None:
    others = []
    for name, function, _ in service_functions():
        arguments = [*function.args.args, *function.args.kwonlyargs]
        words = {
            word
            for one in arguments
            if one.annotation is not None
            for word in re.findall(r"\w+", ast.unparse(one.annotation))
        }
        if (
            not words & RIGHTS
            and name not in NO_DATABASE
            and not name.startswith(HOLDS_ITS_OWN)
        ):
            others.append(name)

    assert sorted(others) == sorted(NO_RIGHT)


def test_every_dataclass_of_ours_is_a_late_one() -> None:
    plain = [
        f"{path.relative_to(SOURCE)}: import it from dockbell.domain.late_dataclasses"
        for path in SOURCE.rglob("*.py")
        if path.name != "late_dataclasses.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "dataclasses"
        and "dataclass" in [one.name for one in node.names]
    ]

    assert plain == []

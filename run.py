#!/usr/bin/env python3
"""From a bare checkout to a running dockbell: prepares a private Python environment, then hands over.

Needs Python 3.11 or newer with pip or ensurepip, and nothing else. Whatever it installs is named with its
hash in `requirements.txt` (to run) or `requirements-dev.txt` (to test), and goes into `.venv` beside it.
"""

# ruff: noqa: PLC0415 -- slow modules are loaded only when there is something to prepare

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11", "python3.14")


def find_newer(names: tuple = NEWER) -> str:
    """The path of a Python that is new enough, or nothing."""
    import shutil
    import subprocess

    question = f"import sys; sys.exit(sys.version_info < {OLDEST!r})"
    for name in names:
        path = shutil.which(name)
        # A name on PATH can be a stand-in that only says what is missing, so it is asked.
        if path and not _call([path, "-c", question], subprocess.DEVNULL):
            return path
    return ""


def explain_age(version: tuple, executable: str) -> str:
    """What to tell somebody whose Python is too old."""
    return (
        f"run.py: dockbell needs Python {OLDEST[0]}.{OLDEST[1]} or newer, "
        f"and {executable} is {version[0]}.{version[1]}.\n"
        f"  tried: {', '.join(NEWER)} on your PATH; none of them works.\n"
        "  next:  install a newer Python, then run this command again with it, "
        "for example `python3.11 run.py serve`."
    )


def _call(command: list, output: object) -> int:
    import subprocess

    return subprocess.call(command, stdout=output, stderr=output)


# Python 3.6 still reads this file to the end, so that it can say what is wrong: the syntax stays that old.
# Nothing below this block runs there.
if sys.version_info < OLDEST:
    newer = find_newer()
    if not newer:
        sys.exit(explain_age(sys.version_info, sys.executable))
    os.execv(newer, [newer, *sys.argv])

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TURN = ROOT / ".venv.lock"  # beside it, because making an environment empties the folder
LOCKS = {
    "runtime": ("requirements.txt",),
    # The second holds all of the first, so that an environment for tests can serve too.
    "dev": ("requirements-dev.txt", "requirements.txt"),
}
SCHEME = 1  # raise it when what `prepare` does changes, so that environments are made again
OLDEST_PIP = (22, 3)  # the first that can install into another environment

USAGE = """\
usage: python3 run.py COMMAND ...

  serve      start the server (serve --help shows its options)
  demo       see a push ring the bell, in a temporary folder
  test       run the tests; further words go to pytest
  soak       kill real processes under load and count what arrives (soak --help)
  check      run what every change must pass: format, lint, types, imports, tests, words; without the tests
             with --without-tests, for who runs all of them right after it
  ...        any other command of dockbell: doctor, deliveries list, users create, import quay, export, config show,
             bench, ...; docs/cli.md has them all, and each has --help

The first run makes .venv in this folder and installs what the lock file names.
"""


class PreparationError(Exception):
    """The environment could not be prepared; the text says what was tried and what to do."""


def fingerprint(kind: str, root: Path = ROOT) -> str:
    """What the stamp of a ready environment says: the same as long as lock files and Python are."""
    digest = hashlib.sha256(f"{SCHEME} {sys.implementation.cache_tag}".encode())
    for name in LOCKS[kind]:
        digest.update((root / name).read_bytes())
    return f"{kind} {digest.hexdigest()}"


def is_ready(kind: str, root: Path = ROOT) -> bool:
    """Whether the environment holds at least this set of packages, wholly installed."""
    if not _python_of(
        root / ".venv"
    ).exists():  # also false when the Python it points to is gone
        return False
    try:
        stamp = (root / ".venv" / "dockbell-stamp").read_text().strip()
    except OSError:
        return False
    good = {"dev", kind}
    return stamp.partition(" ")[0] in good and stamp == fingerprint(
        stamp.partition(" ")[0], root
    )


def prepare(kind: str) -> None:
    """Make the environment ready, unless another run.py does so meanwhile."""
    with _turn():
        if is_ready(kind):
            return
        say(f"Preparing {VENV} from {LOCKS[kind][0]}. This is done once and takes a moment …")
        stamp = VENV / "dockbell-stamp"
        stamp.unlink(missing_ok=True)  # from here until the end it is not ready
        if not _has_this_python():
            _make_environment()
        _install(kind)
        _add_checkout()
        fresh = stamp.with_suffix(".new")
        fresh.write_text(fingerprint(kind) + "\n")
        fresh.replace(stamp)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other run.py prepares this checkout."""
    import fcntl

    with TURN.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run.py prepares this checkout; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def _has_this_python() -> bool:
    import subprocess

    question = f"import sys; sys.exit(sys.implementation.cache_tag != {sys.implementation.cache_tag!r})"
    try:
        return not _call([str(_python_of(VENV)), "-c", question], subprocess.DEVNULL)
    except OSError:
        return False


def _make_environment() -> None:
    import venv

    # Without pip: copying it in takes longer than all the rest, and Debian ships the part that does it
    # separately. `_find_pip` gets hold of one.
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(VENV)


def _find_pip() -> list[str]:
    """The command of a pip that installs into the environment."""
    import importlib.util
    import subprocess

    inner = [str(_python_of(VENV)), "-m", "pip"]
    if not _call([*inner, "--version"], subprocess.DEVNULL):
        return inner
    if importlib.util.find_spec("pip") is not None:
        import pip

        if tuple(int(part) for part in pip.__version__.split(".")[:2]) >= OLDEST_PIP:
            return [sys.executable, "-m", "pip", "--python", inner[0]]
    if importlib.util.find_spec("ensurepip") is not None and not _call(
        [inner[0], "-m", "ensurepip", "--default-pip"], subprocess.DEVNULL
    ):
        return inner
    raise PreparationError(
        "this Python has neither pip nor ensurepip, so nothing can be installed.\n"
        f"  tried: {sys.executable}\n"
        "  next:  install one of them, then run the same command again.\n"
        "         Debian, Ubuntu: sudo apt install python3-venv\n"
        "         Fedora:         sudo dnf install python3-pip"
    )


def _install(kind: str) -> None:
    import subprocess

    command = [
        *_find_pip(),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",  # the lock file is complete
        "--require-hashes",
        "--requirement",
        str(ROOT / LOCKS[kind][0]),
    ]
    # Where to install is ours to say; everything else about pip stays as its user has set it.
    misplaced = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in misplaced}
    done = subprocess.run(
        command,
        env={**environment, "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PreparationError(explain_pip(command, done.stdout))


def explain_pip(command: list[str], output: str) -> str:
    """What to tell somebody whose pip failed."""
    said = [line.strip() for line in output.splitlines() if line.strip()][-6:]
    if "DO NOT MATCH THE HASHES" in output:
        following = (
            "the index gave a file that is not the one in the lock file. Do not trust it: "
            "compare your index and proxy settings, `python3 -m pip config list`."
        )
    else:
        following = (
            "check network and proxy (pip goes by your own settings, `python3 -m pip config list`), "
            "then run the same command again."
        )
    return "\n".join(
        [
            "the packages that dockbell needs could not be installed.",
            f"  tried: {' '.join(command)}",
            *(f"  pip:   {line}" for line in said),
            f"  next:  {following}",
        ]
    )


def _add_checkout() -> None:
    """Let the environment find `dockbell` in this checkout, also after the folder was moved."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (VENV / "lib" / version / "site-packages" / "dockbell-checkout.pth").write_text(
        "../../../../src\n"  # from that folder
    )


# Three files of tests at a time, in the order that tests/conftest.py gives: many of them mostly wait.
TOGETHER = ("-m", "pytest", "-q", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
# The second database, what takes seconds, and whatever starts a whole server, is left to `run.py test`.
QUICK = (*TOGETHER, "-m", "not slow", "-k", "not postgresql")
TESTS_STEP = "unit and contract tests"
WITHOUT_TESTS = "--without-tests"
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
# What every change must pass, the fast first. Words for the Python of the environment: a tool's own script
# would name the folder that it was installed in, and break when that is moved.
STEPS = (
    ("format", "-m", "ruff", "format", "--check", "."),
    ("lint", "-m", "ruff", "check", "."),
    ("imports", ".venv/bin/lint-imports"),
    ("types", "-m", "mypy"),
    (TESTS_STEP, *QUICK, "tests/unit", "tests/contract"),
    ("dependencies", "-m", "deptry", "src"),
    ("dead code", "-m", "vulture"),
    (
        "words",
        "-m",
        "codespell_lib",
        "src",
        "tests",
        "docs",
        "benchmarks",
        "run.py",
        "README.md",
    ),
)


def steps_of(words: list[str]) -> list[tuple]:
    """The steps of a check with these words."""
    return [step for step in STEPS if step[0] != TESTS_STEP or WITHOUT_TESTS not in words]


def check(given: list[str]) -> int:
    """Run the steps in order; stop at the first that fails."""
    import subprocess
    import time

    unknown = [word for word in given if word != WITHOUT_TESTS]
    if unknown:
        say(
            f"run.py: check knows {WITHOUT_TESTS} and nothing else, and was given {unknown[0]}."
        )
        return 2
    for title, *words in steps_of(given):
        say(f"== {title}")
        began = time.perf_counter()
        command = [str(_python_of(VENV)), *words]
        status = subprocess.call(command, cwd=ROOT)
        if status:
            say(f"== {title} failed. Again alone: {' '.join(command)}")
            return status
        say(f"   {title} took {time.perf_counter() - began:.1f} s")
    say("== all passed")
    return 0


def say(text: str) -> None:
    """Tell the person at the terminal, without mixing it into what a command prints."""
    print(text, file=sys.stderr, flush=True)


def _exec(*words: str) -> None:
    python = str(_python_of(VENV))
    # -P: a file in the current folder must not stand in for a module of ours.
    os.execv(python, [python, "-P", "-m", *words])


def main(words: list[str]) -> int:
    """Prepare what the command needs and become it. Returns only for `check` and for errors."""
    if not words or words[0] in {"-h", "--help", "help"}:
        print(USAGE, end="")
        return 0 if words else 2
    command, rest = words[0], words[1:]
    # Whoever forbids it has other code in mind: without what was compiled once, each of our processes, of which the
    # tests start hundreds, takes half as long again to start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    kind = "dev" if command in {"test", "check", "soak"} else "runtime"
    try:
        if not is_ready(kind):
            prepare(kind)
    except PreparationError as error:
        say(f"run.py: {error}")
        return 1
    except OSError as error:
        say(
            f"run.py: {VENV} could not be prepared: {error}.\n"
            "  next:  make the folder writable for this user, or make room on the disk, "
            "then run the same command again."
        )
        return 1
    except KeyboardInterrupt:
        say("run.py: stopped. The next run goes on with preparing.")
        return 130
    if command == "check":
        return check(rest)
    if command == "test":
        os.chdir(ROOT)
        _exec("pytest", *(rest or TOGETHER[3:]))
    if command == "soak":
        os.environ["PYTHONPATH"] = str(ROOT)
        _exec("tests.soak", *rest)
    _exec("dockbell", *words)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""run.py: what it takes for ready, and what it tells people whose machine lacks something."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout with a ready environment for tests."""
    (tmp_path / "requirements.txt").write_text("a==1 --hash=sha256:00\n")
    (tmp_path / "requirements-dev.txt").write_text("a==1 --hash=sha256:00\nb==2\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp(tmp_path, "dev")
    return tmp_path


def stamp(checkout: Path, kind: str) -> None:
    (checkout / ".venv" / "dockbell-stamp").write_text(run.fingerprint(kind, checkout) + "\n")


def test_an_environment_for_tests_can_serve_too(checkout: Path) -> None:
    assert (run.is_ready("runtime", checkout), run.is_ready("dev", checkout)) == (True, True)


def test_an_environment_to_serve_cannot_test(checkout: Path) -> None:
    stamp(checkout, "runtime")

    assert (run.is_ready("runtime", checkout), run.is_ready("dev", checkout)) == (True, False)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_a_changed_lock_file_makes_it_stale(checkout: Path, name: str) -> None:
    (checkout / name).write_text("a==2\n")

    assert run.is_ready("dev", checkout) is False


def test_a_new_lock_for_tests_does_not_stop_a_server(checkout: Path) -> None:
    stamp(checkout, "runtime")
    (checkout / "requirements-dev.txt").write_text("b==3\n")

    assert run.is_ready("runtime", checkout) is True


def test_an_environment_without_its_stamp_is_not_ready(checkout: Path) -> None:
    (checkout / ".venv" / "dockbell-stamp").unlink()  # as while it is being prepared

    assert run.is_ready("runtime", checkout) is False


def test_an_environment_whose_python_is_gone_is_not_ready(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout / "gone")

    assert run.is_ready("runtime", checkout) is False


def test_a_python_that_is_too_old_is_told_what_to_do() -> None:
    text = run.explain_age((3, 9, 2), "/usr/bin/python3")

    assert text == (
        "run.py: dockbell needs Python 3.11 or newer, and /usr/bin/python3 is 3.9.\n"
        "  tried: python3.13, python3.12, python3.11, python3.14 on your PATH; none of them works.\n"
        "  next:  install a newer Python, then run this command again with it, "
        "for example `python3.11 run.py serve`."
    )


def test_a_newer_python_is_found_past_one_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python3.13"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    (tmp_path / "python3.12").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    assert run.find_newer() == str(tmp_path / "python3.12")


def test_no_newer_python_is_no_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert run.find_newer() == ""


def test_a_failing_pip_is_told_with_its_last_words() -> None:
    output = "\n".join(["", *(f"line {number}" for number in range(9)), ""])

    text = run.explain_pip(["pip", "install"], output)

    assert text.splitlines() == [
        "the packages that dockbell needs could not be installed.",
        "  tried: pip install",
        *(f"  pip:   line {number}" for number in range(3, 9)),
        (
            "  next:  check network and proxy (pip goes by your own settings, "
            "`python3 -m pip config list`), then run the same command again."
        ),
    ]


def test_a_wrong_hash_is_told_as_such() -> None:
    output = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."

    text = run.explain_pip(["pip"], output)

    assert text.splitlines()[-1] == (
        "  next:  the index gave a file that is not the one in the lock file. Do not trust it: "
        "compare your index and proxy settings, `python3 -m pip config list`."
    )


def test_the_syntax_is_as_old_as_promised() -> None:
    """Python 3.6 has to read the file to say that it is too old."""
    import ast  # noqa: PLC0415 -- beside its one use

    text = (ROOT / "run.py").read_text()

    tree = ast.parse(text, feature_version=(3, 6))

    newer = (ast.NamedExpr, ast.Match)
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, newer)] == []


def test_a_check_without_tests_leaves_out_the_tests_and_nothing_else() -> None:
    every, rest = run.steps_of([]), run.steps_of(["--without-tests"])

    assert every == list(run.STEPS)
    assert [step for step in every if step not in rest] == [
        step for step in every if "pytest" in step
    ]
    assert len(rest) == len(every) - 1


def test_a_check_knows_no_other_word(capsys: pytest.CaptureFixture[str]) -> None:
    code = run.check(["--without-test"])

    said = (
        "run.py: check knows --without-tests and nothing else, and was given --without-test.\n"
    )
    assert (code, capsys.readouterr().err) == (2, said)


def test_usage_needs_no_environment(tmp_path: Path) -> None:
    shutil.copy(ROOT / "run.py", tmp_path)

    told = subprocess.run(
        [sys.executable, "run.py", "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    asked = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (told.returncode, told.stdout) == (0, run.USAGE)
    assert (asked.returncode, asked.stdout) == (2, run.USAGE)
    assert [one.name for one in tmp_path.iterdir()] == ["run.py"]


def test_a_folder_that_cannot_hold_the_environment_is_told(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    (checkout / ".venv").write_text("in the way")
    shutil.copy(ROOT / "run.py", checkout)

    done = subprocess.run(
        [sys.executable, "run.py", "version"],
        cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        (
            f"run.py: {checkout}/.venv could not be prepared: [Errno 20] Not a directory: "
            f"'{checkout}/.venv/dockbell-stamp'."
        ),
        (
            "  next:  make the folder writable for this user, or make room on the disk, "
            "then run the same command again."
        ),
    ]


def test_without_pip_and_ensurepip_it_says_which_to_install(checkout: Path) -> None:
    """As on a Debian without python3-venv: a finder before all others hides both modules."""
    shutil.rmtree(checkout / ".venv")
    shutil.copy(ROOT / "run.py", checkout)
    hide = checkout / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name in {'pip', 'ensurepip'}:\n"
        "            return None\n"
        "        return PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if f is not PathFinder] + [Finder]\n"
    )

    done = subprocess.run(
        [sys.executable, "run.py", "version"],
        cwd=checkout, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(hide)},
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "run.py: this Python has neither pip nor ensurepip, so nothing can be installed.",
        f"  tried: {sys.executable}",
        "  next:  install one of them, then run the same command again.",
        "         Debian, Ubuntu: sudo apt install python3-venv",
        "         Fedora:         sudo dnf install python3-pip",
    ]
    assert (checkout / ".venv" / "dockbell-stamp").exists() is False

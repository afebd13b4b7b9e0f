"""The ledger of Quay's quirks and the tests that are marked with them say the same."""

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.docs.pages import DOCS

TESTS = Path(__file__).parents[1]
QUIRKS = 32
HERE = {"kept", "mended", "kept, and better"}


def rows() -> list[list[str]]:
    page = (DOCS / "quirks.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| Q\d+ \|.*\|$", page, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named() -> dict[str, list[str]]:
    """For each quirk the tests that its row names."""
    return {row[0]: sorted(re.findall(r"`([\w/]+\.py::\w+)`", row[4])) for row in rows()}


def marks_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [
        ast.literal_eval(argument)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func) == "pytest.mark.quirk"
        for argument in decorator.args
    ]


def marked() -> dict[str, list[str]]:
    """For each quirk the tests that carry its mark."""
    found = defaultdict(list)
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if "mark.quirk" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for quirk in marks_of(node):
                    found[quirk].append(f"{path.relative_to(TESTS).as_posix()}::{node.name}")
    return {quirk: sorted(tests) for quirk, tests in found.items()}


def test_every_quirk_has_its_row_with_what_becomes_of_it() -> None:
    assert [row[0] for row in rows()] == [f"Q{number}" for number in range(1, QUIRKS + 1)]
    assert {row[2] for row in rows()} == HERE
    # What is mended says how.
    assert [row[0] for row in rows() if row[2] != "kept" and not row[3]] == []


def test_every_quirk_is_held_by_tests_that_are_marked_with_it() -> None:
    assert named() == marked()
    assert [quirk for quirk, tests in named().items() if not tests] == []

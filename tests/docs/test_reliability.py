"""The page of reliability names tests that exist, and counts what it says."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

from tests.docs.pages import DOCS

TESTS = Path(__file__).parents[1]
CASES = 156


def rows() -> list[list[str]]:
    page = (DOCS / "reliability.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| \d+ \|.*\|$", page, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def names_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_case_has_its_row() -> None:
    assert [int(number) for number, *_ in rows()] == list(range(1, CASES + 1))


def test_every_test_that_is_named_exists() -> None:
    named = [name for *_, by in rows() for name in re.findall(r"`([\w/]+\.py::\w+)`", by)]
    missing = []
    for name in named:
        file, _, function = name.partition("::")
        if function not in names_in(TESTS / file):
            missing.append(name)

    assert len(named) > CASES
    assert missing == []


def test_what_is_covered_names_a_test_and_what_is_not_says_why() -> None:
    odd = [
        number
        for number, _, covered, by in rows()
        if (covered == "no") is ("::" in by) or not by
    ]

    assert odd == []


def test_the_page_counts_its_rows() -> None:
    page = " ".join((DOCS / "reliability.md").read_text(encoding="utf-8").split())
    counted = Counter(covered for _, _, covered, _ in rows())

    assert (
        f"At present {counted['yes']} are covered, {counted['partly']} partly "
        f"and {counted['no']} not." in page
    )
    assert set(counted) == {"yes", "partly", "no"}

"""The pages of `docs`, taken apart for the tests that hold them to the code."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks_of(text: str, language: str) -> list[str]:
    """The code blocks of that language, in order."""
    return [body for tag, body in _FENCE.findall(text) if tag == language]


def section_of(page: str, heading: str) -> str:
    """What stands below a heading such as `## Ports`, up to the next one of its level or a higher one."""
    _, found, below = text_of(page).partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    level = len(heading.partition(" ")[0])
    bare = _FENCE.sub(
        lambda match: " " * len(match[0]), below
    )  # a comment in code is no heading
    ends = [match.start() for match in _HEADING.finditer(bare) if len(match[1]) <= level]
    return below[: min(ends, default=len(below))]


def rows_of(text: str) -> list[list[str]]:
    """The cells of the first table in the text, without its head."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def names_of(cells: list[str]) -> list[str]:
    """All that stands in backticks in these cells, in order."""
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings have, as common hosts of Markdown make them."""
    bare = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for _, title in _HEADING.findall(bare)
    }

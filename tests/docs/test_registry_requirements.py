"""The table of the distribution standard's requirements: each row names a test that is there."""

import re

from tests.docs.pages import DOCS, text_of

_ROW = re.compile(r"^\| .*\| `(test_\w+)` \|$", re.MULTILINE)


def test_each_requirement_of_the_standard_names_a_test_that_is_there() -> None:
    page = text_of("registry.md")
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (DOCS.parent / "tests" / "compat").glob("test_oci_*.py")
    )

    named = _ROW.findall(page)
    counted = re.search(r"Below are (\d+) requirements", page)

    assert [name for name in named if f"def {name}(" not in sources] == []
    assert counted is not None
    assert (int(counted[1]), len(set(named))) == (len(named), len(named))

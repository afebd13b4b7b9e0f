"""The page for operators names every metric and everything that is thrown away."""

from dockbell.settings import Settings
from dockbell.store.transactions import Store
from dockbell.web.metrics import Scrapes
from tests.docs.pages import names_of, rows_of, section_of


async def test_the_page_has_every_metric_with_its_labels(store: Store) -> None:
    families = await Scrapes(store).families()

    rows = rows_of(section_of("operations.md", "## Metrics"))

    assert [(names_of([row[0]]), names_of([row[1]])) for row in rows] == [
        ([one.name], list(one.labels)) for one in families
    ]


def test_the_page_has_every_setting_of_what_is_kept() -> None:
    rows = rows_of(section_of("operations.md", "## What is thrown away"))

    shown = {
        row.name: str(row.value) for row in Settings().rows() if row.name.startswith("keep_")
    }
    assert {names_of([row[1]])[0]: row[2] for row in rows} == shown

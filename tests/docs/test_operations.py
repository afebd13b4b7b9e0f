"""The page for operators names every metric."""

from dockbell.store.transactions import Store
from dockbell.web.metrics import Scrapes
from tests.docs.pages import names_of, rows_of, section_of


async def test_the_page_has_every_metric_with_its_labels(store: Store) -> None:
    families = await Scrapes(store).families()

    rows = rows_of(section_of("operations.md", "## Metrics"))

    assert [(names_of([row[0]]), names_of([row[1]])) for row in rows] == [
        ([one.name], list(one.labels)) for one in families
    ]

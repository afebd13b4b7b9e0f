"""The catalogs of events and methods: files and entry points, each name once."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from dockbell import events, methods
from dockbell.domain.errors import SetupError

_CATALOGS = [(events, "event", "repo_push"), (methods, "method", "webhook")]


Install = Callable[[ModuleType, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make it look as if another package with this entry point were installed."""

    def installed(catalog: ModuleType, value: str) -> None:
        package = tmp_path / "extra-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text(f"[{catalog.__name__}]\nextra = {value}\n")
        (tmp_path / "extra_package.py").write_text(
            "class Extra:\n    name = 'extra'\n\n\nEXTRA = Extra()\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    return installed


@pytest.mark.parametrize(("catalog", "what", "known"), _CATALOGS)
def test_a_catalog_is_in_order_of_names(catalog: ModuleType, what: str, known: str) -> None:
    found = catalog.catalog()

    assert list(found) == sorted(found)
    assert [one.name for one in found.values()] == list(found)


@pytest.mark.parametrize(("catalog", "what", "known"), _CATALOGS)
def test_an_installed_package_adds_to_it(
    catalog: ModuleType, what: str, known: str, install: Install
) -> None:
    before = catalog.catalog()
    install(catalog, "extra_package:EXTRA")

    after = catalog.catalog()

    assert sorted(set(after) - set(before)) == ["extra"]
    assert after["extra"].name == "extra"


@pytest.mark.parametrize(("catalog", "what", "known"), _CATALOGS)
def test_two_equal_names_stop_the_start(
    catalog: ModuleType, what: str, known: str, install: Install
) -> None:
    module = type(catalog.catalog()[known]).__module__
    constant = "KIND" if what == "event" else "METHOD"
    install(catalog, f"{module}:{constant}")

    with pytest.raises(SetupError) as refused:
        catalog.catalog()

    assert refused.value.detail == (
        f"Two {what}s are called {known}: {module} and {module}. Uninstall one of them."
    )


@pytest.mark.parametrize(("catalog", "what", "known"), _CATALOGS)
def test_a_broken_package_stops_the_start(
    catalog: ModuleType, what: str, known: str, install: Install
) -> None:
    install(catalog, "dockbell.nowhere:X")

    with pytest.raises(SetupError) as refused:
        catalog.catalog()

    assert refused.value.detail == (
        f"The {what} dockbell.nowhere:X cannot be loaded: No module named 'dockbell.nowhere'"
    )

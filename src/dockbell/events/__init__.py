"""The catalog of event kinds: every file of this folder, and every installed entry point `dockbell.events`."""

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points

from dockbell.domain.errors import SetupError
from dockbell.domain.events import EventKind


def catalog() -> Mapping[str, EventKind]:
    """All event kinds by name, in order of their names. Two of one name stop the start."""
    found: list[EventKind] = [
        importlib.import_module(f"{__name__}.{module.name}").KIND
        for module in pkgutil.iter_modules(__path__)
    ]
    for point in entry_points(group=__name__):
        try:
            found.append(point.load())
        except Exception as error:
            raise SetupError(f"The event {point.value} cannot be loaded: {error}") from error
    kinds: dict[str, EventKind] = {}
    for kind in found:
        if kind.name in kinds:
            raise SetupError(
                f"Two events are called {kind.name}: {type(kinds[kind.name]).__module__}"
                f" and {type(kind).__module__}. Uninstall one of them."
            )
        kinds[kind.name] = kind
    return dict(sorted(kinds.items()))

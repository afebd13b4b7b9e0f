"""The catalog of methods: every file of this folder, and every installed entry point `dockbell.methods`."""

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points

from dockbell.domain.errors import SetupError
from dockbell.domain.methods import Method


def catalog() -> Mapping[str, Method]:
    """All methods by name, in order of their names. Two of one name stop the start."""
    found: list[Method] = [
        importlib.import_module(f"{__name__}.{module.name}").METHOD
        for module in pkgutil.iter_modules(__path__)
    ]
    for point in entry_points(group=__name__):
        try:
            found.append(point.load())
        except Exception as error:
            raise SetupError(f"The method {point.value} cannot be loaded: {error}") from error
    methods: dict[str, Method] = {}
    for method in found:
        if method.name in methods:
            raise SetupError(
                f"Two methods are called {method.name}: {type(methods[method.name]).__module__}"
                f" and {type(method).__module__}. Uninstall one of them."
            )
        methods[method.name] = method
    return dict(sorted(methods.items()))

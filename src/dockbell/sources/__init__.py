"""The catalog of sources: what each file of this folder understands of what others tell."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from dockbell.domain.scans import Scanner


@cache
def scanners() -> Mapping[str, Scanner]:
    """All scanners by name, in order of their names."""
    found: list[Scanner] = [
        module.SCANNER
        for name in pkgutil.iter_modules(__path__)
        if hasattr(module := importlib.import_module(f"{__name__}.{name.name}"), "SCANNER")
    ]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}

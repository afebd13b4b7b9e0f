"""The catalog of sources: what each file of this folder understands of what others tell."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from dockbell.domain.scans import Scanner
from dockbell.domain.sources import BuildSource


def _named(constant: str) -> Iterator[Any]:
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if hasattr(module, constant):
            yield getattr(module, constant)


@cache
def scanners() -> Mapping[str, Scanner]:
    """All scanners by name, in order of their names."""
    return {one.name: one for one in sorted(_named("SCANNER"), key=lambda one: str(one.name))}


@cache
def build_sources() -> Mapping[str, BuildSource]:
    """All build systems whose webhooks are understood, by name, in order of their names."""
    return {one.name: one for one in sorted(_named("SOURCE"), key=lambda one: str(one.name))}

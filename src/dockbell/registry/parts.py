"""What every handler of the registry is given."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from dockbell.domain.accounts import Powers
from dockbell.domain.ids import Clock
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.registry.files import Files
from dockbell.services.intake import Intake
from dockbell.services.quotas import Quotas
from dockbell.services.registry_tokens import RegistryTokens

# A face does not know the store: a transaction is something that it passes on to services.
Begin = Callable[[], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Pulls:
    """Of how many pulls an event is made."""

    percent: float = 0.0
    chance: Callable[[], float] = lambda: 1.0  # from 0 up to 1

    def is_chosen(self) -> bool:
        return self.percent > 0 and self.chance() * 100 < self.percent


@dataclass(frozen=True, slots=True)
class Parts:
    begin: Begin
    read: Begin
    files: Files
    links: Links
    intake: Intake
    tokens: RegistryTokens
    clock: Clock
    pulls: Pulls
    powers: Powers
    allows_anonymous: bool
    is_readonly: bool
    are_indexed: bool  # whether a Clair is asked about images that are pushed
    quotas: Quotas

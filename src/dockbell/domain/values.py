"""Values that every try makes anew."""

from collections.abc import Callable
from dataclasses import field
from typing import TypeVar, dataclass_transform

from dockbell.domain.late_dataclasses import dataclass

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(*, slots: bool = True) -> Callable[[type[_T]], type[_T]]:
    """A dataclass that only the type checker freezes.

    At run time a frozen one sets each field by a call, so that making one takes three times as long.
    """
    return dataclass(slots=slots, unsafe_hash=True)

"""Values that every try makes anew."""

from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial
from typing import TypeVar, dataclass_transform

from dockbell.domain.late_dataclasses import dataclass

_T = TypeVar("_T")
_Named = TypeVar("_Named", bound=tuple[object, ...])


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(*, slots: bool = True) -> Callable[[type[_T]], type[_T]]:
    """A dataclass that only the type checker freezes.

    At run time a frozen one sets each field by a call, so that making one takes three times as long.
    """
    return dataclass(slots=slots, unsafe_hash=True)


def maker(kind: type[_Named]) -> Callable[[Iterable[object]], _Named]:
    """Makes a named tuple of all of its fields in their order, at a third of the price of calling it.

    Nobody counts the fields: it is for where thousands are made in a second.
    """
    return partial(tuple.__new__, kind)

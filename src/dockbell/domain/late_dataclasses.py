"""Dataclasses whose methods are made when they are first used."""

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from dataclasses import dataclass as plain_dataclass
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_NOT_GIVEN = object()


def _made(
    cls: type[Any] | None = None,
    /,
    *,
    eq: bool = True,
    frozen: bool = False,
    slots: bool = False,
    unsafe_hash: bool = False,
) -> Any:
    """As `dataclasses.dataclass`, but that a program which imports hundreds of them starts in half the time.

    Up to Python 3.12 that compiles six methods of each class, one by one. Here one is compiled, `__init__`, when the
    first object is made; most programs make none of most classes.
    """

    def complete(cls: type[Any]) -> type[Any]:
        kept = set(vars(cls))
        # Not frozen for this one: it would compile what `_frozen` says.
        made: type[Any] = plain_dataclass(cls, init=False, repr=False, eq=False, slots=slots)
        methods: dict[str, Any] = {"__init__": _late_init(made, is_frozen=frozen)}
        methods |= _shown(made)
        if eq:
            methods |= _compared(made, is_hashed=frozen or unsafe_hash)
        if frozen:
            methods |= _frozen(made, has_slots=slots)
        for name, method in methods.items():
            if name not in kept:
                setattr(made, name, method)
        return made

    return complete if cls is None else complete(cls)


def _late_init(cls: type[Any], *, is_frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, /, *given: Any, **named: Any) -> None:  # noqa: N807 -- it becomes that method
        cls.__init__ = init = _init_of(
            cls, is_frozen=is_frozen
        )  # it is found there from now on
        init(self, *given, **named)

    return __init__


def _init_of(cls: type[Any], *, is_frozen: bool) -> Callable[..., None]:
    """Compile the method, in the very words of `dataclasses`."""
    parameters, lines = ["self"], []
    known: dict[str, Any] = {"_set": object.__setattr__, "_not_given": _NOT_GIVEN}
    for one in fields(cls):
        name = value = one.name
        given = name
        if one.default_factory is not MISSING:
            known[f"_new_{name}"] = one.default_factory
            value = f"_new_{name}()"
            if one.init:
                given = f"{name}=_not_given"
                value = f"{value} if {name} is _not_given else {name}"
        elif one.default is not MISSING:
            known[f"_default_{name}"] = one.default
            given = f"{name}=_default_{name}"
            value = name if one.init else f"_default_{name}"
        elif not one.init:
            continue
        if one.init:
            parameters.append(given)
        lines.append(
            f"_set(self, {name!r}, {value})" if is_frozen else f"self.{name} = {value}"
        )
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    text = "\n    ".join([f"def __init__({', '.join(parameters)}):", *(lines or ["pass"])])
    exec(text, known)  # noqa: S102 -- the names of a class's own fields
    init: Callable[..., None] = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _shown(cls: type[Any]) -> dict[str, Any]:
    names = [one.name for one in fields(cls) if one.repr]

    @recursive_repr()
    def __repr__(self: Any) -> str:  # noqa: N807 -- as above
        parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({parts})"

    return {"__repr__": __repr__}


def _compared(cls: type[Any], *, is_hashed: bool) -> dict[str, Any]:
    parts = _parts_of([one.name for one in fields(cls) if one.compare])

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807 -- as above
        return parts(self) == parts(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807 -- as above
        return hash(parts(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if is_hashed else None}


def _parts_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    match names:
        case []:
            return lambda _: ()
        case [name]:
            one = attrgetter(name)
            return lambda it: (one(it),)
        case _:
            return attrgetter(*names)


def _frozen(cls: type[Any], *, has_slots: bool) -> dict[str, Any]:
    names = [one.name for one in fields(cls)]

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807 -- as above
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807 -- as above
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    def __getstate__(self: Any) -> list[Any]:  # noqa: N807 -- as above
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:  # noqa: N807 -- as above
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    methods: dict[str, Any] = {"__setattr__": __setattr__, "__delattr__": __delattr__}
    if has_slots:  # a copy would set them otherwise
        methods |= {"__getstate__": __getstate__, "__setstate__": __setstate__}
    return methods


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _made

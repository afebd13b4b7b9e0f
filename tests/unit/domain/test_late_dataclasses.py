"""Late dataclasses do what those of Python do."""

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from dockbell.domain import late_dataclasses

FORMS: list[dict[str, bool]] = [
    {},
    {"slots": True},
    {"eq": False, "slots": True},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"slots": True, "unsafe_hash": True},
]
forms = pytest.mark.parametrize("form", FORMS, ids=str)


def both(form: dict[str, bool]) -> tuple[type[Any], type[Any]]:
    """The same class, made by Python and by us."""

    def made(decorate: Any) -> type[Any]:
        @decorate(**form)
        class Thing:
            """A thing."""

            name: str
            secret: str = field(default="", repr=False)
            parts: list[int] = field(default_factory=list)
            seen: int = field(default=0, compare=False)
            size: int = field(default=7, init=False)
            length: int = field(init=False)

            def __post_init__(self) -> None:
                object.__setattr__(self, "length", len(self.name))

        return Thing

    return made(dataclasses.dataclass), made(late_dataclasses.dataclass)


def said(ask: Any, one: type[Any]) -> object:
    """What came of it, an error in its words."""
    try:
        return ask(one)
    except Exception as error:  # noqa: BLE001 -- whatever it is, both say it
        return type(error), str(error).replace("_made.<locals>", "")


@forms
def test_a_late_one_makes_shows_and_compares_as_the_plain_one_does(
    form: dict[str, bool],
) -> None:
    questions: list[Any] = [
        lambda one: repr(one("a", "s", [1])),
        lambda one: one(name="a", parts=[2]).parts,
        lambda one: one("a").parts is one("a").parts,
        lambda one: (one("abc").length, one("abc").size),
        lambda one: one("a", seen=1) == one("a", seen=2),
        lambda one: one("a") == one("b"),
        lambda one: one("a") == "a",
        lambda one: one.__hash__ is None,
        lambda one: isinstance(said(lambda it: hash(it("a")), one), int),
        lambda one: dataclasses.asdict(one("a")),
        lambda one: repr(dataclasses.replace(one("a", "s"), name="b")),
        lambda one: repr(copy.copy(one("a", "s", [1]))),
        lambda one: repr(copy.deepcopy(one("a", "s", [1]))),
        lambda one: one.__match_args__,
        lambda one: hasattr(one("a"), "__dict__"),
        lambda one: setattr(one("a"), "name", "b"),
        lambda one: delattr(one("a"), "name"),
    ]

    plain, late = both(form)

    assert [said(ask, late) for ask in questions] == [said(ask, plain) for ask in questions]


@forms
def test_what_is_wrongly_made_is_refused_in_the_same_words(form: dict[str, bool]) -> None:
    plain, late = both(form)

    for ask in (lambda one: one(), lambda one: one("a", other=1), lambda one: one("a", size=1)):
        refused: Any = said(ask, late)
        assert refused[0] is TypeError
        assert refused == said(ask, plain)


@late_dataclasses.dataclass(frozen=True, slots=True)
class Outer:
    one: int


@late_dataclasses.dataclass(frozen=True, slots=True)
class Inner(Outer):
    two: int = 2


def test_a_late_one_that_inherits_has_all_fields_and_is_another_class() -> None:
    made = Inner(1)

    assert (made.one, made.two) == (1, 2)
    assert made != Outer(1)
    assert {made: "found"}[Inner(1, 2)] == "found"
    with pytest.raises(FrozenInstanceError):
        made.one = 3  # type: ignore[misc]


def test_a_frozen_late_one_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Inner(1))) == Inner(1)  # noqa: S301 -- made here


def test_a_method_of_the_class_stays() -> None:
    @late_dataclasses.dataclass(frozen=True, slots=True)
    class Loud:
        name: str

        def __repr__(self) -> str:
            return self.name.upper()

    assert repr(Loud("a")) == "A"


def test_one_that_holds_itself_can_be_shown() -> None:
    made = late_dataclasses.dataclass(slots=True)(
        type("Ring", (), {"__annotations__": {"next": object}})
    )
    one = made(None)
    one.next = one

    assert repr(one) == "Ring(next=...)"

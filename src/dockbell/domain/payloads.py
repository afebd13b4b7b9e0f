"""Reads fields out of a payload without trusting its shape: what is missing or odd reads as empty."""

from collections.abc import Mapping

_NOTHING: Mapping[str, object] = {}


def find(data: object, *keys: str) -> object:
    """The value below these keys, or None."""
    for key in keys:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def object_of(data: object, *keys: str) -> Mapping[str, object]:
    value = find(data, *keys)
    return value if isinstance(value, Mapping) else _NOTHING


def text_of(data: object, *keys: str) -> str:
    """A string or a number as text; anything else is empty."""
    value = find(data, *keys)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def texts_of(data: object, *keys: str) -> list[str]:
    """The strings of a list."""
    value = find(data, *keys)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def one_line(text: str) -> str:
    """The text with every run of white space, line ends among it, as one space."""
    return " ".join(text.split())


def is_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects are nested in each other more than so many levels."""
    below = [value]
    for _ in range(levels + 1):
        below = [
            inner
            for one in below
            for inner in (
                one.values()
                if isinstance(one, Mapping)
                else one
                if isinstance(one, list)
                else ()
            )
            if isinstance(inner, Mapping | list)
        ]
        if not below:
            return False
    return True

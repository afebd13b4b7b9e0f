"""Words that must be one of some, and the sentence that refuses another."""

import difflib
from collections.abc import Collection

from dockbell.domain.errors import ConfigError
from dockbell.domain.outcomes import Code

_ALIKE = 0.8
_LONGEST = 64
_CODES = frozenset(code.value for code in Code)


def refusal(problem: str, name: str, known: Collection[str]) -> str:
    """The sentence that refuses a name, with the nearest right one if it looks like a slip."""
    alike = difflib.get_close_matches(name[:_LONGEST], known, n=1, cutoff=_ALIKE)
    hint = f" (did you mean '{alike[0]}'?)" if alike else ""
    return f"{problem}{hint}. Must be one of: {', '.join(sorted(known))}"


def check_event(name: str | None, kinds: Collection[str]) -> None:
    """Raise ConfigError if a list is asked for an event of a kind that there is not."""
    if name is not None and name not in kinds:
        raise ConfigError(refusal(f"Invalid event '{name}'", name, kinds), field="event")


def check_codes(codes: Collection[str]) -> None:
    """Raise ConfigError if a list is asked for a code that no try ends with."""
    for code in codes:
        if code not in _CODES:
            raise ConfigError(refusal(f"Invalid code '{code}'", code, _CODES), field="code")

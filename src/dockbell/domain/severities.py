"""Severities of vulnerabilities: their order, and the words that scanners and distributions use for them."""

CRITICAL = "Critical"
UNKNOWN = "Unknown"

# The place of a severity in this list is the number that `level` in an event config means.
SEVERITIES = (CRITICAL, "High", "Medium", "Low", "Negligible", UNKNOWN)

_INDEXES = {severity.lower(): index for index, severity in enumerate(SEVERITIES)}
_OTHER_WORDS = {
    "defcon1": 0,
    "important": 1,
    "moderate": 2,
    "minor": 3,
    "none": 4,
    "unimportant": 4,
    "informational": 4,
}


def index_of_name(name: object) -> int | None:
    """The index of a severity by its name or by a distribution's word for it; case does not count."""
    if not isinstance(name, str):
        return None
    word = name.strip().lower()
    return _INDEXES.get(word, _OTHER_WORDS.get(word))


def index_of_level(level: object) -> int | None:
    """The index that a `level` means: a number, a number in a string, or a name (quay-compat Q12)."""
    if isinstance(level, bool):
        return None
    if isinstance(level, str) and level.strip().isdecimal():
        level = int(level) if len(level) < len("1234") else None
    if isinstance(level, int):
        # Quay's clients number up to 6; the last two both mean "anything". Pinned by unit/events.
        return min(level, len(SEVERITIES) - 1) if 0 <= level <= len(SEVERITIES) else None
    return index_of_name(level)


def is_unset(level: object) -> bool:
    """Whether a `level` says nothing, so that nothing is filtered by it."""
    return level is None or level == ""

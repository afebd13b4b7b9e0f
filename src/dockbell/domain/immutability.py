"""Tags that may not change: the rules of a repository and of its organization, as Quay has them."""

from collections.abc import Sequence

from dockbell.domain.errors import InvalidRequestError, RefusedError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.patterns import Pattern, PatternError, compile_pattern


class TagImmutableError(RefusedError):
    """The tag is immutable."""

    kind = "tag_immutable"

    def __init__(self, tag: str) -> None:
        super().__init__(
            f"The tag {tag} is immutable: a rule of the repository or of its organization keeps it as it is."
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """Tags that match the pattern from their start may not change; or all others, where `matches` is off."""

    uuid: str
    pattern: str
    matches: bool

    def covers(self, tag: str) -> bool:
        return _compiled(self.pattern).matches_start(tag) is self.matches


def check_pattern(text: str) -> None:
    """Raise InvalidRequestError unless the text can be a rule's pattern."""
    try:
        _compiled(text)
    except PatternError as error:
        raise InvalidRequestError(f"'tagPattern' is not valid: {error}") from None
    if not text:
        raise InvalidRequestError("'tagPattern' must not be empty")


def is_immutable(tag: str, rules: Sequence[Rule]) -> bool:
    return any(rule.covers(tag) for rule in rules)


def _compiled(text: str) -> Pattern:
    return compile_pattern(text)
